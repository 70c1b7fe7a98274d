"""I look for prefixes of columns in unique keys: they compare the beginning of a value only."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.schema.lint.columns import is_long
from migrator.schema.lint.finding import Finding, Level
from migrator.schema.lint.rule import Rule
from migrator.schema.lint.subject import Subject
from migrator.schema.lint.weak_keys import weak_keys
from migrator.schema.model import Column, IndexPart


def check(subject: Subject) -> Iterator[Finding]:
    return weak_keys(RULE, subject, _weakness)


def _weakness(column: Column, part: IndexPart) -> str | None:
    # That of a long column is another rule's.
    if part.prefix is None or is_long(column):
        return None
    return f"covers only {part.prefix} characters of {column.name!r}"


RULE = Rule(
    code="PARTIAL_KEY_IN_UNIQUE_KEY",
    levels=(Level.WARNING, Level.ERROR),
    advice="Let the key cover the whole column, or give the table a primary key.",
    check=check,
    binding=True,
)
