"""I find the deploy request that somebody means, by its number or its branch."""

from __future__ import annotations

from typing import Annotated

import typer

from control.cli.chosen import branch_of
from control.cli.context import Context, checked
from control.cli.project import NAME
from control.client import ApiRefused

Which = Annotated[
    str,
    typer.Argument(
        help="The number of the deploy request, or its branch.", metavar="NUMBER|BRANCH", show_default=False
    ),
]
ChosenRequest = Annotated[
    str | None,
    typer.Argument(
        help=f"The number of the deploy request, or its branch; otherwise the branch of {NAME}.",
        metavar="[NUMBER|BRANCH]",
        show_default=False,
    ),
]


def path(database: str, number: int) -> str:
    """Return the path of a deploy request."""
    return f"databases/{database}/deploy-requests/{number}"


def number_of(here: Context, database: str, which: str) -> int:
    """Return the number of a deploy request; of a branch's, the open one comes before the newest.

    Raises ApiRefused when the branch has none.
    """
    return int(which) if which.isdecimal() else _number_of_branch(here, database, checked(which))


def request_of(here: Context, database: str | None, which: str | None) -> tuple[str, int]:
    """Return the database and the number of a deploy request, otherwise of that of the project's branch.

    Raises ProjectError, or ApiRefused when the branch has none.
    """
    if database is not None and which is not None:
        return database, number_of(here, database, which)
    database, branch = branch_of(here, database, None)
    return database, _number_of_branch(here, database, branch)


def _number_of_branch(here: Context, database: str, branch: str) -> int:
    for query in ({"state": "open"}, {}):
        found = here.client.get(f"databases/{database}/deploy-requests", branch=branch, per_page=1, **query)
        if found["data"]:
            return int(found["data"][0]["number"])
    raise ApiRefused(
        404,
        "not_found",
        f"branch {branch!r} has no deploy request: open one with: "
        f"headgate deploy-request create {database} {branch}",
    )
