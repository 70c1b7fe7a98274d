"""I look for new TIMESTAMP columns: they end in January 2038."""

from __future__ import annotations

import re
from collections.abc import Iterator

from migrator.schema.lint.finding import Finding, Level
from migrator.schema.lint.rule import Rule
from migrator.schema.lint.subject import Subject

_LATE = re.compile(r"(?:_until|_end|_ends)$|expir|valid_to|renew", re.IGNORECASE)


def check(subject: Subject) -> Iterator[Finding]:
    for table in subject.tables:
        old = subject.before.tables.get(table.name)
        for column in table.columns:
            former = old.column(column.name) if old else None
            known = (
                former is not None and former.type.base == "timestamp" and subject.before is not subject.after
            )
            if column.type.base == "timestamp" and not known:
                yield RULE.finding(
                    table.name,
                    f"table {table.name!r}: column {column.name!r} is a TIMESTAMP, which ends on 2038-01-19",
                    f"column {column.name}",
                    level=Level.WARNING if _LATE.search(column.name) else Level.INFO,
                    column_name=column.name,
                )


RULE = Rule(
    code="TIMESTAMP_2038",
    levels=(Level.INFO, Level.WARNING),
    advice="Take DATETIME for moments that may lie beyond.",
    check=check,
)
