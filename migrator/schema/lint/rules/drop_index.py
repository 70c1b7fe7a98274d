"""I look at indexes that go although queries read them."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.schema.lint.columns import index_element, index_name
from migrator.schema.lint.finding import Finding, Level
from migrator.schema.lint.rule import Rule
from migrator.schema.lint.subject import Subject, TableChange
from migrator.schema.model import Index, IndexKind


def check(subject: Subject) -> Iterator[Finding]:
    for change in subject.changes:
        reads = subject.facts.table(change.place).index_reads
        usage = subject.facts.use(change.place)
        renamed = [(old, new.name) for old, new in change.delta.indexes_renamed]
        for index, name in [*((index, "") for index in change.delta.indexes_dropped), *renamed]:
            if index.kind is IndexKind.PRIMARY or (not name and _covered(change, index)):
                continue
            hinted = usage.hinted.get(index.key, 0) if usage else 0
            read = (reads or {}).get(index.key, 0)
            if hinted:
                said = f"{hinted:,} queries of late name it, and fail then (1176)"
            elif read and not name and index.visible:
                said = f"it was read {read:,} times since the server was started"
            else:
                continue
            yield RULE.finding(
                change.name,
                f"table {change.name!r}: {index_name(index)} goes, and {said}",
                index_element(index),
                level=Level.ERROR if hinted else Level.WARNING,
                index_name=index.name,
            )


def _covered(change: TableChange, index: Index) -> bool:
    """Whether another index of the same name or with the same beginning takes its place."""
    parts = index.meaning.parts
    return any(
        other.key == index.key or other.meaning.parts[: len(parts)] == parts for other in change.after.indexes
    )


RULE = Rule(
    code="DROP_INDEX",
    number="C13",
    levels=(Level.WARNING, Level.ERROR),
    advice="Make it invisible first, wait, and drop it when nothing became slower; take hints out of "
    "queries.",
    check=check,
)
