"""I look for rings of foreign keys that change rows: one DELETE or UPDATE could go round."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.schema.lint.finding import Finding, Level
from migrator.schema.lint.references import changes_rows, parent_of
from migrator.schema.lint.rule import Rule
from migrator.schema.lint.subject import Subject


def check(subject: Subject) -> Iterator[Finding]:
    children: dict[str, set[str]] = {}
    for table in subject.tables:
        for key in table.foreign_keys:
            parent = parent_of(subject.after, key)
            if parent is not None and parent.name != table.name and changes_rows(key):
                children.setdefault(table.name, set()).add(parent.name)
    for name in sorted(children):
        ring = _way_back(name, children)
        # Each ring is told once, from its first table.
        if ring and name == min(ring):
            shown = " → ".join((*ring, name))
            yield RULE.finding(name, f"foreign keys that change rows form a ring: {shown}")


def _way_back(start: str, parents: dict[str, set[str]]) -> tuple[str, ...]:
    """Return the shortest way from a table back to itself, empty when there is none."""
    ways: list[tuple[str, ...]] = [(start,)]
    seen: set[str] = set()
    while ways:
        longer = []
        for way in ways:
            for name in sorted(parents.get(way[-1], ())):
                if name == start:
                    return way
                if name not in seen:
                    seen.add(name)
                    longer.append((*way, name))
        ways = longer
    return ()


RULE = Rule(
    code="FOREIGN_KEYS_CIRCULAR_DEPENDENCY",
    levels=(Level.ERROR,),
    advice="Take CASCADE and SET NULL from one of these foreign keys.",
    check=check,
    hard=True,
)
