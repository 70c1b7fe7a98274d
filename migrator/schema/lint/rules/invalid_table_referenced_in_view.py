"""I look for views that would not work because a table they show is not there."""

from __future__ import annotations

import re
from collections.abc import Iterator

from migrator.schema.lint.finding import Finding, Level
from migrator.schema.lint.rule import Rule
from migrator.schema.lint.subject import Subject
from migrator.schema.lint.texts import names_in
from migrator.schema.model import CodeKind


def check(subject: Subject) -> Iterator[Finding]:
    for name, reason in sorted(subject.facts.views.items()):
        gone = [table.name for table in subject.dropped if _names(subject, name, table.name)]
        if gone or names_a_table(reason):
            yield RULE.finding(
                name,
                f"view {name!r} would not work: " + (f"table {gone[0]!r} is dropped" if gone else reason),
                view_name=name,
            )


def names_a_table(reason: str) -> bool:
    """Whether the server's words are about a table that is missing."""
    return bool(_NO_TABLE.search(reason))


def _names(subject: Subject, view: str, table: str) -> bool:
    texts = [code.text for code in subject.code(CodeKind.VIEW) if code.name == view]
    return any(table.lower() in names_in(text) for text in texts)


_NO_TABLE = re.compile(r"Table '[^']*' doesn't exist", re.IGNORECASE)

RULE = Rule(
    code="INVALID_TABLE_REFERENCED_IN_VIEW",
    levels=(Level.ERROR,),
    advice="Change or drop the view on the branch, too.",
    check=check,
    hard=True,
)
