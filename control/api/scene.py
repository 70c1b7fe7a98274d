"""I gather what is shown of a deploy request beside its record."""

from __future__ import annotations

from control.api.deployment import Scene, deploy_request, deployment
from control.api.present import Json
from control.api.throttle import throttler_configurations
from control.service import Service
from migrator.deploy import queue
from migrator.deploy.lifecycle import State
from migrator.deploy.request import DeployRequest


async def scene(service: Service, request: DeployRequest) -> Scene:
    """Return where a deploy request stands, what was said of it, and how far it is."""
    deploys, runner = service.deploys, service.runner
    revertible = request.revert_until is not None and request.finished_at is None
    return Scene(
        base_url=service.base_url,
        settings=service.databases.settings(),
        statuses=runner.status(request),
        ahead=await deploys.ahead(request.database, request.number),
        position=await _position(service, request),
        wait=await deploys.waits(request),
        reviews=await deploys.reviews(request.database, request.number),
        revert_blocked=runner.revert_blocked(request) if revertible else None,
        throttler=await throttler_configurations(service, request),
    )


async def shown(service: Service, request: DeployRequest) -> Json:
    """Return a deploy request as the API shows it."""
    return deploy_request(request, await scene(service, request))


async def shown_deployment(service: Service, request: DeployRequest) -> Json:
    """Return the execution of a deploy request as the API shows it."""
    return deployment(request, await scene(service, request))


async def _position(service: Service, request: DeployRequest) -> int | None:
    """Return the place in the queue, the next one being 1; None for one that is not queued."""
    if request.deployment_state is not State.QUEUED:
        return None
    waiting = queue.queued(await service.deploys.all(request.database))
    numbers = [other.number for other in waiting]
    return numbers.index(request.number) + 1 if request.number in numbers else None
