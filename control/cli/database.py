"""I am `headgate database`."""

from __future__ import annotations

import typer

from control.cli.chosen import ChosenDatabase, database_of
from control.cli.context import Database, context
from control.cli.drift import drift
from control.cli.settings import aggressive_cutover, set_settings, settings
from control.cli.throttle import Clear, For, Paused, Ratio
from control.cli.throttle import throttle as show_throttle

app = typer.Typer(help="Look at databases, and decide what holds for them.", no_args_is_help=True)
app.command()(settings)
app.command()(drift)
app.command("set")(set_settings)
app.command("aggressive-cutover")(aggressive_cutover)

COLUMNS = {"name": "name", "state": "state", "branches": "branches_count", "default branch": "default_branch"}

GARBAGE = {
    "table": "table_name",
    "was": "original_table_name",
    "since": "created_at",
    "dropped after": "dropped_after",
}


@app.command("list")
def list_databases(ctx: typer.Context) -> None:
    """List the databases."""
    here = context(ctx)
    here.output.table(here.client.get("databases")["data"], COLUMNS)


@app.command()
def show(ctx: typer.Context, database: ChosenDatabase = None) -> None:
    """Show a database."""
    here = context(ctx)
    database = database_of(here, database)
    here.output.table([here.client.get(f"databases/{database}")], COLUMNS)


@app.command()
def garbage(ctx: typer.Context, database: ChosenDatabase = None) -> None:
    """List the tables that nobody needs any more, and when each is dropped."""
    here = context(ctx)
    database = database_of(here, database)
    here.output.table(here.client.get(f"databases/{database}/garbage")["data"], GARBAGE)


@app.command()
def throttle(
    ctx: typer.Context,
    database: Database,
    ratio: Ratio = None,
    paused: Paused = None,
    for_s: For = None,
    clear: Clear = False,
) -> None:
    """Show or limit how much schema changes may copy in a database; requests may have limits of their own."""
    path = f"databases/{database}"
    show_throttle(context(ctx), path, ratio=ratio, paused=paused, for_s=for_s, clear=clear)
