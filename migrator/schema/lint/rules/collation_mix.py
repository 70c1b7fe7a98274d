"""I look for texts that queries compare although their collations differ."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.schema.changes import character_set_of
from migrator.schema.lint.finding import Finding, Level
from migrator.schema.lint.rule import Rule
from migrator.schema.lint.subject import Subject
from migrator.schema.model import Column, Table


def check(subject: Subject) -> Iterator[Finding]:
    for join in subject.facts.joins:
        sides = [_column(subject, side) for side in sorted((join.left, join.right))]
        if not all(sides):
            continue
        (table, left), (other, right) = [side for side in sides if side]
        if left.collation and right.collation and left.collation != right.collation:
            alike = character_set_of(left.collation) == character_set_of(right.collation)
            effect = "such a query can fail (1267)" if alike else "no index helps such a query"
            yield RULE.finding(
                table.name,
                f"{table.name}.{left.name} is {left.collation} and {other.name}.{right.name} is "
                f"{right.collation}, and queries compare them: {effect}",
                f"column {left.name}",
                column_name=left.name,
            )


def _column(subject: Subject, side: tuple[str, str]) -> tuple[Table, Column] | None:
    table = subject.after.tables.get(side[0])
    column = table.column(side[1]) if table else None
    return (table, column) if table and column else None


RULE = Rule(
    code="COLLATION_MIX",
    levels=(Level.WARNING,),
    advice="Give both columns the same character set and collation.",
    check=check,
)
