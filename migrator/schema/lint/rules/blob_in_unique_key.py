"""I look for TEXT and BLOB columns in unique keys: such a key finds no row for sure."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.schema.lint.columns import index_element, index_name, is_long, unique_indexes, usable_keys
from migrator.schema.lint.finding import Finding, Level
from migrator.schema.lint.rule import Rule
from migrator.schema.lint.subject import Subject


def check(subject: Subject) -> Iterator[Finding]:
    for table in subject.tables:
        needed = not usable_keys(table)
        for index in unique_indexes(table):
            for part in index.parts:
                column = table.column(part.column) if part.column else None
                if column is not None and is_long(column):
                    yield RULE.finding(
                        table.name,
                        f"table {table.name!r}: {index_name(index)} covers {column.name!r}, a "
                        f"{column.type.base.upper()}"
                        + (", and the table has no other key to find a row by" if needed else ""),
                        index_element(index),
                        level=Level.ERROR if needed else Level.WARNING,
                        column_name=column.name,
                    )


RULE = Rule(
    code="BLOB_IN_UNIQUE_KEY",
    levels=(Level.WARNING, Level.ERROR),
    advice="Make the column a VARCHAR or VARBINARY, or put a hash of it into the key; and give the table a "
    "primary key.",
    check=check,
    binding=True,
)
