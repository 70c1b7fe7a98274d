"""I look at counters that run out, and at columns too narrow for the key they refer to."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.schema.lint.columns import largest
from migrator.schema.lint.finding import Finding, Level
from migrator.schema.lint.rule import Rule
from migrator.schema.lint.subject import Subject
from migrator.schema.model import Column, Table

_FULL, _FILLING = 0.95, 0.60


def check(subject: Subject) -> Iterator[Finding]:
    for table in subject.tables:
        column = next((column for column in table.columns if column.auto_increment), None)
        most = largest(column) if column else None
        following = _next(subject, table)
        if column is None or most is None or following is None:
            continue
        share = following / most
        if share >= _FILLING:
            yield RULE.finding(
                table.name,
                f"table {table.name!r}: the counter of column {column.name!r} is at {following:,} of "
                f"{most:,} ({share:.0%} of {column.type})",
                f"column {column.name}",
                level=Level.ERROR if share >= _FULL else Level.WARNING,
                column_name=column.name,
                auto_increment_column_names=[column.name],
            )
        yield from _narrower(subject, table, column, most)


def _next(subject: Subject, table: Table) -> int | None:
    """Return the next value as production has it; a branch's counter says nothing about it."""
    live = subject.facts.table(table.name).auto_increment
    new = table.option("AUTO_INCREMENT") if table.name not in subject.before.tables else None
    return live if live is not None else int(new) if new else None


def _narrower(subject: Subject, table: Table, column: Column, most: int) -> Iterator[Finding]:
    for child in subject.tables:
        for key in child.foreign_keys:
            if key.ref_schema is not None or key.ref_table != table.name:
                continue
            for own, other in zip(key.columns, key.ref_columns, strict=True):
                holder = child.column(own)
                holds = largest(holder) if holder else None
                if other.lower() == column.key and holds is not None and holds < most:
                    yield RULE.finding(
                        child.name,
                        f"column {own!r} of {child.name!r} holds up to {holds:,}, and {table.name}."
                        f"{column.name} goes up to {most:,}",
                        f"column {own}",
                        level=Level.WARNING,
                        column_name=own,
                    )


RULE = Rule(
    code="AUTO_INC_CAPACITY",
    levels=(Level.WARNING, Level.ERROR),
    advice="Make the column, and those that refer to it, BIGINT UNSIGNED.",
    check=check,
)
