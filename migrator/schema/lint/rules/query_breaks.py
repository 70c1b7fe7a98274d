"""I refuse what breaks queries that were seen."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.schema.lint.finding import Finding, Level
from migrator.schema.lint.rule import Rule
from migrator.schema.lint.subject import Subject

_SHOWN = 200


def check(subject: Subject) -> Iterator[Finding]:
    for query in subject.facts.broken_queries:
        touched = [name for name in query.tables if name in subject.touched] or list(query.tables)
        users = f" by {', '.join(query.users)}" if query.users else ""
        seen = f", last {query.last_seen:%Y-%m-%d %H:%M} UTC" if query.last_seen else ""
        yield RULE.finding(
            touched[0] if touched else "",
            f"a query that was seen {query.count:,} times{users}{seen} would fail: {query.reason} "
            f"({query.shape[:_SHOWN]})",
            f"query {query.shape}",
            statement=query.shape,
        )


RULE = Rule(
    code="QUERY_BREAKS",
    number="C15",
    levels=(Level.ERROR,),
    advice="Deploy first the code that does without it.",
    check=check,
)
