"""I am the paths of the throttle: of a database, and of a deploy request."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from control.api.paths import DATABASE, Administrator, Here, Number
from control.api.present import Json, moment
from control.errors import ControlError
from control.service import Service
from control.throttles import ThrottleState
from migrator.deploy.request import DeployRequest
from migrator.throttle.history import Point
from migrator.throttle.ratio import WHOLE_DATABASE

router = APIRouter(prefix=DATABASE, tags=["throttle"])

ONE = "/deploy-requests/{number}/throttler"


class Configuration(BaseModel):
    """The ratio of one keyspace; there is one, named like the database."""

    keyspace_name: str
    ratio: int


class Change(BaseModel):
    """What is to hold from now on; what is left out stays. A ratio of null takes a request's own back."""

    ratio: int | None = None
    configurations: list[Configuration] | None = None
    paused: bool | None = None
    expires_in: float | None = None


@router.get("/throttler")
async def get_throttler(service: Here, db: str) -> Json:
    """Show the throttle of a database: what was set, and what holds copying back."""
    return _of_database(service, db, await service.throttles.state(WHOLE_DATABASE))


@router.patch("/throttler")
async def change_throttler(service: Here, db: str, actor: Administrator, body: Change) -> Json:
    """Slow the copying of all deploy requests of a database down, stop it, or let it go on."""
    return _of_database(service, db, await _change(service, db, WHOLE_DATABASE, body))


@router.get("/throttler/history")
async def get_history(
    service: Here,
    db: str,
    *,
    seconds: Annotated[float, Query(gt=0, le=86_400)] = 3600.0,
    points: Annotated[int, Query(ge=1, le=5000)] = 600,
) -> Json:
    """List how the throttle was of late, oldest first: at most so many points, each the mean of its time."""
    found = service.throttles.history(time.time() - seconds, points)
    return {"data": [_point(point) for point in found]}


@router.get(ONE)
async def get_request_throttler(service: Here, db: str, number: Number) -> Json:
    """Show the throttle of a deploy request."""
    request = await service.deploys.get(db, number)
    return _of_request(db, request, await service.throttles.state(number))


@router.patch(ONE)
async def change_request_throttler(service: Here, db: str, number: Number, body: Change) -> Json:
    """Slow the copying of one deploy request down, stop it, or let it go on."""
    request = await service.deploys.get(db, number)
    return _of_request(db, request, await _change(service, db, number, body))


async def throttler_configurations(service: Service, request: DeployRequest) -> list[Json] | None:
    """Return what was said of a deploy request itself, None when nothing was."""
    state = await service.throttles.state(request.number)
    if state.own is None:
        return None
    return [{"keyspace_name": request.database, "ratio": state.own.ratio.ratio}]


async def _change(service: Service, db: str, number: int, body: Change) -> ThrottleState:
    ratio, clear = body.ratio, "ratio" in body.model_fields_set and body.ratio is None
    for configuration in body.configurations or ():
        if configuration.keyspace_name != db:
            raise ControlError(f"there is no keyspace {configuration.keyspace_name!r} here: there is {db!r}")
        ratio = configuration.ratio
    return await service.throttles.change(
        number, ratio=ratio, paused=body.paused, expires_in_s=body.expires_in, clear=clear
    )


def _of_database(service: Service, db: str, state: ThrottleState) -> Json:
    since = state.own.created_at if state.own else service.started_at
    changed = state.own.updated_at if state.own else service.started_at
    return _throttler(db, state, db, db, since, changed)


def _of_request(db: str, request: DeployRequest, state: ThrottleState) -> Json:
    changed = state.own.updated_at if state.own else request.updated_at
    return _throttler(db, state, request.id, request.branch, request.created_at, changed)


def _throttler(
    db: str, state: ThrottleState, identity: str, name: str, created: datetime, changed: datetime
) -> Json:
    effective, held = state.effective, state.held
    return {
        "keyspaces": [db],
        "configurable": {
            "id": identity,
            "name": name,
            "created_at": moment(created),
            "updated_at": moment(changed),
            "deleted_at": None,
        },
        "configurations": [{"keyspace_name": db, "ratio": effective.ratio}],
        "ratio": effective.ratio,
        "own": state.own is not None,
        "paused": effective.paused,
        "expires_at": moment(effective.expires_at),
        "share": round(state.share, 3),
        "latency_ratio": round(state.latency_ratio, 3),
        "rows_per_second": round(state.rows_per_s),
        "held": None
        if held is None
        else {"signal": held.signal, "reason": held.reason, "seconds": round(held.for_s, 1)},
    }


def _point(point: Point) -> Json:
    return {
        "at": moment(datetime.fromtimestamp(point.at_s, UTC)),
        "share": round(point.share, 3),
        "latency_ratio": round(point.latency_ratio, 3),
        "rows_per_second": round(point.rows_per_s),
        "signal": point.signal,
        "reason": point.reason,
    }
