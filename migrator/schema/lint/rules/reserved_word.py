"""I look for names that are words of SQL: they work only in quotes."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.schema.lint.finding import Finding, Level
from migrator.schema.lint.reserved import RESERVED
from migrator.schema.lint.rule import Rule
from migrator.schema.lint.subject import Subject


def check(subject: Subject) -> Iterator[Finding]:
    words = RESERVED[subject.after.flavor]
    for table in subject.tables:
        if table.name.lower() in words:
            yield RULE.finding(table.name, f"table {table.name!r} has a reserved word for its name")
        for column in table.columns:
            if column.key in words:
                yield RULE.finding(
                    table.name,
                    f"table {table.name!r}: column {column.name!r} has a reserved word for its name",
                    f"column {column.name}",
                    column_name=column.name,
                )


RULE = Rule(
    code="RESERVED_WORD",
    levels=(Level.WARNING,),
    advice="Give it another name, or quote it with backticks wherever it is written.",
    check=check,
)
