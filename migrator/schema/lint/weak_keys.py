"""I tell of unique keys with a part by which no row is found for sure: rules say which parts those are."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from migrator.schema.lint.columns import index_element, index_name, unique_indexes, usable_keys
from migrator.schema.lint.finding import Finding, Level
from migrator.schema.lint.rule import Rule
from migrator.schema.lint.subject import Subject
from migrator.schema.model import Column, IndexPart


def weak_keys(
    rule: Rule, subject: Subject, weakness: Callable[[Column, IndexPart], str | None]
) -> Iterator[Finding]:
    """Yield a finding for each part of a unique key that is weak, an error where no other key is better.

    `weakness` says what a key with such a part does, None when nothing is wrong with it.
    """
    for table in subject.tables:
        needed = not usable_keys(table)
        for index in unique_indexes(table):
            for part in index.parts:
                column = table.column(part.column) if part.column else None
                told = weakness(column, part) if column is not None else None
                if column is None or told is None:
                    continue
                yield rule.finding(
                    table.name,
                    f"table {table.name!r}: {index_name(index)} {told}"
                    + (", and the table has no other key to find a row by" if needed else ""),
                    index_element(index),
                    level=Level.ERROR if needed else Level.WARNING,
                    column_name=column.name,
                )
