"""I look for duplicates under a key that is new, or whose values the change makes equal."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.schema.lint.finding import Finding, Level
from migrator.schema.lint.rows import doubts_about_rows
from migrator.schema.lint.rule import Rule
from migrator.schema.lint.subject import Subject


def check(subject: Subject) -> Iterator[Finding]:
    return doubts_about_rows(RULE, subject, usual=Level.WARNING)


RULE = Rule(
    code="ADD_UNIQUE",
    number="C09",
    levels=(Level.WARNING, Level.ERROR),
    advice="Remove the duplicates and deploy what makes no new ones, then add the key.",
    check=check,
)
