"""I draw what a deploy request will take before it starts: room on production's disk, and time."""

from __future__ import annotations

from typing import Any, Final

from rich.text import Text

from migrator.deploy.lifecycle import State

BEFORE: Final = frozenset({State.PENDING, State.READY, State.QUEUED})
"""The states in which it is of use to know."""


def costs(check: Any) -> Text:
    """Return one line for people; in yellow when there is not enough room."""
    said = check["storage_report"]["sentence"]
    if check["estimate"]:
        said += f"; by the last copy, it takes {check['estimate']}"
    return Text(f"{said[:1].upper()}{said[1:]}.", style="" if check["enough_storage"] else "yellow")
