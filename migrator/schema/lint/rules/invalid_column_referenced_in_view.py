"""I look for views that would not work any more, because of a column or for another reason."""

from __future__ import annotations

import re
from collections.abc import Iterator

from migrator.schema.lint.finding import Finding, Level
from migrator.schema.lint.rule import Rule
from migrator.schema.lint.subject import Subject
from migrator.schema.lint.texts import names_in
from migrator.schema.model import CodeKind

_COLUMN = re.compile(r"Unknown column '(?:[^'.]*\.)*([^'.]*)'", re.IGNORECASE)


def check(subject: Subject) -> Iterator[Finding]:
    for name, reason in sorted(subject.facts.views.items()):
        dropped = {table.name.lower() for table in subject.dropped}
        texts = [code.text for code in subject.code(CodeKind.VIEW) if code.name == name]
        if _NO_TABLE.search(reason) or any(dropped & names_in(text) for text in texts):
            continue  # INVALID_TABLE_REFERENCED_IN_VIEW
        named = _COLUMN.search(reason)
        yield RULE.finding(
            name,
            f"view {name!r} would not work: {reason}",
            view_name=name,
            column_name=named[1] if named else None,
        )


_NO_TABLE = re.compile(r"Table '[^']*' doesn't exist", re.IGNORECASE)

RULE = Rule(
    code="INVALID_COLUMN_REFERENCED_IN_VIEW",
    levels=(Level.ERROR,),
    advice="Change or drop the view on the branch, too.",
    check=check,
    hard=True,
)
