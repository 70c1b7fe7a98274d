"""I look for triggers, routines and events that name what is dropped or renamed: the server does not tell."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.schema.lint.columns import listed
from migrator.schema.lint.finding import Finding, Level
from migrator.schema.lint.rule import Rule
from migrator.schema.lint.subject import Subject
from migrator.schema.lint.texts import names_in, qualified_names_in
from migrator.schema.model import Code, CodeKind


def check(subject: Subject) -> Iterator[Finding]:
    kinds = [kind for kind in CodeKind if kind is not CodeKind.VIEW]
    for code in subject.code(*kinds):
        for change in subject.changes:
            gone = [column.name for column in change.delta.columns_dropped]
            gone += [old.name for old, new in change.delta.columns_changed if old.key != new.key]
            if named := [name for name in gone if _names(code, change.name, name)]:
                yield _finding(
                    code, f"column {listed(named)} of table {change.name!r}", f"table {change.name}"
                )
        tables = [table.name for table in subject.dropped] + sorted(subject.renames.tables)
        for name in tables:
            if name.lower() in names_in(code.text) and code.table != name:
                yield _finding(code, f"table {name!r}", f"table {name}")


def _names(code: Code, table: str, column: str) -> bool:
    """Whether a text names a column of a table, or may do so."""
    key = column.lower()
    if code.kind is CodeKind.TRIGGER and code.table == table:
        return any(left in ("new", "old") and right == key for left, right in qualified_names_in(code.text))
    if (table.lower(), key) in qualified_names_in(code.text):
        return True
    return {table.lower(), key} <= names_in(code.text)


def _finding(code: Code, what: str, element: str) -> Finding:
    fails = (
        "every write to its table fails then" if code.kind is CodeKind.TRIGGER else "it fails when it is run"
    )
    return RULE.finding(
        code.name,
        f"{code.kind.lower()} {code.name!r} names {what}, which the change takes away: {fails}",
        element,
        level=Level.ERROR if code.kind is CodeKind.TRIGGER else Level.WARNING,
    )


RULE = Rule(
    code="BROKEN_ROUTINE_REF",
    levels=(Level.ERROR, Level.WARNING),
    advice="Change its text on the branch, too, or drop it.",
    check=check,
)
