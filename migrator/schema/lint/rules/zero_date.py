"""I look for defaults that are no date: strict servers refuse them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from migrator.schema.lint.finding import Finding, Level
from migrator.schema.lint.rule import Rule
from migrator.schema.lint.subject import Subject

_ZERO = re.compile(r"'0000-00-00|'\d{4}-00-|'\d{4}-\d\d-00")


def check(subject: Subject) -> Iterator[Finding]:
    for table in subject.tables:
        for column in table.columns:
            moment = column.type.base in ("date", "datetime", "timestamp")
            if moment and column.default is not None and _ZERO.match(column.default):
                yield RULE.finding(
                    table.name,
                    f"table {table.name!r}: the default of column {column.name!r} is {column.default}",
                    f"column {column.name}",
                    column_name=column.name,
                )


RULE = Rule(
    code="ZERO_DATE",
    levels=(Level.WARNING,),
    advice="Allow NULL and let it be the default.",
    check=check,
)
