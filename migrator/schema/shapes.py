"""I am the kinds of statements that were seen, without their values, and what each of them uses."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class TableUse:
    """What one shape does with one table; names of columns and indexes are in lower case.

    `reads` are columns that are read, `writes` those that are set; with `whole` all are read (`SELECT *`).
    `inserts` are the columns that an INSERT or REPLACE gives: None when it inserts nothing, empty when it
    names none and so gives all in their order. A `lenient` one depends on unique keys: ON DUPLICATE KEY
    UPDATE, INSERT IGNORE, REPLACE. `indexes` are those that hints name.
    """

    reads: frozenset[str] = frozenset()
    writes: frozenset[str] = frozenset()
    whole: bool = False
    inserts: tuple[str, ...] | None = None
    lenient: bool = False
    indexes: frozenset[str] = frozenset()

    @property
    def columns(self) -> frozenset[str]:
        """All columns that it names."""
        return self.reads | self.writes


Join = tuple[str, str, str, str]
"""Table and column that are compared with another table's column."""


@dataclass(frozen=True, slots=True)
class Use:
    """What one shape uses, by table as it is written there; `understood` says that it could be parsed."""

    tables: dict[str, TableUse] = field(default_factory=dict)
    joins: tuple[Join, ...] = ()
    understood: bool = True


@dataclass(frozen=True, slots=True)
class SeenShape:
    """A shape of statement that real clients have run; `on_branch` says that it was on the branch.

    `count` and `errors` are of the days that are looked back on.
    """

    text: str
    count: int
    errors: int
    first_seen: datetime
    last_seen: datetime
    users: tuple[str, ...] = ()
    on_branch: bool = False
    use: Use = field(default_factory=Use)
