"""I put the HTTP API together: who may call it, and which paths there are."""

from __future__ import annotations

import hmac
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Header, HTTPException, Request

from control.api import branches, deploys, health, places, problems
from control.service import Service
from control.token import authorization as expected_from


def make_app(service: Service) -> FastAPI:
    """Return the application that serves `service`."""
    app = FastAPI(
        title="Headgate",
        summary="Branches, deploy requests and revertible schema changes for MySQL and MariaDB.",
        docs_url="/docs",
        redoc_url=None,
    )
    app.state.service = service
    problems.install(app)
    api = APIRouter(prefix="/v1", dependencies=[Depends(authorize)])
    api.include_router(places.router)
    api.include_router(branches.router)
    api.include_router(deploys.router)
    app.include_router(api)
    app.include_router(health.router)
    return app


def authorize(request: Request, authorization: Annotated[str, Header()] = "") -> None:
    """Let a request pass whose Authorization header is the service token, `<id>:<secret>`."""
    service: Service = request.app.state.service
    expected = expected_from(service.token)
    if not hmac.compare_digest(authorization.encode(), expected.encode()):
        raise HTTPException(
            401,
            "this needs the service token: send 'Authorization: ID:SECRET'. On the machine that runs "
            "Headgate the command line finds it in the state folder; elsewhere set HEADGATE_TOKEN",
        )
