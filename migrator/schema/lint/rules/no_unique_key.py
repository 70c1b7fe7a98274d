"""I want every table to have a key by which each of its rows can be found."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.schema.lint.columns import index_name, unfit_parts, unique_indexes, usable_keys
from migrator.schema.lint.finding import Finding, Level
from migrator.schema.lint.rule import Rule
from migrator.schema.lint.subject import Subject, TableChange
from migrator.schema.model import Table


def check(subject: Subject) -> Iterator[Finding]:
    for table in subject.tables:
        if not usable_keys(table):
            yield RULE.finding(
                table.name, f"table {table.name!r} has no unique key for every row: {_why(table)}"
            )
    for change in subject.changes:
        if usable_keys(change.after) and not _followed(change):
            yield RULE.finding(
                change.name,
                f"table {change.name!r} has no unique key now whose columns stay: its rows cannot be "
                "followed while it is copied",
                advice="Make two deploy requests of it: first add the new columns and a key of them beside "
                "the old one, then drop the old ones. A table that has no key now gets one on the server "
                "itself, by ALTER TABLE … ADD COLUMN id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY.",
            )


def _why(table: Table) -> str:
    reasons = [
        f"{index_name(index)} has {name!r}, which is {reason}"
        for index in unique_indexes(table)
        for name, reason in list(unfit_parts(table, index))[:1]
    ]
    return "; ".join(reasons) or "it has no primary key and no unique key"


def _followed(change: TableChange) -> bool:
    """Whether all columns of a key that the table has now are still there afterwards."""
    kept = {old.key for old, _ in (*change.delta.columns_changed, *change.delta.columns_same)}
    return any(kept.issuperset(index.columns) for index in usable_keys(change.before))


RULE = Rule(
    code="NO_UNIQUE_KEY",
    levels=(Level.ERROR,),
    advice="Add a primary key, for example: ALTER TABLE … ADD COLUMN id BIGINT UNSIGNED NOT NULL "
    "AUTO_INCREMENT PRIMARY KEY; or a unique key of NOT NULL columns.",
    check=check,
    hard=True,
    binding=True,
)
