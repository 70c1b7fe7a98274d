"""I look for indexes that are the same as another one."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from migrator.schema.lint.columns import index_element, index_name
from migrator.schema.lint.finding import Finding, Level
from migrator.schema.lint.rule import Rule
from migrator.schema.lint.subject import Subject
from migrator.schema.model import Index, IndexKind


def check(subject: Subject) -> Iterator[Finding]:
    for table in subject.tables:
        for one, other in combinations(sorted((each.meaning for each in table.indexes), key=_rank), 2):
            if one.kind is other.kind and one.parts == other.parts and one.visible == other.visible:
                yield RULE.finding(
                    table.name,
                    f"table {table.name!r}: {index_name(other)} is the same as {index_name(one)}",
                    index_element(other),
                    index_name=other.name,
                )


def _rank(index: Index) -> tuple[bool, str]:
    return index.kind is not IndexKind.PRIMARY, index.key


RULE = Rule(
    code="DUPLICATE_INDEX",
    levels=(Level.WARNING,),
    advice="Drop one of the two: each costs time with every write.",
    check=check,
)
