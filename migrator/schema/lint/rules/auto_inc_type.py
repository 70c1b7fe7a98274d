"""I want counters to be INT or BIGINT UNSIGNED."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.schema.lint.finding import Finding, Level
from migrator.schema.lint.rule import Rule
from migrator.schema.lint.subject import Subject


def check(subject: Subject) -> Iterator[Finding]:
    for table in subject.tables:
        for column in table.columns:
            fit = column.type.base in ("int", "bigint") and column.type.unsigned
            if column.auto_increment and not fit:
                yield RULE.finding(
                    table.name,
                    f"table {table.name!r}: AUTO_INCREMENT column {column.name!r} is {column.type}",
                    f"column {column.name}",
                    column_name=column.name,
                    auto_increment_column_names=[column.name],
                )


RULE = Rule(
    code="AUTO_INC_TYPE",
    levels=(Level.WARNING,),
    advice="Make it BIGINT UNSIGNED: a counter is never negative, and small ones run out.",
    check=check,
)
