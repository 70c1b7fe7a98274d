"""I look for TEXT and BLOB columns in unique keys: such a key finds no row for sure."""

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
    return f"covers {column.name!r}, a {column.type.base.upper()}" if is_long(column) else None


RULE = Rule(
    code="BLOB_IN_UNIQUE_KEY",
    levels=(Level.WARNING, Level.ERROR),
    advice="Make the column a VARCHAR or VARBINARY, or put a hash of it into the key; and give the table a "
    "primary key.",
    check=check,
    binding=True,
)
