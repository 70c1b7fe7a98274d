"""I am `headgate deploy-request review`, `reviews` and `confirm`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape

from control.cli.chosen import ChosenDatabase
from control.cli.context import Database, context
from control.cli.which import ChosenRequest, Which, number_of, path, request_of

COLUMNS = {"at": "created_at", "by": "who", "what": "state", "dismissed": "dismissed_at", "said": "body"}


def review(
    ctx: typer.Context,
    database: Database,
    which: Which,
    approve: Annotated[bool, typer.Option("--approve", help="Say that it may be deployed.")] = False,
    comment: Annotated[str, typer.Option(help="Say something about it.")] = "",
) -> None:
    """Approve a deploy request, or comment on it."""
    here = context(ctx)
    if not approve and not comment.strip():
        raise typer.BadParameter("say --approve, or something with --comment", param_hint="--comment")
    number = number_of(here, database, which)
    body = {"state": "approved" if approve else "commented", "body": comment}
    made = here.client.post(f"{path(database, number)}/reviews", body)
    said = "is approved" if approve else "has your comment"
    here.output.say(f"Deploy request {number} {said}.", made)


def reviews(ctx: typer.Context, database: ChosenDatabase = None, which: ChosenRequest = None) -> None:
    """List what people have said about a deploy request, oldest first."""
    here = context(ctx)
    database, number = request_of(here, database, which)
    found = here.client.every(f"{path(database, number)}/reviews")
    if not here.output.is_json:
        found = [{**one, "who": one["actor"]["display_name"]} for one in found]
    here.output.table(found, COLUMNS)


def confirm(
    ctx: typer.Context,
    database: Database,
    which: Which,
    keys: Annotated[
        list[str] | None, typer.Argument(help="What to confirm; otherwise all that asks for it.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Do not ask.")] = False,
) -> None:
    """Say yes to what a deploy request would destroy or may not be meant."""
    here = context(ctx)
    number = number_of(here, database, which)
    deployment = here.client.get(path(database, number))["deployment"]
    wanted = keys or deployment["unconfirmed"]
    if not wanted:
        here.output.say(f"Nothing of deploy request {number} is to be confirmed.", {"confirmed": []})
        return
    found = [each for each in deployment["findings"] if each["key"] in wanted]
    if not force and not here.output.is_json:
        here.output.table(found, {"what": "key", "why": "error_description"})
        typer.confirm("Confirm this?", abort=True)
    request = here.client.post(f"{path(database, number)}/confirm", {"keys": wanted})
    here.output.say(escape(f"Confirmed: {', '.join(wanted)}."), request)
