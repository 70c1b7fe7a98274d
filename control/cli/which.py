"""I find the deploy request that somebody means, by its number or its branch."""

from __future__ import annotations

from typing import Annotated

import typer

from control.cli.context import Context, checked
from control.client import ApiRefused

Which = Annotated[
    str,
    typer.Argument(
        help="The number of the deploy request, or its branch.", metavar="NUMBER|BRANCH", show_default=False
    ),
]


def path(database: str, number: int) -> str:
    """Return the path of a deploy request."""
    return f"databases/{database}/deploy-requests/{number}"


def number_of(here: Context, database: str, which: str) -> int:
    """Return the number of a deploy request; of a branch's, the open one comes before the newest.

    Raises ApiRefused when the branch has none.
    """
    if which.isdecimal():
        return int(which)
    branch = checked(which)
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
