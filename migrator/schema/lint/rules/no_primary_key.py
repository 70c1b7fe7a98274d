"""I want every table to have a primary key."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.schema.lint.finding import Finding, Level
from migrator.schema.lint.rule import Rule
from migrator.schema.lint.subject import Subject


def check(subject: Subject) -> Iterator[Finding]:
    for table in subject.tables:
        primary = table.primary_key
        if primary is None:
            yield RULE.finding(table.name, f"table {table.name!r} has no primary key")
        elif primary.columns == (_GENERATED,):
            yield RULE.finding(
                table.name,
                f"table {table.name!r} has only the primary key that the server made up",
                level=Level.INFO,
            )


_GENERATED = "my_row_id"

RULE = Rule(
    code="NO_PRIMARY_KEY",
    levels=(Level.WARNING, Level.INFO),
    advice="Add a primary key: replication, copies and InnoDB itself go by it.",
    check=check,
)
