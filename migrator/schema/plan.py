"""I am a plan: what is to be done to which table, in which order, with which statements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from migrator.schema.model import Table


class OperationKind(StrEnum):
    """What an operation does to its table."""

    CREATE = "create"
    ALTER = "alter"
    DROP = "drop"


@dataclass(frozen=True, slots=True)
class Operation:
    """All that a plan does to one table.

    `statements` do it directly; an engine may get from `before` to `after` in another way. `losses` says in
    words what is gone afterwards.
    """

    kind: OperationKind
    table: str
    statements: tuple[str, ...]
    before: Table | None = None
    after: Table | None = None
    losses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """Operations in the order in which they can run, and sentences about changes that cannot be deployed."""

    operations: tuple[Operation, ...] = ()
    unsupported: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do and nothing to say."""
        return not self.operations and not self.unsupported

    @property
    def statements(self) -> tuple[str, ...]:
        """All statements, first to last."""
        return tuple(statement for operation in self.operations for statement in operation.statements)


def referenced(table: Table | None) -> set[str]:
    """Return the other tables of the same database that a table's foreign keys point to."""
    if table is None:
        return set()
    return {key.ref_table for key in table.foreign_keys if key.ref_schema is None} - {table.name}


def possible_renames(plan: Plan) -> tuple[str, ...]:
    """Say where a removal and an addition look like one renaming: what was renamed loses its values."""
    found = []
    for operation in plan.operations:
        before, after = operation.before, operation.after
        if before is None or after is None:
            continue
        gone = [column for column in before.columns if after.column(column.name) is None]
        come = [column for column in after.columns if before.column(column.name) is None]
        for old in gone:
            alike = [new.name for new in come if replace(new, name=old.name) == old]
            if alike and old.generated is None:
                found.append(
                    f"table {operation.table!r}: if column {old.name!r} was renamed to {alike[0]!r}, know "
                    "that it is deployed as a removal and an addition, and its values are lost"
                )
    created = [operation for operation in plan.operations if operation.before is None]
    for operation in plan.operations:
        old_table = operation.before
        if operation.after is not None or old_table is None:
            continue
        for other in created:
            if other.after is not None and other.after.same_as(old_table):
                found.append(
                    f"if table {operation.table!r} was renamed to {other.table!r}, know that it is deployed "
                    "as a removal and a creation, and its rows are lost"
                )
    return tuple(found)


_RANK = {OperationKind.CREATE: 0, OperationKind.ALTER: 1, OperationKind.DROP: 2}


def in_runnable_order(operations: Sequence[Operation]) -> tuple[Operation, ...]:
    """Order operations so that parents exist before children point to them and go after nobody does.

    Creations come first, then alterations, then removals, as far as foreign keys let them. Creations whose
    foreign keys form a ring must have been split before.
    """
    at = {operation.table: number for number, operation in enumerate(operations)}
    waits: list[set[int]] = [set() for _ in operations]
    for number, operation in enumerate(operations):
        wanted, had = referenced(operation.after), referenced(operation.before)
        for parent in wanted:
            if parent in at and operations[at[parent]].kind is not OperationKind.DROP:
                waits[number].add(at[parent])
        for parent in had - wanted:
            if parent in at:
                waits[at[parent]].add(number)
    ordered: list[Operation] = []
    left = set(range(len(operations)))
    while left:
        free = [number for number in left if not waits[number] & left] or list(left)
        chosen = min(free, key=lambda number: (_RANK[operations[number].kind], operations[number].table))
        left.remove(chosen)
        ordered.append(operations[chosen])
    return tuple(ordered)
