"""I tell of copies that take their time and space."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.schema.lint.finding import Finding, Level
from migrator.schema.lint.rule import Rule
from migrator.schema.lint.subject import Subject


def check(subject: Subject) -> Iterator[Finding]:
    for change in subject.changes:
        facts = subject.facts.table(change.place)
        way = subject.facts.ways.get(change.name)
        rows, size = facts.rows or 0, facts.bytes or 0
        if (way is not None and way.instant) or rows < subject.settings.big_rows:
            continue
        measured = subject.facts.copy_rows_per_s
        per_s = measured or _ROWS_PER_S
        fast = f"{per_s:,.0f} rows a second{', as the last large copy went,' if measured else ''}"
        hours = rows / per_s / 3600
        yield RULE.finding(
            change.name,
            f"table {change.name!r} has about {rows:,} rows and {size / 2**30:.1f} GiB: at {fast} "
            f"its copy takes {hours:.1f} h, and as much space again until the revert window "
            "ends",
            rows=rows,
            bytes=size,
        )


_ROWS_PER_S = 15_000

RULE = Rule(
    code="BIG_TABLE",
    number="C26",
    levels=(Level.INFO,),
    advice="Deploy it when there is time, and see that there is room.",
    check=check,
)
