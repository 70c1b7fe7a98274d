"""I am the paths of deploy requests."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel

from control.api.paths import DATABASE, Here, Number, PageNumber, PageSize
from control.api.present import Json, deploy_request, deployment, diff, moment, operation, page
from control.api.throttle import throttler_configurations
from control.service import Service
from migrator.deploy.proposals import How
from migrator.deploy.request import DeployRequest
from migrator.engine.direct.choose import Strategy
from router.model import LOCAL

router = APIRouter(prefix=DATABASE, tags=["deploy requests"])

ONE = "/deploy-requests/{number}"


class NewDeployRequest(BaseModel):
    """The body of a request to open a deploy request."""

    branch: str
    into_branch: str = ""
    notes: str = ""
    auto_cutover: bool | None = None
    ddl_strategy: Strategy | None = None
    allow_lossy: bool = False


class Deployment(BaseModel):
    """The body of a request to deploy: `instant_ddl` is short for strategy instant."""

    instant_ddl: bool = False
    ddl_strategy: Strategy | None = None
    allow_lossy: bool | None = None


class Misfit(BaseModel):
    """A row that the old definition has no place for, as listed."""

    operation_id: str
    key: str


class Reversal(BaseModel):
    """The body of a request to revert: with `force`, these rows may be lost, or those known now."""

    force: bool = False
    misfits: list[Misfit] | None = None


class Change(BaseModel):
    """The body of a request to change a deploy request: it can be closed."""

    state: Literal["closed"]


async def _shown(service: Service, request: DeployRequest) -> Json:
    ahead = await service.deploys.ahead(request.database, request.number)
    states = service.runner.status(request)
    open_ = request.revert_until is not None and request.finished_at is None
    blocked = service.runner.revert_blocked(request) if open_ else None
    shown = deploy_request(request, service.base_url, states, ahead, blocked)
    shown["deployment"]["throttler_configurations"] = await throttler_configurations(service, request)
    return shown


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
        *(body.branch, body.into_branch, body.notes, LOCAL),
        how=How(body.ddl_strategy, body.allow_lossy, body.auto_cutover),
    )
    return await _shown(service, request)


@router.get(ONE)
async def get_deploy_request(service: Here, db: str, number: Number) -> Json:
    """Show a deploy request."""
    return await _shown(service, await service.deploys.get(db, number))


@router.patch(ONE)
async def close_deploy_request(service: Here, db: str, number: Number, body: Change) -> Json:
    """Close a deploy request."""
    return await _shown(service, await service.deploys.close(db, number, LOCAL))


@router.get(ONE + "/diff")
async def get_diff(service: Here, db: str, number: Number) -> Json:
    """Show what a deploy request changes, checked against the branch as it is now."""
    return diff((await service.deploys.recheck(db, number, LOCAL)).diff)


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
            "actor": step.actor.name,
            "reason": step.reason,
            "at": moment(step.at),
        }
        for step in steps
    ]
    return page(shown, 1, 1000)


@router.post(ONE + "/deploy")
async def deploy(service: Here, db: str, number: Number, body: Deployment | None = None) -> Json:
    """Put a deploy request into the queue."""
    asked = body or Deployment()
    strategy = Strategy.INSTANT if asked.instant_ddl else asked.ddl_strategy
    how = How(strategy, asked.allow_lossy)
    return await _shown(service, await service.deploys.deploy(db, number, LOCAL, how))


@router.post(ONE + "/apply-deploy")
async def apply(service: Here, db: str, number: Number) -> Json:
    """Cut over a deployment that waits for it."""
    return await _shown(service, await service.deploys.apply(db, number, LOCAL))


@router.post(ONE + "/force-cutover")
async def force_cutover(service: Here, db: str, number: Number) -> Json:
    """Kill the connections that keep a cut-over, a revert or a redo from its tables."""
    request = await service.deploys.force(db, number)
    return await _shown(service, request)


@router.post(ONE + "/cancel")
async def cancel(service: Here, db: str, number: Number) -> Json:
    """Cancel a deployment that is not complete; what is swapped already is swapped back."""
    return await _shown(service, await service.deploys.cancel(db, number, LOCAL))


@router.post(ONE + "/revert")
async def revert(service: Here, db: str, number: Number, body: Reversal | None = None) -> Json:
    """Swap the old tables back, with everything written since."""
    asked = body or Reversal()
    request = await service.deploys.get(db, number)
    giving_up: dict[str, list[str]] = {}
    if asked.force and asked.misfits is None:
        giving_up = {operation: list(rows) for operation, rows in service.runner.misfits(request).items()}
    elif asked.force:
        for each in asked.misfits or []:
            giving_up.setdefault(each.operation_id, []).append(each.key)
    blocked = service.runner.revert_blocked(request, giving_up)
    return await _shown(service, await service.deploys.revert(db, number, LOCAL, blocked, giving_up))


@router.get(ONE + "/misfits")
async def list_misfits(service: Here, db: str, number: Number) -> Json:
    """List the rows that a revert, or taking one back, has no place for."""
    request = await service.deploys.get(db, number)
    tables = {record.id: record.table for record in request.operations}
    rows = [
        {"operation_id": operation, "table_name": tables[operation], "key": key, "row": row}
        for operation, misfits in service.runner.misfits(request).items()
        for key, row in misfits.items()
    ]
    return page(rows, 1, max(len(rows), 1))


@router.post(ONE + "/redo")
async def redo(service: Here, db: str, number: Number) -> Json:
    """Take a revert back, with everything written since."""
    request = await service.deploys.get(db, number)
    blocked = service.runner.revert_blocked(request)
    return await _shown(service, await service.deploys.redo(db, number, LOCAL, blocked))


@router.post(ONE + "/skip-revert")
async def skip_revert(service: Here, db: str, number: Number) -> Json:
    """End the window now in which a deployment can be reverted, or a revert be taken back."""
    return await _shown(service, await service.deploys.skip_revert(db, number, LOCAL))
