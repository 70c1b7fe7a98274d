"""A table gets another name and its former one back, with its rows, its children and its triggers."""

from __future__ import annotations

import pytest

from conf.settings import MigratorSettings
from migrator.engine.ground.operation import Phase
from migrator.engine.swap.rename import RenameTable
from migrator.errors import Refused
from router.database import Connection
from router.errors import DatabaseError
from router.model import Flavor
from router.servers.process import LocalServer
from tests.migrator.engine.ledger import OpenGate

MADE = (
    "CREATE TABLE t (id INT PRIMARY KEY, n INT, CHECK (n > 0))",
    "CREATE TABLE c (id INT PRIMARY KEY, t INT, CONSTRAINT f FOREIGN KEY (t) REFERENCES t (id))",
    "CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW SET NEW.n = NEW.n + 1",
    "INSERT INTO t VALUES (1, 1)",
    "INSERT INTO c VALUES (1, 1)",
)


def renaming(server: LocalServer, database: str, gate: OpenGate) -> RenameTable:
    settings = MigratorSettings(garbage_hold_s=0)
    return RenameTable(f"rename-{database}", server.server, database, "t", "u", gate, settings)


async def points_to(connection: Connection) -> str:
    row = await connection.fetch_one("SHOW CREATE TABLE c")
    assert row is not None
    return str(row[1]).split("REFERENCES ")[1].split(" ")[0].strip("`")


async def rows(connection: Connection, table: str) -> list[tuple[object, ...]]:
    return [tuple(row) for row in await connection.fetch_all(f"SELECT id, n FROM {table} ORDER BY id")]


async def test_a_renamed_table_keeps_its_rows_its_children_and_its_triggers(
    server: LocalServer, database: str, connection: Connection
) -> None:
    for statement in MADE:
        await connection.execute(statement)
    gate = OpenGate()
    operation = renaming(server, database, gate)
    try:
        await operation.prepare()
        await operation.cut_over()
        await connection.execute("INSERT INTO u VALUES (2, 1)")
        assert await rows(connection, "u") == [(1, 2), (2, 2)]
        assert await points_to(connection) == "u"
        with pytest.raises(DatabaseError):
            await connection.execute("INSERT INTO c VALUES (2, 7)")
        await operation.revert()
        assert await rows(connection, "t") == [(1, 2), (2, 2)]
        assert await points_to(connection) == "t"
        await operation.redo()
        await operation.finalize()
        assert operation.status().phase is Phase.FINALIZED
        assert await rows(connection, "u") == [(1, 2), (2, 2)]
        assert await points_to(connection) == "u"
    finally:
        await operation.close()


async def test_a_name_that_is_taken_is_refused_and_cancelling_changes_nothing(
    server: LocalServer, database: str, connection: Connection
) -> None:
    for statement in (*MADE, "CREATE TABLE u (id INT PRIMARY KEY)"):
        await connection.execute(statement)
    operation = renaming(server, database, OpenGate())
    try:
        with pytest.raises(Refused, match="there is a table"):
            await operation.prepare()
        await operation.cancel()
        assert await rows(connection, "t") == [(1, 2)]
    finally:
        await operation.close()


async def test_the_constraints_of_both_flavours_are_what_the_plan_foresees(
    server: LocalServer, database: str, connection: Connection
) -> None:
    """MySQL gives made-up names of checks the table's new name; that is spelling to us."""
    for statement in MADE:
        await connection.execute(statement)
    operation = renaming(server, database, OpenGate())
    try:
        await operation.prepare()
        await operation.cut_over()
        row = await connection.fetch_one("SHOW CREATE TABLE u")
        assert row is not None
        made_up = "u_chk_1" if server.server.flavor is Flavor.MYSQL else "CONSTRAINT_1"
        assert made_up in str(row[1])
        await operation.finalize()
    finally:
        await operation.close()
