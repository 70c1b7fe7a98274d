"""I tell of swaps of a parent with many children on a server with an adaptive hash index: they may stall."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from migrator.schema.lint.finding import Finding, Level
from migrator.schema.lint.references import parent_of
from migrator.schema.lint.rule import Rule
from migrator.schema.lint.subject import Subject

MANY: Final = 10
"""From how many children on it is told.

Each costs a walk over the buffer pool while the tables are locked. How long one takes depends on the pool and
on what is hashed, which nobody can know before: a few milliseconds are usual for a gibibyte. Ten of these add
up to what an application feels; below that the lock itself takes about as long.
"""


def check(subject: Subject) -> Iterator[Finding]:
    if subject.facts.variables.get("innodb_adaptive_hash_index", "").upper() != "ON":
        return
    for change in subject.changes:
        way = subject.facts.ways.get(change.name)
        if way is not None and way.instant:
            continue
        children = {
            child.name
            for child in subject.before.tables.values()
            for key in child.foreign_keys
            if child is not change.before and parent_of(subject.before, key) is change.before
        }
        if len(children) >= MANY:
            yield RULE.finding(
                change.name,
                f"foreign keys of {len(children)} tables refer to {change.place!r}, and production has an "
                "adaptive hash index: when the tables are swapped, the server clears it for each of them in "
                "the whole buffer pool while all are locked, so that writes may wait longer than usual when "
                "the pool is large",
                children=len(children),
            )


RULE = Rule(
    code="FK_HASH_INDEX",
    levels=(Level.WARNING,),
    advice="Run SET GLOBAL innodb_adaptive_hash_index = OFF on production before the deployment, when little "
    "is going on; it may be ON again after the revert window.",
    check=check,
)
