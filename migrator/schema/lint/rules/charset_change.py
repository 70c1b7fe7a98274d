"""I ask before texts get another character set or collation, by which they are compared and ordered."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.schema.changes import character_set_of
from migrator.schema.lint.columns import index_name
from migrator.schema.lint.finding import Finding, Level
from migrator.schema.lint.rule import Rule
from migrator.schema.lint.subject import Subject


def check(subject: Subject) -> Iterator[Finding]:
    for change in subject.changes:
        for old, new in change.delta.columns_changed:
            if old.collation is None or new.collation is None or old.collation == new.collation:
                continue
            indexed = [index_name(index) for index in change.after.indexes if new.key in index.columns]
            yield RULE.finding(
                change.name,
                f"table {change.name!r}: column {old.name!r} becomes {new.collation} instead of "
                f"{old.collation}" + (f", in {', '.join(sorted(indexed))}" if indexed else ""),
                f"column {old.name}",
                column_name=old.name,
                charset_name=character_set_of(new.collation),
            )


RULE = Rule(
    code="CHARSET_CHANGE",
    number="C12",
    levels=(Level.CONFIRM,),
    advice="Look at joins with this column, at unique keys (equal now may be what was not), and at the "
    "order of results.",
    check=check,
)
