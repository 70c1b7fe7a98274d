"""I say which differences between a table and what it should be are the server's own doing, and harmless.

An index that the server made for a foreign key is marked in a way that nothing shows: such an index goes by
itself when another one serves the key, and comes back under the key's name when the key is made anew. Whether
it does, cannot be foreseen from definitions.
"""

from __future__ import annotations

from dataclasses import replace

from migrator.schema.model import Index, IndexKind, Table


def reconciled(found: Table, wanted: Table) -> tuple[str, ...] | None:
    """Return a sentence for each difference when all are harmless, None when they are not."""
    if found.same_as(wanted):
        return ()
    if not replace(found, indexes=()).same_as(replace(wanted, indexes=())):
        return None
    missing = [index for index in wanted.indexes if not _has(found, index)]
    extra = [index for index in found.indexes if not _has(wanted, index)]
    sentences = []
    for indexes, other, said in ((missing, found, "has no"), (extra, wanted, "has also")):
        for index in indexes:
            if not _serves(wanted, index) or not any(_covers(each, index) for each in other.indexes):
                return None
            sentences.append(
                f"table {wanted.name!r} {said} index {index.name!r}: the server keeps one for a foreign key "
                "only while no other serves it"
            )
    return tuple(sentences)


def _has(table: Table, index: Index) -> bool:
    return any(each.meaning == index.meaning for each in table.indexes)


def _serves(table: Table, index: Index) -> bool:
    """Whether it is an index as the server makes one for a foreign key of the table."""
    made = replace(index, name="", visible=True)
    plain = index.kind is IndexKind.PLAIN and made == Index(IndexKind.PLAIN, "", index.parts)
    whole = all(
        part.column is not None and part.prefix is None and not part.descending for part in index.parts
    )
    keys = {tuple(name.lower() for name in key.columns) for key in table.foreign_keys}
    return plain and whole and index.columns in keys


def _covers(index: Index, other: Index) -> bool:
    """Whether an index can do what the other does for a foreign key."""
    begins = index.parts[: len(other.parts)]
    whole = all(part.column is not None and part.prefix is None for part in begins)
    kinds = (IndexKind.PLAIN, IndexKind.UNIQUE, IndexKind.PRIMARY)
    return whole and index.kind in kinds and index.columns[: len(other.parts)] == other.columns
