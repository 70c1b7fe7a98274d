"""I look at new columns whose default is another value each time it is computed."""

from __future__ import annotations

import re
from collections.abc import Iterator

from migrator.schema.lint.finding import Finding, Level
from migrator.schema.lint.rule import Rule
from migrator.schema.lint.subject import Subject

_NOT_DETERMINISTIC = re.compile(
    r"\b(?:uuid|uuid_short|rand|random_bytes|sys_guid|sysdate|nextval|connection_id|last_insert_id)\s*\(",
    re.IGNORECASE,
)


def check(subject: Subject) -> Iterator[Finding]:
    for change in subject.changes:
        for column in change.delta.columns_added:
            if column.default is not None and _NOT_DETERMINISTIC.search(column.default):
                yield RULE.finding(
                    change.name,
                    f"table {change.name!r}: the default of new column {column.name!r} is "
                    f"{column.default}, which is computed once for each row that is there: look at whether "
                    "that is meant",
                    f"column {column.name}",
                    column_name=column.name,
                )


RULE = Rule(
    code="NONDET_DEFAULT",
    number="C16",
    levels=(Level.WARNING,),
    advice="Add the column so that it may be NULL, fill it, then give it its default.",
    check=check,
)
