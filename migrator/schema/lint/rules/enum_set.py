"""I look at members of ENUM and SET that go, move, or need more room."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.schema.conversions import members
from migrator.schema.lint.columns import fixed_bytes
from migrator.schema.lint.finding import Finding, Level
from migrator.schema.lint.rows import doubts_about_rows
from migrator.schema.lint.rule import Rule
from migrator.schema.lint.subject import Subject, TableChange
from migrator.schema.model import Column


def check(subject: Subject) -> Iterator[Finding]:
    yield from doubts_about_rows(RULE, subject, usual=Level.CONFIRM)
    for change in subject.changes:
        for old, new in change.delta.columns_changed:
            if {old.type.base, new.type.base} <= {"enum", "set"}:
                yield from _compared(change, old, new)


def _compared(change: TableChange, old: Column, new: Column) -> Iterator[Finding]:
    before, after = members(old), members(new)
    kept = [member for member in before if member in after]
    if after[: len(kept)] != kept:
        yield RULE.finding(
            change.name,
            f"table {change.name!r}: the members of {old.name!r} get other numbers, because some are put "
            "before others: what uses them as numbers means others then",
            f"order of column {old.name}",
            column_name=old.name,
        )
    elif _bytes(old) != _bytes(new):
        yield RULE.finding(
            change.name,
            f"table {change.name!r}: {new.name!r} with {len(after)} members takes {_bytes(new)} bytes "
            f"instead of {_bytes(old)}, so that the table is copied",
            f"size of column {old.name}",
            level=Level.INFO,
            column_name=old.name,
        )


def _bytes(column: Column) -> int:
    return fixed_bytes(column)


RULE = Rule(
    code="ENUM_SET",
    number="C06",
    levels=(Level.CONFIRM, Level.ERROR, Level.INFO),
    advice="Put new members at the end, and remove a member when no row has it.",
    check=check,
)
