"""The server itself loses its log, becomes read-only or has no room: the table is whole, and this is said."""

from __future__ import annotations

import asyncio
import dataclasses
import os
from pathlib import Path

import pytest

from migrator.engine.ground.operation import Phase
from migrator.engine.ground.state import prepare_state
from migrator.engine.rows import copier, follow
from migrator.errors import MigratorError, StreamBroken
from router.accounts import make_migrator_account
from router.database import Connection
from router.errors import ConnectionLost, DatabaseError
from router.model import Account, Flavor
from router.servers.process import LocalServer
from tests.migrator.engine.ledger import INT, Ledger, alter, target_of
from tests.migrator.engine.test_migration import leftovers
from tests.support.servers import running_server, until

FLAVORS = pytest.mark.parametrize("flavor", list(Flavor), ids=str)


async def purged(connection: Connection) -> None:
    """Leave the server nothing of its log but the newest file."""
    await connection.execute("FLUSH BINARY LOGS")
    await connection.execute("FLUSH BINARY LOGS")
    newest = (await connection.fetch_all("SHOW BINARY LOGS"))[-1][0]
    async with asyncio.timeout(120):
        # The server keeps a log as long as somebody reads it.
        while (await connection.fetch_all("SHOW BINARY LOGS"))[0][0] != newest:
            try:
                await connection.execute(f"PURGE BINARY LOGS TO '{newest}'")
            except DatabaseError:
                await asyncio.sleep(0.05)


async def test_a_log_that_is_gone_in_the_window_ends_reverting_and_nothing_else(
    server: LocalServer, database: str, connection: Connection
) -> None:
    ledger = Ledger(server.server, database, INT)
    await ledger.fill(connection, 500)
    target = await target_of(connection, database, INT.create(new=True))
    operation = alter(server.server, database, target)
    await operation.prepare()
    await operation.cut_over()
    await operation.close()
    await purged(connection)
    again = alter(server.server, database, target)
    try:
        with pytest.raises(StreamBroken, match="no longer has its binary log"):
            await _reverted(again)
        async with ledger.writing():
            await ledger.written(20)
        await ledger.check(dropped=True)
        await again.finalize()
        assert again.status().phase is Phase.FINALIZED
        assert await leftovers(connection, again.id) == []
    finally:
        await again.close()


async def _reverted(operation: object) -> None:
    for step in ("prepare", "revert"):
        await getattr(operation, step)()


@FLAVORS
async def test_a_log_that_lost_its_end_in_a_crash_is_not_read_on(flavor: Flavor, tmp_path: Path) -> None:
    async with running_server(flavor, tmp_path / "server") as local:
        await prepare_state(local.server)
        async with await Connection.open(local.server) as admin:
            await admin.execute("CREATE DATABASE s")
            ledger = Ledger(local.server, "s", INT)
            await ledger.fill(admin, 1000)
            target = await target_of(admin, "s", INT.create(new=True))
            begin = str((await admin.fetch_all("SHOW BINARY LOGS"))[-1][0])
            folder = Path(str(await admin.fetch_value("SELECT @@GLOBAL.log_bin_basename"))).parent
            size = (folder / begin).stat().st_size
        operation = alter(local.server, "s", target)
        async with ledger.writing():
            await operation.prepare()
            await ledger.written(50)
        await operation.close()
        await local.stop()
        # What sync_binlog=0 may cost when the machine itself goes down.
        os.truncate(folder / begin, size)
        await local.start()
        again = alter(local.server, "s", target)
        try:
            with pytest.raises(MigratorError):
                await _cut_over(again)
            await again.cancel()
            await ledger.check(dropped=False)
        finally:
            await again.close()


async def _cut_over(operation: object) -> None:
    for step in ("prepare", "cut_over"):
        await getattr(operation, step)()


@FLAVORS
async def test_a_server_that_becomes_read_only_is_waited_for(flavor: Flavor, tmp_path: Path) -> None:
    variable = "super_read_only" if flavor is Flavor.MYSQL else "read_only"
    async with running_server(flavor, tmp_path / "server") as local:
        await prepare_state(local.server)
        account = Account("engine", "its secret")
        async with await Connection.open(local.server) as admin:
            await admin.execute("CREATE DATABASE s")
            await make_migrator_account(admin, account, "s")
            ledger = Ledger(local.server, "s", INT)
            await ledger.fill(admin, 6000)
            target = await target_of(admin, "s", INT.create(new=True))
            mine = dataclasses.replace(local.server, account=account)
            operation = alter(mine, "s", target, rows=100)
            try:
                preparing = asyncio.ensure_future(operation.prepare())
                await until(lambda: operation.status().rows_copied > 500)
                await admin.execute(f"SET GLOBAL {variable} = 1")
                # As the deploy runner does: nothing is decided, so it begins again until it can write.
                with pytest.raises(ConnectionLost):
                    await preparing
                await operation.close()
                assert operation.status().phase is not Phase.FAILED
                for name in dict.fromkeys((variable, "read_only")):
                    await admin.execute(f"SET GLOBAL {name} = 0")
                await operation.prepare()
                await operation.cut_over()
            finally:
                await operation.close()
            await ledger.check(dropped=True)


async def test_a_server_without_room_is_waited_for_and_the_change_goes_on_when_there_is_some(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (copier, follow):
        monkeypatch.setattr(module, "FULL_PAUSE_S", 0.5)
    # All tables in one file that may not grow further: a disk of exactly this size, on any machine.
    options = {"innodb-file-per-table": "0", "innodb-data-file-path": "ibdata1:12M:autoextend:max:96M"}
    async with running_server(Flavor.MYSQL, tmp_path / "server", options=options) as local:
        await prepare_state(local.server)
        async with await Connection.open(local.server) as admin:
            await admin.execute("CREATE DATABASE s")
            ledger = Ledger(local.server, "s", INT)
            await ledger.fill(admin, 80000)
            target = await target_of(admin, "s", INT.create(new=True))
            # Room for a table, but not for its rows.
            await admin.execute("CREATE TABLE s.slack (v LONGBLOB)")
            for _ in range(6):
                await admin.execute("INSERT INTO s.slack VALUES (REPEAT('x', 1000000))")
            await admin.execute("CREATE TABLE s.ballast (id INT AUTO_INCREMENT PRIMARY KEY, v LONGBLOB)")
            size = 1 << 20
            while size > 1 << 14:
                try:
                    await admin.execute("INSERT INTO s.ballast (v) VALUES (REPEAT('x', %s))", size)
                except DatabaseError:
                    size //= 2
            await admin.execute("DROP TABLE s.slack")
            operation = alter(local.server, "s", target, rows=2000)
            try:
                preparing = asyncio.ensure_future(operation.prepare())
                await until(lambda: "room" in operation.status().activity, timeout_s=60)
                assert not preparing.done()
                await admin.execute("DROP TABLE s.ballast")
                await preparing
                await operation.cut_over()
            finally:
                await operation.close()
        await ledger.check(dropped=True)
