"""I gather what is shown of deploy requests beside their records."""

from __future__ import annotations

from collections.abc import Sequence

from control.api.deployment import Scene, deploy_request, deployment
from control.api.present import Json
from control.api.throttle import throttler_configurations
from control.service import Service
from migrator.deploy import queue
from migrator.deploy.approval import Review
from migrator.deploy.lifecycle import State
from migrator.deploy.request import DeployRequest
from router.clock import now


async def shown(service: Service, request: DeployRequest) -> Json:
    """Return a deploy request as the API shows it."""
    return (await shown_all(service, [request]))[0]


async def shown_all(service: Service, requests: Sequence[DeployRequest]) -> list[Json]:
    """Return deploy requests of one database as the API shows them."""
    scenes = await _scenes(service, requests)
    return [deploy_request(request, scene) for request, scene in zip(requests, scenes, strict=True)]


async def shown_deployments(service: Service, requests: Sequence[DeployRequest]) -> list[Json]:
    """Return the executions of deploy requests of one database as the API shows them."""
    scenes = await _scenes(service, requests)
    return [deployment(request, scene) for request, scene in zip(requests, scenes, strict=True)]


async def _scenes(service: Service, requests: Sequence[DeployRequest]) -> list[Scene]:
    """Return where each request stands, what was said of it, and how far it is; one look for all."""
    if not requests:
        return []
    database = requests[0].database
    queued = any(request.deployment_state is State.QUEUED for request in requests)
    line = queue.line(await service.deploys.all(database)) if queued else []
    number = requests[0].number if len(requests) == 1 else None
    reviews: dict[int, list[Review]] = {}
    for review in await service.deploys.reviews(database, number):
        reviews.setdefault(review.number, []).append(review)
    return [await _scene(service, request, line, reviews.get(request.number, [])) for request in requests]


async def _scene(
    service: Service, request: DeployRequest, line: Sequence[DeployRequest], reviews: Sequence[Review]
) -> Scene:
    settings, runner = service.databases.settings(), service.runner
    queued = request.deployment_state is State.QUEUED
    revertible = request.revert_until is not None and request.finished_at is None
    return Scene(
        base_url=service.base_url,
        settings=settings,
        statuses=runner.status(request),
        ahead=queue.ahead(line, request.number, settings) if queued else (),
        position=_position(request, line) if queued else None,
        wait=queue.wait(request, line, settings, now()) if queued else None,
        reviews=reviews,
        revert_blocked=runner.revert_blocked(request) if revertible else None,
        throttler=await throttler_configurations(service, request),
    )


def _position(request: DeployRequest, line: Sequence[DeployRequest]) -> int | None:
    """Return the place in the queue, the next one being 1; None when it has just left it."""
    numbers = [other.number for other in queue.queued(line)]
    return numbers.index(request.number) + 1 if request.number in numbers else None
