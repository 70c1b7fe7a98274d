"""I am the paths of deploy requests: to open them, look at them and close them."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel

from control.api.deployment import diff
from control.api.filters import Filter, Wanted, span
from control.api.operations import operation
from control.api.paths import DATABASE, Here, Number, PageNumber, PageSize, Who
from control.api.present import Json, actor, moment, page, whole
from control.api.scene import shown, shown_all, shown_deployments
from migrator.deploy import queue
from migrator.deploy.how import How
from migrator.engine.direct.choose import Strategy

router = APIRouter(prefix=DATABASE, tags=["deploy requests"])

ONE = "/deploy-requests/{number}"


class NewDeployRequest(BaseModel):
    """The body of a request to open a deploy request; what is left out is as usual."""

    branch: str
    into_branch: str | None = None
    notes: str | None = None
    auto_cutover: bool | None = None
    auto_delete_branch: bool | None = None
    aggressive_cutover: bool | None = None
    ddl_strategy: Strategy | None = None
    allow_lossy: bool = False


class Change(BaseModel):
    """The body of a request to change a deploy request: it can be closed."""

    state: Literal["closed"]


class Chosen(BaseModel):
    """What a list of deploy requests is to have."""

    state: Wanted = Wanted.ANY
    branch: str = ""
    into_branch: str = ""
    deployed_at: str = ""
    running_at: str = ""
    page: PageNumber = 1
    per_page: PageSize = 100


@router.get("/deploy-requests")
async def list_deploy_requests(service: Here, db: str, chosen: Annotated[Chosen, Query()]) -> Json:
    """List deploy requests, newest first."""
    wanted = Filter(
        chosen.state,
        chosen.branch,
        chosen.into_branch,
        span(chosen.deployed_at),
        span(chosen.running_at),
    )
    found = [request for request in await service.deploys.all(db) if wanted.fits(request)]
    listed = page(found, chosen.page, chosen.per_page)
    return {**listed, "data": await shown_all(service, listed["data"])}


@router.post("/deploy-requests", status_code=201)
async def create_deploy_request(service: Here, db: str, who: Who, body: NewDeployRequest) -> Json:
    """Check a branch and open a deploy request for it."""
    how = How(
        strategy=body.ddl_strategy,
        allow_lossy=body.allow_lossy,
        auto_cutover=body.auto_cutover,
        auto_delete_branch=body.auto_delete_branch,
        aggressive_cutover=body.aggressive_cutover,
    )
    request = await service.create_deploy_request(
        body.branch, body.into_branch or "", body.notes or "", who, how
    )
    return await shown(service, request)


@router.get(ONE)
async def get_deploy_request(service: Here, db: str, number: Number) -> Json:
    """Show a deploy request."""
    return await shown(service, await service.deploys.get(db, number))


@router.patch(ONE)
async def close_deploy_request(service: Here, db: str, number: Number, who: Who, body: Change) -> Json:
    """Close a deploy request."""
    return await shown(service, await service.deploys.close(db, number, who))


@router.get(ONE + "/diff")
async def get_diff(service: Here, db: str, number: Number, who: Who, recheck: bool = True) -> Json:
    """Show what a deploy request changes, checked against the branch as it is now unless said otherwise."""
    if recheck:
        return diff((await service.deploys.recheck(db, number, who)).diff)
    return diff((await service.deploys.get(db, number)).diff)


@router.get(ONE + "/deployment")
async def get_deployment(service: Here, db: str, number: Number) -> Json:
    """Show the execution of a deploy request."""
    return (await shown_deployments(service, [await service.deploys.get(db, number)]))[0]


@router.get(ONE + "/operations")
async def list_operations(
    service: Here, db: str, number: Number, asked: PageNumber = 1, size: PageSize = 100
) -> Json:
    """List the operations of a deploy request."""
    request = await service.deploys.get(db, number)
    states = service.runner.status(request)
    listed = [operation(request, record, states.get(record.id)) for record in request.operations]
    return page(listed, asked, size)


@router.get(ONE + "/history")
async def get_history(service: Here, db: str, number: Number) -> Json:
    """Show every step a deploy request has taken, with its actor and time."""
    await service.deploys.get(db, number)
    steps = [
        {
            "before": step.before,
            "after": step.after,
            "actor": step.actor.name,
            "by": actor(step.actor),
            "reason": step.reason,
            "at": moment(step.at),
        }
        for step in await service.deploys.history(db, number)
    ]
    return whole(steps)


@router.get("/deploy-queue")
async def list_queue(service: Here, db: str, number: PageNumber = 1, size: PageSize = 100) -> Json:
    """List the deployments that are under way or queued, in the order in which they are carried."""
    line = page(queue.line(await service.deploys.all(db)), number, size)
    return {**line, "data": await shown_deployments(service, line["data"])}
