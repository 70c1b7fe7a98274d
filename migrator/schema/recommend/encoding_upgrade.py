"""I recommend utf8mb4 for tables that still keep text in utf8mb3, which has no room for all of Unicode."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from migrator.schema.diff import diff
from migrator.schema.model import Column, Index, IndexKind, Schema, Table
from migrator.schema.recommend.evidence import Evidence
from migrator.schema.recommend.needed import keys_to
from migrator.schema.recommend.recommendation import Kind, Recommendation

OLD = re.compile(r"utf8(?:mb3)?_")
WITHOUT_COUNTERPART = ("_general_mysql500_ci", "_tolower_ci")
"""Ends of names of collations that utf8mb4 does not have."""
INDEX_BYTES, SHORT_INDEX_BYTES, ROW_BYTES = 3072, 767, 65_535
"""The longest index, in the row formats of today and of long ago, and the longest row without its TEXTs."""
BYTES_A_CHARACTER = 4
WIDEST_NUMBER_BYTES = 30
"""More than any number or time takes, in an index or a row."""


def recommend(evidence: Evidence) -> Iterator[Recommendation]:
    """Yield one for each table that can be upgraded without any limit in the way.

    The collation stays the same but for its character set, so that order and uniqueness do.
    """
    schema = evidence.schema
    for table in schema.tables.values():
        old = [column for column in table.columns if is_old(column.collation)]
        if not old and not is_old(table.collation):
            continue
        after = _upgraded(table)
        if not _fits(after) or _is_bound(schema, table, old):
            continue
        statements = diff(schema, replace(schema, tables={**schema.tables, table.name: after})).statements
        names = ", ".join(column.name for column in old) or "none yet"
        yield Recommendation(
            Kind.ENCODING_UPGRADE,
            table.name,
            "",
            f"Keep the text of {table.name} in utf8mb4",
            statements,
            f"columns in utf8mb3: {names}; the table's own character set for new columns: "
            f"{'utf8mb3' if is_old(table.collation) else 'utf8mb4'}. utf8mb3 refuses characters beyond the "
            "first 65,536 (emoji, some names), and servers are giving it up. Order and uniqueness stay as "
            f"they are. To be copied: {evidence.size_of(table.name)}.",
        )


def is_old(collation: str | None) -> bool:
    """Whether a collation is one of utf8mb3 that utf8mb4 has, too."""
    return bool(collation and OLD.match(collation) and not collation.endswith(WITHOUT_COUNTERPART))


def _new(collation: str | None) -> str | None:
    return OLD.sub("utf8mb4_", collation, count=1) if collation and is_old(collation) else collation


def _upgraded(table: Table) -> Table:
    columns = tuple(
        replace(
            column, character_set="utf8mb4", collate=_new(column.collation), collation=_new(column.collation)
        )
        if is_old(column.collation)
        else column
        for column in table.columns
    )
    return replace(table, columns=columns, collation=_new(table.collation))


def _is_bound(schema: Schema, table: Table, old: list[Column]) -> bool:
    """Whether something else depends on the columns as they are."""
    names = {column.key for column in old}
    keys = {name.lower() for key in table.foreign_keys for name in key.columns}
    keys |= {name.lower() for key in keys_to(schema, table.name) for name in key.ref_columns}
    computed = any(column.generated is not None for column in table.columns)
    computed |= any(part.expression is not None for index in table.indexes for part in index.parts)
    return bool(names & keys) or (bool(names) and (computed or table.partitioning is not None))


def _fits(table: Table) -> bool:
    short = (table.option("ROW_FORMAT") or "").upper() in {"COMPACT", "REDUNDANT"}
    longest = SHORT_INDEX_BYTES if short else INDEX_BYTES
    in_rows = sum(
        _bytes(column) for column in table.columns if not column.type.base.endswith(("text", "blob"))
    )
    return in_rows <= ROW_BYTES and all(_index_bytes(table, index) <= longest for index in table.indexes)


def _index_bytes(table: Table, index: Index) -> int:
    if index.kind in (IndexKind.FULLTEXT, IndexKind.SPATIAL):
        return 0
    total = 0
    for part in index.parts:
        column = table.column(part.column) if part.column else None
        if column is not None and part.prefix is not None:
            total += part.prefix * (BYTES_A_CHARACTER if column.collation else 1)
        elif column is not None:
            total += _bytes(column)
    return total


def _bytes(column: Column) -> int:
    """Return how many bytes a value takes at most."""
    if column.type.base in {"char", "varchar"}:
        return int(column.type.arguments or 1) * BYTES_A_CHARACTER + 2
    if column.type.base in {"binary", "varbinary"}:
        return int(column.type.arguments or 1) + 2
    return WIDEST_NUMBER_BYTES
