"""I say which deploy requests are carried now, and what the others wait for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from migrator.deploy.lifecycle import COMING, COUNTED_ON, State
from migrator.deploy.request import DeployRequest
from migrator.deploy.schedule import parse
from migrator.deploy.settings import DatabaseSettings


@dataclass(frozen=True, slots=True)
class Wait:
    """Why a queued request does not start. `paused` says that it will not just by others' going on."""

    reason: str
    paused: bool
    behind: int | None = None


def queued(requests: Iterable[DeployRequest]) -> list[DeployRequest]:
    """Return the queued requests in the order in which they were queued."""
    waiting = [request for request in requests if request.deployment_state is State.QUEUED]
    return sorted(waiting, key=_place)


def line(requests: Iterable[DeployRequest]) -> list[DeployRequest]:
    """Return all requests under way and then all queued, each in the order of queueing."""
    requests = list(requests)
    return sorted((each for each in requests if each.under_way), key=_place) + queued(requests)


def startable(
    requests: Sequence[DeployRequest], settings: DatabaseSettings, at: datetime
) -> list[DeployRequest]:
    """Return the queued requests that may start now: at most the first of each lane."""
    return [request for request in queued(requests) if wait(request, requests, settings, at) is None]


def wait(
    request: DeployRequest, requests: Sequence[DeployRequest], settings: DatabaseSettings, at: datetime
) -> Wait | None:
    """Say what a queued request waits for, None when it may start.

    There is one queue per database, and beside it one lane per branch deployed into, for requests that
    touch no table of those in the queue.
    """
    for other in ahead(requests, request.number, settings):
        return _behind(other)
    schedule = parse(settings.deploy_schedule)
    if not schedule.is_open(at):
        opens = schedule.opens_at(at).strftime("%Y-%m-%d %H:%M %Z")
        return Wait(f"deployments start only at {schedule.text}: the next time is {opens}", paused=True)
    return None


def ahead(requests: Iterable[DeployRequest], number: int, settings: DatabaseSettings) -> list[DeployRequest]:
    """Return what a queued request waits for, first to be carried first."""
    before: list[DeployRequest] = []
    places = line(requests)
    me = next((each for each in places if each.number == number), None)
    if me is None or me.under_way:
        return []
    for other in places[: places.index(me)]:
        if _in_the_way(other, me, settings):
            before.append(other)
    return before


def _in_the_way(other: DeployRequest, request: DeployRequest, settings: DatabaseSettings) -> bool:
    """Whether a request that came first must be done with before the next may start."""
    in_window = {State.COMPLETE_PENDING_REVERT, State.COMPLETE_REVERT}
    if other.deployment_state in in_window and settings.release_queue_in_window:
        return other.touches(request)
    if other.parallel and request.parallel:
        return other.into_branch == request.into_branch
    if other.parallel or request.parallel:
        return other.touches(request)
    return True


def held_up(requests: Iterable[DeployRequest], number: int, settings: DatabaseSettings) -> bool:
    """Whether a queued request waits for this one."""
    requests = list(requests)
    return any(
        number in {each.number for each in ahead(requests, other.number, settings)}
        for other in queued(requests)
    )


def overlapping(requests: Iterable[DeployRequest], request: DeployRequest) -> list[DeployRequest]:
    """Return the requests of the queue that keep a request from the lane beside it."""
    return [
        other
        for other in line(requests)
        if other.number != request.number and not other.parallel and other.touches(request)
    ]


def coming(requests: Iterable[DeployRequest], request: DeployRequest) -> list[DeployRequest]:
    """Return the requests whose changes will be in production before that of a request.

    For one that is not queued these are all that are; the order is that of queueing.
    """
    places = [
        other
        for other in line(requests)
        if other.deployment_state in COMING and other.into_branch == request.into_branch
    ]
    numbers = [other.number for other in places]
    if request.number in numbers:
        return places[: numbers.index(request.number)]
    return places


def counted_on(requests: Iterable[DeployRequest]) -> dict[int, DeployRequest]:
    """Return, by number, the requests whose changes those behind them were checked with."""
    return {request.number: request for request in requests if request.deployment_state in COUNTED_ON}


def behind(requests: Iterable[DeployRequest], other: DeployRequest) -> list[DeployRequest]:
    """Return the queued requests that come after another one, into the same branch."""
    return [
        request
        for request in queued(requests)
        if request.into_branch == other.into_branch and _place(request) > _place(other)
    ]


def _behind(other: DeployRequest) -> Wait:
    """Say how a request that is in the way can be got out of it."""
    name, here = f"deploy request {other.number}", f"{other.database} {other.number}"
    command = "headgate deploy-request"
    match other.deployment_state:
        case State.COMPLETE_ERROR if other.acknowledged_at:
            reason, paused = f"{name} has failed and is being cleared away", False
        case State.COMPLETE_ERROR:
            reason, paused = (
                f"{name} has failed: try it again with: {command} retry {here}, or let the queue go on with: "
                f"{command} unblock {here}",
                True,
            )
        case State.COMPLETE_REVERT_ERROR:
            reason, paused = (
                f"{name} could not be reverted: try it again with: {command} revert {here}, or let the queue "
                f"go on, and the change stand, with: {command} unblock {here}",
                True,
            )
        case State.PENDING_CUTOVER:
            reason, paused = f"{name} waits for its cut-over: {command} apply {here}", True
        case State.COMPLETE_PENDING_REVERT:
            until = other.revert_until.strftime("%H:%M:%S %Z") if other.revert_until else "then"
            reason, paused = (
                f"{name} can be reverted until {until}: end this with: {command} skip-revert {here}",
                True,
            )
        case State.COMPLETE_REVERT:
            reason, paused = f"{name} was reverted, and the last of it is being cleared away", False
        case State.QUEUED:
            reason, paused = f"{name} is queued before it", False
        case _:
            reason, paused = f"{name} is being deployed ({other.deployment_state})", False
    return Wait(reason, paused, other.number)


def _place(request: DeployRequest) -> tuple[datetime, int]:
    return request.queued_at or request.created_at, request.number
