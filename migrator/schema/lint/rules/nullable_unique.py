"""I tell of unique keys over columns that may be NULL: NULL is never a duplicate."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.schema.lint.columns import index_element, index_name, listed
from migrator.schema.lint.finding import Finding, Level
from migrator.schema.lint.rule import Rule
from migrator.schema.lint.subject import Subject
from migrator.schema.model import IndexKind


def check(subject: Subject) -> Iterator[Finding]:
    for table in subject.tables:
        for index in table.indexes:
            columns = [table.column(name) for name in index.columns]
            nullable = [column.name for column in columns if column is not None and column.nullable]
            if index.kind is IndexKind.UNIQUE and nullable:
                yield RULE.finding(
                    table.name,
                    f"table {table.name!r}: {index_name(index)} lets any number of rows have NULL in "
                    f"{listed(nullable)}",
                    index_element(index),
                    index_name=index.name,
                )


RULE = Rule(
    code="NULLABLE_UNIQUE",
    levels=(Level.INFO,),
    advice="Make the columns NOT NULL if that is not meant.",
    check=check,
)
