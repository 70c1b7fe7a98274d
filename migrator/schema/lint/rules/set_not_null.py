"""I look for NULL where it will not be allowed."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.schema.lint.finding import Finding, Level
from migrator.schema.lint.rows import doubts_about_rows
from migrator.schema.lint.rule import Rule
from migrator.schema.lint.subject import Subject


def check(subject: Subject) -> Iterator[Finding]:
    return doubts_about_rows(RULE, subject, usual=Level.WARNING)


RULE = Rule(
    code="SET_NOT_NULL",
    number="C07",
    levels=(Level.WARNING, Level.ERROR),
    advice="Deploy first what writes no NULL, then fill the rows that have it, then change the column.",
    check=check,
)
