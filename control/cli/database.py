"""I am `headgate database`."""

from __future__ import annotations

import typer

from control.cli.context import Database, context

app = typer.Typer(help="Look at databases.", no_args_is_help=True)

COLUMNS = {"name": "name", "state": "state", "branches": "branches_count", "default branch": "default_branch"}


@app.command("list")
def list_databases(ctx: typer.Context) -> None:
    """List the databases."""
    here = context(ctx)
    here.output.table(here.client.get("databases")["data"], COLUMNS)


@app.command()
def show(ctx: typer.Context, database: Database) -> None:
    """Show a database."""
    here = context(ctx)
    here.output.table([here.client.get(f"databases/{database}")], COLUMNS)
