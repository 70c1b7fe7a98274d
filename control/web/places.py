"""I am the pages that say what there is: databases, and the branches of one."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import RedirectResponse, Response

from control.web.allowed import reason_against
from control.web.pages import Page
from control.web.visits import Visited

router = APIRouter(route_class=Page, include_in_schema=False)


@router.get("/")
async def start() -> Response:
    """Lead to the databases."""
    return RedirectResponse("/databases", 303)


@router.get("/databases")
async def list_databases(visit: Visited) -> Response:
    """List the databases."""
    branches = visit.service.branches
    databases = [{"name": branches.production.database, "branches": len(await branches.all())}]
    return visit.page("databases.html", databases=databases)


@router.get("/databases/{db}")
async def show_database(visit: Visited, db: str) -> Response:
    """List the branches of a database, with what may be done in the console of each."""
    service = visit.service
    service.branches.check_database(db)
    settings = service.databases.settings()
    rows = [
        {
            "record": record,
            "asleep": service.branches.asleep(record),
            "refusal": reason_against(visit.actor, record, settings),
        }
        for record in await service.branches.all()
    ]
    return visit.page("database.html", database=db, branches=rows)
