"""I look at partitions: what servers refuse, and what stops taking rows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

from migrator.schema.lint.columns import index_name, listed, unique_indexes
from migrator.schema.lint.finding import Finding, Level
from migrator.schema.lint.rule import Rule
from migrator.schema.lint.subject import Subject
from migrator.schema.lossy import mentioned
from migrator.schema.model import Table
from router.model import Flavor

_SOON_DAYS = 7
_METHOD = re.compile(r"PARTITION BY (?:LINEAR )?(\w+)")
_BOUND = re.compile(
    r"VALUES LESS THAN (?:\((?P<bound>.*?)\)|(?P<most>MAXVALUE))(?= ENGINE|,|\)|\s|$)", re.DOTALL
)
_HEAD = re.compile(r"PARTITION BY .*?\((?P<expression>.*?)\)\s*(?:\(|PARTITIONS|SUBPARTITION|$)", re.DOTALL)


def check(subject: Subject) -> Iterator[Finding]:
    for table in subject.tables:
        if table.partitioning is None:
            continue
        text = table.partitioning.text
        method = _METHOD.search(text)
        kind = method[1] if method else ""
        for said, level in _doubts(subject, table, text):
            yield RULE.finding(
                table.name,
                f"table {table.name!r}: {said}",
                "partitioning",
                level=level,
                partitioning_type=kind,
            )


def _doubts(subject: Subject, table: Table, text: str) -> Iterator[tuple[str, Level]]:
    head = _HEAD.search(text)
    columns = mentioned(head["expression"]) if head else frozenset()
    for index in unique_indexes(table):
        if missing := sorted(columns - set(index.columns)):
            yield (
                f"{index_name(index)} does not have {listed(missing)}, by which the table is partitioned "
                "(1503)",
                Level.ERROR,
            )
    if table.foreign_keys and table.flavor is Flavor.MYSQL:
        yield "a table with foreign keys cannot be partitioned (1506)", Level.ERROR
    if "SUBPARTITION" in text:
        yield "it has subpartitions", Level.INFO
    bounds = list(_BOUND.finditer(text))
    if "PARTITION BY RANGE" in text and bounds and not _endless(bounds[-1]):
        end = _as_day(bounds[-1]["bound"], head["expression"] if head else "")
        if end is None:
            yield "rows above the last partition's bound are refused: none is for MAXVALUE", Level.INFO
        elif subject.facts.now and end < subject.facts.now.date() + timedelta(days=_SOON_DAYS):
            yield f"its last partition ends at {end}: rows after that are refused", Level.WARNING


def _endless(bound: re.Match[str]) -> bool:
    return bool(bound["most"]) or "MAXVALUE" in bound["bound"]


def _as_day(bound: str, expression: str) -> date | None:
    """Return the day that a bound stands for, None when it is no date."""
    if found := re.fullmatch(r"\s*'(\d{4})-(\d\d)-(\d\d)[^']*'\s*", bound):
        return date(int(found[1]), int(found[2]), int(found[3]))
    if re.search(r"to_days\s*\(", expression, re.IGNORECASE) and bound.strip().isdigit():
        return date.fromordinal(int(bound) - 365)
    if re.search(r"unix_timestamp\s*\(", expression, re.IGNORECASE) and bound.strip().isdigit():
        return datetime.fromtimestamp(int(bound), UTC).date()
    return None


RULE = Rule(
    code="UNSUPPORTED_PARTITIONING_FEATURE",
    levels=(Level.ERROR, Level.WARNING, Level.INFO),
    advice="Put the partitioning columns into every unique key, leave foreign keys away, and add partitions "
    "before the last one is full.",
    check=check,
)
