"""I am the paths by which people say what they think of a deploy request, and how it is to be carried out."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel

from control.api.deployment import review
from control.api.paths import DATABASE, Here, Number, PageNumber, PageSize, Who
from control.api.present import Json, page
from control.api.scene import shown
from control.service import Service
from migrator.deploy.approval import ReviewState
from migrator.deploy.how import How
from router.model import Actor

router = APIRouter(prefix=DATABASE + "/deploy-requests/{number}", tags=["reviews"])


class NewReview(BaseModel):
    """The body of a comment or an approval."""

    state: ReviewState = ReviewState.COMMENTED
    body: str | None = None


class Confirmation(BaseModel):
    """The body of a confirmation: keys of findings; left out, all that ask for it."""

    keys: list[str] | None = None


class Switch(BaseModel):
    """The body of a request to switch something on or off."""

    enable: bool


@router.get("/reviews")
async def list_reviews(
    service: Here, db: str, number: Number, asked: PageNumber = 1, size: PageSize = 25
) -> Json:
    """List comments and approvals, oldest first."""
    await service.deploys.get(db, number)
    return page([review(one) for one in await service.deploys.reviews(db, number)], asked, size)


@router.post("/reviews", status_code=201)
async def create_review(service: Here, db: str, number: Number, who: Who, body: NewReview) -> Json:
    """Comment on a deploy request, or approve it."""
    return review(await service.deploys.review(db, number, who, body.state, body.body or ""))


@router.post("/confirm")
async def confirm(service: Here, db: str, number: Number, who: Who, body: Confirmation | None = None) -> Json:
    """Say yes to findings that must be confirmed."""
    keys = body.keys if body else None
    return await shown(service, await service.deploys.confirm(db, number, who, keys))


@router.put("/auto-apply")
async def set_auto_apply(service: Here, db: str, number: Number, who: Who, body: Switch) -> Json:
    """Have a deployment cut over by itself, or wait for `apply-deploy`."""
    return await _edit(service, db, number, who, How(auto_cutover=body.enable))


@router.put("/auto-delete-branch")
async def set_auto_delete_branch(service: Here, db: str, number: Number, who: Who, body: Switch) -> Json:
    """Have the branch deleted when the deployment is complete, or kept."""
    return await _edit(service, db, number, who, How(auto_delete_branch=body.enable))


@router.put("/aggressive-cutover")
async def set_aggressive_cutover(service: Here, db: str, number: Number, who: Who, body: Switch) -> Json:
    """Have the cut-over kill at once what holds its tables, or wait for it."""
    return await _edit(service, db, number, who, How(aggressive_cutover=body.enable))


async def _edit(service: Service, db: str, number: int, who: Actor, how: How) -> Json:
    return await shown(service, await service.deploys.edit(db, number, who, how))
