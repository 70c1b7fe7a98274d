"""I say which database and branch a command is about that was not told: those of the project's file."""

from __future__ import annotations

from shlex import quote
from typing import Annotated

import typer

from control.cli.context import Context, checked
from control.cli.output import errors
from control.cli.project import NAME, SWITCH, Project, ProjectError, open_project


def _checked(name: str | None) -> str | None:
    return None if name is None else checked(name)


ChosenDatabase = Annotated[
    str | None,
    typer.Argument(help=f"The database; otherwise that of {NAME}.", callback=_checked, show_default=False),
]
ChosenBranch = Annotated[
    str | None,
    typer.Argument(help=f"The branch; otherwise that of {NAME}.", callback=_checked, show_default=False),
]


def database_of(here: Context, database: str | None) -> str:
    """Return the database that was named, otherwise that of the project's file. Raises ProjectError."""
    if database is not None:
        return database
    project = _project(here)
    _explain(here, project)
    return _required(project, project.place.database)


def branch_of(here: Context, database: str | None, branch: str | None) -> tuple[str, str]:
    """Return the database and the branch that were named, otherwise those of the project's file.

    Raises ProjectError.
    """
    if database is not None and branch is not None:
        return database, branch
    project = _project(here)
    place = project.place
    if database not in (None, place.database or database):
        raise ProjectError(
            f"name a branch of {database!r}, too: {project.path} says one of {place.database!r}. "
            f"Choose another with: {SWITCH} --database {database}"
        )
    database, branch = database or _required(project, place.database), _required(project, place.branch)
    _explain(here, project)
    if not here.output.is_json:
        errors.print(f"{branch} of {database}, as {project.path} says", style="dim", markup=False)
    return database, branch


def _project(here: Context) -> Project:
    """Return the project's file; it is of no use when it is about another organization."""
    project = open_project()
    if project.place.org not in ("", here.client.organization):
        raise ProjectError(
            f"{project.path} is about organization {project.place.org!r}, not {here.client.organization!r}: "
            f"name the database and the branch, choose others with: {SWITCH}, or set "
            f"HEADGATE_CONTROL_ORGANIZATION={quote(project.place.org)}"
        )
    return project


def _required(project: Project, name: str) -> str:
    if not name:
        raise ProjectError(
            f"which database and branch? {project.path} does not say: name them, or choose them for this "
            f"folder with: {SWITCH}"
        )
    return name


def _explain(here: Context, project: Project) -> None:
    """Have an answer that something is not there say who named it."""
    here.client.when_not_found = f". {project.path} names it: choose another branch with: {SWITCH}"
