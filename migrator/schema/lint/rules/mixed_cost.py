"""I look for changes of which a part could be made at once, and another part needs a copy."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.schema.lint.finding import Finding, Level
from migrator.schema.lint.rule import Rule
from migrator.schema.lint.subject import Subject


def check(subject: Subject) -> Iterator[Finding]:
    for change in subject.changes:
        way = subject.facts.ways.get(change.name)
        quick = sorted(change.delta.kinds & _QUICK)
        slow = sorted(change.delta.kinds - _QUICK)
        if way is not None and not way.instant and quick and slow:
            yield RULE.finding(
                change.name,
                f"table {change.name!r} is copied because of its {_words(slow)}; its {_words(quick)} could "
                "be made at once in a deploy request of their own",
            )


_QUICK = frozenset({"columns_added", "indexes_renamed", "indexes_shown", "indexes_dropped"})


def _words(kinds: list[str]) -> str:
    return ", ".join(" ".join(reversed(kind.split("_"))) for kind in kinds)


RULE = Rule(
    code="MIXED_COST",
    number="C23",
    levels=(Level.INFO,),
    advice="Leave it, since one copy makes both; or make two deploy requests if a part is needed sooner.",
    check=check,
)
