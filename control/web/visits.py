"""I know whose visit a request is: by the session its cookie names, and by what its form sends along."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final
from urllib.parse import quote

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse, Response

from control.api.recorder import LOOKING
from control.service import Service
from control.web.forms import FormRefused, check_origin, fields_of
from control.web.pages import Elsewhere, LoggedOut, page
from control.web.sessions import Session, Sessions
from router.model import Actor

FORM_KEY: Final = "form_key"


@dataclass(frozen=True, slots=True)
class Visit:
    """One request of somebody who has logged in; `form` holds the fields when it sends a form."""

    service: Service
    session: Session
    actor: Actor
    form: Mapping[str, str]

    def page(self, template: str, status: int = 200, **context: Any) -> HTMLResponse:
        """Return a page for who is here."""
        return page(template, status, actor=self.actor, form_key=self.session.form_key, **context)


async def visit(request: Request) -> Visit:
    """Return whose visit this is.

    Raises Elsewhere to the login for who only looks, LoggedOut for a form of nobody, and FormRefused for a
    form that none of our pages has made.
    """
    form: Mapping[str, str] = {}
    if request.method not in LOOKING:
        form = await sent_form(request)
    known = await who_is_here(request)
    if known is None:
        if request.method in LOOKING:
            raise Elsewhere(f"/login?next={quote(request.url.path)}")
        raise LoggedOut(form.get("sql", ""))
    session, actor = known
    if request.method not in LOOKING and not session.made(form.get(FORM_KEY, "")):
        raise FormRefused(
            "this form is not of your present session: load its page again, and send it once more"
        )
    return Visit(service_of(request), session, actor, form)


async def who_is_here(request: Request) -> tuple[Session, Actor] | None:
    """Return the session that a request belongs to, and whose it is; None when nobody is logged in."""
    session = sessions_of(request).get(request.cookies.get(cookie_name(request), ""))
    actor = await service_of(request).people.present(session.token_id) if session else None
    return (session, actor) if session and actor else None


async def sent_form(request: Request) -> dict[str, str]:
    """Return the fields of a form that one of our pages has sent. Raises FormRefused."""
    check_origin(request.headers)
    return fields_of(await request.body(), request.headers.get("content-type", ""))


def service_of(request: Request) -> Service:
    """Return the service that the application serves."""
    service: Service = request.app.state.service
    return service


def sessions_of(request: Request) -> Sessions:
    """Return the sessions of the application."""
    sessions: Sessions = request.app.state.sessions
    return sessions


def cookie_name(request: Request, kind: str = "session") -> str:
    """Return what a cookie is called: another name on each port, for browsers do not tell ports apart."""
    prefix = "__Host-" if is_secure(request) else ""
    return f"{prefix}headgate_{kind}_{service_of(request).settings.control.port}"


def set_cookie(request: Request, response: Response, kind: str, value: str, life_s: float) -> None:
    """Have the browser keep something that only we get back, and no script sees."""
    response.set_cookie(
        cookie_name(request, kind),
        value,
        max_age=int(life_s),
        path="/",
        secure=is_secure(request),
        httponly=True,
        samesite="strict",
    )


def is_secure(request: Request) -> bool:
    """Whether the browser has come by TLS, which somebody in front of us may have ended."""
    return request.url.scheme == "https"


Visited = Annotated[Visit, Depends(visit)]
