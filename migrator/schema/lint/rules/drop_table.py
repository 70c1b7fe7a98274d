"""I ask before a table is dropped, and refuse it while it is used."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.schema.lint.finding import Finding, Level
from migrator.schema.lint.rule import Rule
from migrator.schema.lint.subject import Subject
from migrator.schema.lint.usage import recently, used_by


def check(subject: Subject) -> Iterator[Finding]:
    for table in subject.dropped:
        usage = subject.facts.use(table.name)
        used = usage is not None and recently(subject, usage.last_seen)
        rows = subject.facts.table(table.name).rows
        size = f" with about {rows:,} rows" if rows else ""
        sentence = f"table {table.name!r}{size} is dropped"
        seen = usage.last_seen if usage else None
        if usage is not None and used:
            sentence += f", and it is in use: {used_by(usage)}"
        yield RULE.finding(
            table.name,
            sentence,
            level=Level.ERROR if used else Level.CONFIRM,
            can_drop_data=True,
            table_recently_used=used,
            table_recently_used_at=seen.isoformat() if seen else None,
        )


RULE = Rule(
    code="DROP_TABLE",
    number="C01",
    levels=(Level.CONFIRM, Level.ERROR),
    advice="Deploy first what no longer uses it. Its rows are kept until the revert window ends.",
    check=check,
)
