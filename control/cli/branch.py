"""I am `headgate branch`."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any

import typer

from control.cli import branch_standing
from control.cli.chosen import ChosenBranch, ChosenDatabase, branch_of, database_of
from control.cli.context import Context, Database, checked, context
from control.cli.copied import wait_for_rows
from control.cli.lint import lint_branch
from control.cli.switch import switch
from control.cli.times import seconds, until

app = typer.Typer(help="Make, look at and delete branches.", no_args_is_help=True)
branch_standing.install(app)
app.command()(switch)

Name = Annotated[str, typer.Argument(help="The branch, for example add-phone.", callback=checked)]
Yes = Annotated[bool, typer.Option("--force", help="Do not ask.")]
Ttl = Annotated[str, typer.Option("--ttl", help="How long it lives: 90m, 12h, 2d; empty: for ever.")]


class Rows(StrEnum):
    """Which rows a new branch gets."""

    ALL = "all"
    SAMPLE = "sample"


COLUMNS = {
    "name": "name",
    "parent": "parent_branch",
    "default": "default",
    "production": "production",
    "safe migrations": "safe_migrations",
    "state": "state",
    "created": "created_at",
    "expires": "expires_at",
}


@app.command("list")
def list_branches(
    ctx: typer.Context,
    database: ChosenDatabase = None,
    q: Annotated[str, typer.Option("--query", "-q", help="A part of the name.")] = "",
    production: Annotated[
        bool | None, typer.Option("--production/--development", help="Only such branches.")
    ] = None,
    safe_migrations: Annotated[
        bool | None, typer.Option("--safe-migrations/--no-safe-migrations", help="Only such branches.")
    ] = None,
    newest: Annotated[bool, typer.Option("--newest", help="The youngest first.")] = False,
) -> None:
    """List the branches of a database."""
    here = context(ctx)
    database = database_of(here, database)
    query = {"q": q, "order": "desc" if newest else "asc"}
    for name, wanted in (("production", production), ("safe_migrations", safe_migrations)):
        if wanted is not None:
            query[name] = str(wanted).lower()
    here.output.table(here.client.every(f"databases/{database}/branches", **query), COLUMNS)


@app.command()
def create(
    ctx: typer.Context,
    database: Database,
    name: Name,
    parent: Annotated[str, typer.Option("--from", help="The branch to start from.")] = "",
    ttl: Ttl = "",
    seed_data: Annotated[
        Rows | None, typer.Option("--seed-data", help="Copy rows from the parent, too.")
    ] = None,
    rows: Annotated[int | None, typer.Option(help="Of a sample: rows of each table.")] = None,
    percent: Annotated[float | None, typer.Option(help="Of a sample: share of each table's rows.")] = None,
    mask: Annotated[
        list[str] | None, typer.Option(help="What takes the place of values: users.email=email.")
    ] = None,
) -> None:
    """Make a branch with its parent's schema, and print how to connect to it."""
    here = context(ctx)
    client = here.client
    wish: dict[str, Any] = {"name": name, "parent_branch": parent}
    if ttl:
        wish["ttl"] = seconds(ttl)
    if seed_data or rows or percent or mask:
        wish |= {"seed_data": seed_data or "", "rows": rows, "percent": percent, "masks": mask or []}
    branch = client.post(f"databases/{database}/branches", wish)
    held = "no rows"
    if not branch["ready"]:
        branch = wait_for_rows(here, f"databases/{database}/branches/{name}")
        held = "all its rows" if seed_data is Rows.ALL else "a sample of its rows"
    password = client.post(f"databases/{database}/branches/{name}/passwords", {"name": "created with branch"})
    command = mysql_command(password, database)
    end = branch["expires_at"]
    expires = f" It is deleted after {until(end, datetime.now(UTC))}." if end else ""
    here.output.say(
        f"Branch [bold]{name}[/bold] is ready: the schema of {branch['parent_branch']}, and {held}."
        f"{expires}\n"
        f"Connect (the password is shown only now):\n\n  {command}\n\n"
        f"Change it as you like, then: headgate deploy-request create {database} {name}",
        {**branch, "password": password, "command": command},
    )


@app.command()
def show(ctx: typer.Context, database: ChosenDatabase = None, name: ChosenBranch = None) -> None:
    """Show a branch."""
    here = context(ctx)
    database, name = branch_of(here, database, name)
    here.output.table([here.client.get(f"databases/{database}/branches/{name}")], COLUMNS)


@app.command()
def lint(ctx: typer.Context, database: ChosenDatabase = None, name: ChosenBranch = None) -> None:
    """List what the lint rules find in a branch's schema; the exit status is 1 when something blocks."""
    here = context(ctx)
    database, name = branch_of(here, database, name)
    lint_branch(context(ctx), database, name)


@app.command()
def diff(ctx: typer.Context, database: ChosenDatabase = None, name: ChosenBranch = None) -> None:
    """Show what has changed on a branch since it was made."""
    here = context(ctx)
    database, name = branch_of(here, database, name)
    _changes(context(ctx), f"databases/{database}/branches/{name}/diff", "The branch is as it was made.")


@app.command()
def schema(ctx: typer.Context, database: ChosenDatabase = None, name: ChosenBranch = None) -> None:
    """Show the definitions of a branch's tables."""
    here = context(ctx)
    database, name = branch_of(here, database, name)
    _changes(context(ctx), f"databases/{database}/branches/{name}/schema", "The branch has no tables.")


@app.command()
def rebase(
    ctx: typer.Context,
    database: Database,
    name: Name,
    onto: Annotated[str, typer.Option(help="The branch to go by; otherwise the parent.")] = "",
    drop_conflicts: Annotated[
        bool, typer.Option("--drop-conflicts", help="Give up the branch's side of what conflicts.")
    ] = False,
) -> None:
    """Make a branch's own change anew on its parent as that is now; rows stay."""
    here = context(ctx)
    done = here.client.post(
        f"databases/{database}/branches/{name}/rebase", {"onto": onto, "drop_conflicts": drop_conflicts}
    )
    if here.output.is_json:
        here.output.json(done)
        return
    here.output.diff(done["changes"])
    for sentence in (*done["left_out"], *done["notes"]):
        here.output.say(sentence)
    here.output.say(f"Branch {name} goes by {done['onto']} as it is now.")


@app.command("refresh-schema")
def refresh_schema(ctx: typer.Context, database: ChosenDatabase = None, name: ChosenBranch = None) -> None:
    """Read the schema of a branch again."""
    here = context(ctx)
    database, name = branch_of(here, database, name)
    branch = here.client.post(f"databases/{database}/branches/{name}/refresh-schema")
    here.output.say(
        f"The schema of {name} is read; it last changed before {branch['schema_last_updated_at']}.", branch
    )


@app.command()
def pools(ctx: typer.Context, database: ChosenDatabase = None, name: ChosenBranch = None) -> None:
    """Show what each worker's connections to the branch's server are doing."""
    here = context(ctx)
    database, name = branch_of(here, database, name)
    columns = ("worker", "active", "linked", "idle", "opening", "pinned", "waiting", "longest_wait_ms")
    here.output.table(
        here.client.every(f"databases/{database}/branches/{name}/pools"),
        {column.replace("_", " "): column for column in columns},
    )


@app.command()
def pinned(ctx: typer.Context, database: ChosenDatabase = None, name: ChosenBranch = None) -> None:
    """List the clients that keep their connection to the server, and why."""
    here = context(ctx)
    database, name = branch_of(here, database, name)
    here.output.table(
        here.client.every(f"databases/{database}/branches/{name}/pinned"),
        {
            "connection": "connection_id",
            "user": "username",
            "from": "remote_address",
            "why": "reasons",
            "since": "since",
        },
    )


@app.command()
def delete(
    ctx: typer.Context,
    database: Database,
    name: Name,
    descendants: Annotated[
        bool, typer.Option("--delete-descendants", help="Also all branches that were made from it.")
    ] = False,
    force: Yes = False,
) -> None:
    """Delete a branch, its server and its passwords."""
    here = context(ctx)
    if not force:
        more = " and every branch made from it," if descendants else ""
        typer.confirm(f"Delete branch {name} of {database}{more} with everything in it?", abort=True)
    query = "?delete_descendants=true" if descendants else ""
    here.client.delete(f"databases/{database}/branches/{name}{query}")
    here.output.say(f"Branch {name} is deleted.", {"name": name, "deleted": True})


def mysql_command(password: Any, database: str) -> str:
    """Return the shell command that connects with a password that was just made."""
    return (
        f"mysql -h {password['access_host_url']} -P {password['port']} -u {password['username']} "
        f"-p{password['plain_text']} {database}"
    )


def _changes(here: Context, path: str, none: str) -> None:
    changes = here.client.get(path)["data"]
    if changes or here.output.is_json:
        here.output.diff(changes)
    else:
        here.output.say(none)
