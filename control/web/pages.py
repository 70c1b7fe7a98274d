"""I make pages: from a template, with the headers that keep them safe, and from every error, too."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, Final

import structlog
from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from fastapi.routing import APIRoute
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.exceptions import HTTPException

from control.api.problems import ANSWERS
from control.errors import reason
from control.web.forms import FormRefused, our_path
from router.model import Actor

log = structlog.get_logger()

FOLDER: Final = Path(__file__).parent
STYLE: Final = (FOLDER / "static" / "headgate.css").read_bytes()
STYLE_PATH: Final = "/static/headgate.css"
STYLE_URL: Final = f"{STYLE_PATH}?{hashlib.sha256(STYLE).hexdigest()[:12]}"

HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not no-referrer: with that, browsers do not tell the origin of our own forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

TITLES: Final = {
    400: "This cannot be read",
    401: "Please log in",
    403: "You may not do this",
    404: "There is nothing here",
    405: "This cannot be done here",
    413: "This is too long",
    422: "This cannot be done",
    500: "Headgate has a fault",
    503: "A server does not answer",
}

_templates: Final = Environment(
    loader=FileSystemLoader(FOLDER / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.globals["style_url"] = STYLE_URL


class Page(APIRoute):
    """A path that answers with a page whatever happens."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers a request."""
        handle: Callable[[Request], Awaitable[Response]] = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                response = await handle(request)
            except Exception as error:
                response = page_of(request, error)
            return protected(response)

        return answer


def page(
    template: str, status: int = 200, *, actor: Actor | None = None, form_key: str = "", **context: Any
) -> HTMLResponse:
    """Return a page made from a template; everything in `context` is escaped.

    `actor` is who has logged in, if somebody has, and `form_key` what the session's forms send along.
    """
    found = _templates.get_template(template)
    return HTMLResponse(found.render(actor=actor, form_key=form_key, **context), status)


def page_of(request: Request, error: Exception) -> Response:
    """Return the page that tells of an error."""
    if isinstance(error, Elsewhere):
        return RedirectResponse(error.path, 303)
    if isinstance(error, LoggedOut):
        return page("logged_out.html", 401, next=our_path(request.url.path), unsent=error.unsent)
    status, sentence = told(request, error)
    return page("problem.html", status, code=status, title=TITLES.get(status, "Refused"), sentence=sentence)


def told(request: Request, error: Exception) -> tuple[int, str]:
    """Return what an error is told by: its status and a sentence."""
    status, sentence = _told(request, error)
    return status, sentence[:1].upper() + sentence[1:]


def _told(request: Request, error: Exception) -> tuple[int, str]:
    match error:
        case FormRefused():
            return 403, str(error)
        case HTTPException():
            return error.status_code, _sentence(request, error)
        case OSError():
            log.error("page.system_failed", path=request.url.path, exc_info=error)
            return 503, f"the machine that runs Headgate cannot do this: {reason(error)}"
    for kind, status, _ in ANSWERS:
        if isinstance(error, kind):
            return status, str(error)
    log.error("page.failed", path=request.url.path, exc_info=error)
    return 500, "the log of control holds the details"


def protected(response: Response) -> Response:
    """Return an answer with the headers that each page has."""
    for name, value in HEADERS.items():
        response.headers[name] = value
    response.headers.setdefault("Cache-Control", "no-store")
    return response


class Elsewhere(Exception):
    """What was asked for is to be had at another path."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path


class LoggedOut(Exception):
    """A form came from nobody who is logged in any more; `unsent` is what somebody has typed in vain."""

    def __init__(self, unsent: str) -> None:
        super().__init__("you are not logged in any more")
        self.unsent = unsent


def _sentence(request: Request, error: HTTPException) -> str:
    # What the framework answers by itself is not a sentence.
    if str(error.detail) == "Not Found":
        return f"there is nothing at {request.url.path}"
    if str(error.detail) == "Method Not Allowed":
        return f"{request.method} cannot be done at {request.url.path}"
    return str(error.detail)
