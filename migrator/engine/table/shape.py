"""I read what the engine must know of a table: its columns, its unique indexes, its exact definition."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from migrator.engine.table.keys import KeyColumn, key_column
from migrator.errors import Refused
from router.database import Connection, quote_name
from router.model import Flavor

COLUMNS = (
    "SELECT COLUMN_NAME, DATA_TYPE, COLUMN_TYPE, IS_NULLABLE, COLUMN_DEFAULT, EXTRA, COLLATION_NAME, "
    "CHARACTER_SET_NAME, GENERATION_EXPRESSION "
    "FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s ORDER BY ORDINAL_POSITION"
)
INDEXES = (
    "SELECT INDEX_NAME, NON_UNIQUE, COLUMN_NAME, SUB_PART, INDEX_TYPE, COLLATION, {} "
    "FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s "
    "ORDER BY INDEX_NAME, SEQ_IN_INDEX"
)
# Whether the server uses the index, and the expression a part is of.
INDEX_EXTRAS = {
    Flavor.MYSQL: "IS_VISIBLE = 'YES', EXPRESSION",
    Flavor.MARIADB: "IGNORED = 'NO', NULL",
}
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
    charset: str | None = None
    expression: str | None = None

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
        if self.generated:
            return None
        return key_column(self.name, self.data_type, self.column_type, self.charset, self.collation)

    def converts_to(self, other: Column) -> bool:
        """Whether a value may change when it is copied into `other`."""
        return (self.column_type, self.collation) != (other.column_type, other.collation)


@dataclass(frozen=True, slots=True)
class IndexPart:
    """A part of an index: a column, or the first `prefix` characters of it, or else an expression's value."""

    column: str
    prefix: int | None = None
    expression: str | None = None


@dataclass(frozen=True, slots=True)
class Index:
    """An index; `usable` when queries may use it, `straight` when all its columns run in one direction."""

    name: str
    parts: tuple[IndexPart, ...]
    unique: bool
    usable: bool = True
    straight: bool = True

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of its columns, empty for an expression."""
        return tuple(part.column for part in self.parts)

    @property
    def plain(self) -> bool:
        """Whether all its parts are whole columns, so that it can find one row by values."""
        return all(part.column and part.prefix is None for part in self.parts)

    def leads(self, columns: Sequence[str]) -> bool:
        """Whether the index begins with exactly these columns (in lower case), whole and in this order."""
        parts = self.parts[: len(columns)]
        return [part.column.lower() for part in parts if part.prefix is None] == list(columns)


@dataclass(frozen=True, slots=True)
class Shape:
    """A table's columns and unique indexes, as the server has them."""

    schema: str
    name: str
    columns: tuple[Column, ...]
    indexes: tuple[Index, ...]
    rows: int
    row_bytes: int

    @property
    def uniques(self) -> tuple[Index, ...]:
        """The unique indexes."""
        return tuple(index for index in self.indexes if index.unique)

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
            code="UNSUPPORTED_FEATURE",
        )
    columns = [
        Column(
            name=name,
            ordinal=n,
            data_type=data_type.lower(),
            column_type=column_type,
            nullable=nullable == "YES",
            default=default,
            extra=extra or "",
            collation=collation,
            charset=charset,
            expression=_unescaped(connection.server.flavor, expression),
        )
        for n, (name, data_type, column_type, nullable, default, extra, collation, charset, expression) in (
            enumerate(await connection.fetch_all(COLUMNS, schema, table))
        )
    ]
    indexes = await _read_indexes(connection, schema, table)
    return Shape(schema, table, tuple(columns), indexes, int(rows or 0), int(row_bytes or 0))


async def _read_indexes(connection: Connection, schema: str, table: str) -> tuple[Index, ...]:
    flavor = connection.server.flavor
    parts: dict[str, list[IndexPart]] = {}
    unique: dict[str, bool] = {}
    usable: dict[str, bool] = {}
    directions: dict[str, set[str]] = {}
    rows = await connection.fetch_all(INDEXES.format(INDEX_EXTRAS[flavor]), schema, table)
    for name, non_unique, column, prefix, kind, direction, visible, expression in rows:
        part = IndexPart(
            column or "", int(prefix) if prefix is not None else None, _unescaped(flavor, expression)
        )
        parts.setdefault(name, []).append(part)
        unique[name] = not int(non_unique)
        directions.setdefault(name, set()).add(str(direction))
        usable[name] = kind == "BTREE" and bool(int(visible))
    return tuple(
        Index(name, tuple(parts[name]), unique[name], usable[name], len(directions[name]) == 1)
        for name in parts
    )


def _unescaped(flavor: Flavor, expression: str | None) -> str | None:
    r"""Return an expression as SQL: MySQL's information_schema writes \' for a quote."""
    if not expression:
        return None
    return expression.replace("\\'", "'") if flavor is Flavor.MYSQL else expression


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
