"""I look at columns that change places: what counts on the order gets other values."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.schema.lint.finding import Finding, Level
from migrator.schema.lint.rule import Rule
from migrator.schema.lint.subject import Subject


def check(subject: Subject) -> Iterator[Finding]:
    for change in subject.changes:
        if change.delta.moved:
            yield RULE.finding(
                change.name,
                f"table {change.name!r}: columns change places: SELECT * and INSERT without a list of "
                "columns mean others then",
                "column order",
            )


RULE = Rule(
    code="COLUMN_REORDER",
    number="C21",
    levels=(Level.WARNING,),
    advice="Leave the order as it is, or name columns in every query.",
    check=check,
)
