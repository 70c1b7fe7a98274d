"""Tables are made and dropped so that both can be undone, whatever happens in between."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest

from conf.settings import MigratorSettings
from migrator.engine.ground.operation import Phase
from migrator.engine.swap.create import CreateTable
from migrator.engine.swap.drop import DropTable
from migrator.errors import MigratorError, OwnershipUnknown, Refused
from router.database import Connection
from router.model import Address
from router.servers.process import LocalServer
from tests.migrator.engine.ledger import OpenGate
from tests.support.cutting import cutter

SETTINGS = MigratorSettings(garbage_hold_s=0)
SQL = "CREATE TABLE `t` (\n  `id` int NOT NULL,\n  `b` int,\n  PRIMARY KEY (`id`),\n  CHECK (b > 0)\n)"


def creating(server: LocalServer, database: str) -> CreateTable:
    return CreateTable(f"create-{database}", server.server, database, "t", SQL, SETTINGS)


def dropping(server: LocalServer, database: str, gate: OpenGate) -> DropTable:
    return DropTable(f"drop-{database}", server.server, database, "t", gate, SETTINGS)


async def tables(connection: Connection) -> list[str]:
    return [str(row[0]) for row in await connection.fetch_all("SHOW TABLES")]


async def test_a_created_table_appears_at_the_cut_over_and_goes_with_the_revert(
    server: LocalServer, database: str, connection: Connection
) -> None:
    operation = creating(server, database)
    try:
        await operation.prepare()
        assert "t" not in await tables(connection)
        await operation.cut_over()
        await connection.execute("INSERT INTO t VALUES (1, 1)")
        assert await tables(connection) == ["t"]
        await operation.revert()
        assert "t" not in await tables(connection)
        await operation.finalize()
        assert await tables(connection) == []
        assert operation.status().phase is Phase.FINALIZED
    finally:
        await operation.close()


async def test_a_created_table_stays_when_it_is_finalized(
    server: LocalServer, database: str, connection: Connection
) -> None:
    operation = creating(server, database)
    try:
        await operation.prepare()
        await operation.cut_over()
        await operation.finalize()
        assert await tables(connection) == ["t"]
    finally:
        await operation.close()


async def test_a_creation_can_be_cancelled_and_refused(
    server: LocalServer, database: str, connection: Connection
) -> None:
    operation = creating(server, database)
    try:
        await operation.prepare()
        await operation.cancel()
        assert await tables(connection) == []
    finally:
        await operation.close()
    await connection.execute("CREATE TABLE t (id INT)")
    other = CreateTable(f"again-{database}", server.server, database, "t", SQL, SETTINGS)
    try:
        with pytest.raises(Refused, match="already"):
            await other.prepare()
    finally:
        await other.close()


async def test_a_table_made_by_somebody_meanwhile_is_left_alone(
    server: LocalServer, database: str, connection: Connection
) -> None:
    operation = creating(server, database)
    try:
        await operation.prepare()
        await connection.execute("CREATE TABLE t (mine INT)")
        with pytest.raises(MigratorError, match="there is a table"):
            await operation.cut_over()
        await operation.cancel()
        assert await tables(connection) == ["t"]
        assert "mine" in str(await connection.fetch_all("SHOW CREATE TABLE t"))
    finally:
        await operation.close()


async def test_a_dropped_table_comes_back_with_its_rows(
    server: LocalServer, database: str, connection: Connection
) -> None:
    await connection.execute("CREATE TABLE t (id INT PRIMARY KEY)")
    await connection.execute("INSERT INTO t VALUES (1), (2)")
    gate = OpenGate()
    operation = dropping(server, database, gate)
    try:
        await operation.prepare()
        await operation.cut_over()
        assert "t" not in await tables(connection)
        await operation.revert()
        assert await connection.fetch_all("SELECT id FROM t ORDER BY id") == [(1,), (2,)]
        await operation.finalize()
        assert await tables(connection) == ["t"]
        assert gate.closed == gate.opened == 2
    finally:
        await operation.close()


async def test_a_dropped_table_is_gone_when_it_is_finalized(
    server: LocalServer, database: str, connection: Connection
) -> None:
    await connection.execute("CREATE TABLE t (id INT PRIMARY KEY)")
    operation = dropping(server, database, OpenGate())
    try:
        await operation.prepare()
        await operation.cut_over()
        await operation.finalize()
        assert await tables(connection) == []
    finally:
        await operation.close()


async def test_a_table_in_use_is_dropped_later(
    server: LocalServer, database: str, connection: Connection
) -> None:
    await connection.execute("CREATE TABLE t (id INT PRIMARY KEY)")
    gate = OpenGate()
    operation = dropping(server, database, gate)
    try:
        await operation.prepare()
        async with await Connection.open(server.server, database=database) as other:
            await other.execute("START TRANSACTION")
            await other.execute("INSERT INTO t VALUES (1)")
            cutting = asyncio.ensure_future(operation.cut_over())
            async with asyncio.timeout(120):
                while "trying again" not in operation.status().activity:
                    await asyncio.sleep(0.005)
            assert gate.closed == gate.opened
            await other.execute("COMMIT")
        assert (await cutting).attempts > 1
    finally:
        await operation.close()


@pytest.mark.parametrize("happened", [True, False])
async def test_an_interrupted_drop_is_decided_by_the_names(
    server: LocalServer, database: str, connection: Connection, happened: bool
) -> None:
    await connection.execute("CREATE TABLE t (id INT PRIMARY KEY)")
    operation = dropping(server, database, OpenGate())
    await operation.prepare()
    await operation.close()
    await connection.execute("UPDATE _headgate.operation SET phase = 'cutting' WHERE id = %s", operation.id)
    if happened:
        await connection.execute("RENAME TABLE t TO t__hg1_old")
    again = dropping(server, database, OpenGate())
    try:
        await again.prepare()
        assert again.status().phase is (Phase.REVERTIBLE if happened else Phase.READY)
    finally:
        await again.close()


async def test_names_that_fit_nothing_stop_everything(
    server: LocalServer, database: str, connection: Connection
) -> None:
    await connection.execute("CREATE TABLE t (id INT PRIMARY KEY)")
    operation = dropping(server, database, OpenGate())
    await operation.prepare()
    await operation.close()
    await connection.execute("UPDATE _headgate.operation SET phase = 'cutting' WHERE id = %s", operation.id)
    await connection.execute("DROP TABLE t")
    again = dropping(server, database, OpenGate())
    try:
        with pytest.raises(OwnershipUnknown):
            await again.prepare()
    finally:
        await again.close()


async def test_a_dropped_table_is_kept_while_a_foreign_key_that_came_later_refers_to_it(
    server: LocalServer, database: str, connection: Connection
) -> None:
    await connection.execute("CREATE TABLE t (id INT PRIMARY KEY)")
    operation = dropping(server, database, OpenGate())
    try:
        await operation.prepare()
        await connection.execute(
            "CREATE TABLE other (id INT PRIMARY KEY, FOREIGN KEY (id) REFERENCES t (id))"
        )
        await operation.cut_over()
        with pytest.raises(MigratorError, match="foreign key constraint"):
            await operation.finalize()
        assert len(await tables(connection)) == 2
        await connection.execute("DROP TABLE other")
        await operation.finalize()
        assert await tables(connection) == []
    finally:
        await operation.close()


@pytest.mark.parametrize("answered", [True, False], ids=["answer lost", "statement lost"])
async def test_a_drop_whose_connection_is_cut_at_the_rename_is_done_all_the_same(
    server: LocalServer, database: str, connection: Connection, answered: bool
) -> None:
    await connection.execute("CREATE TABLE t (id INT PRIMARY KEY)")
    async with cutter(server.server.address.port) as between:
        far = dataclasses.replace(server.server, address=Address("127.0.0.1", between.port))
        operation = DropTable(f"drop-{database}", far, database, "t", OpenGate(), SETTINGS)
        try:
            await operation.prepare()
            between.cut(b"RENAME TABLE", after=answered)
            await operation.cut_over()
            assert between.cuts == 1
            assert "t" not in await tables(connection)
            between.cut(b"RENAME TABLE", after=answered)
            await operation.revert()
            assert await tables(connection) == ["t"]
            await operation.finalize()
        finally:
            await operation.close()
