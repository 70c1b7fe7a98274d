"""I am a recommendation: a change of the schema that production itself gives reason for."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a recommendation is about; the names are those of the API."""

    UNUSED_TABLE = "unused_table"
    UNUSED_INDEX = "unused_index"
    DUPLICATE_INDEX = "duplicate_index"
    SEQUENCE_OVERFLOW = "sequence_overflow"
    SEQUENCE_OVERFLOW_FOREIGN_KEY = "sequence_overflow_foreign_key"
    ENCODING_UPGRADE = "encoding_upgrade"


@dataclass(frozen=True, slots=True)
class Recommendation:
    """What to change and why.

    `element` is the index or column it is about, "" when it is the table itself. `statements` make the change
    on a branch, in this order; `reason` says, with the figures, what it rests on and what to think of before.
    """

    kind: Kind
    table: str
    element: str
    title: str
    statements: tuple[str, ...]
    reason: str

    @property
    def key(self) -> str:
        """What stays the same while figures change, so that one is known again."""
        return f"{self.kind}:{self.table}:{self.element}"
