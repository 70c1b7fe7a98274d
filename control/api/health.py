"""I am the paths for machines that watch Headgate: is it alive, is it ready, what does it measure."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from control.api.present import Json
from control.service import Service

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def alive() -> Json:
    """Answer as long as the control process runs."""
    return {"status": "alive"}


@router.get("/readyz")
async def ready(request: Request, response: Response) -> Json:
    """Answer 200 when production answers and at least one worker serves clients, else 503 and the reason."""
    service: Service = request.app.state.service
    reason = await service.not_ready()
    if reason:
        response.status_code = 503
        return {"status": "not ready", "reason": reason}
    return {"status": "ready"}


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    """Return what was measured, in Prometheus' text format."""
    service: Service = request.app.state.service
    return Response(service.workers.metrics.text(), media_type=CONTENT_TYPE_LATEST)
