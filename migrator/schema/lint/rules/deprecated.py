"""I tell what the server remarked when the change was tried on the scratch server."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.schema.lint.columns import INEXACT
from migrator.schema.lint.finding import Finding, Level
from migrator.schema.lint.rule import Rule
from migrator.schema.lint.subject import Subject

# Told by rules of their own, or said about every column that is narrowed.
_ELSEWHERE = frozenset({1831, 1265, 1264, 1051, 1050})


def check(subject: Subject) -> Iterator[Finding]:
    for warning in subject.facts.warnings:
        if warning.errno not in _ELSEWHERE:
            yield RULE.finding(
                warning.table,
                f"table {warning.table!r}: the server warns: {warning.message} ({warning.errno})",
                f"warning {warning.errno}",
            )
    for table in subject.tables:
        for column in table.columns:
            if column.type.zerofill:
                yield RULE.finding(
                    table.name,
                    f"table {table.name!r}: column {column.name!r} is ZEROFILL, which MySQL is to give up",
                    f"column {column.name}",
                    column_name=column.name,
                )
            elif column.type.base in INEXACT and "," in (column.type.arguments or ""):
                yield RULE.finding(
                    table.name,
                    f"table {table.name!r}: column {column.name!r} is {column.type}; lengths of FLOAT and "
                    "DOUBLE are to be given up by MySQL",
                    f"column {column.name}",
                    column_name=column.name,
                )


RULE = Rule(
    code="DEPRECATED",
    levels=(Level.WARNING,),
    advice="Write it in the way that stays: LPAD in the query for ZEROFILL, DECIMAL for exact digits.",
    check=check,
)
