"""I am `headgate database settings`, `set` and `aggressive-cutover`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from control.cli.chosen import ChosenDatabase, database_of
from control.cli.context import Database, context
from migrator.deploy.settings import EXPLAINED, SettingRefused, from_text

Wishes = Annotated[
    list[str], typer.Argument(help="What to change: NAME=VALUE, for example require_approval=true.")
]


def settings(ctx: typer.Context, database: ChosenDatabase = None) -> None:
    """Show what was decided for the deploy requests of a database."""
    here = context(ctx)
    database = database_of(here, database)
    found = here.client.get(f"databases/{database}")["settings"]
    if here.output.is_json:
        here.output.json(found)
        return
    rows = [
        {"name": name, "value": shown(value), "meaning": EXPLAINED.get(name, "")}
        for name, value in found.items()
    ]
    here.output.table(rows, {"setting": "name", "value": "value", "means": "meaning"})


def set_settings(ctx: typer.Context, database: Database, wishes: Wishes) -> None:
    """Change settings of a database, all or none."""
    here = context(ctx)
    changes: dict[str, Any] = {}
    for wish in wishes:
        name, equals, value = wish.partition("=")
        if not equals:
            raise typer.BadParameter(f"write {wish}=VALUE", param_hint="WISHES")
        if name not in EXPLAINED:
            raise SettingRefused(f"there is no setting {name!r}: see headgate database settings {database}")
        changes[name] = from_text(name, value)
    found = here.client.patch(f"databases/{database}", changes)["settings"]
    said = ", ".join(f"{name} is {shown(found[name])}" for name in changes)
    here.output.say(f"From now on {said}.", found)


def aggressive_cutover(
    ctx: typer.Context,
    database: Database,
    enable: Annotated[
        bool | None, typer.Option("--enable/--disable", help="Change it.", show_default=False)
    ] = None,
) -> None:
    """Show or change whether cut-overs kill what holds their tables at the first attempt."""
    here = context(ctx)
    path = f"databases/{database}/aggressive-cutover"
    if enable is None:
        enabled = here.client.get(path)["enabled"]
    else:
        if enable:
            here.client.post(path)
        else:
            here.client.delete(path)
        enabled = enable
    state = "enabled" if enabled else "disabled"
    here.output.say(f"Aggressive cut-over is {state} for {database}.", {"enabled": enabled})


def shown(value: Any) -> str:
    """Return a setting's value as people write it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:g}"
    return str(value) if value != "" else '""'
