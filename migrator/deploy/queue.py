"""I say which deploy request is carried next, and what another one waits for."""

from __future__ import annotations

from collections.abc import Iterable

from migrator.deploy.lifecycle import State
from migrator.deploy.request import DeployRequest


def current(requests: Iterable[DeployRequest]) -> DeployRequest | None:
    """Return the request to carry now: the one under way, else the one queued longest, else None.

    One at a time per database: a request in its revert window, or that may be redone, is still under way.
    """
    under_way = [request for request in requests if request.under_way]
    if under_way:
        return min(under_way, key=lambda request: request.number)
    waiting = queued(requests)
    return waiting[0] if waiting else None


def queued(requests: Iterable[DeployRequest]) -> list[DeployRequest]:
    """Return the queued requests in the order in which they will be carried."""
    waiting = [request for request in requests if request.deployment_state is State.QUEUED]
    return sorted(waiting, key=lambda request: (request.queued_at or request.created_at, request.number))


def ahead(requests: Iterable[DeployRequest], number: int) -> list[DeployRequest]:
    """Return what request `number` waits for, first to be carried first."""
    requests = list(requests)
    line = [request for request in requests if request.under_way] + queued(requests)
    before: list[DeployRequest] = []
    for request in line:
        if request.number == number:
            return before
        before.append(request)
    return []
