"""I read between which values a numeric key lies, to tell from it how far a copy has come."""

from __future__ import annotations

from migrator.engine.rows.ranges import Ranges
from migrator.engine.table.keys import Key, KeyKind
from migrator.engine.table.pair import Pair
from router.database import Connection, quote_name

Span = tuple[int, int]


async def key_span(link: Connection, pair: Pair) -> Span | None:
    """Return the least and the greatest value, None when the key does not begin with a whole number."""
    first = pair.key.columns[0]
    if first.kind is not KeyKind.INTEGER:
        return None
    name = quote_name(first.name)
    row = await link.fetch_one(f"SELECT MIN({name}), MAX({name}) FROM {pair.source.quoted}")
    if row is None or not isinstance(row[0], int) or not isinstance(row[1], int):
        return None
    return row[0], row[1]


def copied_up_to(ranges: Ranges, span: Span | None) -> int | None:
    """Return the value up to which everything is copied or being copied."""
    if span is None:
        return None
    gap = ranges.gap()
    if gap is None:
        return span[1]
    low: Key | None = gap[0]
    first = low[0] if isinstance(low, tuple) else low
    return first if isinstance(first, int) else span[0]
