"""I make a new branch's database look like its parent's.

Everything is made by the account that clones: definers of the parent's server need not exist here. Events are
made switched off.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from migrator.schema.changes import character_set_of
from migrator.schema.errors import CloneFailed
from migrator.schema.introspect import SQL_MODE, open_reader
from migrator.schema.model import Code, CodeKind, Schema
from migrator.schema.render import render_create
from router.database import Connection, quote_name
from router.errors import DatabaseError

# The definition names something that is not there: perhaps it only is not there yet.
MISSING = frozenset({1054, 1146, 1305, 1356, 1449})
# A function that is not declared deterministic, on a server with a binary log.
_UNSAFE_FUNCTION = 1418
_UNKNOWN_VARIABLE = 1193
_UNKNOWN_TIME_ZONE = 1298
_DEADLOCK = 1213
# So many tables are worth several connections.
SHARED_FROM, LOADERS, TRIES = 16, 4, 5

LOADING = (
    f"SET SESSION sql_mode = '{SQL_MODE}'",
    "SET SESSION time_zone = '+00:00'",
    "SET SESSION foreign_key_checks = 0",
)
# Rules that may be new or stricter here than when the parent's tables were made; not every server has them.
LENIENT = (
    "innodb_strict_mode",
    "sql_require_primary_key",
    "sql_generate_invisible_primary_key",
    "restrict_fk_on_non_standard_key",
)


async def clone_schema(schema: Schema, target: Connection, database: str) -> tuple[str, ...]:
    """Create `database` on the target's server with everything that is in `schema`.

    Returns sentences about views that were left out because they do not work in the parent either. Raises
    CloneFailed when the server refuses anything else; the database is gone again then. The target's default
    database and session settings are changed.
    """
    if schema.flavor is not target.server.flavor:
        raise CloneFailed(
            f"a {schema.flavor} schema cannot be cloned to a {target.server.flavor} server",
            "Use a branch host of production's flavour.",
        )
    try:
        await create_database(target, database, schema.collation)
    except DatabaseError as error:
        raise CloneFailed(f"cannot create database {database!r}: {error}") from error
    try:
        await load_tables(target, schema)
        left_out = await load_code(target, schema.code)
        return tuple(f"view {name!r} is left out: {reason}" for name, reason in left_out.items())
    except BaseException:
        await drop_database(target, database)
        raise


async def create_database(connection: Connection, database: str, collation: str) -> None:
    """Create a database and make it the connection's default."""
    charset = character_set_of(collation)
    await connection.execute(
        f"CREATE DATABASE {quote_name(database)} CHARACTER SET {charset} COLLATE {collation}"
    )
    await connection.execute(f"USE {quote_name(database)}")


async def drop_database(connection: Connection, database: str) -> None:
    """Drop a database whatever happens: on a new connection when the old one broke, also while cancelled."""

    async def drop() -> None:
        with contextlib.suppress(DatabaseError):
            async with await Connection.open(connection.server) as other:
                await other.execute("SET SESSION foreign_key_checks = 0")
                await other.execute(f"DROP DATABASE IF EXISTS {quote_name(database)}")

    await asyncio.shield(drop())


async def load_tables(connection: Connection, schema: Schema) -> None:
    """Create a schema's tables (and sequences) in the connection's default database; raises CloneFailed."""
    await _prepare_loading(connection)
    sequences = [(table.name, table.text) for table in schema.opaque.values() if table.sequence]
    tables = [(table.name, render_create(table)) for table in schema.tables.values()]
    tables += [(table.name, table.text) for table in schema.opaque.values() if not table.sequence]
    await _create(connection, sequences)
    if len(tables) < SHARED_FROM:
        await _create(connection, tables)
    else:
        await _create_together(connection, tables)
    await _set_known(connection, LENIENT, "DEFAULT")
    await connection.execute("SET SESSION foreign_key_checks = 1")


async def _prepare_loading(connection: Connection) -> None:
    for statement in LOADING:
        await connection.execute(statement)
    await _set_known(connection, LENIENT, "OFF")


async def _create_together(connection: Connection, tables: Sequence[tuple[str, str]]) -> None:
    """Create tables on several connections: the server waits for its disk much of the time."""
    database = await connection.fetch_value("SELECT DATABASE()")
    name = database.decode() if isinstance(database, bytes) else str(database)
    async with contextlib.AsyncExitStack() as stack:
        links = [connection]
        for _ in range(LOADERS - 1):
            other = await stack.enter_async_context(await open_reader(connection.server, database=name))
            await _prepare_loading(other)
            links.append(other)
        work = [
            asyncio.ensure_future(_create(link, tables[number::LOADERS])) for number, link in enumerate(links)
        ]
        try:
            await asyncio.gather(*work)
        finally:
            for each in work:
                each.cancel()
            await asyncio.gather(*work, return_exceptions=True)


async def _create(connection: Connection, tables: Sequence[tuple[str, str]]) -> None:
    for name, statement in tables:
        for left in reversed(range(TRIES)):
            try:
                await connection.execute(statement)
                break
            except DatabaseError as error:
                # Tables that refer to each other may be made at the same moment.
                if error.errno != _DEADLOCK or not left:
                    raise CloneFailed(
                        f"the server does not take table {name!r}: {error}",
                        "It needs what production's server has: storage engines, key files, folders.",
                    ) from error


async def _set_known(connection: Connection, variables: Sequence[str], value: str) -> None:
    for variable in variables:
        try:
            await connection.execute(f"SET SESSION {variable} = {value}")
        except DatabaseError as error:
            if error.errno != _UNKNOWN_VARIABLE:
                raise


async def load_code(connection: Connection, code: Sequence[Code]) -> dict[str, str]:
    """Create views, routines, triggers and events in the connection's default database.

    Returns the views that the server does not take because they name what is not there, with its words.
    Raises CloneFailed when anything else is refused.
    """
    order = [
        CodeKind.PACKAGE,
        CodeKind.PACKAGE_BODY,
        CodeKind.FUNCTION,
        CodeKind.PROCEDURE,
        CodeKind.VIEW,
        CodeKind.TRIGGER,
        CodeKind.EVENT,
    ]
    left_out: dict[str, str] = {}
    for kind in order:
        waiting = [item for item in code if item.kind is kind]
        while waiting:
            refused: list[tuple[Code, DatabaseError]] = []
            for item in waiting:
                try:
                    await create_code(connection, item)
                except DatabaseError as error:
                    if kind is not CodeKind.VIEW or error.errno not in MISSING:
                        raise CloneFailed(
                            f"the server does not take {kind.lower()} {item.name!r}: {error}"
                        ) from error
                    refused.append((item, error))
            if len(refused) == len(waiting):
                left_out |= {item.name: error.message for item, error in refused}
                break
            waiting = [item for item, _ in refused]
    return left_out


async def create_code(connection: Connection, code: Code) -> None:
    """Create one view, trigger, routine or event as its author did; raises DatabaseError."""
    if code.time_zone:
        await _set_time_zone(connection, code.time_zone)
    if code.kind is not CodeKind.VIEW:
        await connection.execute("SET SESSION sql_mode = %s", code.sql_mode)
    if code.collation_connection.startswith("utf8mb4"):
        await connection.execute(f"SET SESSION collation_connection = {code.collation_connection}")
    try:
        await connection.execute(code.text)
    except DatabaseError as error:
        if error.errno != _UNSAFE_FUNCTION:
            raise
        await connection.execute("SET SESSION sql_log_bin = 0")
        try:
            await connection.execute(code.text)
        finally:
            if not connection.closed:
                await connection.execute("SET SESSION sql_log_bin = 1")
    finally:
        if not connection.closed:
            await connection.execute(f"SET SESSION sql_mode = '{SQL_MODE}', time_zone = '+00:00'")


async def _set_time_zone(connection: Connection, zone: str) -> None:
    """Use the zone in which an event's times are meant; a server without its name keeps the times' text."""
    try:
        await connection.execute("SET SESSION time_zone = %s", zone)
    except DatabaseError as error:
        if error.errno != _UNKNOWN_TIME_ZONE:
            raise
