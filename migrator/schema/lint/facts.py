"""I am what is known of production besides its definitions; what nobody told is not known, and no zero."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime


@dataclass(frozen=True, slots=True)
class ColumnUsage:
    """How a column was used by the queries seen: when last, how often, by whom."""

    last_seen: datetime
    count: int = 1
    users: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TableUsage:
    """How the queries seen used a table; names of columns and indexes in lower case.

    `columns` are those that a query named. `insert_lists` counts INSERTs by the columns they gave. `upserts`
    counts INSERT IGNORE, REPLACE and ON DUPLICATE KEY UPDATE; `hinted` counts hints by index.
    """

    last_seen: datetime | None = None
    count: int = 0
    users: tuple[str, ...] = ()
    columns: Mapping[str, ColumnUsage] = field(default_factory=dict)
    insert_lists: Mapping[frozenset[str], int] = field(default_factory=dict)
    upserts: int = 0
    hinted: Mapping[str, int] = field(default_factory=dict)

    def inserts_without(self, column: str) -> int:
        """Return how many INSERTs with a list of columns left this one out."""
        return sum(count for given, count in self.insert_lists.items() if column.lower() not in given)


@dataclass(frozen=True, slots=True)
class Join:
    """Two columns, (table, column) each, that a query compared."""

    left: tuple[str, str]
    right: tuple[str, str]
    count: int = 1


@dataclass(frozen=True, slots=True)
class BrokenQuery:
    """A query seen that works now and would not after the change: its shape, and the server's words."""

    shape: str
    reason: str
    tables: tuple[str, ...] = ()
    errno: int = 0
    count: int = 1
    last_seen: datetime | None = None
    users: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TableFacts:
    """What the server knows of a table: about how many rows, how large, how far its counters are.

    `auto_increment` is the next value. `index_reads` counts by name of index, in lower case, since the server
    was started.
    """

    rows: int | None = None
    bytes: int | None = None
    auto_increment: int | None = None
    row_versions: int | None = None
    index_reads: Mapping[str, int] | None = None


@dataclass(frozen=True, slots=True)
class DataAnswer:
    """What a look at the rows gave: the key of a row that does not fit, if one was found.

    `subject` and `having` are those of the data check. Unless `complete`, not all rows could be looked at in
    the time there was; `reason` says why.
    """

    table: str
    subject: str
    having: str
    found: bool = False
    sample: str = ""
    complete: bool = True
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ServerWarning:
    """What a server remarked when the change was tried on the scratch server."""

    table: str
    errno: int
    message: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the engine would refuse to change a table; `code` names the rule it belongs to, if one does.

    With `of_rows`, rows are what is in the way.
    """

    table: str
    sentence: str
    hint: str = ""
    code: str = ""
    of_rows: bool = False


@dataclass(frozen=True, slots=True)
class Way:
    """How the engine would change a table: `method` as in its choice, `instant` when nothing is copied."""

    method: str
    instant: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """All that rules may know. Empty mappings and None mean that nobody told.

    `variables` are production's, in lower case; `accounts` are `user@host` of those there. `views` says of
    each view that would not work after the change why. `versions` are production's and the branch's.
    `copy_rows_per_s` is how fast the last large copy was.
    """

    now: datetime | None = None
    tables: Mapping[str, TableFacts] = field(default_factory=dict)
    usage: Mapping[str, TableUsage] | None = None
    usage_since: datetime | None = None
    joins: tuple[Join, ...] = ()
    broken_queries: tuple[BrokenQuery, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    accounts: frozenset[str] | None = None
    answers: tuple[DataAnswer, ...] = ()
    warnings: tuple[ServerWarning, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    ways: Mapping[str, Way] = field(default_factory=dict)
    views: Mapping[str, str] = field(default_factory=dict)
    versions: tuple[str, str] | None = None
    proof_failed: str = ""
    copy_rows_per_s: float | None = None

    def without_change(self) -> Facts:
        """Return what is known of production as it is, without what is known of the change."""
        return replace(
            self,
            broken_queries=(),
            answers=(),
            warnings=(),
            refusals=(),
            ways={},
            views={},
            versions=None,
            proof_failed="",
        )

    def table(self, name: str) -> TableFacts:
        """Return what is known of a table."""
        return self.tables.get(name, _NOTHING)

    def use(self, name: str) -> TableUsage | None:
        """Return how a table was used, None when nobody knows; one that nobody used is known to be so."""
        return None if self.usage is None else self.usage.get(name, _UNUSED)


_NOTHING = TableFacts()
_UNUSED = TableUsage()
