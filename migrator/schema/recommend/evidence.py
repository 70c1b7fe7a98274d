"""I am what recommendations rest on: production's schema, and what was seen of its use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from migrator.schema.model import Schema

UNUSED_AFTER = timedelta(days=28)
"""How long something must not have been used before we say that nobody needs it."""


@dataclass(frozen=True, slots=True)
class Use:
    """How something was used: since when it is watched, and when it was last used (None: not since then).

    `source` says who counted, for people.
    """

    since: datetime
    last_at: datetime | None
    source: str

    @property
    def idle_since(self) -> datetime:
        """Since when it was not used."""
        return max(self.since, self.last_at) if self.last_at else self.since


@dataclass(frozen=True, slots=True)
class Evidence:
    """Production as it is; what is in no mapping is not known, and nothing is concluded from that.

    `tables` and `indexes` (by table and the index's key) say how they were used. `hinted` are the keys of
    indexes that statements name, `spared` tables, in lower case, that somebody needs though nothing shows it.
    `rows` are the server's estimates.
    """

    schema: Schema
    now: datetime
    tables: Mapping[str, Use] = field(default_factory=dict)
    indexes: Mapping[tuple[str, str], Use] = field(default_factory=dict)
    hinted: frozenset[str] = frozenset()
    spared: frozenset[str] = frozenset()
    rows: Mapping[str, int] = field(default_factory=dict)

    def unused_days(self, use: Use | None) -> int | None:
        """Return for how many whole days something was not used, None when that is too short or not known."""
        if use is None or self.now - use.idle_since < UNUSED_AFTER:
            return None
        return (self.now - use.idle_since).days

    def size_of(self, table: str) -> str:
        """Say how many rows a table has, for people."""
        rows = self.rows.get(table)
        return f"table {table} ({f'about {rows:,} rows' if rows is not None else 'its size is not known'})"
