"""I say how much of an AUTO_INCREMENT column's range is used, and what it must become to have room again."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from migrator.schema.diff import diff
from migrator.schema.model import Column, ColumnType, Schema, Table

LARGEST: Mapping[str, int] = MappingProxyType(
    {"tinyint": 2**7, "smallint": 2**15, "mediumint": 2**23, "int": 2**31, "bigint": 2**63}
)
"""By integer type, how many numbers from 0 on fit when it is signed; twice as many when it is not."""
FULL = 0.6
"""The share of a range from which on it is time to act."""


@dataclass(frozen=True, slots=True)
class Sequence:
    """An AUTO_INCREMENT column and the last number it has given."""

    table: str
    column: Column
    last: int

    @property
    def largest(self) -> int:
        """The last number it can give."""
        return largest(self.column.type) or 0

    @property
    def share(self) -> float:
        """How much of its range is used, from 0 to 1."""
        return self.last / self.largest


def largest(kind: ColumnType) -> int | None:
    """Return the largest number that a type holds, None when it is no integer."""
    numbers = LARGEST.get(kind.base)
    return None if numbers is None else numbers * (2 if kind.unsigned else 1) - 1


def sequence_of(table: Table) -> Sequence | None:
    """Return the table's sequence, with the counter that its definition was printed with."""
    column = next((column for column in table.columns if column.auto_increment), None)
    if column is None or largest(column.type) is None:
        return None
    return Sequence(table.name, column, int(table.option("AUTO_INCREMENT") or 1) - 1)


def full_sequences(schema: Schema) -> list[Sequence]:
    """Return the sequences that will be at their end sooner or later."""
    found = [sequence_of(table) for table in schema.tables.values()]
    return [sequence for sequence in found if sequence is not None and sequence.share >= FULL]


def wider(kind: ColumnType) -> ColumnType | None:
    """Return the type to change to, None when there is none: bigint, and then bigint without a sign."""
    if kind.base != "bigint":
        return replace(kind, base="bigint", arguments="20" if kind.arguments else None)
    return None if kind.unsigned else replace(kind, unsigned=True)


def retyped(
    schema: Schema, places: Iterable[tuple[str, str]], kind: ColumnType
) -> tuple[tuple[str, ...], ...]:
    """Return what gives columns (table, key of the column) another type: statements, step by step.

    Foreign keys from one table to another make way in a step of their own, and come back in another one: no
    server lets the types of both ends differ even for a moment, and each table is deployed by itself.
    """
    wanted = set(places)
    bare, done, after = dict(schema.tables), dict(schema.tables), dict(schema.tables)
    for name, table in schema.tables.items():
        columns = tuple(
            replace(column, type=kind) if (name, column.key) in wanted else column for column in table.columns
        )
        keys = tuple(
            key
            for key in table.foreign_keys
            if key.ref_table == name
            or wanted.isdisjoint((key.ref_table, column.lower()) for column in key.ref_columns)
        )
        bare[name] = replace(table, foreign_keys=keys)
        done[name] = replace(table, foreign_keys=keys, columns=columns)
        after[name] = replace(table, columns=columns)
    states = [schema, *(replace(schema, tables=tables) for tables in (bare, done, after))]
    steps = (diff(before, then).statements for before, then in itertools.pairwise(states))
    return tuple(step for step in steps if step)
