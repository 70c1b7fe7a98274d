"""I print tables, columns and indexes: as the server prints them, and as statements it can run."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

from migrator.schema.model import Check, Column, ForeignKey, Index, IndexKind, IndexPart, Option, Table
from router.database import quote_name
from router.model import Flavor


def canonical_text(table: Table) -> str:
    """Print a table exactly as its server does."""
    return _create(table, table.options, column_text)


def render_create(table: Table, *, without_names: Collection[str] = (), counter: bool = False) -> str:
    """Print a CREATE TABLE that can be run.

    The AUTO_INCREMENT counter is left out unless `counter` is set: it belongs to the rows. Of constraints
    that share one name space per database, foreign keys always and checks on MySQL, those listed in
    `without_names` are printed without a name: the server makes one up.
    """

    def kept(constraint: str) -> str:
        return "" if constraint in without_names else constraint

    keys = tuple(replace(key, name=kept(key.name)) for key in table.foreign_keys)
    checks = table.checks
    if table.flavor is Flavor.MYSQL:
        checks = tuple(replace(check, name=kept(check.name)) for check in checks)
    table = replace(table, foreign_keys=keys, checks=checks)
    options = tuple(option for option in table.options if counter or option.name != "AUTO_INCREMENT")
    return _create(table, options, column_definition)


def _create(table: Table, options: tuple[Option, ...], print_column: Callable[[Table, Column], str]) -> str:
    lines = [
        *(print_column(table, column) for column in table.columns),
        *(index_text(table.flavor, index) for index in table.indexes),
        *(foreign_key_text(key) for key in table.foreign_keys),
        *(check_text(check) for check in table.checks),
    ]
    tail = "".join(" " + option_text(option) for option in options)
    if table.partitioning is not None:
        partitions = table.partitioning
        body = (
            partitions.text if partitions.version is None else f"/*!{partitions.version} {partitions.text} */"
        )
        tail += ("\n " if table.flavor is Flavor.MARIADB else "\n") + body
    return f"CREATE TABLE {quote_name(table.name)} (\n  " + ",\n  ".join(lines) + "\n)" + tail


def for_people(text: str) -> str:
    """Return text that can be stored and shown anywhere: bytes that are no text appear as escapes."""
    return text.encode("utf-8", "backslashreplace").decode()


def column_definition(table: Table, column: Column) -> str:
    """Print a column for use in a statement: like the server, but bytes that are no text become hexadecimal.

    MariaDB prints the default of a binary column as raw bytes; sent back as they are they would not pass for
    a string of the connection's character set.
    """
    default = column.default
    if default is not None and any("\udc80" <= character <= "\udcff" for character in default):
        column = replace(column, default="0x" + literal_bytes(default).hex())
    return column_text(table, column)


_ESCAPES = {"0": "\0", "n": "\n", "r": "\r", "t": "\t", "b": "\b", "Z": "\x1a"}


def literal_bytes(literal: str) -> bytes:
    """Return the bytes that a quoted string stands for."""
    body, out, position = literal[1:-1], [], 0
    while position < len(body):
        character = body[position]
        if character in "\\'" and position + 1 < len(body):
            position += 1
            following = body[position]
            character = _ESCAPES.get(following, following) if character == "\\" else following
        out.append(character)
        position += 1
    return "".join(out).encode("utf-8", "surrogateescape")


def column_text(table: Table, column: Column) -> str:
    """Print a column as the server does."""
    return (_mysql_column if table.flavor is Flavor.MYSQL else _mariadb_column)(column)


def _mysql_column(column: Column) -> str:
    text = f"{quote_name(column.name)} {column.type}" + _charset(column)
    if column.generated is not None:
        text += f" GENERATED ALWAYS AS ({column.generated.expression}) {column.generated.storage}"
    text += _nullability(column)
    if column.srid is not None:
        text += f" /*!80003 SRID {column.srid} */"
    if column.storage is not None:
        text += f" /*!50606 STORAGE {column.storage} */"
    if column.column_format is not None:
        text += f" /*!50606 COLUMN_FORMAT {column.column_format} */"
    text += _default(column)
    if column.auto_increment:
        text += " AUTO_INCREMENT"
    if column.invisible:
        text += " /*!80023 INVISIBLE */"
    if column.comment is not None:
        text += f" COMMENT {column.comment}"
    if column.engine_attribute is not None:
        text += f" /*!80021 ENGINE_ATTRIBUTE {column.engine_attribute} */"
    return text


def _mariadb_column(column: Column) -> str:
    text = f"{quote_name(column.name)} {column.type}"
    if column.compressed:
        text += " /*M!100301 COMPRESSED*/"
    text += _charset(column)
    if column.generated is not None:
        text += f" GENERATED ALWAYS AS ({column.generated.expression}) {column.generated.storage}"
    text += _nullability(column)
    if column.invisible:
        text += " INVISIBLE"
    text += _default(column)
    if column.auto_increment:
        text += " AUTO_INCREMENT"
    if column.comment is not None:
        text += f" COMMENT {column.comment}"
    if column.srid is not None:
        text += f" REF_SYSTEM_ID={column.srid}"
    if column.check is not None:
        text += f" CHECK ({column.check})"
    return text


def _charset(column: Column) -> str:
    text = f" CHARACTER SET {column.character_set}" if column.character_set is not None else ""
    return text + (f" COLLATE {column.collate}" if column.collate is not None else "")


def _nullability(column: Column) -> str:
    return " NOT NULL" if not column.nullable else " NULL" if column.null_printed else ""


def _default(column: Column) -> str:
    text = f" DEFAULT {column.default}" if column.default is not None else ""
    return text + (f" ON UPDATE {column.on_update}" if column.on_update is not None else "")


def index_text(flavor: Flavor, index: Index) -> str:
    """Print an index as the server does."""
    name = "" if index.kind is IndexKind.PRIMARY else " " + quote_name(index.name)
    text = f"{index.kind}{name} ({','.join(map(_part, index.parts))})"
    if index.using is not None:
        text += f" USING {index.using}"
    if index.key_block_size is not None:
        text += f" KEY_BLOCK_SIZE={index.key_block_size}"
    if index.comment is not None:
        text += f" COMMENT {index.comment}"
    if not index.visible:
        text += " /*!80000 INVISIBLE */" if flavor is Flavor.MYSQL else " IGNORED"
    if index.parser is not None:
        text += f" /*!50100 WITH PARSER {quote_name(index.parser)} */ "
    if index.engine_attribute is not None:
        text += f" /*!80021 ENGINE_ATTRIBUTE {index.engine_attribute} */"
    return text


def _part(part: IndexPart) -> str:
    if part.column is None:
        text = f"({part.expression})"
    else:
        text = quote_name(part.column) + ("" if part.prefix is None else f"({part.prefix})")
    return text + (" DESC" if part.descending else "")


def foreign_key_text(key: ForeignKey) -> str:
    """Print a foreign key as the server does; without a name when it has none."""
    table = quote_name(key.ref_table)
    if key.ref_schema is not None:
        table = f"{quote_name(key.ref_schema)}.{table}"
    text = (
        _constraint(key.name)
        + f"FOREIGN KEY ({_names(key.columns)}) REFERENCES {table} ({_names(key.ref_columns)})"
    )
    if key.on_delete is not None:
        text += f" ON DELETE {key.on_delete}"
    if key.on_update is not None:
        text += f" ON UPDATE {key.on_update}"
    return text


def check_text(check: Check) -> str:
    """Print a check as the server does; without a name when it has none."""
    text = f"{_constraint(check.name)}CHECK ({check.expression})"
    return text if check.enforced else text + " /*!80016 NOT ENFORCED */"


def option_text(option: Option) -> str:
    """Print a table option as the server does."""
    return f"{option.name}={option.value}"


def _constraint(name: str) -> str:
    return f"CONSTRAINT {quote_name(name)} " if name else ""


def _names(names: tuple[str, ...]) -> str:
    return ", ".join(map(quote_name, names))
