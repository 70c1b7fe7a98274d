"""I look at unique keys that go: nothing refuses duplicates then."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.schema.lint.columns import index_element, index_name, unique_indexes
from migrator.schema.lint.finding import Finding, Level
from migrator.schema.lint.rule import Rule
from migrator.schema.lint.subject import Subject
from migrator.schema.model import IndexKind


def check(subject: Subject) -> Iterator[Finding]:
    for change in subject.changes:
        usage = subject.facts.use(change.place)
        left = [set(index.columns) for index in unique_indexes(change.after)]
        for index in change.delta.indexes_dropped:
            if index.kind is not IndexKind.UNIQUE or any(keys <= set(index.columns) for keys in left):
                continue
            upserts = usage.upserts if usage else 0
            seen = f", and {upserts:,} queries of late count on it" if upserts else ""
            yield RULE.finding(
                change.name,
                f"table {change.name!r}: {index_name(index)} on ({', '.join(index.columns)}) goes: nothing "
                f"refuses duplicates any more{seen}",
                index_element(index),
                level=Level.CONFIRM if upserts else Level.WARNING,
                index_name=index.name,
            )


RULE = Rule(
    code="DROP_UNIQUE",
    number="C10",
    levels=(Level.WARNING, Level.CONFIRM),
    advice="Change INSERT … ON DUPLICATE KEY UPDATE, INSERT IGNORE and REPLACE on this table first: without "
    "the key they insert.",
    check=check,
)
