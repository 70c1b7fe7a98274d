"""I am the paths by which deploy requests are carried out, stopped, and taken back."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel

from control.api.paths import DATABASE, Here, Number, Who
from control.api.present import Json, whole
from control.api.scene import shown
from migrator.deploy.how import How
from migrator.engine.direct.choose import Strategy

router = APIRouter(prefix=DATABASE + "/deploy-requests/{number}", tags=["deployments"])


class Deployment(BaseModel):
    """The body of a request to deploy.

    `instant_ddl` is short for `ddl_strategy` instant; `strategy` is the lane: in the queue, or beside it.
    """

    instant_ddl: bool = False
    ddl_strategy: Strategy | None = None
    allow_lossy: bool | None = None
    strategy: Literal["serial", "parallel"] | None = None


class Misfit(BaseModel):
    """A row that the old definition has no place for, as listed."""

    operation_id: str
    key: str


class Reversal(BaseModel):
    """The body of a request to revert: with `force`, these rows may be lost, or those known now."""

    force: bool = False
    misfits: list[Misfit] | None = None


@router.post("/deploy")
async def deploy(service: Here, db: str, number: Number, who: Who, body: Deployment | None = None) -> Json:
    """Put a deploy request into the queue."""
    asked = body or Deployment()
    how = How(
        strategy=Strategy.INSTANT if asked.instant_ddl else asked.ddl_strategy,
        allow_lossy=asked.allow_lossy,
        parallel=None if asked.strategy is None else asked.strategy == "parallel",
    )
    return await shown(service, await service.deploys.deploy(db, number, who, how))


@router.post("/apply-deploy")
async def apply(service: Here, db: str, number: Number, who: Who) -> Json:
    """Cut over a deployment that waits for it."""
    return await shown(service, await service.deploys.apply(db, number, who))


@router.post("/force-cutover")
async def force_cutover(service: Here, db: str, number: Number, who: Who) -> Json:
    """Kill the connections that keep a cut-over, a revert or a redo from its tables."""
    return await shown(service, await service.deploys.force(db, number))


@router.post("/cancel")
async def cancel(service: Here, db: str, number: Number, who: Who) -> Json:
    """Cancel a deployment that is not complete; what is swapped already is swapped back."""
    return await shown(service, await service.deploys.cancel(db, number, who))


@router.post("/retry")
async def retry(service: Here, db: str, number: Number, who: Who) -> Json:
    """Carry out once more what has failed of a deployment."""
    return await shown(service, await service.deploys.retry(db, number, who))


@router.post("/complete-deploy")
async def complete(service: Here, db: str, number: Number, who: Who) -> Json:
    """Take note of a failed deployment or revert, so that the queue goes on."""
    return await shown(service, await service.deploys.complete(db, number, who))


@router.post("/revert")
async def revert(service: Here, db: str, number: Number, who: Who, body: Reversal | None = None) -> Json:
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
    return await shown(service, await service.deploys.revert(db, number, who, blocked, giving_up))


@router.get("/misfits")
async def list_misfits(service: Here, db: str, number: Number) -> Json:
    """List the rows that a revert, or taking one back, has no place for."""
    request = await service.deploys.get(db, number)
    tables = {record.id: record.table for record in request.operations}
    rows = [
        {"operation_id": operation, "table_name": tables[operation], "key": key, "row": row}
        for operation, misfits in service.runner.misfits(request).items()
        for key, row in misfits.items()
    ]
    return whole(rows)


@router.post("/redo")
async def redo(service: Here, db: str, number: Number, who: Who) -> Json:
    """Take a revert back, with everything written since."""
    request = await service.deploys.get(db, number)
    blocked = service.runner.revert_blocked(request)
    return await shown(service, await service.deploys.redo(db, number, who, blocked))


@router.post("/skip-revert")
async def skip_revert(service: Here, db: str, number: Number, who: Who) -> Json:
    """End the window now in which a deployment can be reverted, or a revert be taken back."""
    return await shown(service, await service.deploys.skip_revert(db, number, who))
