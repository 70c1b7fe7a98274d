"""I recommend changes of production's schema, from what it is and how it is used: one rule a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from migrator.schema.recommend import (
    duplicate_index,
    encoding_upgrade,
    sequence_overflow,
    sequence_overflow_foreign_key,
    unused_index,
    unused_table,
)
from migrator.schema.recommend.evidence import Evidence
from migrator.schema.recommend.recommendation import Kind, Recommendation

RULES: tuple[Callable[[Evidence], Iterator[Recommendation]], ...] = (
    unused_table.recommend,
    duplicate_index.recommend,
    unused_index.recommend,
    sequence_overflow.recommend,
    sequence_overflow_foreign_key.recommend,
    encoding_upgrade.recommend,
)
"""In the order in which they count: what an earlier one wants to drop, no later one speaks about."""


_INDEX_RULES = frozenset({Kind.DUPLICATE_INDEX, Kind.UNUSED_INDEX})
_DROPS = frozenset({Kind.UNUSED_TABLE, Kind.DUPLICATE_INDEX})


def recommend(evidence: Evidence) -> list[Recommendation]:
    """Return everything that is recommended, each thing once.

    Of a table that is to go nothing else is said. While an index is superfluous beside another one, no
    third rule looks at the table's indexes: which of them are read will change.
    """
    found: list[Recommendation] = []
    decided: set[str] = set()
    for rule in RULES:
        new = [each for each in rule(evidence) if each.table not in decided or each.kind not in _INDEX_RULES]
        going = {each.table for each in found if each.kind is Kind.UNUSED_TABLE}
        found += [each for each in new if each.table not in going]
        decided = {each.table for each in found if each.kind in _DROPS}
    return found
