"""What cannot be migrated is refused before anything is copied, with the way out."""

from __future__ import annotations

import pytest

from migrator.engine.forecast import forecast
from migrator.errors import Refused
from router.database import Connection
from router.servers.process import LocalServer
from tests.migrator.engine.ledger import target_of


async def ask(server: LocalServer, schema: str, connection: Connection, definition: str) -> None:
    target = await target_of(connection, schema, definition)
    await forecast(server.server, server.server, schema, "t", target)


async def test_a_new_column_that_must_have_a_value_but_gets_none_is_refused(
    server: LocalServer, database: str, connection: Connection
) -> None:
    await connection.execute("CREATE TABLE t (id INT PRIMARY KEY)")
    for column in ("n INT NOT NULL", "v VARCHAR(9) NOT NULL", "d DATETIME NOT NULL", "x TEXT NOT NULL"):
        with pytest.raises(Refused, match="is NOT NULL and has no default") as refused:
            await ask(server, database, connection, f"CREATE TABLE t (id INT PRIMARY KEY, {column})")
        assert "DEFAULT" in refused.value.hint


async def test_new_columns_that_get_a_value_are_not_refused(
    server: LocalServer, database: str, connection: Connection
) -> None:
    await connection.execute("CREATE TABLE t (id INT PRIMARY KEY)")
    await ask(
        server,
        database,
        connection,
        "CREATE TABLE t (id INT PRIMARY KEY, a INT NOT NULL DEFAULT 0, b VARCHAR(9) NOT NULL DEFAULT '', "
        "c INT NULL, d DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP, e BINARY(16) NOT NULL DEFAULT (UUID()), "
        "f ENUM('x', 'y') NOT NULL, g INT AS (id + 1) STORED, "
        "h BIGINT NOT NULL AUTO_INCREMENT, KEY h (h))",
    )
    await ask(server, database, connection, "CREATE TABLE t (id INT PRIMARY KEY)")
