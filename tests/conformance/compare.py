"""I compare two tables row by row, and their definitions, as the server prints both."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection

from router.database import Connection, quote_name

COLUMNS = (
    "SELECT COLUMN_NAME, DATA_TYPE FROM information_schema.COLUMNS "
    "WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s ORDER BY ORDINAL_POSITION"
)
TABLES = (
    "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s AND TABLE_TYPE = 'BASE TABLE'"
)
SHAPES = frozenset(
    {
        *("geometry", "point", "linestring", "polygon", "multipoint", "multilinestring"),
        *("multipolygon", "geometrycollection", "geomcollection"),
    }
)
TEXTS = frozenset(
    {
        *("char", "varchar", "tinytext", "text", "mediumtext", "longtext", "binary", "varbinary", "vector"),
        *("tinyblob", "blob", "mediumblob", "longblob"),
    }
)
SHOWN = 4
COUNTER = re.compile(r" AUTO_INCREMENT=(\d+)")
CONSTRAINT = re.compile(r"CONSTRAINT `[^`]+` ")


def seen(name: str, data_type: str) -> str:
    """Return the expression that shows every difference of a column's values."""
    column = quote_name(name)
    if data_type in SHAPES:
        return f"HEX(ST_AsWKB({column}))"
    if data_type in TEXTS:
        return f"HEX({column})"
    if data_type in ("enum", "set"):
        return f"CONCAT({column} + 0, ' ', HEX({column}))"
    if data_type == "bit":
        return f"{column} + 0"
    if data_type == "float":
        return f"CAST({column} AS DOUBLE)"
    return f"CAST({column} AS CHAR)"


async def rows(connection: Connection, schema: str, table: str, without: Collection[str]) -> Counter[str]:
    """Return every row of a table, as text."""
    columns = [
        (str(name), str(kind).lower())
        for name, kind in await connection.fetch_all(COLUMNS, schema, table)
        if name not in without
    ]
    wanted = ", ".join(seen(name, kind) for name, kind in columns)
    found = await connection.fetch_all(f"SELECT {wanted} FROM {quote_name(schema)}.{quote_name(table)}")
    names = [name for name, _ in columns]
    return Counter(
        ", ".join(f"{name}={value}" for name, value in zip(names, row, strict=True)) for row in found
    )


async def definition(connection: Connection, schema: str, table: str, *, ours: bool = False) -> str:
    """Return SHOW CREATE TABLE without the counter and the names of constraints, its lines in order.

    While a change can be reverted, the engine may keep an index of its own: only with `ours` is it shown.
    """
    row = await connection.fetch_one(f"SHOW CREATE TABLE {quote_name(schema)}.{quote_name(table)}")
    assert row is not None
    lines = CONSTRAINT.sub("CONSTRAINT ", COUNTER.sub("", str(row[1]))).replace(",\n", "\n").splitlines()
    if not ours:
        lines = [line for line in lines if "`__hg_" not in line]
    columns = [line for line in lines if line.startswith("  `")]
    return "\n".join([*columns, *sorted(set(lines) - set(columns))])


async def counter(connection: Connection, schema: str, table: str) -> int | None:
    """Return the next number that the table gives."""
    row = await connection.fetch_one(f"SHOW CREATE TABLE {quote_name(schema)}.{quote_name(table)}")
    found = COUNTER.search(str(row[1])) if row else None
    return int(found[1]) if found else None


async def tables(connection: Connection, schema: str) -> list[str]:
    """Return the names of a schema's tables, in order."""
    return sorted(str(row[0]) for row in await connection.fetch_all(TABLES, schema))


async def assert_equal_rows(
    connection: Connection,
    one: tuple[str, str],
    other: tuple[str, str],
    *,
    without: Collection[str] = (),
    when: str,
) -> None:
    """Fail with some of the rows that only one of two tables has."""
    here, there = await rows(connection, *one, without), await rows(connection, *other, without)
    more, less = here - there, there - here
    assert here == there, (
        f"{when}: {more.total()} rows too many and {less.total()} missing in {one[1]}, such as "
        f"{[each[:300] for each in list(more)[:SHOWN]]} and {[each[:300] for each in list(less)[:SHOWN]]}"
    )
