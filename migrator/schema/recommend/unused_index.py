"""I recommend to drop an index that nothing has read for weeks."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.schema.model import IndexKind, Table
from migrator.schema.recommend.evidence import Evidence, Use
from migrator.schema.recommend.needed import is_needed, is_ordered
from migrator.schema.recommend.recommendation import Kind, Recommendation
from router.database import quote_name


def recommend(evidence: Evidence) -> Iterator[Recommendation]:
    """Yield one for each index that is only kept up to date; unique ones are promises, not searches."""
    for table in evidence.schema.tables.values():
        for index in table.indexes:
            use = evidence.indexes.get((table.name, index.key))
            days = evidence.unused_days(use)
            if use is None or days is None or index.kind is not IndexKind.PLAIN or not is_ordered(index):
                continue
            if not is_needed(evidence, table, index):
                yield _recommendation(evidence, table, index.name, use, days)


def _recommendation(evidence: Evidence, table: Table, index: str, use: Use, days: int) -> Recommendation:
    last = f"it was last read before {_day(use)}" if use.last_at else f"it was not read since {_day(use)}"
    return Recommendation(
        Kind.UNUSED_INDEX,
        table.name,
        index,
        f"Drop index {index} of {table.name}: nothing has read it for {days} days",
        (f"ALTER TABLE {quote_name(table.name)} DROP INDEX {quote_name(index)}",),
        f"{last} ({days} days; {use.source}). Every write to {evidence.size_of(table.name)} keeps it up to "
        "date. Think of what runs more seldom than that: the books of a quarter, a yearly report.",
    )


def _day(use: Use) -> str:
    return f"{use.idle_since:%Y-%m-%d}"
