"""I plan which rows of its parent a new branch gets, and how each value is read.

Rows go from one server to another by way of us, each value in a form that arrives exactly as it left. A
sample takes rows from all over each table; then the parents that its foreign keys lead to are added.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from migrator.schema.errors import SchemaError
from migrator.schema.masks import How, Mask
from migrator.schema.model import Column, ForeignKey, Index, IndexKind, Schema, Table
from router.database import quote_name

NO_KEY_ROWS: Final = 100_000
"""Rows of a table without a usable key, at most: they are read at once."""

_INTEGERS: Final = frozenset({"tinyint", "smallint", "mediumint", "int", "bigint"})
_TEMPORAL: Final = frozenset({"date", "datetime", "timestamp", "time"})
_NUMBERED: Final = frozenset({"enum", "set", "bit"})
# As parts of a key to go along: their order, or their text, is not that of their values.
_UNORDERED: Final = _NUMBERED | {"float", "double"}
_NUMBERS: Final = _INTEGERS | {"decimal", "float", "double"}
_TEXTS: Final = frozenset({"char", "varchar", "tinytext", "text", "mediumtext", "longtext"})


class Amount(StrEnum):
    """How many rows a new branch gets."""

    ALL = "all"
    SAMPLE = "sample"


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants of a copy: of a sample, `rows` or `percent` of each table (rows: 1000)."""

    amount: Amount
    rows: int | None = None
    percent: float | None = None
    masks: tuple[Mask, ...] = ()

    def __post_init__(self) -> None:
        if self.amount is Amount.ALL and (self.rows is not None or self.percent is not None):
            raise SchemaError("a copy of all rows takes no number of rows", "Ask for a sample instead.")
        if self.rows is not None and self.percent is not None:
            raise SchemaError("a sample is so many rows or so many percent of each table, not both")
        if (self.rows is not None and self.rows < 1) or not 0 < (self.percent or 1) <= 100:
            raise SchemaError("a sample has at least one row, or more than 0 and at most 100 percent")

    def rows_of(self, known: int) -> int | None:
        """Return how many of about `known` rows a table's sample has, None for all of them."""
        if self.amount is Amount.ALL:
            return None
        if self.percent is not None:
            return max(1, round(known * self.percent / 100))
        return self.rows or 1000


@dataclass(frozen=True, slots=True)
class Source:
    """One column that is copied: how it is read, and what masks it; `length` in characters, if limited."""

    column: str
    expression: str
    mask: Mask | None = None
    length: int | None = None


@dataclass(frozen=True, slots=True)
class Link:
    """A foreign key: whose columns lead to which of the parent."""

    child: str
    columns: tuple[str, ...]
    parent: str
    parent_columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TableCopy:
    """How one table is copied: `key` are the columns to go along, none when there is no usable key."""

    name: str
    sources: tuple[Source, ...]
    key: tuple[str, ...]
    numeric: bool = False

    @property
    def key_at(self) -> tuple[int, ...]:
        """Where in a row the parts of the key are."""
        names = [source.column for source in self.sources]
        return tuple(names.index(part) for part in self.key)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is copied, parents before children where that can be; `left_out` says what is not."""

    wish: Wish
    tables: tuple[TableCopy, ...]
    links: tuple[Link, ...] = ()
    left_out: tuple[str, ...] = field(default=())

    def table(self, name: str) -> TableCopy:
        """Return how a table is copied."""
        return next(table for table in self.tables if table.name == name)


def plan_seed(schema: Schema, wish: Wish) -> Plan:
    """Plan a copy of the rows of a schema. Raises SchemaError, naming everything that is wrong with masks."""
    names = schema.tables
    links = [link for table in schema.tables.values() for link in _links(table, names)]
    masks = _checked(names, wish, links)
    tables = [_copy(table, masks) for table in _ordered(schema.tables, links)]
    left_out = [
        f"the rows of {table.name!r} are left out: {table.reason}"
        for table in schema.opaque.values()
        if not table.sequence
    ]
    return Plan(wish, tuple(tables), tuple(links), tuple(left_out))


def _links(table: Table, names: Mapping[str, Table]) -> list[Link]:
    return [
        Link(table.name, key.columns, parent.name, key.ref_columns)
        for key in table.foreign_keys
        if (parent := _parent(key, names)) is not None
    ]


def _parent(key: ForeignKey, names: Mapping[str, Table]) -> Table | None:
    return None if key.ref_schema is not None else _named(key.ref_table, names)


def _named(name: str, tables: Mapping[str, Table]) -> Table | None:
    """Return the table of this name, in other letters too where only one can be meant.

    Servers may have tables whose names differ in upper and lower case only.
    """
    if name in tables:
        return tables[name]
    alike = [table for each, table in tables.items() if each.lower() == name.lower()]
    return alike[0] if len(alike) == 1 else None


def _ordered(tables: Mapping[str, Table], links: Sequence[Link]) -> list[Table]:
    """Put parents before children; of those in a circle, the first by name goes first."""
    waiting, ordered = dict(sorted(tables.items())), []
    while waiting:
        blocked = {link.child for link in links if link.parent in waiting and link.parent != link.child}
        free = [name for name in waiting if name not in blocked] or list(waiting)[:1]
        ordered += [waiting.pop(name) for name in free]
    return ordered


def _copy(table: Table, masks: Mapping[tuple[str, str], Mask]) -> TableCopy:
    sources = tuple(
        Source(column.name, _expression(column), masks.get((table.name, column.key)), _length(column))
        for column in table.columns
        if column.generated is None
    )
    key = _key(table)
    first = table.column(key[0]) if key else None
    return TableCopy(table.name, sources, key, first is not None and first.type.base in _INTEGERS)


def _key(table: Table) -> tuple[str, ...]:
    """Return the columns of the first key that names each row and can be gone along."""
    unique = [index for index in table.indexes if index.kind in (IndexKind.PRIMARY, IndexKind.UNIQUE)]
    for index in sorted(unique, key=lambda index: index.kind is not IndexKind.PRIMARY):
        if columns := _columns_of(table, index):
            return tuple(column.name for column in columns)
    return ()


def _columns_of(table: Table, index: Index) -> list[Column]:
    columns = []
    for part in index.parts:
        column = table.column(part.column) if part.column is not None else None
        if column is None or part.prefix is not None or column.nullable or column.generated is not None:
            return []
        if column.type.base in _UNORDERED:
            return []
        columns.append(column)
    return columns


def _expression(column: Column) -> str:
    """Return how a value is read so that it arrives as it was: as text, number or bytes."""
    name, base = written(column.name), column.type.base
    if base in _TEMPORAL:
        # The driver's own types lose what a zero date and a negative time say.
        return f"CAST({name} AS CHAR)"
    if base in _NUMBERED:
        return f"{name} + 0"
    if base == "float":
        # Its text has six digits.
        return f"CAST({name} AS DOUBLE)"
    return name


def _length(column: Column) -> int | None:
    if column.type.base in {"char", "varchar", "binary", "varbinary"} and column.type.arguments:
        return int(column.type.arguments)
    return None


def _checked(names: Mapping[str, Table], wish: Wish, links: Sequence[Link]) -> dict[tuple[str, str], Mask]:
    found: dict[tuple[str, str], Mask] = {}
    wrong: list[str] = []
    for mask in wish.masks:
        table = _named(mask.table, names)
        column = table.column(mask.column) if table else None
        if table is None or column is None:
            wrong.append(f"{mask}: there is no such column")
        elif reason := _unfit(mask, column):
            wrong.append(f"{mask}: {reason}")
        else:
            found[table.name, column.key] = mask
    for table_name, column_key in found:
        for link in links:
            ends = {(link.child, name.lower()) for name in link.columns}
            ends |= {(link.parent, name.lower()) for name in link.parent_columns}
            if (table_name, column_key) in ends:
                wrong.append(
                    f"{found[table_name, column_key]}: the foreign key from {link.child!r} to "
                    f"{link.parent!r} goes by this column"
                )
    if wrong:
        raise SchemaError("; ".join(dict.fromkeys(wrong)), "Leave these masks out, or choose others.")
    return found


def _unfit(mask: Mask, column: Column) -> str:
    base = column.type.base
    match mask.how:
        case How.NULL:
            return "" if column.nullable else "the column may not be NULL"
        case How.NUMBER:
            return "" if base in _NUMBERS else "it is no number"
        case How.EMAIL | How.NAME:
            return "" if base in _TEXTS else "it is no text"
        case How.HASH:
            return "" if base in _TEXTS | _INTEGERS | {"binary", "varbinary", "blob"} else f"not for {base}"
        case How.FIXED:
            return "" if column.generated is None else "the column is computed"


def written(name: str) -> str:
    """Return a name for a statement that has arguments, where a % is written twice."""
    return quote_name(name).replace("%", "%%")
