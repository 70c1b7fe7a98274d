"""I ask before a primary key changes."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.schema.lint.finding import Finding, Level
from migrator.schema.lint.rule import Rule
from migrator.schema.lint.subject import Subject


def check(subject: Subject) -> Iterator[Finding]:
    for change in subject.changes:
        old, new = change.before.primary_key, change.after.primary_key
        if old is None or (new is not None and old.meaning.parts == new.meaning.parts):
            continue
        renamed = {before.key: after.key for before, after in change.delta.columns_changed}
        now = new.columns if new else ()
        if tuple(renamed.get(name, name) for name in old.columns) == now:
            continue
        yield RULE.finding(
            change.name,
            f"table {change.name!r}: the primary key ({', '.join(old.columns)}) becomes "
            f"{'(' + ', '.join(now) + ')' if now else 'none'}",
            "primary key",
        )


RULE = Rule(
    code="PK_CHANGE",
    number="C11",
    levels=(Level.CONFIRM,),
    advice="See that foreign keys, replication and what reads in the order of the key do without the old "
    "one.",
    check=check,
)
