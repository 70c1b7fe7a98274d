"""I read what the engine must know of a table: its columns, its unique indexes, its exact definition."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from migrator.engine.keys import KeyColumn, key_column
from migrator.errors import Refused
from router.database import Connection, quote_name

COLUMNS = (
    "SELECT COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, IS_NULLABLE, COLUMN_DEFAULT, EXTRA, COLLATION_NAME "
    "FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s ORDER BY ORDINAL_POSITION"
)
INDEXES = (
    "SELECT INDEX_NAME, NON_UNIQUE, COLUMN_NAME, SUB_PART, INDEX_TYPE "
    "FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s "
    "ORDER BY INDEX_NAME, SEQ_IN_INDEX"
)
TABLE = (
    "SELECT TABLE_TYPE, ENGINE, TABLE_ROWS, AVG_ROW_LENGTH FROM information_schema.TABLES "
    "WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s"
)
_GENERATED = re.compile(r"\b(VIRTUAL|STORED|PERSISTENT)( GENERATED)?\b", re.IGNORECASE)
_COUNTER = re.compile(r"\sAUTO_INCREMENT=(\d+)")


@dataclass(frozen=True, slots=True)
class Column:
    """One column; `ordinal` counts from 0 in the order of row images."""

    name: str
    ordinal: int
    data_type: str
    column_type: str
    nullable: bool
    default: str | None
    extra: str
    collation: str | None

    @property
    def generated(self) -> bool:
        """Whether the server computes the value, so that nobody may insert it."""
        return bool(_GENERATED.search(self.extra))

    @property
    def on_update(self) -> bool:
        """Whether the server changes the value by itself when the row is updated."""
        return "on update" in self.extra.lower()

    @property
    def key_column(self) -> KeyColumn | None:
        """The column as a part of an iteration key, None when it cannot be one."""
        return None if self.generated else key_column(self.name, self.data_type, self.column_type)

    def converts_to(self, other: Column) -> bool:
        """Whether a value may change when it is copied into `other`."""
        return (self.column_type, self.collation) != (other.column_type, other.collation)


@dataclass(frozen=True, slots=True)
class UniqueIndex:
    """A unique index; `plain` when all its parts are whole columns, so that it can find one row by values."""

    name: str
    columns: tuple[str, ...]
    plain: bool


@dataclass(frozen=True, slots=True)
class Shape:
    """A table's columns and unique indexes, as the server has them."""

    schema: str
    name: str
    columns: tuple[Column, ...]
    uniques: tuple[UniqueIndex, ...]
    rows: int
    row_bytes: int

    @property
    def quoted(self) -> str:
        """The qualified name for SQL text."""
        return f"{quote_name(self.schema)}.{quote_name(self.name)}"

    def column(self, name: str) -> Column | None:
        """Find a column by its name, in whatever case."""
        return next((column for column in self.columns if column.name.lower() == name.lower()), None)


async def read_shape(connection: Connection, schema: str, table: str) -> Shape | None:
    """Read a table's shape, None when there is none; raises Refused for what is not an InnoDB table."""
    facts = await connection.fetch_one(TABLE, schema, table)
    if facts is None:
        return None
    kind, engine, rows, row_bytes = facts
    if kind != "BASE TABLE" or str(engine).lower() != "innodb":
        raise Refused(
            f"{schema}.{table} is a {str(kind).lower()} of engine {engine}",
            hint="only InnoDB tables can be changed online",
        )
    columns = [
        Column(name, n, data_type.lower(), column_type, nullable == "YES", default, extra or "", collation)
        for n, (name, data_type, column_type, nullable, default, extra, collation) in enumerate(
            await connection.fetch_all(COLUMNS, schema, table)
        )
    ]
    parts: dict[str, list[tuple[str | None, bool]]] = {}
    for index, non_unique, column, prefix, index_type in await connection.fetch_all(INDEXES, schema, table):
        if not int(non_unique):
            parts.setdefault(index, []).append((column, prefix is None and index_type == "BTREE"))
    uniques = [
        UniqueIndex(name, tuple(c or "" for c, _ in columns_), all(c and plain for c, plain in columns_))
        for name, columns_ in parts.items()
    ]
    return Shape(schema, table, tuple(columns), tuple(uniques), int(rows or 0), int(row_bytes or 0))


async def show_create(connection: Connection, schema: str, table: str) -> str:
    """Return the server's own CREATE TABLE text."""
    row = await connection.fetch_one(f"SHOW CREATE TABLE {quote_name(schema)}.{quote_name(table)}")
    assert row is not None
    return str(row[1])


def counter_of(create: str) -> int:
    """Return the AUTO_INCREMENT value in a CREATE TABLE text, 0 when there is none."""
    found = _COUNTER.search(create[create.rfind("\n") :])
    return int(found.group(1)) if found else 0


def fingerprint(create: str) -> str:
    """Return a digest of a CREATE TABLE text that stays the same while only the counter moves."""
    end = create.rfind("\n")
    return hashlib.sha256((create[:end] + _COUNTER.sub("", create[end:])).encode()).hexdigest()
