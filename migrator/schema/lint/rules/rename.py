"""I ask about renamings, and about removals and additions that look like one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from migrator.schema.lint.finding import Finding, Level
from migrator.schema.lint.rule import Rule
from migrator.schema.lint.subject import Subject, TableChange


def check(subject: Subject) -> Iterator[Finding]:
    for old, new in sorted(subject.renamed_tables.items()):
        yield RULE.finding(
            new,
            f"table {old!r} becomes {new!r}: what uses the old name fails from the cut-over on",
            f"table {old}",
        )
    for table in subject.dropped:
        alike = [other.name for other in subject.created if other.same_as(table)]
        if alike:
            yield RULE.finding(
                table.name,
                f"if table {table.name!r} was renamed to {alike[0]!r}, know that it is deployed as a removal "
                "and a creation, and its rows are lost",
                "table",
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
        yield from _alike(change)


def _alike(change: TableChange) -> Iterator[Finding]:
    for column in change.delta.columns_dropped:
        added = [new for new in change.delta.columns_added if replace(new, name=column.name) == column]
        if added and column.generated is None:
            yield RULE.finding(
                change.name,
                f"table {change.name!r}: if column {column.name!r} was renamed to {added[0].name!r}, know "
                "that it is deployed as a removal and an addition, and its values are lost",
                f"column {column.name}",
                column_name=column.name,
            )


RULE = Rule(
    code="RENAME",
    number="C03",
    levels=(Level.CONFIRM,),
    advice="Add the new one, write both, copy the values, read the new one, then drop the old one: each step "
    "in a deploy request of its own.",
    check=check,
)
