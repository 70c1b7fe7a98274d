"""I find, read and write the `.pscale.yml` of a project: which branch the commands in its folders are about.

The same file serves `pscale` and the tools that read it. There is never a secret in it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from control.cli.project_text import LineRefused, Place, read_place, with_place
from control.errors import reason

NAME: Final = ".pscale.yml"
READABLE: Final = 0o644
BYTES_MAX: Final = 64 << 10
SWITCH: Final = "headgate branch switch BRANCH"


class ProjectError(Exception):
    """A project's file cannot be used, or does not say what a command needs; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Project:
    """A project's file: where it is, or would be; its text, '' when there is none; what that says."""

    path: Path
    text: str
    place: Place


def open_project(folder: Path | None = None) -> Project:
    """Read the file that counts in a folder, the current one when None. Raises ProjectError."""
    try:
        path = find_file(folder or Path.cwd())
    except OSError as error:
        raise ProjectError(f"the current folder cannot be read: {reason(error)}") from error
    try:
        _check(path)
        text = path.read_bytes().decode()
        return Project(path, text, read_place(text))
    except FileNotFoundError:
        return Project(path, "", Place())
    except OSError as error:
        raise ProjectError(f"{path} cannot be read: {reason(error)}. Make it readable, or move it") from error
    except UnicodeDecodeError as error:
        raise ProjectError(f"{path} is not UTF-8: write it anew, or move it, then: {SWITCH}") from error
    except LineRefused as refused:
        raise ProjectError(
            f"{path}, line {refused.number}: {refused}. Mend that line, or move the file, then: {SWITCH}"
        ) from refused


def _check(path: Path) -> None:
    """Raise ProjectError for what may not end when it is read: projects come from other people."""
    if path.exists() and not path.is_file():
        raise ProjectError(f"{path} cannot be read: it is no plain file. Move it, then: {SWITCH}")
    if path.exists() and path.stat().st_size > BYTES_MAX:
        raise ProjectError(f"{path} cannot be read: no such file is so long. Move it, then: {SWITCH}")


def find_file(folder: Path) -> Path:
    """Return the nearest file from a folder up to the root of its git repository.

    Where there is none, it is where the file would be: at that root, or in the folder outside repositories.
    """
    upwards = (folder, *folder.parents)
    root = next((each for each in upwards if os.path.lexists(each / ".git")), folder)
    for each in upwards[: upwards.index(root) + 1]:
        if os.path.lexists(each / NAME):
            return each / NAME
    return root / NAME


def write_project(project: Project, place: Place) -> None:
    """Have a project's file say `place`; what else stands in it stays. Raises ProjectError.

    Whoever reads it finds the former text or this one, also when this process is killed.
    """
    draft = None
    try:
        # Where it is a link, that stays, and what it leads to is written.
        path = project.path.resolve()
        with tempfile.NamedTemporaryFile(
            "wb", dir=path.parent, prefix=f"{NAME}.", suffix=".new", delete=False
        ) as file:
            draft = Path(file.name)
            file.write(with_place(project.text, place).encode())
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            shutil.copymode(path, draft)
        else:
            draft.chmod(READABLE)
        draft.replace(path)
    except OSError as error:
        if draft is not None:
            draft.unlink(missing_ok=True)
        raise ProjectError(
            f"{project.path} cannot be written: {reason(error)}. Mend that, then once more: "
            f"headgate branch switch {place.branch}"
        ) from error
