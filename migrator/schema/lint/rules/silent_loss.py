"""I ask before the server changes values without a word."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.schema.lint.finding import Finding, Level
from migrator.schema.lint.rows import doubts_about_rows
from migrator.schema.lint.rule import Rule
from migrator.schema.lint.subject import Subject


def check(subject: Subject) -> Iterator[Finding]:
    return doubts_about_rows(RULE, subject, usual=Level.CONFIRM, found=Level.CONFIRM)


RULE = Rule(
    code="SILENT_LOSS",
    number="C05",
    levels=(Level.CONFIRM,),
    advice="Correct these rows, choose another type, or deploy with: headgate deploy-request deploy DATABASE "
    "NUMBER --allow-lossy.",
    check=check,
)
