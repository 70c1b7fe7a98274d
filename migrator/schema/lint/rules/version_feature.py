"""I refuse what production's server does not have."""

from __future__ import annotations

import re
from collections.abc import Iterator

from migrator.schema.lint.finding import Finding, Level
from migrator.schema.lint.rule import Rule
from migrator.schema.lint.subject import Subject
from migrator.schema.model import Column
from router.model import Flavor

_NEWER = {"vector": ((9, 0), (11, 7))}


def check(subject: Subject) -> Iterator[Finding]:
    versions = subject.facts.versions
    if versions is None:
        return
    production, branch = versions
    if _release(production) == _release(branch):
        return
    yield RULE.finding(
        "",
        f"the branch is on a server of release {branch}, production on {production}: what one has, the other "
        "may not have",
        level=Level.WARNING,
    )
    for table in subject.tables:
        if table.name not in subject.touched:
            continue
        for column in table.columns:
            needed = _NEWER.get(column.type.base)
            oldest = needed[subject.after.flavor is Flavor.MARIADB] if needed else None
            if oldest is not None and _release(production) < oldest:
                yield RULE.finding(
                    table.name,
                    f"table {table.name!r}: column {column.name!r} is {column.type}, which production's "
                    f"release {production} does not have",
                    f"column {column.name}",
                    column_name=column.name,
                )
            elif _foreign(subject, column, production):
                yield RULE.finding(
                    table.name,
                    f"table {table.name!r}: column {column.name!r} has collation {column.collation}, which "
                    f"production's release {production} does not have",
                    f"column {column.name}",
                    column_name=column.name,
                )


def _foreign(subject: Subject, column: Column, production: str) -> bool:
    collation = column.collation or ""
    if subject.after.flavor is Flavor.MARIADB:
        return "_uca1400_" in collation and _release(production) < (10, 10)
    return "_0900_" in collation and _release(production) < (8, 0)


def _release(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2])


RULE = Rule(
    code="VERSION_FEATURE",
    number="C25",
    levels=(Level.ERROR, Level.WARNING),
    advice="Give branches a server of production's release: set servers.mysql or servers.mariadb.",
    check=check,
)
