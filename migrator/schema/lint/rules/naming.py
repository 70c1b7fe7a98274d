"""I hold names to the patterns that were set."""

from __future__ import annotations

import re
from collections.abc import Iterator

from migrator.schema.lint.finding import Finding, Level
from migrator.schema.lint.rule import Rule
from migrator.schema.lint.subject import Subject
from migrator.schema.model import Table


def check(subject: Subject) -> Iterator[Finding]:
    settings = subject.settings
    for table in subject.tables:
        if _differs(settings.table_names, table.name):
            yield _finding(table, "its name", "", settings.table_names)
        for column in table.columns:
            if _differs(settings.column_names, column.name):
                yield _finding(
                    table,
                    f"the name of column {column.name!r}",
                    f"column {column.name}",
                    settings.column_names,
                )
        for index in table.indexes:
            if index.name and _differs(settings.index_names, index.name):
                yield _finding(
                    table, f"the name of index {index.name!r}", f"index {index.name}", settings.index_names
                )


def _differs(pattern: str, name: str) -> bool:
    return bool(pattern) and re.fullmatch(pattern, name) is None


def _finding(table: Table, what: str, element: str, pattern: str) -> Finding:
    return RULE.finding(table.name, f"table {table.name!r}: {what} does not match {pattern}", element)


RULE = Rule(
    code="NAMING",
    levels=(Level.WARNING,),
    advice="Give it a name that matches; the patterns are in the settings lint.table_names, "
    "lint.column_names and lint.index_names.",
    check=check,
)
