"""I recommend to drop an index that another index makes superfluous."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from migrator.schema.model import Index, IndexKind, Table
from migrator.schema.recommend.evidence import Evidence
from migrator.schema.recommend.needed import is_needed, is_ordered
from migrator.schema.recommend.recommendation import Kind, Recommendation
from router.database import quote_name


def recommend(evidence: Evidence) -> Iterator[Recommendation]:
    """Yield one for each index that says nothing which another does not say."""
    for table in evidence.schema.tables.values():
        left = table
        # The last of equal ones goes: what was there first is what people know.
        for index in reversed(table.indexes):
            others = tuple(other for other in left.indexes if other is not index)
            covering = next((other for other in others if covers(other, index)), None)
            if covering is None or index.kind is IndexKind.PRIMARY or is_needed(evidence, left, index):
                continue
            left = replace(left, indexes=others)
            yield _recommendation(evidence, table, index, covering)


def covers(wide: Index, narrow: Index) -> bool:
    """Whether every search that `narrow` serves is served by `wide`, and every promise it makes is kept."""
    if not wide.visible or (narrow.kind is IndexKind.UNIQUE and wide.kind is IndexKind.PLAIN):
        return False
    parts, others = narrow.meaning.parts, wide.meaning.parts
    if narrow.kind in (IndexKind.FULLTEXT, IndexKind.SPATIAL):
        return wide.kind is narrow.kind and parts == others and wide.parser == narrow.parser
    if not is_ordered(wide) or not is_ordered(narrow):
        return False
    if narrow.kind is IndexKind.UNIQUE:
        return parts == others
    return others[: len(parts)] == parts


def _recommendation(evidence: Evidence, table: Table, index: Index, covering: Index) -> Recommendation:
    other = "the primary key" if covering.kind is IndexKind.PRIMARY else f"index {covering.name}"
    if len(covering.parts) == len(index.parts):
        why = f"{other} has the same columns ({_columns(index)})"
    else:
        why = (
            f"its columns ({_columns(index)}) are the first ones of {other} ({_columns(covering)}), which "
            f"serves the same searches. One thing it does better: rows with equal {_columns(index)} come out "
            "of it in the order of the primary key, so look at statements that sort by that"
        )
    return Recommendation(
        Kind.DUPLICATE_INDEX,
        table.name,
        index.name,
        f"Drop index {index.name} of {table.name}: {other} makes it superfluous",
        (f"ALTER TABLE {quote_name(table.name)} DROP INDEX {quote_name(index.name)}",),
        f"{why}. Every write to {evidence.size_of(table.name)} keeps both up to date.",
    )


def _columns(index: Index) -> str:
    return ", ".join(
        (part.column or f"({part.expression})") + (f"({part.prefix})" if part.prefix else "")
        for part in index.parts
    )
