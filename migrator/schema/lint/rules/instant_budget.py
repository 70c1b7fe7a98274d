"""I look at tables that have been changed instantly so often that the server soon refuses it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from migrator.schema.lint.finding import Finding, Level
from migrator.schema.lint.rule import Rule
from migrator.schema.lint.subject import Subject
from router.model import Flavor

_LIMIT, _LIMIT_BEFORE_9_1 = 255, 64


def check(subject: Subject) -> Iterator[Finding]:
    if subject.after.flavor is Flavor.MARIADB:
        return
    version = [int(part) for part in re.findall(r"\d+", subject.after.version)[:2]]
    limit = _LIMIT if version >= [9, 1] else _LIMIT_BEFORE_9_1
    for change in subject.changes:
        versions = subject.facts.table(change.place).row_versions
        if versions is not None and versions >= limit - 2:
            yield RULE.finding(
                change.name,
                f"table {change.name!r}: its rows have had {versions} shapes of {limit} that can be: the "
                "next changes of columns need a copy, which begins anew",
            )


RULE = Rule(
    code="INSTANT_BUDGET",
    number="C22",
    levels=(Level.WARNING,),
    advice="Deploy this change with strategy revertible: the copy has no former shapes.",
    check=check,
)
