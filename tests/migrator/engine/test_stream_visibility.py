"""A row can be in the log before anybody can read it: nothing is taken from such a moment."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from migrator.engine.checks.preflight import check_server
from migrator.engine.ground.journal import Journal
from migrator.engine.ground.session import Session
from migrator.engine.ground.state import prepare_state
from migrator.engine.migration import OnlineAlter
from migrator.engine.rows.beginning import log_place
from migrator.engine.rows.fence import Fence
from migrator.engine.rows.tail import Tail
from migrator.engine.table.keys import Key
from migrator.engine.table.pair import match
from migrator.engine.table.shape import read_shape
from migrator.engine.table.statements import session
from router.database import Connection
from router.model import Flavor
from tests.migrator.engine.ledger import INT, Ledger, alter, target_of
from tests.support.replicas import Replicas, ask, replica_pair, run
from tests.support.servers import running_server, until

WAIT_POINT = {
    Flavor.MYSQL: (
        "INSTALL PLUGIN rpl_semi_sync_source SONAME 'semisync_source.so'",
        "SET GLOBAL rpl_semi_sync_source_wait_point = 'AFTER_SYNC'",
        "SET GLOBAL rpl_semi_sync_source_timeout = 60000",
        "SET GLOBAL rpl_semi_sync_source_enabled = 1",
    ),
    Flavor.MARIADB: (
        "SET GLOBAL rpl_semi_sync_master_wait_point = 'AFTER_SYNC'",
        "SET GLOBAL rpl_semi_sync_master_timeout = 60000",
        "SET GLOBAL rpl_semi_sync_master_enabled = 1",
    ),
}
ACKNOWLEDGES = {
    Flavor.MYSQL: (
        "INSTALL PLUGIN rpl_semi_sync_replica SONAME 'semisync_replica.so'",
        "SET GLOBAL rpl_semi_sync_replica_enabled = 1",
        "STOP REPLICA IO_THREAD",
        "START REPLICA IO_THREAD",
    ),
    Flavor.MARIADB: (
        "SET GLOBAL rpl_semi_sync_slave_enabled = 1",
        "STOP SLAVE IO_THREAD",
        "START SLAVE IO_THREAD",
    ),
}
CLIENTS = {
    Flavor.MYSQL: "SELECT VARIABLE_VALUE FROM performance_schema.global_status "
    "WHERE VARIABLE_NAME = 'Rpl_semi_sync_source_clients'",
    Flavor.MARIADB: "SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS "
    "WHERE VARIABLE_NAME = 'Rpl_semi_sync_master_clients'",
}


@pytest.mark.parametrize(
    ("flavor", "unordered"),
    [(Flavor.MYSQL, False), (Flavor.MYSQL, True), (Flavor.MARIADB, False)],
    ids=["mysql", "mysql, commits in any order", "mariadb"],
)
async def test_the_fence_holds_while_a_replica_has_not_acknowledged(
    flavor: Flavor, unordered: bool, tmp_path: Path
) -> None:
    options = {"binlog-order-commits": "0"} if unordered else {}
    async with replica_pair(flavor, tmp_path, options=options) as pair:
        server = pair.source.server
        await prepare_state(server)
        await pair.on_source(
            "CREATE DATABASE s",
            "CREATE TABLE s.t (id INT PRIMARY KEY)",
            "CREATE TABLE s.n LIKE s.t",
        )
        journal = Journal(server, "op")
        await journal.open(kind="alter", schema="s", table="t", target_sql="")
        changes: list[Key] = []
        async with await Connection.open(server) as link:
            source, target = await read_shape(link, "s", "t"), await read_shape(link, "s", "n")
            assert source is not None
            assert target is not None
            start = await log_place(link)
        tail = Tail(journal, match(source, target), start, changes.extend, changes.extend)
        writes = Session(server, session(flavor))
        fence = Fence(writes, "op", tail)
        reading = asyncio.ensure_future(tail.run())
        try:
            # A replica acknowledges only if the source asked for it when it connected.
            await pair.on_source(*WAIT_POINT[flavor])
            await pair.on_replica(*ACKNOWLEDGES[flavor])
            await until(lambda: _has_client(pair))
            await pair.on_source("INSERT INTO s.t VALUES (1)")
            await until(lambda: changes == [1])
            assert tail.unordered is unordered
            await fence.cross()
            # From now on nobody acknowledges: what is written is in the log, and cannot be seen.
            await pair.on_replica(f"STOP {'REPLICA' if flavor is Flavor.MYSQL else 'SLAVE'} IO_THREAD")
            async with await Connection.open(server) as writer, await Connection.open(server) as reader:
                writing = asyncio.ensure_future(writer.execute("INSERT INTO s.t VALUES (2)"))
                await until(lambda: changes == [1, 2])
                assert await reader.fetch_value("SELECT COUNT(*) FROM s.t") == 1
                crossing = asyncio.ensure_future(fence.cross())
                done, _ = await asyncio.wait({crossing, writing}, timeout=1.5)
                assert not done
                assert await reader.fetch_value("SELECT COUNT(*) FROM s.t") == 1
                await pair.on_replica(f"START {'REPLICA' if flavor is Flavor.MYSQL else 'SLAVE'} IO_THREAD")
                async with asyncio.timeout(120):
                    await crossing
                assert await reader.fetch_value("SELECT COUNT(*) FROM s.t") == 2
                await writing
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            await writes.close()
            await journal.close()


async def _has_client(pair: Replicas) -> bool:
    # A connection of the replica's that is over may count until the next event.
    return int(str(await ask(pair.source, CLIENTS[pair.flavor]))) >= 1


async def test_commits_in_any_order_are_followed_by_gtids(tmp_path: Path) -> None:
    options = {"binlog-order-commits": "0"}
    async with running_server(Flavor.MYSQL, tmp_path / "server", options=options) as local:
        await check_server(local.server)
        await prepare_state(local.server)
        async with await Connection.open(local.server) as admin:
            await admin.execute("CREATE DATABASE s")
            ledger = Ledger(local.server, "s", INT)
            await ledger.fill(admin, 3000)
            target = await target_of(admin, "s", INT.create(new=True))
        operation: OnlineAlter = alter(local.server, "s", target)
        async with ledger.writing():
            await operation.prepare()
            # Once more from what is recorded, which the server finds by GTIDs.
            await operation.close()
            operation = alter(local.server, "s", target)
            await operation.cut_over()
            await ledger.written(100)
            await operation.revert()
            await ledger.written(50)
        await operation.finalize()
        await operation.close()
        assert not ledger.errors
        await ledger.check(dropped=False)
        await run(local, "DROP DATABASE s")
