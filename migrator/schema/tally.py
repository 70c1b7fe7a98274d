"""I add up how the statements that were seen have used tables, columns and pairs of columns."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from migrator.schema.lint.facts import ColumnUsage, Join, TableUsage
from migrator.schema.shapes import SeenShape


def used_tables(seen: Iterable[SeenShape]) -> dict[str, TableUsage]:
    """Return how each table was used by these statements."""
    tallies: defaultdict[str, _Tally] = defaultdict(_Tally)
    for shape in seen:
        for table in shape.use.tables:
            tallies[table].add(shape, table)
    return {table: tally.usage() for table, tally in tallies.items()}


def compared_columns(seen: Iterable[SeenShape]) -> tuple[Join, ...]:
    """Return the pairs of columns that these statements compared."""
    counts: Counter[tuple[str, str, str, str]] = Counter()
    for shape in seen:
        for join in shape.use.joins:
            counts[join] += max(shape.count, 1)
    return tuple(
        Join((join[0], join[1]), (join[2], join[3]), count) for join, count in sorted(counts.items())
    )


@dataclass(slots=True)
class _Tally:
    """The use of one table, statement by statement."""

    last_seen: datetime | None = None
    count: int = 0
    users: set[str] = field(default_factory=set)
    columns: dict[str, ColumnUsage] = field(default_factory=dict)
    insert_lists: Counter[frozenset[str]] = field(default_factory=Counter)
    upserts: int = 0
    hinted: Counter[str] = field(default_factory=Counter)

    def add(self, shape: SeenShape, table: str) -> None:
        use, times = shape.use.tables[table], max(shape.count, 1)
        self.last_seen = shape.last_seen if self.last_seen is None else max(self.last_seen, shape.last_seen)
        self.count += times
        self.users |= {*shape.users}
        for column in use.columns:
            before = self.columns.get(column, ColumnUsage(shape.last_seen, 0))
            self.columns[column] = ColumnUsage(
                max(before.last_seen, shape.last_seen),
                before.count + times,
                tuple(sorted({*before.users, *shape.users})),
            )
        if use.inserts:
            self.insert_lists[frozenset(use.inserts)] += times
        self.upserts += times if use.lenient else 0
        for index in use.indexes:
            self.hinted[index] += times

    def usage(self) -> TableUsage:
        users = tuple(sorted(self.users))
        return TableUsage(
            self.last_seen, self.count, users, self.columns, self.insert_lists, self.upserts, self.hinted
        )
