"""I am `headgate password`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from control.cli.branch import mysql_command
from control.cli.chosen import ChosenBranch, ChosenDatabase, branch_of
from control.cli.context import Database, checked, context
from control.cli.times import seconds
from router.model import Role

app = typer.Typer(help="Make, list and delete passwords.", no_args_is_help=True)

Branch = Annotated[str, typer.Argument(help="The branch that the password is for.", callback=checked)]


@app.command("list")
def list_passwords(ctx: typer.Context, database: ChosenDatabase = None, branch: ChosenBranch = None) -> None:
    """List the passwords that reach a branch."""
    here = context(ctx)
    database, branch = branch_of(here, database, branch)
    here.output.table(
        here.client.every(f"databases/{database}/branches/{branch}/passwords"),
        {
            "id": "id",
            "name": "name",
            "user": "username",
            "role": "role",
            "expires": "expires_at",
            "created": "created_at",
        },
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
    role: Annotated[Role, typer.Option(help="What the user may do.")] = Role.ADMIN,
    ttl: Annotated[
        str,
        typer.Option(help="How long the password works unless it is renewed: 30m, 8h, 7d.", metavar="TIME"),
    ] = "",
    cidr: Annotated[
        list[str] | None, typer.Option(help="A network it may be used from; may be given several times.")
    ] = None,
    replica: Annotated[bool, typer.Option("--replica", help="Read from a replica.")] = False,
    native: Annotated[
        bool, typer.Option("--native", help="Also let in drivers that know only mysql_native_password.")
    ] = False,
    choose: Annotated[
        bool, typer.Option("--choose", help="Ask for a password of your choice (or read it from a pipe).")
    ] = False,
) -> None:
    """Make a password and print it, once."""
    here = context(ctx)
    body = {
        "name": name,
        "username": username,
        "all_branches": all_branches,
        "role": role,
        "ttl": seconds(ttl) if ttl else None,
        "cidrs": cidr or [],
        "replica": replica,
        "native": native,
        "password": _chosen() if choose else "",
    }
    made = here.client.post(f"databases/{database}/branches/{branch}/passwords", body)
    here.output.say(
        f"User [bold]{made['username']}[/bold], password (shown only now): {made['plain_text']}\n\n"
        f"  {mysql_command(made, database)}",
        made,
    )


@app.command()
def renew(
    ctx: typer.Context,
    database: Database,
    branch: Branch,
    password_id: Annotated[str, typer.Argument(help="The password's id, from the list.")],
) -> None:
    """Let a password that expires work for its whole time again."""
    here = context(ctx)
    renewed = here.client.post(f"databases/{database}/branches/{branch}/passwords/{password_id}/renew", {})
    here.output.say(f"Password {password_id} works until {renewed['expires_at']}.", renewed)


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


def _chosen() -> str:
    """Read a password, without showing it where somebody types it."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
