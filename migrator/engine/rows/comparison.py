"""I am every SQL text that compares a source with its target, and finds values that are not unique."""

from __future__ import annotations

from collections.abc import Sequence

from migrator.engine.table.keys import Key, KeySpec
from migrator.engine.table.pair import Pair
from migrator.engine.table.shape import Column, Index, IndexPart, Shape
from migrator.engine.table.statements import STAGE
from router.database import quote_name


def digests(pair: Pair, low: Key | None, high: Key | None, *, staged: bool) -> str:
    """Select rows and digest of a range on both sides, in one statement and so of one moment."""
    if staged:
        left = _digest(pair, pair.target_key, pair.target, pair.targets, STAGE, "", low, high)
    else:
        source = pair.source.quoted
        left = _digest(pair, pair.key, pair.source, pair.sources, source, pair.source_index, low, high)
    target = pair.target.quoted
    right = _digest(pair, pair.target_key, pair.target, pair.targets, target, pair.target_index, low, high)
    return f"SELECT a.n, a.d, b.n, b.d FROM ({left}) AS a, ({right}) AS b"


def differing(pair: Pair, low: Key | None, high: Key | None, *, staged: bool) -> list[str]:
    """Select the keys of a range whose rows differ or are on one side only.

    Where the target does not order keys as the source does, only the first statement is given: the rows
    that the target has too many are found by `strangers`.
    """
    target = pair.target.quoted
    left, key = (STAGE, pair.target_key) if staged else (pair.source.quoted, pair.key)
    lefts = _columns(pair.target, pair.targets) if staged else _columns(pair.source, pair.sources)
    rights = _columns(pair.target, pair.targets)
    same = " AND ".join(
        f"{_exact(a, left)} <=> {_exact(b, target)}" for a, b in zip(lefts, rights, strict=True)
    )
    joined = (
        pair.target_key.equals(STAGE, target) if staged else pair.target_key.joins(target, pair.key, left)
    )
    inside = "TRUE" if staged else key.within(left, low, high)
    missing = (
        f"SELECT {key.select_list(left)} FROM {left} LEFT JOIN {target} ON {joined} "
        f"WHERE {inside} AND ({pair.target_key.absent(target)} OR NOT ({same}))"
    )
    if not pair.target_key.at_home:
        return [missing]
    return [
        missing,
        f"SELECT {pair.target_key.select_list(target)} FROM {target} LEFT JOIN {left} ON {joined} "
        f"WHERE {pair.target_key.within(target, low, high)} AND {key.absent(left)}",
    ]


def strangers(pair: Pair) -> str:
    """Select the keys of all rows that the target has and the source has not."""
    source, target = pair.source.quoted, pair.target.quoted
    return (
        f"SELECT {pair.target_key.select_list(target)} FROM {target} "
        f"LEFT JOIN {source} FORCE INDEX ({quote_name(pair.source_index)}) "
        f"ON {pair.target_key.joins(target, pair.key, source)} "
        f"WHERE {pair.key.absent(source)}"
    )


def duplicates(pair: Pair, index: Index, limit: int) -> str | None:
    """Select keys of rows that share values of an index that is to be unique, None when it cannot be told.

    The values are those the target would have: converted to its character sets and compared by its
    collations, whole or in part, or computed from other columns.
    """
    parts = [_part(pair, part) for part in index.parts]
    if any(part is None for part in parts):
        return None
    source = pair.source.quoted
    columns = ", ".join(
        f"{_as_target(a, b, source)} AS {quote_name(b.name)}"
        for a, b in zip(_columns(pair.source, pair.sources), _columns(pair.target, pair.targets), strict=True)
    )
    values = ", ".join(f"{part} AS v{n}" for n, part in enumerate(parts))
    listed = ", ".join(f"v{n}" for n in range(len(parts)))
    filled = " AND ".join(f"v{n} IS NOT NULL" for n in range(len(parts)))
    order = [f"headgate_{n}" for n in range(len(pair.key.columns))]
    ordered = ", ".join(
        f"{source}.{column.quoted} AS {name}" for column, name in zip(pair.key.columns, order, strict=True)
    )
    return (
        f"SELECT GROUP_CONCAT(headgate_key ORDER BY {', '.join(order)} SEPARATOR ' and ') FROM ("
        f"SELECT headgate_key, {', '.join(order)}, {values} FROM ("
        f"SELECT {pair.key.shown(source)} AS headgate_key, {ordered}, {columns} FROM {source}) AS rows_) "
        "AS values_ "
        f"WHERE {filled} GROUP BY {listed} HAVING COUNT(*) > 1 LIMIT {limit}"
    )


def _part(pair: Pair, part: IndexPart) -> str | None:
    """Return an index part's value as an expression over the shared columns, by the target's names."""
    if not part.column:
        return f"({part.expression})"
    column = pair.target.column(part.column)
    if column is None:
        return None
    if column.generated:
        value = f"({column.expression})"
    elif column.name in pair.targets:
        value = quote_name(column.name)
    else:
        return None
    return f"LEFT({value}, {part.prefix})" if part.prefix is not None else value


def _as_target(column: Column, other: Column, table: str) -> str:
    """Return a source column's value in the target's character set and collation."""
    reference = f"{table}.{quote_name(column.name)}"
    if column.column_type == other.column_type and column.collation == other.collation:
        return reference
    if other.charset and other.collation:
        return f"CONVERT({reference} USING {other.charset}) COLLATE {other.collation}"
    if other.data_type in _INTEGERS:
        return f"ROUND({reference})"
    if other.data_type in ("decimal", "datetime", "date"):
        return f"CAST({reference} AS {other.column_type.split(' ')[0]})"
    return reference


def _digest(
    pair: Pair,
    key: KeySpec,
    shape: Shape,
    wanted: Sequence[str],
    table: str,
    index: str,
    low: Key | None,
    high: Key | None,
) -> str:
    columns = _columns(shape, wanted)
    plain = _alike(columns)
    values = ", ".join(_short(column, table, plain=plain) for column in columns)
    nulls = ", ".join(
        f"{table}.{quote_name(a.name)} IS NULL"
        for a, b in zip(columns, _columns(pair.target, pair.targets), strict=True)
        if b.nullable
    )
    text = f"CONCAT_WS('#', {values}{f', CONCAT({nulls})' if nulls else ''})"
    force = f" FORCE INDEX ({quote_name(index)})" if index else ""
    inside = "TRUE" if table == STAGE else key.within(table, low, high)
    return f"SELECT COUNT(*) AS n, BIT_XOR(CRC32({text})) AS d FROM {table}{force} WHERE {inside}"


_TEXTS = frozenset({"tinytext", "text", "mediumtext", "longtext"})
_BYTES = frozenset({"tinyblob", "blob", "mediumblob", "longblob", "vector"})
_SHAPES = frozenset(
    {"geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon"}
    | {"geometrycollection", "geomcollection"}
)
_NUMBERED = frozenset({"enum", "set", "bit"})
_INTEGERS = frozenset({"tinyint", "smallint", "mediumint", "int", "bigint"})
_PLAIN = _INTEGERS | _TEXTS | {"decimal", "year", "date", "datetime", "timestamp", "time", "json"}


def _exact(column: Column, table: str) -> str:
    """Return an expression that is equal for two values only when the values are the same, byte by byte."""
    name = f"{table}.{quote_name(column.name)}"
    if column.data_type in _TEXTS or column.data_type in ("char", "varchar"):
        return f"CAST({name} AS BINARY)"
    if column.data_type == "json":
        return f"CAST({name} AS CHAR)"
    if column.data_type in _SHAPES:
        return f"ST_AsWKB({name})"
    if column.data_type in _NUMBERED:
        # As a sum, MySQL's SET would be a double, which does not hold 64 members.
        return f"CAST({name} AS UNSIGNED)"
    return name


def _short(column: Column, table: str, *, plain: bool) -> str:
    """Return `_exact`, but never so long that a row of them exceeds max_allowed_packet and becomes NULL.

    With `plain`, texts may be put together as they are.
    """
    if plain and column.data_type in ("char", "varchar"):
        return f"{table}.{quote_name(column.name)}"
    exact = _exact(column, table)
    if column.data_type in _TEXTS | _BYTES | _SHAPES or column.data_type == "json":
        return f"CRC32({exact})"
    # A FLOAT is printed with six digits, a double with all it has.
    return f"{exact} + 0e0" if column.data_type == "float" else exact


def _alike(columns: Sequence[Column]) -> bool:
    """Whether all texts have one collation, and nothing but numbers and times is beside them.

    Then they can be put together without being taken for bytes first, which costs as much as the digest.
    """
    collations = {column.collation for column in columns if column.data_type in ("char", "varchar")}
    return len(collations) == 1 and all(
        column.data_type in ("char", "varchar") or column.data_type in _PLAIN for column in columns
    )


def _columns(shape: Shape, wanted: Sequence[str]) -> list[Column]:
    return [column for name in wanted if (column := shape.column(name)) is not None]
