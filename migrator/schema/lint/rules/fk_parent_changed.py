"""I look at changes of what foreign keys of other tables point to."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.schema.lint.finding import Finding, Level
from migrator.schema.lint.references import kind_of
from migrator.schema.lint.rule import Rule
from migrator.schema.lint.subject import Subject, TableChange
from migrator.schema.model import ForeignKey, Table


def check(subject: Subject) -> Iterator[Finding]:
    for child in subject.tables:
        for key in child.foreign_keys:
            if key.ref_schema is not None:
                continue
            for change in subject.changes:
                if change.name == key.ref_table:
                    yield from _changed(change, child, key)
    for parent in subject.dropped:
        for child in subject.tables:
            if any(key.ref_schema is None and key.ref_table == parent.name for key in child.foreign_keys):
                yield RULE.finding(
                    parent.name,
                    f"table {parent.name!r} is dropped, and table {child.name!r} has a foreign key to it",
                    f"table {child.name}",
                )


def _changed(change: TableChange, child: Table, key: ForeignKey) -> Iterator[Finding]:
    wanted = {name.lower() for name in key.ref_columns}
    for old, new in change.delta.columns_changed:
        if old.key not in wanted and new.key not in wanted:
            continue
        if old.key != new.key:
            yield RULE.finding(
                change.name,
                f"column {old.name!r} of {change.name!r} becomes {new.name!r}: the server rewrites the "
                f"foreign key of {child.name!r}",
                f"column {old.name}",
                level=Level.WARNING,
                column_name=old.name,
            )
        elif old.type != new.type or old.collation != new.collation:
            mine = child.column(_own(key, new.key))
            if mine is None or kind_of(mine) != kind_of(new):
                yield RULE.finding(
                    change.name,
                    f"column {old.name!r} of {change.name!r} changes its type, and the foreign key of "
                    f"{child.name!r} points to it",
                    f"column {old.name}",
                    column_name=old.name,
                )
    for column in change.delta.columns_dropped:
        if column.key in wanted:
            yield RULE.finding(
                change.name,
                f"column {column.name!r} of {change.name!r} is dropped, and the foreign key of "
                f"{child.name!r} points to it",
                f"column {column.name}",
                column_name=column.name,
            )


def _own(key: ForeignKey, referenced: str) -> str:
    pairs = {other.lower(): own for own, other in zip(key.columns, key.ref_columns, strict=True)}
    return pairs.get(referenced, "")


RULE = Rule(
    code="FK_PARENT_CHANGED",
    levels=(Level.ERROR, Level.WARNING),
    advice="Drop the foreign key first, in a deploy request of its own, and add it again after the change.",
    check=check,
    hard=True,
)
