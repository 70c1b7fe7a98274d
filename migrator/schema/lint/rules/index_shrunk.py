"""I look for indexes that lose a part because its column goes: the server does that without a word."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.schema.lint.columns import index_element, index_name, listed
from migrator.schema.lint.finding import Finding, Level
from migrator.schema.lint.rule import Rule
from migrator.schema.lint.subject import Subject
from migrator.schema.model import IndexKind


def check(subject: Subject) -> Iterator[Finding]:
    for change in subject.changes:
        gone = {column.key for column in change.delta.columns_dropped}
        after = {index.key: index for index in change.after.indexes}
        for index in change.before.indexes:
            lost = [name for name in index.columns if name in gone]
            other = after.get(index.key)
            if not lost or other is None or len(other.parts) >= len(index.parts):
                continue
            unique = other.kind in (IndexKind.UNIQUE, IndexKind.PRIMARY)
            yield RULE.finding(
                change.name,
                f"table {change.name!r}: {index_name(index)} loses {listed(lost)}, and covers "
                f"({', '.join(other.columns)}) then" + (": rows may be duplicates there" if unique else ""),
                index_element(index),
                level=Level.ERROR if unique else Level.WARNING,
                index_name=index.name,
            )


RULE = Rule(
    code="INDEX_SHRUNK",
    number="C14",
    levels=(Level.WARNING, Level.ERROR),
    advice="Drop the index, or define it anew as it is meant to be, in the same deploy request.",
    check=check,
)
