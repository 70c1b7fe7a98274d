"""I am the pages by which people log in, with a service token, and out."""

from __future__ import annotations

from typing import Final

import structlog
from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from control.token import authorization
from control.web.forms import FormRefused, our_path, token_in
from control.web.pages import Page, page
from control.web.sessions import matches, new_key
from control.web.visits import (
    FORM_KEY,
    Visited,
    cookie_name,
    sent_form,
    service_of,
    sessions_of,
    set_cookie,
    who_is_here,
)

log = structlog.get_logger()

router = APIRouter(route_class=Page, include_in_schema=False)

LOGIN_S: Final = 3600.0
"""How long the page to log in may be left open."""
WRONG: Final = "There is no such token, or it has expired."


@router.get("/login")
async def show_login(request: Request, next: str = "") -> Response:  # noqa: A002 - what the page's address says
    """Show the page to log in by; who has done so goes on."""
    if await who_is_here(request):
        return RedirectResponse(our_path(next), 303)
    return login_page(request, our_path(next))


@router.post("/login")
async def log_in(request: Request) -> Response:
    """Begin a session for who has a service token, and end the one there was."""
    service, sessions = service_of(request), sessions_of(request)
    form = await sent_form(request)
    if not matches(form.get(FORM_KEY, ""), request.cookies.get(cookie_name(request, "login"), "")):
        raise FormRefused(
            "the page to log in was open for too long, or cookies are switched off: load it again"
        )
    where = our_path(form.get("next", ""))
    actor = await service.people.authenticate(authorization(token_in(form.get("token", ""))))
    address = request.client.host if request.client else ""
    if actor is None:
        log.info("session.refused", client=address)
        return login_page(request, where, status=401, problem=WRONG)
    sessions.end(request.cookies.get(cookie_name(request), ""))
    life_s = service.settings.console.session_s
    response = RedirectResponse(where, 303)
    set_cookie(request, response, "session", sessions.begin(actor.id, life_s), life_s)
    set_cookie(request, response, "login", "", 0)
    log.info("session.begun", actor=actor.id, client=address)
    return response


@router.post("/logout")
async def log_out(request: Request, visit: Visited) -> Response:
    """End the session."""
    sessions_of(request).end(request.cookies.get(cookie_name(request), ""))
    response = RedirectResponse("/login", 303)
    set_cookie(request, response, "session", "", 0)
    log.info("session.ended", actor=visit.actor.id)
    return response


def login_page(request: Request, where: str, *, status: int = 200, problem: str = "") -> Response:
    """Return the page to log in by, which leads on to a path."""
    key = new_key()
    response = page("login.html", status, login_key=key, next=where, problem=problem)
    set_cookie(request, response, "login", key, LOGIN_S)
    return response
