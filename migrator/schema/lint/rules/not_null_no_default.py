"""I look for columns that an INSERT must name from now on."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.schema.lint.finding import Finding, Level
from migrator.schema.lint.rule import Rule
from migrator.schema.lint.subject import Subject
from migrator.schema.model import Column


def check(subject: Subject) -> Iterator[Finding]:
    for change in subject.changes:
        usage = subject.facts.use(change.place)
        new = list(change.delta.columns_added)
        new += [after for before, after in change.delta.columns_changed if not _demanded(before)]
        for column in new:
            if not _demanded(column):
                continue
            without = usage.inserts_without(column.name) if usage else 0
            seen = f", as {without:,} INSERTs of late do" if without else ""
            yield RULE.finding(
                change.name,
                f"table {change.name!r}: column {column.name!r} is NOT NULL and has no default: an INSERT "
                f"that leaves it out fails (1364){seen}",
                f"column {column.name}",
                level=Level.ERROR if without else Level.WARNING,
                column_name=column.name,
            )


def _demanded(column: Column) -> bool:
    """Whether every INSERT must give a value."""
    return not (
        column.nullable or column.default is not None or column.auto_increment or column.generated is not None
    )


RULE = Rule(
    code="NOT_NULL_NO_DEFAULT",
    number="C08",
    levels=(Level.WARNING, Level.ERROR),
    advice="Add it with a default or NULL, deploy what gives it a value, then make it NOT NULL.",
    check=check,
)
