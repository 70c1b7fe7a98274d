"""I am the paths of deploy requests."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel

from control.api.paths import DATABASE, Here, Number, PageNumber, PageSize
from control.api.present import ACTOR, Json, deploy_request, deployment, diff, moment, operation, page
from control.service import Service
from migrator.deploy.request import DeployRequest

router = APIRouter(prefix=DATABASE, tags=["deploy requests"])

ONE = "/deploy-requests/{number}"
WHO = str(ACTOR["display_name"])


class NewDeployRequest(BaseModel):
    """The body of a request to open a deploy request."""

    branch: str
    into_branch: str = ""
    notes: str = ""
    auto_cutover: bool = True


class Change(BaseModel):
    """The body of a request to change a deploy request: it can be closed."""

    state: Literal["closed"]


async def _shown(service: Service, request: DeployRequest) -> Json:
    ahead = await service.deploys.ahead(request.database, request.number)
    states = service.runner.status(request)
    blocked = service.runner.revert_blocked(request) if request.revert_until else None
    return deploy_request(request, service.base_url, states, ahead, blocked)


@router.get("/deploy-requests")
async def list_deploy_requests(
    service: Here,
    db: str,
    *,
    state: str = "",
    branch: str = "",
    into_branch: str = "",
    number: PageNumber = 1,
    size: PageSize = 100,
) -> Json:
    """List deploy requests, newest first."""
    requests = [
        request
        for request in await service.deploys.all(db)
        if (not state or request.state == state)
        and (not branch or request.branch == branch)
        and (not into_branch or request.into_branch == into_branch)
    ]
    return page([await _shown(service, request) for request in requests], number, size)


@router.post("/deploy-requests", status_code=201)
async def create_deploy_request(service: Here, db: str, body: NewDeployRequest) -> Json:
    """Check a branch and open a deploy request for it."""
    request = await service.create_deploy_request(
        body.branch, body.into_branch, body.notes, body.auto_cutover, WHO
    )
    return await _shown(service, request)


@router.get(ONE)
async def get_deploy_request(service: Here, db: str, number: Number) -> Json:
    """Show a deploy request."""
    return await _shown(service, await service.deploys.get(db, number))


@router.patch(ONE)
async def close_deploy_request(service: Here, db: str, number: Number, body: Change) -> Json:
    """Close a deploy request."""
    return await _shown(service, await service.deploys.close(db, number, WHO))


@router.get(ONE + "/diff")
async def get_diff(service: Here, db: str, number: Number) -> Json:
    """Show what a deploy request changes, checked against the branch as it is now."""
    return diff((await service.deploys.recheck(db, number, WHO)).diff)


@router.get(ONE + "/deployment")
async def get_deployment(service: Here, db: str, number: Number) -> Json:
    """Show the execution of a deploy request."""
    request = await service.deploys.get(db, number)
    return deployment(request, service.runner.status(request), await service.deploys.ahead(db, number))


@router.get(ONE + "/operations")
async def list_operations(service: Here, db: str, number: Number) -> Json:
    """List the operations of a deploy request."""
    request = await service.deploys.get(db, number)
    states = service.runner.status(request)
    shown = [operation(request, record, states.get(record.id)) for record in request.operations]
    return page(shown, 1, 100)


@router.get(ONE + "/history")
async def get_history(service: Here, db: str, number: Number) -> Json:
    """Show every step a deploy request has taken, with its actor and time."""
    await service.deploys.get(db, number)
    steps = await service.deploys.history(db, number)
    shown = [
        {
            "before": step.before,
            "after": step.after,
            "actor": step.actor,
            "reason": step.reason,
            "at": moment(step.at),
        }
        for step in steps
    ]
    return page(shown, 1, 1000)


@router.post(ONE + "/deploy")
async def deploy(service: Here, db: str, number: Number) -> Json:
    """Put a deploy request into the queue."""
    return await _shown(service, await service.deploys.deploy(db, number, WHO))


@router.post(ONE + "/apply-deploy")
async def apply(service: Here, db: str, number: Number) -> Json:
    """Cut over a deployment that waits for it."""
    return await _shown(service, await service.deploys.apply(db, number, WHO))


@router.post(ONE + "/cancel")
async def cancel(service: Here, db: str, number: Number) -> Json:
    """Cancel a deployment that is not complete; what is swapped already is swapped back."""
    return await _shown(service, await service.deploys.cancel(db, number, WHO))


@router.post(ONE + "/revert")
async def revert(service: Here, db: str, number: Number) -> Json:
    """Swap the old tables back, with everything written since."""
    request = await service.deploys.get(db, number)
    blocked = service.runner.revert_blocked(request)
    return await _shown(service, await service.deploys.revert(db, number, WHO, blocked))


@router.post(ONE + "/skip-revert")
async def skip_revert(service: Here, db: str, number: Number) -> Json:
    """End the revert window now."""
    return await _shown(service, await service.deploys.skip_revert(db, number))
