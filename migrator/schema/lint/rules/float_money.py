"""I look for money in FLOAT and DOUBLE, which round."""

from __future__ import annotations

import re
from collections.abc import Iterator

from migrator.schema.lint.columns import INEXACT
from migrator.schema.lint.finding import Finding, Level
from migrator.schema.lint.rule import Rule
from migrator.schema.lint.subject import Subject

_MONEY = re.compile(
    r"(?:^|_)(?:price|amount|total|cost|balance|fee|tax|discount|salary|payment)s?(?:_|$)", re.IGNORECASE
)


def check(subject: Subject) -> Iterator[Finding]:
    for table in subject.tables:
        for column in table.columns:
            if column.type.base in INEXACT and _MONEY.search(column.name):
                yield RULE.finding(
                    table.name,
                    f"table {table.name!r}: column {column.name!r} is {column.type}, which rounds",
                    f"column {column.name}",
                    column_name=column.name,
                )


RULE = Rule(
    code="FLOAT_MONEY",
    levels=(Level.WARNING,),
    advice="Take DECIMAL.",
    check=check,
)
