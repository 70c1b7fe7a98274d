"""I ask before values may no longer fit, and refuse it when one does not."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.schema.lint.finding import Finding, Level
from migrator.schema.lint.rows import doubts_about_rows
from migrator.schema.lint.rule import Rule
from migrator.schema.lint.subject import Subject


def check(subject: Subject) -> Iterator[Finding]:
    return doubts_about_rows(RULE, subject, usual=Level.CONFIRM)


RULE = Rule(
    code="NARROWING",
    number="C04",
    levels=(Level.CONFIRM, Level.ERROR),
    advice="Correct these rows and what writes them first, or keep the wider type.",
    check=check,
)
