"""I am two changes that do not go together, and how that is told."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from migrator.schema.lint.finding import Finding, Level
from migrator.schema.model import Element

CODE = "CONFLICT"
ORDER = "column order"
WHOLE = "the change as a whole"

_PARTITION = re.compile(r"\bPARTITION `?([^\s`(]+)`? VALUES", re.IGNORECASE)
_FACTS = {
    Element.COLUMN: "conflict_columns",
    Element.PRIMARY_KEY: "conflict_indexes",
    Element.INDEX: "conflict_indexes",
    Element.FOREIGN_KEY: "conflict_constraints",
    Element.CHECK: "conflict_constraints",
}


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two changes that do not go together: what the branch has (`ours`) and the other side (`theirs`).

    `element` says what part of the table it is about, in words, `kind` of what kind that is, and `names` what
    it is called. A side is None where it has nothing there. `against` is the number of the deploy request
    ahead that is the other side; None is production. `error` is what a server said, if it was one that found
    out.
    """

    table: str
    element: str
    ours: str | None
    theirs: str | None
    reason: str
    against: int | None = None
    kind: Element | None = None
    names: tuple[str, ...] = ()
    error: str = ""

    @property
    def them(self) -> str:
        """The other side, in words."""
        return other_side(self.against)

    @property
    def sentence(self) -> str:
        """The conflict, for people."""
        ours, theirs = self.ours or "nothing", self.theirs or "nothing"
        about = f"table {self.table!r}: " if self.table else ""
        return f"{about}{self.reason} (branch: {ours}; {self.them}: {theirs})"

    def __str__(self) -> str:
        return self.sentence

    def mirrored(self) -> Conflict:
        """Return it as the other side sees it."""
        return replace(self, ours=self.theirs, theirs=self.ours)


def other_side(number: int | None) -> str:
    """Name the other side of a conflict: a deploy request ahead, or production."""
    return "production" if number is None else f"deploy request {number}"


def as_finding(conflict: Conflict, advice: str) -> Finding:
    """Tell a conflict as a finding; `advice` says how to get out of it."""
    element = conflict.element if conflict.against is None else f"{conflict.element} #{conflict.against}"
    return Finding(
        CODE,
        Level.ERROR,
        conflict.table,
        conflict.sentence,
        advice,
        element,
        _facts(conflict),
        hard=True,
    )


def _facts(conflict: Conflict) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "conflict_error": conflict.error or conflict.reason,
        "conflict_ddl_verb": _verb(conflict),
        "conflict_against": conflict.against,
        "conflict_ours": conflict.ours,
        "conflict_theirs": conflict.theirs,
    }
    field = "conflict_columns" if conflict.element == ORDER else _FACTS.get(conflict.kind or Element.OPTION)
    if field is not None:
        facts[field] = list(conflict.names)
    if conflict.kind is Element.PARTITIONING:
        sides = (_PARTITION.findall(side or "") for side in (conflict.ours, conflict.theirs))
        ours, theirs = (set(side) for side in sides)
        facts["conflict_partitions"] = sorted(ours ^ theirs)
    return facts


def _verb(conflict: Conflict) -> str:
    """Return what the branch does to the table, in SQL's word."""
    if conflict.element != "table":
        return "ALTER"
    if conflict.ours is None:
        return "DROP"
    return "CREATE" if "each created" in conflict.reason else "ALTER"
