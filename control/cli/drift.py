"""I am `headgate database drift`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from control.cli.context import Context, Database, context
from control.cli.output import people

Adopt = Annotated[bool, typer.Option("--adopt", help="Take production as it is for how it should be.")]
Seen = Annotated[
    str, typer.Option("--seen", help="Of --adopt: the digest of what you looked at; nothing is asked then.")
]
Undo = Annotated[bool, typer.Option("--undo", help="Make a branch and a deploy request that take it back.")]
BranchName = Annotated[str, typer.Option("--branch", help="What that branch is called.")]


def drift(
    ctx: typer.Context,
    database: Database,
    adopt: Adopt = False,
    seen: Seen = "",
    undo: Undo = False,
    branch: BranchName = "",
) -> None:
    """Show what somebody has changed on production besides deploy requests."""
    here = context(ctx)
    path = f"databases/{database}/drift"
    if adopt and undo:
        raise typer.BadParameter("--adopt and --undo exclude each other")
    if seen and not adopt:
        raise typer.BadParameter("it belongs to --adopt", param_hint="--seen")
    if adopt:
        found = _adopt(here, path, seen)
    elif undo:
        found = here.client.post(f"{path}/undo", {"branch": branch})
    else:
        found = here.client.get(path)
    if here.output.is_json:
        here.output.json(found)
        return
    if not adopt or seen:
        _show(here, found)
    if found["state"] == "adopted":
        people.print("This is how production should be from now on.")
    elif "deploy_request" in found:
        number = found["deploy_request"]
        people.print(f"Taken back by: headgate deploy-request show {database} {number}")
    elif found["state"] == "open":
        people.print(f"Take it with: headgate database drift {database} --adopt --seen {found['digest']}")
        people.print(f"Undo it with: headgate database drift {database} --undo")


def _adopt(here: Context, path: str, seen: str) -> Any:
    """Adopt the drift that was seen, otherwise the one that is shown and asked about now."""
    if not seen:
        if here.output.is_json:
            raise typer.BadParameter(
                "programs say which drift they looked at, by its digest", param_hint="--seen"
            )
        found = here.client.get(path)
        _show(here, found)
        if found["state"] == "none":
            return found
        typer.confirm("Is this how production should be?", abort=True)
        seen = found["digest"]
    return here.client.post(f"{path}/adopt", {"digest": seen})


def _show(here: Context, found: Any) -> None:
    if found["state"] == "none":
        people.print("Production is as it should be.")
        return
    here.output.diff(found["diff"])
    if found["affected"]:
        people.print(f"Open deploy requests that it touches: {', '.join(map(str, found['affected']))}\n")
