"""I am `headgate lint` and `headgate branch lint`."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.text import Text

from control.cli.chosen import ChosenDatabase, database_of
from control.cli.context import Context, Database, context
from control.cli.output import people
from migrator.schema.lint.lint import rules

app = typer.Typer(help="See the rules for schemas, and say what can be lived with.", no_args_is_help=True)

STYLES = {"error": "bold red", "confirm": "bold yellow", "warning": "yellow", "info": "dim"}
COLUMNS = {
    "id": "id",
    "rule": "lint_error",
    "table": "table_name",
    "element": "element",
    "deploy request": "deploy_request",
    "reason": "reason",
    "by": "author",
    "since": "created_at",
}


@app.command("rules")
def list_rules(ctx: typer.Context) -> None:
    """List the rules with their levels."""
    context(ctx).output.table(
        [
            {
                "code": rule.code,
                "number": rule.number,
                "levels": ", ".join(rule.levels),
                "suppressible": not rule.hard,
            }
            for rule in rules()
        ],
        {"rule": "code", "number": "number", "levels": "levels", "can be suppressed": "suppressible"},
    )


@app.command("list")
def list_suppressions(ctx: typer.Context, database: ChosenDatabase = None) -> None:
    """List which findings are lived with, why, and on whose word."""
    here = context(ctx)
    database = database_of(here, database)
    here.output.table(here.client.every(_path(database)), COLUMNS)


@app.command()
def suppress(
    ctx: typer.Context,
    database: Database,
    rule: Annotated[str, typer.Argument(help="The code of the rule, for example FLOAT_MONEY.")],
    reason: Annotated[str, typer.Option("--reason", help="Why it can be lived with.")],
    table: Annotated[str, typer.Option("--table", help="Only for this table, view or routine.")] = "",
    element: Annotated[str, typer.Option("--element", help="Only for this part of it.")] = "",
    request: Annotated[int | None, typer.Option("--request", help="Only for this deploy request.")] = None,
) -> None:
    """Live with what a rule finds: in the database, in one table, or for one deploy request."""
    here = context(ctx)
    body = {
        "lint_error": rule,
        "reason": reason,
        "table_name": table,
        "element": element,
        "deploy_request": request,
    }
    made = here.client.post(_path(database), body)
    here.output.say(
        f"{made['lint_error']} is lived with. Take it back with: "
        f"headgate lint unsuppress {database} {made['id']}",
        made,
    )


@app.command()
def unsuppress(
    ctx: typer.Context,
    database: Database,
    suppression: Annotated[str, typer.Argument(help="The id that `lint list` shows.")],
) -> None:
    """Let findings count again."""
    here = context(ctx)
    here.client.delete(f"{_path(database)}/{suppression}")
    here.output.say("It counts again.", {"id": suppression, "deleted": True})


def lint_branch(here: Context, database: str, name: str) -> None:
    """Print what is found in a branch's schema; findings that block make the exit status 1."""
    found = here.client.get(f"databases/{database}/branches/{name}/schema/lint")["data"]
    if here.output.is_json:
        here.output.json(found)
    elif not found:
        people.print("Nothing is found.")
    else:
        for each in found:
            print_finding(each)
    if any(each["blocks"] for each in found):
        raise typer.Exit(1)


def print_finding(found: Any) -> None:
    """Print one finding of the API: its level, what is wrong, and what to do."""
    head = Text(f"{found['level']:8}", style=STYLES[found["level"]])
    people.print(
        head.append(f"{found['lint_error']}", style="bold").append(f" {found['sentence']}", style="")
    )
    if found["suppressed"]:
        people.print(Text(f"         lived with: {found['suppressed']}", style="dim"))
    elif found["level"] in ("error", "confirm", "warning"):
        people.print(Text(f"         {found['advice']}", style="dim"))


def _path(database: str) -> str:
    return f"databases/{database}/lint-suppressions"
