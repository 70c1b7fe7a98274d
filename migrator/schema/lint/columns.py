"""I know what columns and indexes hold: their kinds, their limits, their sizes."""

from __future__ import annotations

import re
from collections.abc import Iterator

from migrator.schema.conversions import character_bytes, members
from migrator.schema.model import Column, Index, IndexKind, IndexPart, Table

INTEGER_BYTES = {"tinyint": 1, "smallint": 2, "mediumint": 3, "int": 4, "bigint": 8}
TEXTS = frozenset({"tinytext", "text", "mediumtext", "longtext"})
BLOBS = frozenset({"tinyblob", "blob", "mediumblob", "longblob"})
GEOMETRIES = frozenset(
    {"geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon"}
    | {"geomcollection", "geometrycollection"}
)
INEXACT = frozenset({"float", "double"})
# Of these no whole value is in an index, or none that is known exactly.
NOT_A_KEY = TEXTS | BLOBS | GEOMETRIES | INEXACT | {"json", "vector"}
_FIXED = {"float": 4, "double": 8, "date": 3, "year": 1, "uuid": 16, "inet4": 4, "inet6": 16}
_FIXED |= INTEGER_BYTES
_FRACTION = (0, 1, 1, 2, 2, 3, 3)
_POINTER = 9 + 3  # length and pointer of what is kept elsewhere


def unique_indexes(table: Table) -> Iterator[Index]:
    """Yield the primary key and the unique keys, the primary key first."""
    yield from sorted(
        (index for index in table.indexes if index.kind in (IndexKind.PRIMARY, IndexKind.UNIQUE)),
        key=lambda index: (index.kind is not IndexKind.PRIMARY, index.key),
    )


def unfit_parts(table: Table, index: Index) -> Iterator[tuple[str, str]]:
    """Yield the parts of a unique index by which a row is not found for sure, each with the reason."""
    for part in index.parts:
        column = table.column(part.column) if part.column else None
        if column is None:
            yield part.expression or "", "an expression"
        elif part.prefix is not None:
            yield column.name, "only a prefix of its column"
        elif column.type.base in NOT_A_KEY:
            yield column.name, f"a {column.type.base.upper()}"
        elif column.nullable:
            yield column.name, "nullable"


def usable_keys(table: Table) -> tuple[Index, ...]:
    """Return the unique indexes by which every row can be found."""
    return tuple(index for index in unique_indexes(table) if not list(unfit_parts(table, index)))


def is_long(column: Column) -> bool:
    """Whether the column's values are too long for an index without a prefix."""
    return column.type.base in TEXTS | BLOBS


def largest(column: Column) -> int | None:
    """Return the greatest number an integer column holds, None for other columns."""
    size = INTEGER_BYTES.get(column.type.base)
    if size is None:
        return None
    bits = 8 * size
    return int(2**bits - 1 if column.type.unsigned else 2 ** (bits - 1) - 1)


def length(column: Column) -> int:
    """Return the number in the parentheses of a type, 1 when there is none."""
    first = re.match(r"\d+", column.type.arguments or "")
    return int(first[0]) if first else 1


def index_bytes(table: Table, index: Index) -> int:
    """Return how many bytes an entry of an index takes at most; parts of unknown size count nothing."""
    return sum(_part_bytes(table.column(part.column), part) for part in index.parts if part.column)


def _part_bytes(column: Column | None, part: IndexPart) -> int:
    if column is None or column.type.base in GEOMETRIES:
        return 0
    nullable = int(column.nullable)
    per_character = character_bytes(column.collation)
    if is_long(column):
        return (part.prefix or 0) * per_character + 2 + nullable
    if column.type.base in ("varchar", "varbinary"):
        return (part.prefix or length(column)) * per_character + 2 + nullable
    if column.type.base in ("char", "binary"):
        return (part.prefix or length(column)) * per_character + nullable
    return fixed_bytes(column) + nullable


def fixed_bytes(column: Column) -> int:
    """Return how many bytes a value of a type of fixed size takes in a row."""
    base = column.type.base
    if base == "decimal":
        digits, _, scale = (column.type.arguments or "10,0").partition(",")
        return _digits_bytes(int(digits) - int(scale or 0)) + _digits_bytes(int(scale or 0))
    if base in ("datetime", "timestamp", "time"):
        fraction = int(column.type.arguments or "0")
        return {"datetime": 5, "timestamp": 4, "time": 3}[base] + _FRACTION[min(fraction, 6)]
    if base == "enum":
        return 1 if len(members(column)) < 256 else 2
    if base == "set":
        return set_bytes(len(members(column)))
    if base == "bit":
        return (length(column) + 7) // 8
    return _FIXED.get(base, 8)


def set_bytes(count: int) -> int:
    """Return how many bytes a SET of so many members takes."""
    return next(size for size in (1, 2, 3, 4, 8) if count <= 8 * size)


def _digits_bytes(digits: int) -> int:
    return digits // 9 * 4 + (0, 1, 1, 2, 2, 3, 3, 4, 4)[digits % 9]


def row_bytes(table: Table) -> int:
    """Return how many bytes a row takes at most, as the limit of 65,535 counts them."""
    size = (sum(column.nullable for column in table.columns) + 7) // 8
    for column in table.columns:
        if column.generated is not None and not column.generated.stored:
            continue
        base = column.type.base
        if base in NOT_A_KEY - INEXACT:
            size += _POINTER
        elif base in ("char", "binary"):
            size += length(column) * character_bytes(column.collation)
        elif base in ("varchar", "varbinary"):
            most = length(column) * character_bytes(column.collation)
            size += most + (1 if most < 256 else 2)
        else:
            size += fixed_bytes(column)
    return size


def listed(names: Iterator[str] | list[str] | tuple[str, ...]) -> str:
    """Write names one after the other for people."""
    return ", ".join(repr(name) for name in names)


def index_name(index: Index) -> str:
    """Name an index for people."""
    return "the primary key" if index.kind is IndexKind.PRIMARY else f"index {index.name!r}"


def index_element(index: Index) -> str:
    """Name an index as the element of a finding."""
    return "primary key" if index.kind is IndexKind.PRIMARY else f"index {index.name}"
