"""I tell of swaps of a parent with many children on a server with an adaptive hash index: they may stall."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from migrator.schema.lint.finding import Finding, Level
from migrator.schema.lint.references import parent_of
from migrator.schema.lint.rule import Rule
from migrator.schema.lint.subject import Subject

MANY: Final = 10
LARGE_BYTES: Final = 8 * 2**30
"""From how many children, and which buffer pool on, it is told.

Each child costs a walk over the buffer pool while the tables are locked. With a pool of 1 GiB that was not to
be measured, with 60 children on MySQL and 20 on MariaDB. Others have seen stalls with many children and large
pools: how large is our choice, well above what was seen to be harmless.
"""


def check(subject: Subject) -> Iterator[Finding]:
    variables = subject.facts.variables
    pool = variables.get("innodb_buffer_pool_size", "")
    pool_bytes = int(pool) if pool.isdecimal() else 0
    if variables.get("innodb_adaptive_hash_index", "").upper() != "ON" or pool_bytes < LARGE_BYTES:
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
                f"adaptive hash index over a buffer pool of {pool_bytes / 2**30:.0f} GiB: at the swap the "
                "server clears it for each of them while all are locked, so that writes may wait longer than "
                "usual",
                children=len(children),
            )


RULE = Rule(
    code="FK_HASH_INDEX",
    levels=(Level.WARNING,),
    advice="Run SET GLOBAL innodb_adaptive_hash_index = OFF on production before the deployment, when little "
    "is going on; it may be ON again after the revert window.",
    check=check,
)
