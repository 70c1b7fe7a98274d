"""I am `headgate audit-log`."""

from __future__ import annotations

from typing import Annotated

import typer

from control.cli.context import context

app = typer.Typer(help="Look at who has changed what.", no_args_is_help=True)

COLUMNS = {
    "at": "created_at",
    "who": "actor_display_name",
    "action": "audit_action",
    "what": "auditable_display_name",
    "from": "remote_ip",
}


@app.command("list")
def list_entries(
    ctx: typer.Context,
    action: Annotated[
        list[str] | None, typer.Option(help="Only this action, such as deploy_request.queued; repeatable.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=100, help="So many at most.")] = 25,
    after: Annotated[str, typer.Option(help="The id of an entry: those before it in time.")] = "",
) -> None:
    """List what people have changed, newest first."""
    here = context(ctx)
    query: dict[str, str | int | list[str]] = {"limit": limit}
    if after:
        query["starting_after"] = after
    if action:
        query["filters[]"] = [f"audit_action:{name}" for name in action]
    found = here.client.get("audit-log", **query)
    here.output.table(found["data"], COLUMNS, exact=True)
    if found["has_next"] and not here.output.is_json:
        here.output.say(f"\nThere is more: headgate audit-log list --after {found['cursor_end']}")
