"""I am the page on which people run SQL on a branch."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from control.errors import ControlError
from control.journal import Subject
from control.web.allowed import check_console, role_of, roles_for
from control.web.pages import Page, told
from control.web.results import Outcome
from control.web.run import Runs, Wish
from control.web.statements import checked, noted, statements_of
from control.web.visits import Visit, Visited
from router.errors import DatabaseError, RouteError, ServerFailed
from router.model import Role
from router.records import BranchRecord

router = APIRouter(route_class=Page, include_in_schema=False)

CONSOLE = "/databases/{db}/{name}/console"


@router.get("/databases/{db}/{name}")
async def show_branch(visit: Visited, db: str, name: str) -> Response:
    """Lead to the console of a branch, which is the page it has."""
    visit.service.branches.check_database(db)
    branch = await visit.service.branches.get(name)
    return RedirectResponse(f"/databases/{branch.database}/{branch.name}/console", 303)


@router.get(CONSOLE)
async def show_console(visit: Visited, db: str, name: str) -> Response:
    """Show the console of a branch."""
    return await _page(visit, await _branch(visit, db, name))


@router.post(CONSOLE)
async def run(request: Request, visit: Visited, db: str, name: str) -> Response:
    """Run what was typed, and show what came of it."""
    branch = await _branch(visit, db, name)
    try:
        # A long text takes a while to be looked through; others are served meanwhile.
        found = await asyncio.to_thread(statements_of, visit.form.get("sql", ""))
        statements = checked(found)
        outcomes = await _run(request, visit, branch, statements)
    except (ControlError, DatabaseError, RouteError, ServerFailed, OSError) as error:
        status, sentence = told(request, error)
        return await _page(visit, branch, status=status, problem=sentence)
    return await _page(visit, branch, outcomes=outcomes, unrun=len(statements) - len(outcomes))


async def _run(
    request: Request, visit: Visit, branch: BranchRecord, statements: list[str]
) -> Sequence[Outcome]:
    service = visit.service
    role = role_of(visit.form.get("access", ""), service.branches.production.roles)
    written = await asyncio.to_thread(noted, statements)
    # Before it is done: what cannot be written down is not run.
    await service.journal.record(
        visit.actor,
        "branch.ran_statements",
        Subject("Branch", branch.name, f"{branch.database}/{branch.name}"),
        {"access": str(role), "statements": written, "count": len(statements)},
        request.client.host if request.client else "",
    )

    async def left() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    runs: Runs = request.app.state.runs
    return await runs.run(service, Wish(branch.name, role, statements), left)


async def _branch(visit: Visit, db: str, name: str) -> BranchRecord:
    """Return a branch whose console the visitor may use. Raises NotFound or NotAllowed."""
    visit.service.branches.check_database(db)
    branch = await visit.service.branches.get(name)
    check_console(visit.actor, branch, visit.service.databases.settings())
    return branch


async def _page(
    visit: Visit,
    branch: BranchRecord,
    *,
    status: int = 200,
    problem: str = "",
    outcomes: Sequence[Outcome] = (),
    unrun: int = 0,
) -> Response:
    service = visit.service
    roles = roles_for(service.branches.production.roles)
    chosen = visit.form.get("access", "")
    # A page with many values takes a while to put together; others are served meanwhile.
    return await asyncio.to_thread(
        visit.page,
        "console.html",
        status,
        branch=branch,
        asleep=service.branches.asleep(branch),
        sql=visit.form.get("sql", ""),
        roles=roles,
        access=chosen if chosen in roles else next(iter(roles), Role.READER),
        limits=service.settings.console,
        problem=problem,
        outcomes=outcomes,
        unrun=unrun,
    )
