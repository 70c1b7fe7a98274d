"""A column is renamed with its values, by a copy or at once; keys that point to it go on to do so."""

from __future__ import annotations

import pytest

from conf.settings import MigratorSettings, ThrottleSettings
from migrator.engine.direct.choose import Method, Strategy
from migrator.engine.direct.direct import Direct
from migrator.engine.forecast import forecast
from migrator.engine.migration import OnlineAlter
from migrator.errors import Refused
from migrator.throttle.throttler import Throttle
from router.database import Connection
from router.servers.process import LocalServer
from tests.migrator.engine.ledger import OpenGate, target_of

TABLE = "CREATE TABLE t (id INT PRIMARY KEY, n INT)"
CHILD = "CREATE TABLE c (id INT PRIMARY KEY, p INT, CONSTRAINT f FOREIGN KEY (p) REFERENCES t (id))"
ROWS = ("INSERT INTO t VALUES (1, 10), (2, 20)", "INSERT INTO c VALUES (1, 1)")
RENAMES = {"id": "number", "n": "m"}
TARGET = "CREATE TABLE t (number INT PRIMARY KEY, m INT)"


async def points_to(connection: Connection) -> str:
    row = await connection.fetch_one("SHOW CREATE TABLE c")
    assert row is not None
    return str(row[1]).split("REFERENCES ")[1].split(")")[0]


async def rows(connection: Connection, columns: str) -> list[tuple[object, ...]]:
    return [tuple(row) for row in await connection.fetch_all(f"SELECT {columns} FROM t ORDER BY 1")]


async def test_a_copy_keeps_the_values_of_renamed_columns_forth_and_back(
    server: LocalServer, database: str, connection: Connection
) -> None:
    for statement in (TABLE, ROWS[0]):
        await connection.execute(statement)
    target = await target_of(connection, database, TARGET)
    place = f"op-{database}", server.server, database, "t", target
    throttle = Throttle(ThrottleSettings(enabled=False))
    settings = MigratorSettings(garbage_hold_s=0)
    operation = OnlineAlter(*place, OpenGate(), throttle, settings, renames=RENAMES)
    try:
        await operation.prepare()
        await operation.cut_over()
        await connection.execute("INSERT INTO t (number, m) VALUES (3, 30)")
        assert await rows(connection, "number, m") == [(1, 10), (2, 20), (3, 30)]
        await operation.revert()
        assert await rows(connection, "id, n") == [(1, 10), (2, 20), (3, 30)]
        await operation.finalize()
    finally:
        await operation.close()


async def test_a_column_that_children_point_to_is_renamed_at_once_forth_and_back(
    server: LocalServer, database: str, connection: Connection
) -> None:
    for statement in (TABLE, CHILD, *ROWS):
        await connection.execute(statement)
    target = await target_of(connection, database, TARGET)
    found = await forecast(server.server, server.server, database, "t", target, RENAMES)
    choice = found.choices[Strategy.REVERTIBLE]
    assert (choice.method, choice.revertible) == (Method.INPLACE, True)
    assert choice.way is not None
    place = f"op-{database}", server.server, database, "t", target
    operation = Direct(*place, choice.way, OpenGate(), MigratorSettings(garbage_hold_s=0))
    try:
        await operation.prepare()
        await operation.cut_over()
        assert await points_to(connection) == "`t` (`number`"
        assert await rows(connection, "number, m") == [(1, 10), (2, 20)]
        await operation.revert()
        assert await points_to(connection) == "`t` (`id`"
        assert await rows(connection, "id, n") == [(1, 10), (2, 20)]
        await operation.finalize()
    finally:
        await operation.close()


async def test_what_only_a_copy_could_do_is_refused_where_children_point_to_a_renamed_column(
    server: LocalServer, database: str, connection: Connection
) -> None:
    for statement in (TABLE, CHILD):
        await connection.execute(statement)
    target = await target_of(connection, database, "CREATE TABLE t (number INT PRIMARY KEY, n VARCHAR(9))")
    with pytest.raises(Refused, match="point to column 'id'"):
        await forecast(server.server, server.server, database, "t", target, {"id": "number"})
