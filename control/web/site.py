"""I put the pages together: which paths there are, and what a browser is told where there is none."""

from __future__ import annotations

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from control.api import problems
from control.web import console, login, places
from control.web.pages import STYLE, STYLE_PATH, Page, page_of, protected
from control.web.run import Runs
from control.web.sessions import Sessions

router = APIRouter(route_class=Page, include_in_schema=False)


def install(app: FastAPI) -> None:
    """Add the pages to an application."""
    app.state.sessions = Sessions()
    app.state.runs = Runs()
    for part in (router, login.router, places.router, console.router):
        app.include_router(part)
    app.add_exception_handler(HTTPException, _nothing_here)


@router.get(STYLE_PATH)
async def style() -> Response:
    """Return the style of all pages; its address changes when it does."""
    return Response(STYLE, media_type="text/css", headers={"Cache-Control": "public, max-age=31536000"})


async def _nothing_here(request: Request, error: Exception) -> Response:
    """Tell browsers by a page that there is nothing at a path, and programs as always."""
    if "text/html" in request.headers.get("accept", "") and not request.url.path.startswith("/v1/"):
        return protected(page_of(request, error))
    return await problems.of_http(request, error)
