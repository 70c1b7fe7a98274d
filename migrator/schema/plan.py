"""I am a plan: what is to be done to which table, in which order, with which statements."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from enum import StrEnum

from migrator.schema.model import Schema, Table
from migrator.schema.renames import Renames


class OperationKind(StrEnum):
    """What an operation does to its table."""

    CREATE = "create"
    ALTER = "alter"
    DROP = "drop"
    RENAME = "rename"


@dataclass(frozen=True, slots=True)
class Operation:
    """All that a plan does to one table.

    `statements` do it directly; an engine may get from `before` to `after` in another way. `losses` says in
    words what is gone afterwards. `renames` maps former names of columns to new ones; `former` is the name
    that a renamed table had.
    """

    kind: OperationKind
    table: str
    statements: tuple[str, ...]
    before: Table | None = None
    after: Table | None = None
    losses: tuple[str, ...] = ()
    renames: Mapping[str, str] = field(default_factory=dict)
    former: str = ""

    @property
    def touched(self) -> frozenset[str]:
        """The names of the table, before and after."""
        return frozenset({self.table, self.former} - {""})


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
    def touched(self) -> frozenset[str]:
        """The names of all its tables, before and after."""
        return frozenset().union(*(operation.touched for operation in self.operations))

    @property
    def renames(self) -> Renames:
        """What it renames."""
        columns = {op.former or op.table: op.renames for op in self.operations if op.renames}
        return Renames(columns, {op.former: op.table for op in self.operations if op.former})

    @property
    def statements(self) -> tuple[str, ...]:
        """All statements, first to last."""
        return tuple(statement for operation in self.operations for statement in operation.statements)


def connected(names: Set[str], schemas: Iterable[Schema]) -> frozenset[str]:
    """Return these tables, and those that foreign keys of these schemas connect with them either way."""
    found = set(names)
    for schema in schemas:
        for name, table in schema.tables.items():
            parents = {key.ref_table for key in table.foreign_keys}
            if name in names:
                found |= parents
            elif parents & names:
                found.add(name)
    return frozenset(found)


def referenced(table: Table | None) -> set[str]:
    """Return the other tables of the same database that a table's foreign keys point to."""
    if table is None:
        return set()
    return {key.ref_table for key in table.foreign_keys if key.ref_schema is None} - {table.name}


_RANK = {OperationKind.CREATE: 1, OperationKind.RENAME: 0, OperationKind.ALTER: 2, OperationKind.DROP: 3}


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
    return tuple(operations[number] for number in _ordered(operations, waits))


def _ordered(operations: Sequence[Operation], waits: list[set[int]]) -> Iterator[int]:
    """Go through the operations, each after those it waits for; of those that may run, by kind and name."""
    keys = [(_RANK[operation.kind], operation.table, number) for number, operation in enumerate(operations)]
    waited: list[list[int]] = [[] for _ in operations]
    for number, others in enumerate(waits):
        others.discard(number)
        for other in others:
            waited[other].append(number)
    free = [keys[number] for number, others in enumerate(waits) if not others]
    heapq.heapify(free)
    left = set(range(len(operations)))
    while left:
        # In a ring nobody may go first: then the first in line does.
        number = heapq.heappop(free)[-1] if free else min(keys[number] for number in left)[-1]
        if number not in left:
            continue
        left.remove(number)
        yield number
        for other in waited[number]:
            waits[other].discard(number)
            if not waits[other]:
                heapq.heappush(free, keys[other])
