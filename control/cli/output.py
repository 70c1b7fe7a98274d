"""I print answers: tables and colours for people, JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from control.cli.times import ago, clock

people = Console(highlight=False, soft_wrap=True)
errors = Console(stderr=True, highlight=False, soft_wrap=True)


def lay_out(picture: RenderableType) -> None:
    """Print something for people whose long lines are wrapped at words, never cut."""
    people.print(picture, soft_wrap=False)


class Format(StrEnum):
    """How answers are printed."""

    HUMAN = "human"
    JSON = "json"


class Output:
    """Prints in the chosen format."""

    def __init__(self, chosen: Format) -> None:
        self.format = chosen

    @property
    def is_json(self) -> bool:
        """Whether a program reads the output."""
        return self.format is Format.JSON

    def json(self, answer: Any) -> None:
        """Print an answer as JSON."""
        sys.stdout.write(json.dumps(answer, indent=2) + "\n")

    def say(self, text: str, answer: Any = None) -> None:
        """Print a sentence to people, or the answer behind it to programs."""
        if self.is_json:
            self.json(answer)
        else:
            people.print(text)

    def table(
        self, rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], *, exact: bool = False
    ) -> None:
        """Print rows as a table whose columns are `heading: key`, or whole as JSON.

        Times are shown as how long ago they were, or when `exact`.
        """
        if self.is_json:
            self.json(list(rows))
            return
        table = Table(box=None, pad_edge=False, header_style="bold")
        for heading in columns:
            table.add_column(heading.upper(), overflow="fold")
        tell, at = clock if exact else ago, datetime.now(UTC)
        for row in rows:
            shown = {key: tell(row[key], at) for key in row if key.endswith("_at") and row[key]}
            table.add_row(*(Text(_cell(shown.get(key, row.get(key)))) for key in columns.values()))
        people.print(table if rows else "there are none")

    def diff(self, changes: Sequence[Mapping[str, str]]) -> None:
        """Print changes, added lines green and removed ones red."""
        if self.is_json:
            self.json(list(changes))
            return
        for change in changes:
            people.print(Text(change["name"], style="bold"))
            for line in change["raw"].splitlines():
                style = {"+": "green", "-": "red"}.get(line[:1], "")
                people.print(Text(line, style=style))
            people.print()


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
