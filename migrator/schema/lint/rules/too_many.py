"""I count indexes, parts, columns and bytes of a row, before the server does."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.schema.lint.columns import index_name, row_bytes
from migrator.schema.lint.finding import Finding, Level
from migrator.schema.lint.rule import Rule
from migrator.schema.lint.subject import Subject
from migrator.schema.model import Table

_INDEXES_MAX, _INDEXES_MANY, _PARTS_MAX, _COLUMNS_MAX, _ROW_BYTES_MAX = 64, 10, 16, 1017, 65_535


def check(subject: Subject) -> Iterator[Finding]:
    for table in subject.tables:
        indexes = len(table.indexes)
        if indexes > _INDEXES_MAX:
            yield _over(table, "indexes", indexes, _INDEXES_MAX)
        elif indexes > _INDEXES_MANY:
            yield RULE.finding(
                table.name,
                f"table {table.name!r} has {indexes} indexes: every write must keep them all",
                "indexes",
                level=Level.WARNING,
            )
        if len(table.columns) > _COLUMNS_MAX:
            yield _over(table, "columns", len(table.columns), _COLUMNS_MAX)
        for index in table.indexes:
            if len(index.parts) > _PARTS_MAX:
                yield _over(table, f"parts in {index_name(index)}", len(index.parts), _PARTS_MAX)
        if (size := row_bytes(table)) > _ROW_BYTES_MAX:
            yield _over(table, "bytes in a row", size, _ROW_BYTES_MAX)


def _over(table: Table, what: str, count: int, limit: int) -> Finding:
    said = f"table {table.name!r} has {count:,} {what}, and can have {limit:,}"
    return RULE.finding(table.name, said, what)


RULE = Rule(
    code="TOO_MANY",
    levels=(Level.ERROR, Level.WARNING),
    advice="Drop indexes that nobody uses; move long columns into TEXT or into a table of their own.",
    check=check,
)
