"""I am what the checks of a deploy request found, and what they looked at."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Any

from migrator.deploy.lifecycle import State
from migrator.deploy.request import EVERYTHING, OperationRecord
from migrator.schema.diff import unified_diff
from migrator.schema.lint.finding import Finding
from migrator.schema.model import Schema
from migrator.schema.order import DeployOrder
from migrator.schema.plan import connected
from migrator.schema.renames import Renames
from migrator.schema.serial import from_json


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What a branch proposes: the schema it was made with, and the one it has, as `schema.serial` text.

    `renames` lead from one to the other; None if an older Headgate has looked, which kept none.
    """

    base: str
    branch: str
    renames: Renames | None = None

    def changes_since(self, before: Snapshot) -> tuple[str, ...]:
        """Say table by table what is proposed otherwise than before; nothing when all is the same.

        Numbers that move by themselves, as that of the next row, do not count.
        """
        if self == before:
            return ()
        new = _proposal(self, before)
        if self.renames is not None and before.renames is not None:
            # The same schema, with a column's values or without them.
            for name, text in _renamed_otherwise(self.renames, before.renames).items():
                new[name] = f"{new[name]}\n{text}" if name in new else text
        return tuple(f"{name}:\n{text}" for name, text in new.items())


def _proposal(now: Snapshot, before: Snapshot) -> dict[str, str]:
    changed = unified_diff(from_json(before.branch), from_json(now.branch))
    if now.base == before.base:
        return changed
    rebased = unified_diff(from_json(before.base), from_json(now.base))
    return {
        name: text for name, text in {**rebased, **changed}.items() if rebased.get(name) != changed.get(name)
    }


def _renamed_otherwise(now: Renames, before: Renames) -> dict[str, str]:
    """Return what is renamed now and was not, and the other way round, by table."""
    found: dict[str, list[str]] = {}
    for renames, other, verb in ((before, now, "is no longer"), (now, before, "is now")):
        for old, new in renames.tables.items():
            if other.tables.get(old) != new:
                found.setdefault(old, []).append(f"{verb} renamed to {new}")
        for table, moves in renames.columns.items():
            for old, new in moves.items():
                if other.columns.get(table, {}).get(old) != new:
                    found.setdefault(table, []).append(f"column {old} {verb} renamed to {new}")
    return {table: "\n".join(lines) for table, lines in found.items()}


@dataclass(frozen=True, slots=True)
class Findings:
    """What the checks found: the change as text, one operation a table, and what there is to say of it.

    `problem` is why it cannot be deployed, in one text for people. `warnings` are sentences for
    the author. `footprint` has the tables that the operations touch, `order` what to deploy first.
    """

    diff: dict[str, str]
    operations: tuple[OperationRecord, ...]
    problem: str | None
    warnings: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()
    snapshot: Snapshot | None = None
    footprint: tuple[str, ...] = (EVERYTHING,)
    order: DeployOrder | None = None

    @property
    def blocked_by(self) -> str | None:
        """Why it cannot be deployed, None when it can."""
        blocking = [each.told for each in self.findings if each.blocks]
        return self.problem or " ".join(blocking) or None

    @property
    def state(self) -> State:
        """The state that these findings put a request into."""
        if self.blocked_by:
            return State.ERROR
        return State.READY if self.operations else State.NO_CHANGES

    def recorded(self) -> dict[str, Any]:
        """Return what a request records of these findings, by field."""
        return {
            "diff": self.diff,
            "operations": self.operations,
            "problem": self.blocked_by,
            "warnings": self.warnings,
            "findings": self.findings,
            "footprint": self.footprint,
            "order": self.order,
        }


def footprint(operations: Collection[OperationRecord], *schemas: Schema) -> tuple[str, ...]:
    """Return the tables that operations touch: their own, and those that foreign keys connect with them.

    What a view or program is made of is not looked at: a change of one touches everything.
    """
    if not all(record.of_table for record in operations):
        return (EVERYTHING,)
    tables = {table for record in operations for table in record.touches}
    return tuple(sorted(connected(tables, schemas)))


@dataclass(frozen=True, slots=True)
class Ahead:
    """A deploy request whose change will be in production before the one that is checked."""

    number: int
    branch: str
    snapshot: Snapshot


@dataclass(frozen=True, slots=True)
class Proposal:
    """What is to be checked: a branch as it is now, or as it was when its deployment started (`frozen`).

    `ahead` will be in production before, in that order.
    """

    database: str
    branch: str
    into_branch: str
    ahead: tuple[Ahead, ...] = ()
    frozen: Snapshot | None = None


Check = Callable[[Proposal], Awaitable[Findings]]
"""Checks a proposal against the branch deployed into as it is now."""
