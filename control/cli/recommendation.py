"""I am `headgate recommendation`."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.text import Text

from control.cli.chosen import ChosenDatabase, database_of
from control.cli.context import Database, context
from control.cli.output import people

app = typer.Typer(help="See what production gives reason to change, and change it.", no_args_is_help=True)

Number = Annotated[int, typer.Argument(help="The number of the recommendation.")]

COLUMNS = {"number": "number", "state": "state", "type": "recommendation_type", "recommendation": "title"}


def path(database: str, number: int) -> str:
    """Return the path of a recommendation."""
    return f"databases/{database}/schema-recommendations/{number}"


@app.command("list")
def list_recommendations(
    ctx: typer.Context,
    database: ChosenDatabase = None,
    every: Annotated[
        bool, typer.Option("--all", help="Also those that are done, dismissed or stale.")
    ] = False,
) -> None:
    """List what is recommended, newest first."""
    here = context(ctx)
    database = database_of(here, database)
    wanted = {} if every else {"state": "open"}
    found = here.client.every(f"databases/{database}/schema-recommendations", **wanted)
    here.output.table(found, COLUMNS)


@app.command()
def show(ctx: typer.Context, database: Database, number: Number) -> None:
    """Show a recommendation with the figures it rests on."""
    here = context(ctx)
    found = here.client.get(path(database, number))
    if here.output.is_json:
        here.output.json(found)
        return
    people.print(Text(found["title"], style="bold"))
    people.print(f"{found['state']} since {found['updated_at']}: {found['reason']}\n", markup=False)
    people.print(f"{found['ddl_statement']};", markup=False)
    if found["state"] == "open":
        people.print(f"\nTake it up with: headgate recommendation apply {database} {number}")


@app.command()
def refresh(ctx: typer.Context, database: ChosenDatabase = None) -> None:
    """Look at production now, and list what is recommended."""
    here = context(ctx)
    database = database_of(here, database)
    where = f"databases/{database}/schema-recommendations"
    here.client.post(f"{where}/refresh")
    here.output.table(here.client.every(where, state="open"), COLUMNS)


@app.command()
def apply(
    ctx: typer.Context,
    database: Database,
    number: Number,
    branch: Annotated[str, typer.Option(help="Its name; otherwise recommendation- and the number.")] = "",
    propose: Annotated[
        bool, typer.Option("--deploy-request", help="Also open a deploy request for the branch.")
    ] = False,
) -> None:
    """Make a branch of production with the recommended change applied."""
    here = context(ctx)
    done = here.client.post(f"{path(database, number)}/apply", {"branch": branch, "deploy_request": propose})
    here.output.say(_next_step(database, done), done)


def _next_step(database: str, done: Any) -> str:
    name, request = done["schema_recommendation"]["branch"], done["deploy_request"]
    made = f"Branch [bold]{name}[/bold] has the change. "
    if request is None:
        return (
            f"{made}Look at it with: headgate branch diff {database} {name}\n"
            f"Propose it with: headgate deploy-request create {database} {name}"
        )
    return (
        f"{made}Deploy request [bold]{request['number']}[/bold] proposes it.\n"
        f"Deploy it with: headgate deploy-request deploy {database} {request['number']} --wait"
    )


@app.command()
def dismiss(
    ctx: typer.Context,
    database: Database,
    number: Number,
    reason: Annotated[str, typer.Option(help="Why not, for those who wonder later.")] = "",
) -> None:
    """Put a recommendation aside: it is never made again."""
    here = context(ctx)
    done = here.client.post(f"{path(database, number)}/dismiss", {"reason": reason})
    here.output.say(f"Recommendation {number} is dismissed.", done)
