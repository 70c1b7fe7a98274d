"""What holds an operation up holds nobody else up, and what comes in between is noticed."""

from __future__ import annotations

import asyncio

import pytest

from conf.settings import MigratorSettings, ThrottleSettings
from migrator.engine.ground.blockers import find_blockers
from migrator.engine.ground.garbage import Collector
from migrator.engine.ground.operation import Phase
from migrator.engine.migration import OnlineAlter
from migrator.engine.rows import follow
from migrator.engine.swap import swapped
from migrator.engine.table.shape import show_create
from migrator.errors import NotNow, SourceChanged
from migrator.throttle.throttler import Budget, Kind, Throttle
from router.database import Connection
from router.servers.process import LocalServer
from tests.migrator.engine.ledger import INT, Ledger, OpenGate, alter, target_of
from tests.migrator.engine.test_garbage import DUE, tables_of
from tests.migrator.engine.test_triggers import NAMES, differences, mirrored
from tests.support.servers import until

WAITING = "SELECT 1 FROM information_schema.PROCESSLIST WHERE STATE LIKE %s AND INFO LIKE %s LIMIT 1"


async def test_a_definition_that_changes_while_a_table_waits_for_its_turn_ends_the_change(
    server: LocalServer, database: str, connection: Connection
) -> None:
    await Ledger(server.server, database, INT).fill(connection, 100)
    target = await target_of(connection, database, INT.create(new=True))
    operation = alter(server.server, database, target)
    try:
        await operation.size()
        # Another table of the same deployment is being copied meanwhile.
        await connection.execute("ALTER TABLE t ADD COLUMN z INT NOT NULL DEFAULT 42")
        with pytest.raises(SourceChanged, match="while it waited for its turn"):
            await operation.prepare()
        await operation.cancel()
    finally:
        await operation.close()
    assert await tables_of(connection) == ["t"]


async def test_a_revert_begins_although_following_was_held_back_for_long(
    server: LocalServer, database: str, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "DIRTY_MAX", 1000)
    ledger = Ledger(server.server, database, INT)
    await ledger.fill(connection, 30000)
    target = await target_of(connection, database, INT.create(new=True))
    operation = alter(server.server, database, target, rows=5000)
    real, held = Throttle.permit, asyncio.Event()

    async def hold_back(self: Throttle, kind: Kind = Kind.COPY) -> Budget:
        if kind is Kind.FLUSH:
            held.set()
            await asyncio.Event().wait()
        return await real(self, kind)

    try:
        await operation.prepare()
        await operation.cut_over()
        # As if a replica were far behind.
        monkeypatch.setattr(Throttle, "permit", hold_back)
        await connection.execute("UPDATE t SET v = 'x' WHERE id = 1")
        async with asyncio.timeout(120):
            await held.wait()
        await connection.execute("UPDATE t SET v = 'x'")
        # So many wait that nothing more is read: what comes now is not received.
        await until(lambda: operation.status().pending_keys > 1000)
        await connection.execute("UPDATE t SET v = 'y'")
        async with asyncio.timeout(120):
            await operation.revert()
        assert operation.status().phase is Phase.REVERTED
    finally:
        await operation.close()
    ledger.rows = {n: (u, "y", d) for n, (u, _, d) in ledger.rows.items()}
    await ledger.check(dropped=False)


async def test_a_trigger_whose_name_is_taken_leaves_no_guard_behind(
    server: LocalServer, database: str, connection: Connection
) -> None:
    ledger = Ledger(server.server, database, INT)
    await mirrored(connection, ledger, 50)
    operation = alter(server.server, database, await target_of(connection, database, INT.create(new=True)))
    try:
        await operation.prepare()
        await operation.cut_over()
        # The name is free in the revert window.
        await connection.execute("CREATE TABLE s (id INT PRIMARY KEY)")
        await connection.execute("CREATE TRIGGER tu BEFORE UPDATE ON s FOR EACH ROW SET NEW.id = NEW.id")
        with pytest.raises(SourceChanged, match="table s has a trigger of the name tu now"):
            await operation.finalize()
        await connection.execute("UPDATE t SET v = 'after' WHERE id = 1")
        assert await differences(connection) == []
        await connection.execute("DROP TRIGGER tu")
        await operation.finalize()
        assert await connection.fetch_all(NAMES, database) == [("td",), ("ti",), ("tu",)]
    finally:
        await operation.close()


async def test_giving_triggers_their_names_waits_in_nobodys_way(
    server: LocalServer, database: str, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(swapped, "NAMING_PAUSES_S", (0.1, 0.1))
    ledger = Ledger(server.server, database, INT)
    await mirrored(connection, ledger, 50)
    operation = alter(server.server, database, await target_of(connection, database, INT.create(new=True)))

    async def is_old() -> bool:
        return bool(await find_blockers(connection, [(database, "t")], ()))

    async with await Connection.open(server.server, database=database) as other:
        try:
            await operation.prepare()
            await operation.cut_over()
            await other.execute("START TRANSACTION")
            await other.execute("SELECT * FROM t LIMIT 1")
            await until(is_old)
            finalizing = asyncio.ensure_future(operation.finalize())

            async def is_over() -> bool:
                # Whoever comes to the table would have to wait behind it.
                sql = f"LOCK TABLES `{database}`%"
                assert not await connection.fetch_value(WAITING, "Waiting%", sql)
                return finalizing.done()

            await until(is_over)
            with pytest.raises(NotNow, match="has held t in a transaction"):
                await finalizing
            await other.execute("COMMIT")
            await operation.finalize()
            assert await connection.fetch_all(NAMES, database) == [("td",), ("ti",), ("tu",)]
        finally:
            await operation.close()


async def test_a_table_that_took_the_name_of_garbage_is_not_dropped_for_it(
    server: LocalServer, database: str, connection: Connection
) -> None:
    # Of a name beyond ASCII nobody knows which table it was.
    await connection.execute("CREATE TABLE `tä` (id INT PRIMARY KEY, v BIGINT)")
    target = await show_create(connection, database, "tä")
    await connection.execute("ALTER TABLE `tä` MODIFY v INT")
    await connection.execute("INSERT INTO `tä` VALUES (1, 1)")
    throttle = Throttle(ThrottleSettings(enabled=False))

    def change(number: int) -> OnlineAlter:
        settings = MigratorSettings(garbage_hold_s=3600)
        identifier = f"op{number}-{database}"
        return OnlineAlter(identifier, server.server, database, "tä", target, OpenGate(), throttle, settings)

    first, second = change(1), change(2)
    try:
        await first.prepare()
        await first.cut_over()
        await first.finalize()
        # By hand, to make room.
        await connection.execute("DROP TABLE `tä__hg1_old`")
        await connection.execute("ALTER TABLE `tä` MODIFY v INT")
        await second.prepare()
        await second.cut_over()
        await connection.execute(DUE, database)
        await Collector(server.server, throttle).collect()
        assert await tables_of(connection) == ["tä", "tä__hg1_old"]
        await second.revert()
        assert await connection.fetch_all("SELECT id, v FROM `tä`") == [(1, 1)]
    finally:
        await first.close()
        await second.close()
