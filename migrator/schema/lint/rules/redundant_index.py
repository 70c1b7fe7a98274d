"""I look for indexes that are the beginning of another one."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.schema.lint.columns import index_element, index_name
from migrator.schema.lint.finding import Finding, Level
from migrator.schema.lint.rule import Rule
from migrator.schema.lint.subject import Subject
from migrator.schema.model import Index, IndexKind, Table


def check(subject: Subject) -> Iterator[Finding]:
    for table in subject.tables:
        indexes = sorted((index.meaning for index in table.indexes), key=lambda index: index.key)
        for index in indexes:
            if index.kind is not IndexKind.PLAIN or not index.visible:
                continue
            longer = next((other for other in indexes if _begins(index, other)), None)
            if longer is not None:
                yield RULE.finding(
                    table.name,
                    f"table {table.name!r}: {index_name(index)} is the beginning of {index_name(longer)}",
                    index_element(index),
                    index_name=index.name,
                )
            elif _ends_in_key(table, index):
                yield RULE.finding(
                    table.name,
                    f"table {table.name!r}: {index_name(index)} ends in the columns of the primary key, "
                    "which every index has anyway",
                    index_element(index),
                    level=Level.INFO,
                    index_name=index.name,
                )


def _begins(index: Index, other: Index) -> bool:
    """Whether one index can stand in for another, which may have further parts."""
    ordered = (IndexKind.PLAIN, IndexKind.UNIQUE, IndexKind.PRIMARY)
    if other is index or other.kind not in ordered or not other.visible:
        return False
    parts, longer = index.parts, other.parts
    same = len(parts) == len(longer) and other.kind is IndexKind.PLAIN  # that is DUPLICATE_INDEX
    return not same and longer[: len(parts)] == parts


def _ends_in_key(table: Table, index: Index) -> bool:
    key = table.primary_key
    if key is None or len(index.parts) <= len(key.parts):
        return False
    return index.parts[-len(key.parts) :] == key.meaning.parts


RULE = Rule(
    code="REDUNDANT_INDEX",
    levels=(Level.WARNING, Level.INFO),
    advice="Make it invisible, look whether a query becomes slower (an ORDER BY of the primary key can need "
    "it), and drop it.",
    check=check,
)
