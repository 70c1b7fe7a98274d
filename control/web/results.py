"""I take answers of a server as they come, keep what a page can show of them, and say what is missing."""

from __future__ import annotations

import codecs
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from control.client import harmless
from router.answers import Column, End, Head, Values

CELLS_MAX: Final = 20_000
"""Values of one run that are shown, whatever rows they are in."""
KEPT_BYTES_MAX: Final = 2 << 20
"""Bytes of all of them, and of the names of their columns."""
RESULTS_MAX: Final = 500
LONG: Final = 600
"""Characters of a value that are shown without being scrolled."""

# The protocol's numbers of types: https://dev.mysql.com/doc/dev/mysql-server/latest/field__types_8h.html
NUMBERS: Final = frozenset({0, 1, 2, 3, 4, 5, 8, 9, 13, 246})
STRINGS: Final = frozenset({15, 247, 248, 249, 250, 251, 252, 253, 254})
NOT_TEXT: Final = frozenset({16, 255})
"""BIT and GEOMETRY."""
BINARY_CHARSET: Final = 63


class Shape(StrEnum):
    """What a value looks like; also its class in the page."""

    NULL = "null"
    EMPTY = "empty"
    NUMBER = "number"
    TEXT = "text"
    BINARY = "binary"


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of the answers is kept: rows of each result, bytes of each value."""

    rows_max: int
    value_bytes_max: int


@dataclass(frozen=True, slots=True)
class Cell:
    """One value as it is shown, and how many bytes of it are not."""

    shape: Shape
    text: str
    left_out_bytes: int = 0

    @property
    def long(self) -> bool:
        """Whether it would take up much of a page."""
        return len(self.text) > LONG

    @property
    def short(self) -> bool:
        """Whether it is shown as it is."""
        return not self.left_out_bytes and len(self.text) <= LONG


@dataclass(frozen=True, slots=True)
class Failure:
    """What a server or the proxy said instead of answering; `errno` 0 when it has no number."""

    errno: int
    state: str
    message: str


@dataclass(slots=True)
class Result:
    """One answer: columns and rows, or how many rows were affected."""

    columns: tuple[str, ...] = ()
    numbers: tuple[bool, ...] = ()
    """Which of the columns hold numbers."""
    rows: list[tuple[Cell, ...]] = field(default_factory=list)
    more: bool = False
    """Whether there are more rows than these."""
    affected: int = 0
    last_insert_id: int = 0


@dataclass(slots=True)
class Outcome:
    """What became of one statement."""

    statement: str
    results: list[Result] = field(default_factory=list)
    warnings: list[tuple[Cell, ...]] = field(default_factory=list)
    failure: Failure | None = None
    stopped: str = ""
    """Why the run was ended with it before all was through, as a sentence."""
    took_s: float = 0.0


class Answers:
    """What comes back from one run. I am told each step, and say whether more of it is wanted."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._columns: tuple[Column, ...] = ()
        self._cells = CELLS_MAX
        self._bytes = KEPT_BYTES_MAX
        self._results = RESULTS_MAX
        self.outcomes: list[Outcome] = []

    def begin(self, statement: str) -> Outcome:
        """Begin with the next statement."""
        self.outcomes.append(Outcome(statement))
        return self.outcomes[-1]

    def take(self, step: Head | Values | End) -> bool:
        """Take a step of an answer; False when nothing more can be shown."""
        outcome = self.outcomes[-1]
        match step:
            case Head():
                self._columns = step.columns
                names = tuple(harmless(column.name) for column in step.columns)
                numbers = tuple(column.type_code in NUMBERS for column in step.columns)
                self._cells -= len(names)
                self._bytes -= sum(map(len, names))
                # Whether it has any rows at all would take reading on.
                full = (self._cells <= 0) or (self._bytes <= 0)
                outcome.results.append(Result(names, numbers, more=full))
                return not full
            case End():
                if not self._columns:
                    outcome.results.append(Result(affected=step.affected, last_insert_id=step.last_insert_id))
                self._columns = ()
                self._results -= 1
                if self._results < 0:
                    outcome.stopped = f"The run was ended because it has more than {RESULTS_MAX} results."
                return self._results >= 0
            case _:
                return self._take_row(outcome.results[-1], step)

    def _take_row(self, result: Result, row: Values) -> bool:
        if len(result.rows) >= self._limits.rows_max or self._cells < len(row) or self._bytes <= 0:
            result.more = True
            return False
        cells = tuple(
            cell(value, column, min(self._limits.value_bytes_max, max(self._bytes, 1)))
            for value, column in zip(row, self._columns, strict=False)
        )
        self._cells -= len(cells)
        self._bytes -= sum(len(each.text) for each in cells)
        result.rows.append(cells)
        return True


def cell(value: bytes | None, column: Column, bytes_max: int) -> Cell:
    """Return a value as it is shown, with no more than so many of its bytes."""
    if value is None:
        return Cell(Shape.NULL, "NULL")
    if not value:
        return Cell(Shape.EMPTY, "''")
    kept = value[:bytes_max]
    left_out = len(value) - len(kept)
    if _is_binary(column):
        return Cell(Shape.BINARY, f"0x{kept.hex()}", left_out)
    try:
        # What is cut off may begin within a character.
        text, _ = codecs.utf_8_decode(kept, "strict", not left_out)
    except UnicodeDecodeError:
        return Cell(Shape.BINARY, f"0x{kept.hex()}", left_out)
    shape = Shape.NUMBER if column.type_code in NUMBERS else Shape.TEXT
    return Cell(shape, harmless(text), left_out)


def plain(row: Values) -> tuple[Cell, ...]:
    """Return a row of which all is text, as that of a warning is."""
    return tuple(Cell(Shape.TEXT, harmless((value or b"").decode(errors="replace"))) for value in row)


def _is_binary(column: Column) -> bool:
    return column.type_code in NOT_TEXT or (column.type_code in STRINGS and column.charset == BINARY_CHARSET)
