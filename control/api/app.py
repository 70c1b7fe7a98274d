"""I put the HTTP side together: the API, who may call it, and which paths there are; and the pages."""

from __future__ import annotations

import json
import re
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, Header, HTTPException, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from control.api import (
    account,
    branches,
    databases,
    deploys,
    drift,
    execution,
    garbage,
    health,
    journal,
    lint,
    passwords,
    people,
    places,
    pools,
    problems,
    recommendations,
    reviews,
    storage,
    throttle,
)
from control.api.paths import Anywhere, check_acts
from control.api.recorder import LOOKING, Recorder
from control.service import Service
from control.web import site

BODY_BYTES_MAX = 1 << 20
HALF = re.compile(rb"\\u[dD][89a-fA-F]")
"""Half of a character in JSON: without its other half it cannot be stored, nor be sent again."""


def make_app(service: Service) -> FastAPI:
    """Return the application that serves `service`."""
    app = FastAPI(
        title="Headgate",
        summary="Branches, deploy requests and revertible schema changes for MySQL and MariaDB.",
        # The usual page for people loads its script from somebody else's server.
        docs_url=None,
        redoc_url=None,
    )
    app.state.service = service
    problems.install(app)
    app.add_middleware(Recorder)
    app.add_middleware(BodyLimit)
    api = APIRouter(prefix="/v1", dependencies=[Depends(authorize)])
    api.include_router(places.router)
    api.include_router(people.router)
    api.include_router(account.router)
    api.include_router(journal.router)
    api.include_router(databases.router)
    api.include_router(branches.router)
    api.include_router(passwords.router)
    api.include_router(pools.router)
    api.include_router(deploys.router)
    api.include_router(reviews.router)
    api.include_router(execution.router)
    api.include_router(throttle.router)
    api.include_router(garbage.router)
    api.include_router(recommendations.router)
    api.include_router(storage.router)
    api.include_router(drift.router)
    api.include_router(lint.router)
    app.include_router(api)
    app.include_router(health.router)
    site.install(app)
    return app


class BodyLimit:
    """I end requests that are too long: FastAPI keeps them whole before it looks at their token."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, counting its bytes."""
        left = BODY_BYTES_MAX

        async def counted() -> Message:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                raise HTTPException(413, f"the body of a request may have {BODY_BYTES_MAX} bytes")
            return message

        await self._app(scope, counted, send)


async def authorize(
    request: Request, service: Anywhere, authorization: Annotated[str, Header()] = ""
) -> None:
    """Let a request pass whose Authorization header is a service token, `<id>:<secret>`, and note whose."""
    actor = await service.people.authenticate(authorization)
    if actor is None:
        raise HTTPException(
            401,
            "this needs a service token: send 'Authorization: ID:SECRET'. On the machine that runs "
            "Headgate the command line finds one in the state folder; elsewhere set HEADGATE_TOKEN",
        )
    request.state.actor = actor
    if request.method not in LOOKING:
        check_acts(actor)
    if HALF.search(body := await request.body()):
        try:
            json.dumps(json.loads(body), ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise HTTPException(400, "the body has half a character in it (a lone surrogate)") from None
        except (ValueError, RecursionError):
            return  # what is no JSON is refused by who reads it
