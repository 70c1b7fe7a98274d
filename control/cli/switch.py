"""I am `headgate branch switch`."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.markup import escape

from control.cli.context import Context, checked, context
from control.cli.copied import wait_for_rows
from control.cli.project import Project, ProjectError, open_project, write_project
from control.cli.project_text import Place
from control.client import NOT_FOUND, ApiRefused


def switch(
    ctx: typer.Context,
    branch: Annotated[str, typer.Argument(help="The branch, for example add-phone.", callback=checked)],
    database: Annotated[
        str, typer.Option(help="Its database; otherwise the one of the file, or the only one there is.")
    ] = "",
    create: Annotated[bool, typer.Option("--create", help="Make the branch if there is none.")] = False,
    parent: Annotated[
        str, typer.Option("--parent-branch", help="The branch to start from, when it is made.")
    ] = "",
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the branch is ready.")] = False,
) -> None:
    """Choose the branch that commands in this project are about when they are not told."""
    here = context(ctx)
    if parent and not create:
        raise typer.BadParameter("it belongs to --create", param_hint="--parent-branch")
    project = open_project()
    database = checked(database) if database else _database(here, project)
    found, made = _find_or_make(here, database, {"name": branch, "parent_branch": parent}, make=create)
    if wait and not found["ready"]:
        found = wait_for_rows(here, f"databases/{database}/branches/{branch}")
    place = Place(here.client.organization, database, found["name"])
    write_project(project, place)
    said = f"Branch {branch} is made from {found['parent_branch']}.\n" if made else ""
    here.output.say(
        f"{said}Commands in {escape(str(project.path.parent))} and below are about branch "
        f"[bold]{branch}[/bold] of {database} now, unless they name another: "
        f"{escape(str(project.path))} says so.",
        {
            "org": place.org,
            "database": place.database,
            "branch": place.branch,
            "created": made,
            "file": str(project.path),
        },
    )


def _database(here: Context, project: Project) -> str:
    """Return the database that the project's file names for this organization, or the only one there is."""
    if project.place.database and project.place.org in ("", here.client.organization):
        return project.place.database
    found = [str(each["name"]) for each in here.client.get("databases")["data"]]
    if len(found) != 1:
        raise ProjectError(f"name a database with --database: there are {', '.join(found) or 'none'}")
    return found[0]


def _find_or_make(here: Context, database: str, wish: Any, *, make: bool) -> tuple[Any, bool]:
    """Return the branch of this name, and whether it had to be made."""
    here.client.get(f"databases/{database}")
    branches = f"databases/{database}/branches"
    try:
        return here.client.get(f"{branches}/{wish['name']}"), False
    except ApiRefused as refused:
        if refused.status != NOT_FOUND:
            raise
        if not make:
            hint = f"make it with: headgate branch switch {wish['name']} --create"
            raise ApiRefused(refused.status, refused.code, f"{refused}: {hint}") from refused
    return here.client.post(branches, wish), True
