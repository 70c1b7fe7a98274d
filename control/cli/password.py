"""I am `headgate password`."""

from __future__ import annotations

from typing import Annotated

import typer

from control.cli.branch import mysql_command
from control.cli.context import Database, checked, context

app = typer.Typer(help="Make, list and delete passwords.", no_args_is_help=True)

Branch = Annotated[str, typer.Argument(help="The branch that the password is for.", callback=checked)]


@app.command("list")
def list_passwords(ctx: typer.Context, database: Database, branch: Branch) -> None:
    """List the passwords that reach a branch."""
    here = context(ctx)
    here.output.table(
        here.client.get(f"databases/{database}/branches/{branch}/passwords")["data"],
        {"id": "id", "name": "name", "user": "username", "created": "created_at"},
    )


@app.command()
def create(
    ctx: typer.Context,
    database: Database,
    branch: Branch,
    name: Annotated[str, typer.Argument(help="What the password is for.")] = "",
    username: Annotated[str, typer.Option(help="A user name of your choice; otherwise one is made.")] = "",
    all_branches: Annotated[
        bool, typer.Option("--all-branches", help="Let the user reach every branch, as USER.BRANCH.")
    ] = False,
) -> None:
    """Make a password and print it, once."""
    here = context(ctx)
    made = here.client.post(
        f"databases/{database}/branches/{branch}/passwords",
        {"name": name, "username": username, "all_branches": all_branches},
    )
    here.output.say(
        f"User [bold]{made['username']}[/bold], password (shown only now): {made['plain_text']}\n\n"
        f"  {mysql_command(made, database)}",
        made,
    )


@app.command()
def delete(
    ctx: typer.Context,
    database: Database,
    branch: Branch,
    password_id: Annotated[str, typer.Argument(help="The password's id, from the list.")],
) -> None:
    """Delete a password: it lets nobody in any more."""
    here = context(ctx)
    here.client.delete(f"databases/{database}/branches/{branch}/passwords/{password_id}")
    here.output.say(f"Password {password_id} is deleted.", {"id": password_id, "deleted": True})
