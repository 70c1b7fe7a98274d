"""I ask before a column is dropped, and refuse it while queries name it."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.schema.lint.finding import Finding, Level
from migrator.schema.lint.rule import Rule
from migrator.schema.lint.subject import Subject
from migrator.schema.lint.usage import recently, used_by


def check(subject: Subject) -> Iterator[Finding]:
    for change in subject.changes:
        usage = subject.facts.use(change.place)
        for column in change.delta.columns_dropped:
            if column.generated is not None and not column.generated.stored:
                continue
            use = usage.columns.get(column.key) if usage else None
            used = use is not None and recently(subject, use.last_seen)
            sentence = f"column {column.name!r} of table {change.name!r} is dropped with its values"
            if use is not None and used:
                sentence += f", and it is in use: {used_by(use)}"
            yield RULE.finding(
                change.name,
                sentence,
                f"column {column.name}",
                level=Level.ERROR if used else Level.CONFIRM,
                column_name=column.name,
                can_drop_data=True,
            )


RULE = Rule(
    code="DROP_COLUMN",
    number="C02",
    levels=(Level.CONFIRM, Level.ERROR),
    advice="Deploy first what no longer names it. Its values are kept until the revert window ends.",
    check=check,
)
