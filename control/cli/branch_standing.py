"""I am what `headgate branch` changes of a branch that is there: its name, its protection, its standing."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from control.cli.context import Database, checked, context
from control.cli.times import seconds

Name = Annotated[str, typer.Argument(help="The branch, for example staging.", callback=checked)]


class Turn(StrEnum):
    """What is done to the safe migrations of a branch."""

    ENABLE = "enable"
    DISABLE = "disable"


def install(app: typer.Typer) -> None:
    """Add these commands to those of `headgate branch`."""
    app.command("safe-migrations")(safe_migrations)
    for command in (promote, demote, default, rename, protect, unprotect, expire):
        app.command()(command)


def safe_migrations(
    ctx: typer.Context,
    turn: Annotated[Turn, typer.Argument(help="Refuse direct DDL on the branch, or take it.")],
    database: Database,
    name: Name,
) -> None:
    """Refuse direct DDL on a branch and take deploy requests into it, or no longer."""
    here = context(ctx)
    path = f"{_path(database, name)}/safe-migrations"
    if turn is Turn.ENABLE:
        here.output.say(
            f"Branch {name} refuses direct DDL now. Deploy into it with: "
            f"headgate deploy-request create {database} BRANCH --into {name}",
            here.client.post(path),
        )
    else:
        here.client.delete(path)
        here.output.say(f"Branch {name} takes direct DDL again.", here.client.get(_path(database, name)))


def promote(ctx: typer.Context, database: Database, name: Name) -> None:
    """Make a branch production: never asleep, with safe migrations, not to be deleted."""
    here = context(ctx)
    here.output.say(f"Branch {name} is production.", here.client.post(f"{_path(database, name)}/promote"))


def demote(ctx: typer.Context, database: Database, name: Name) -> None:
    """Make a production branch a development branch that keeps its safe migrations."""
    here = context(ctx)
    answer = here.client.post(f"{_path(database, name)}/demote")
    here.output.say(f"Branch {name} is a development branch.", answer)


def default(
    ctx: typer.Context,
    database: Database,
    name: Name,
    adopt: Annotated[
        bool, typer.Option("--adopt-children", help="Take over the children of the default so far.")
    ] = False,
) -> None:
    """Make a branch the one that others are made from, and deployed into, unless said otherwise."""
    here = context(ctx)
    answer = here.client.post(f"{_path(database, name)}/default", {"adopt_children": adopt})
    here.output.say(f"Branch {name} is the default.", answer)


def rename(
    ctx: typer.Context,
    database: Database,
    name: Name,
    new_name: Annotated[str, typer.Argument(help="What it shall be called.", callback=checked)],
) -> None:
    """Give a branch another name; its users and passwords go on working."""
    _change(ctx, database, name, {"new_name": new_name}, f"Branch {name} is called {new_name} now.")


def protect(ctx: typer.Context, database: Database, name: Name) -> None:
    """Keep a branch from being deleted."""
    _change(ctx, database, name, {"deletion_protected": True}, f"Branch {name} cannot be deleted now.")


def unprotect(ctx: typer.Context, database: Database, name: Name) -> None:
    """Let a protected branch be deleted again."""
    _change(ctx, database, name, {"deletion_protected": False}, f"Branch {name} can be deleted again.")


def expire(
    ctx: typer.Context,
    database: Database,
    name: Name,
    ttl: Annotated[str, typer.Argument(help="How long it lives from now: 90m, 12h, 2d; 0: for ever.")],
) -> None:
    """Say how long a branch lives from now on."""
    said = "lives for ever" if seconds(ttl) == 0 else f"lives for {ttl} from now"
    _change(ctx, database, name, {"ttl": seconds(ttl)}, f"Branch {name} {said}.")


def _change(ctx: typer.Context, database: str, name: str, change: dict[str, Any], said: str) -> None:
    here = context(ctx)
    here.output.say(said, here.client.patch(_path(database, name), change))


def _path(database: str, name: str) -> str:
    return f"databases/{database}/branches/{name}"
