"""I look for columns that mean the same and have different types: x_id and the id of x, or joined ones."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.schema.lint.finding import Finding, Level
from migrator.schema.lint.references import kind_of
from migrator.schema.lint.rule import Rule
from migrator.schema.lint.subject import Subject
from migrator.schema.model import Column, Table


def check(subject: Subject) -> Iterator[Finding]:
    lower = {name.lower(): table for name, table in sorted(subject.after.tables.items())}
    for table in subject.tables:
        for column in table.columns:
            stem = column.key.removesuffix("_id")
            if stem == column.key or not any(column.key in index.columns[:1] for index in table.indexes):
                continue
            other = next((lower[name] for name in (stem, f"{stem}s", f"{stem}es") if name in lower), None)
            target = other.column("id") if other else None
            if other is not None and target is not None and other is not table:
                yield from _compared(table, column, other, target)
    for join in subject.facts.joins:
        (left, mine), (right, theirs) = sorted((join.left, join.right))
        one, two = subject.after.tables.get(left), subject.after.tables.get(right)
        here, there = (one.column(mine) if one else None), (two.column(theirs) if two else None)
        if one and two and here and there:
            yield from _compared(one, here, two, there)


def _compared(table: Table, column: Column, other: Table, target: Column) -> Iterator[Finding]:
    if kind_of(column)[:3] != kind_of(target)[:3]:
        yield RULE.finding(
            table.name,
            f"{table.name}.{column.name} is {column.type}, and {other.name}.{target.name} is {target.type}",
            f"column {column.name}",
            column_name=column.name,
        )


RULE = Rule(
    code="TYPE_MISMATCH",
    levels=(Level.WARNING,),
    advice="Give both the same type: otherwise values do not fit, and joins cannot use indexes.",
    check=check,
)
