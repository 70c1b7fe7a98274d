"""I make the schema in which migrations keep their state: on the production server, to move with it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from migrator.engine.table.statements import QUIET, STATE
from migrator.errors import Refused
from router.database import Connection
from router.errors import ConnectionLost, DatabaseError
from router.model import Server

FORMAT: Final = 3
"""Raised by one whenever schema.sql changes; what an older Headgate left is brought up to it."""

_TABLE: Final = re.compile(rf"CREATE TABLE IF NOT EXISTS {STATE}\.(\w+) \(\n(.*)\n\)", re.DOTALL)
_COLUMN: Final = re.compile(r"^  (\w+) ([A-Z].*?),?$", re.MULTILINE)
_NO_COLUMN: Final = frozenset({"PRIMARY", "KEY", "UNIQUE"})
COLUMNS: Final = "SELECT TABLE_NAME, COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = %s"
DUPLICATE_COLUMN: Final = 1060


async def prepare_state(server: Server) -> None:
    """Create schema `_headgate` on the production server, or bring an older one up to date.

    Only adds tables and columns, so that an older Headgate beside us goes on. Raises Refused when a newer
    one has been here: its migrations mean something that we do not know.
    """
    text = Path(__file__).with_name("schema.sql").read_text()
    statements = [statement for statement in text.split(";\n") if statement.strip()]
    async with await Connection.open(server, setup=[QUIET]) as connection:
        await _check_format(connection)
        for statement in statements:
            await connection.execute(statement)
        there = {(str(table), str(column)) for table, column in await connection.fetch_all(COLUMNS, STATE)}
        for table, column, definition in _columns(statements):
            if (table, column) not in there:
                await _add_column(connection, f"{STATE}.{table}", f"{column} {definition}")
        await connection.execute(
            f"INSERT INTO {STATE}.format (id, version) VALUES (1, %s) "
            "ON DUPLICATE KEY UPDATE version = GREATEST(version, VALUES(version))",
            FORMAT,
        )


async def _check_format(connection: Connection) -> None:
    known = await connection.fetch_value(
        "SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s AND TABLE_NAME = 'format'", STATE
    )
    if not known:
        return
    found = int(await connection.fetch_value(f"SELECT COALESCE(MAX(version), 1) FROM {STATE}.format") or 1)
    if found > FORMAT:
        raise Refused(
            f"schema {STATE} on the server has format {found}, and this Headgate knows it up to {FORMAT}",
            hint="run the newer Headgate that has been here, or let it finish and drop the schema",
        )


async def _add_column(connection: Connection, table: str, definition: str) -> None:
    try:
        await connection.execute(f"ALTER TABLE {table} ADD COLUMN {definition}")
    except ConnectionLost:
        raise
    except DatabaseError as error:
        if error.errno != DUPLICATE_COLUMN:  # another process adds it, too
            raise


def _columns(statements: list[str]) -> list[tuple[str, str, str]]:
    """List every column of schema.sql: its table, its name, its definition."""
    found = []
    for statement in statements:
        if match := _TABLE.search(statement):
            table, body = match.groups()
            found += [
                (table, name, definition)
                for name, definition in _COLUMN.findall(body)
                if name not in _NO_COLUMN
            ]
    return found
