"""I am `headgate database drift`."""

from __future__ import annotations

from typing import Annotated

import typer

from control.cli.context import Database, context
from control.cli.output import people

Adopt = Annotated[bool, typer.Option("--adopt", help="Take production as it is for how it should be.")]
Undo = Annotated[bool, typer.Option("--undo", help="Make a branch and a deploy request that take it back.")]
BranchName = Annotated[str, typer.Option("--branch", help="What that branch is called.")]


def drift(
    ctx: typer.Context, database: Database, adopt: Adopt = False, undo: Undo = False, branch: BranchName = ""
) -> None:
    """Show what somebody has changed on production besides deploy requests."""
    here = context(ctx)
    path = f"databases/{database}/drift"
    if adopt and undo:
        raise typer.BadParameter("--adopt and --undo exclude each other")
    if adopt:
        found = here.client.post(f"{path}/adopt")
    elif undo:
        found = here.client.post(f"{path}/undo", {"branch": branch})
    else:
        found = here.client.get(path)
    if here.output.is_json:
        here.output.json(found)
        return
    if found["state"] == "none":
        people.print("Production is as it should be.")
        return
    here.output.diff(found["diff"])
    if found["affected"]:
        people.print(f"Open deploy requests that it touches: {', '.join(map(str, found['affected']))}\n")
    if found["state"] == "adopted":
        people.print("This is how production should be from now on.")
    elif "deploy_request" in found:
        number = found["deploy_request"]
        people.print(f"Taken back by: headgate deploy-request show {database} {number}")
    else:
        people.print(f"Take it with: headgate database drift {database} --adopt")
        people.print(f"Undo it with: headgate database drift {database} --undo")
