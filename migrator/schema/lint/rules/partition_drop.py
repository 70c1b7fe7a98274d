"""I ask before partitions go, and look for rows that no partition would take."""

from __future__ import annotations

import re
from collections.abc import Iterator

from migrator.schema.lint.columns import listed
from migrator.schema.lint.finding import Finding, Level
from migrator.schema.lint.rows import doubts_about_rows
from migrator.schema.lint.rule import Rule
from migrator.schema.lint.subject import Subject

_PARTITION = re.compile(r"PARTITION (`(?:[^`]|``)+`|[\w$]+) VALUES")


def check(subject: Subject) -> Iterator[Finding]:
    yield from doubts_about_rows(RULE, subject, usual=Level.WARNING)
    for change in subject.changes:
        old, new = change.before.partitioning, change.after.partitioning
        if old is None or new is None or old == new:
            continue
        left = set(_PARTITION.findall(new.text))
        gone = [name.strip("`") for name in _PARTITION.findall(old.text) if name not in left]
        if gone and left:
            yield RULE.finding(
                change.name,
                f"table {change.name!r}: the partitions {listed(gone)} go",
                "partitioning",
                level=Level.CONFIRM,
                partition_name=gone[0],
            )


RULE = Rule(
    code="PARTITION_DROP",
    number="C20",
    levels=(Level.CONFIRM, Level.ERROR, Level.WARNING),
    advice="See that their rows are not needed, or have a place in another partition.",
    check=check,
)
