"""I look for rows without a parent under a new foreign key."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.schema.lint.finding import Finding, Level
from migrator.schema.lint.rows import doubts_about_rows
from migrator.schema.lint.rule import Rule
from migrator.schema.lint.subject import Subject


def check(subject: Subject) -> Iterator[Finding]:
    return doubts_about_rows(RULE, subject, usual=Level.WARNING)


RULE = Rule(
    code="ADD_FK",
    number="C17",
    levels=(Level.WARNING, Level.ERROR),
    advice="Delete these rows or give them a parent, and deploy what writes no others, then add the foreign "
    "key.",
    check=check,
)
