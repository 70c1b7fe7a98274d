"""I look at foreign keys that go: a revert may find rows without a parent."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.schema.lint.finding import Finding, Level
from migrator.schema.lint.references import key_element
from migrator.schema.lint.rule import Rule
from migrator.schema.lint.subject import Subject
from migrator.schema.model import ForeignKey, Table


def check(subject: Subject) -> Iterator[Finding]:
    for change in subject.changes:
        kept = {key.meaning for key in change.delta.keys_added}
        for key in change.delta.keys_dropped:
            if key.meaning not in kept:
                yield _finding(change.before, key)
    for table in subject.dropped:
        for key in table.foreign_keys:
            yield _finding(table, key)


def _finding(table: Table, key: ForeignKey) -> Finding:
    return RULE.finding(
        table.name,
        f"table {table.name!r}: the foreign key on ({', '.join(key.columns)}) to {key.ref_table!r} goes: "
        "after a revert there may be rows without a parent",
        key_element(key),
        foreign_key_column_names=list(key.columns),
        removed_foreign_key_names=[key.name],
    )


RULE = Rule(
    code="DROP_FK",
    number="C18",
    levels=(Level.WARNING,),
    advice="Before a revert, look for rows without a parent.",
    check=check,
)
