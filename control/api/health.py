"""I am the paths for machines that watch Headgate: is it alive, is it ready, what does it measure."""

from __future__ import annotations

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST

from control.api.paths import Anywhere
from control.api.present import Json

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def alive() -> Json:
    """Answer as long as the control process runs."""
    return {"status": "alive"}


@router.get("/readyz")
async def ready(service: Anywhere, response: Response) -> Json:
    """Answer 200 when production answers and at least one worker serves clients, else 503 and the reason."""
    reason = await service.not_ready()
    if reason:
        response.status_code = 503
        return {"status": "not ready", "reason": reason}
    return {"status": "ready"}


@router.get("/metrics")
async def metrics(service: Anywhere) -> Response:
    """Return what was measured, in Prometheus' text format."""
    return Response(service.workers.metrics.text(), media_type=CONTENT_TYPE_LATEST)
