"""I ask about renamings, and about removals and additions that look like one."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.schema.lint.finding import Finding, Level
from migrator.schema.lint.rule import Rule
from migrator.schema.lint.subject import Subject
from migrator.schema.plan import Plan
from migrator.schema.questions import possible_renames


def check(subject: Subject) -> Iterator[Finding]:
    for old, new in sorted(subject.renames.tables.items()):
        yield RULE.finding(
            new,
            f"table {old!r} becomes {new!r}: what uses the old name fails from the cut-over on",
            f"table {old}",
        )
    for change in subject.changes:
        for before, after in change.delta.columns_changed:
            if before.key != after.key:
                yield RULE.finding(
                    change.name,
                    f"column {before.name!r} of table {change.name!r} becomes {after.name!r}: what uses the "
                    "old name fails from the cut-over on",
                    f"column {before.name}",
                    column_name=before.name,
                )
    yield from possible_renames(Plan(subject.operations))


RULE = Rule(
    code="RENAME",
    number="C03",
    levels=(Level.CONFIRM,),
    advice="Add the new one, write both, copy the values, read the new one, then drop the old one: each step "
    "in a deploy request of its own.",
    check=check,
)
