"""I say which indexes cannot go, whoever recommends it: foreign keys, statements or uniqueness need them."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.schema.model import ForeignKey, Index, IndexKind, Schema, Table
from migrator.schema.recommend.evidence import Evidence

ORDERED = frozenset({IndexKind.PRIMARY, IndexKind.UNIQUE, IndexKind.PLAIN})
"""The kinds of index that keep their columns in order."""


def is_ordered(index: Index) -> bool:
    """Whether an index is a tree that can be searched by its first columns."""
    return index.kind in ORDERED and index.using in (None, "BTREE")


def is_needed(evidence: Evidence, table: Table, index: Index) -> bool:
    """Whether something would refuse, or not work, without this index."""
    others = [other for other in table.indexes if other is not index]
    return (
        index.key in evidence.hinted
        or (index.kind in (IndexKind.PRIMARY, IndexKind.UNIQUE) and not _has_equal(index, others))
        or any(
            serves(index, key.columns) and not _any_serves(others, key.columns) for key in table.foreign_keys
        )
        or any(
            serves(index, key.ref_columns) and not _any_serves(others, key.ref_columns, unique=index)
            for key in keys_to(evidence.schema, table.name)
        )
        or _carries_counter(table, index, others)
    )


def keys_to(schema: Schema, table: str) -> Iterator[ForeignKey]:
    """Yield the foreign keys of the schema's tables that point to a table."""
    for other in schema.tables.values():
        for key in other.foreign_keys:
            if key.ref_schema is None and key.ref_table == table:
                yield key


def serves(index: Index, columns: tuple[str, ...]) -> bool:
    """Whether an index begins with these columns, in any order, whole: a foreign key can use it."""
    first = index.parts[: len(columns)]
    whole = all(part.column is not None and part.prefix is None for part in first)
    names = {part.column.lower() for part in first if part.column is not None}
    return is_ordered(index) and whole and names == {name.lower() for name in columns}


def _any_serves(others: list[Index], columns: tuple[str, ...], unique: Index | None = None) -> bool:
    """Whether another index serves as well; one that is unique is only as good as another unique one."""
    wanted = unique is not None and unique.kind in (IndexKind.PRIMARY, IndexKind.UNIQUE)
    return any(
        serves(other, columns) and (not wanted or other.kind in (IndexKind.PRIMARY, IndexKind.UNIQUE))
        for other in others
        if other.visible
    )


def _has_equal(index: Index, others: list[Index]) -> bool:
    return any(
        other.kind in (IndexKind.PRIMARY, IndexKind.UNIQUE) and other.meaning.parts == index.meaning.parts
        for other in others
    )


def _carries_counter(table: Table, index: Index, others: list[Index]) -> bool:
    """Whether it is the index that an AUTO_INCREMENT column must have."""
    counter = next((column.key for column in table.columns if column.auto_increment), None)
    if counter is None or index.columns[:1] != (counter,):
        return False
    return not any(other.columns[:1] == (counter,) and is_ordered(other) for other in others)
