"""An owner that is late, frozen or taken over changes nothing any more."""

from __future__ import annotations

import asyncio
import signal

import pytest

from migrator.engine.ground import journal
from migrator.engine.ground.operation import Phase
from migrator.engine.ground.session import end_thread
from migrator.engine.ground.state import prepare_state
from migrator.engine.migration import OnlineAlter
from migrator.engine.swap import cutover
from migrator.engine.swap.drop import DropTable
from migrator.engine.swap.group import Group
from router.database import Connection
from router.servers.process import LocalServer
from tests.migrator.engine.ledger import INT, Ledger, OpenGate, alter, target_of
from tests.migrator.engine.test_create_drop import SETTINGS
from tests.migrator.engine.test_triggers import NAMES, differences, mirrored
from tests.migrator.engine.victim import Orders
from tests.migrator.engine.victims import stopped
from tests.support.servers import until

RENAMING = "SELECT STATE FROM information_schema.PROCESSLIST WHERE INFO LIKE %s AND ID <> CONNECTION_ID()"


async def test_a_group_that_is_taken_over_while_its_rename_waits_is_swapped_as_one_or_not_at_all(
    mysql: LocalServer, mysql_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await prepare_state(mysql.server)
    async with (
        await Connection.open(mysql.server, database=mysql_database) as connection,
        await Connection.open(mysql.server, database=mysql_database) as other,
    ):
        await Ledger(mysql.server, mysql_database, INT).fill(connection, 100)
        await connection.execute("CREATE TABLE gone (id INT PRIMARY KEY)")
        target = await target_of(connection, mysql_database, INT.create(new=True))

        def members() -> tuple[DropTable, OnlineAlter]:
            identifier = f"drop-{mysql_database}"
            drop = DropTable(identifier, mysql.server, mysql_database, "gone", OpenGate(), SETTINGS)
            return drop, alter(mysql.server, mysql_database, target)

        async def states() -> list[str]:
            sql = f"RENAME TABLE `{mysql_database}`%"
            return [str(row[0]) for row in await connection.fetch_all(RENAMING, sql)]

        async def waits() -> bool:
            return any(state.startswith("Waiting") for state in await states())

        async def is_over() -> bool:
            return not await states()

        async def meet_nobody(self: cutover.CutOverAttempt, lock: Connection, second: Connection) -> None:
            # Backup locks let LOCK TABLES through but not RENAME: so does a slow disk.
            await other.execute("LOCK INSTANCE FOR BACKUP")

        async def swap_patiently(self: cutover.CutOverAttempt, lock: Connection, second: Connection) -> None:
            await lock.execute("SET SESSION lock_wait_timeout = 60")
            await swap_now(self, lock, second)

        async def end_late(link: Connection, thread: int) -> None:
            # The answer is decided between asking for the end and the end itself.
            await other.execute("UNLOCK INSTANCE")
            await until(is_over)
            await end_thread(link, thread)

        swap_now = cutover.CutOverAttempt._swap_now
        monkeypatch.setattr(cutover, "RENAME_MAX_S", 60.0)
        monkeypatch.setattr(cutover.CutOverAttempt, "_meet_blockers", meet_nobody)
        monkeypatch.setattr(cutover.CutOverAttempt, "_swap_now", swap_patiently)
        former = members()
        try:
            await Group(former).prepare()
            cutting = asyncio.ensure_future(Group(former).cut_over())
            await until(waits)
            # As if the process had died.
            cutting.cancel()
            await asyncio.gather(cutting, return_exceptions=True)
        finally:
            for each in former:
                await each.close()
        monkeypatch.setattr(journal, "end_thread", end_late)
        drop, change = members()
        try:
            for operation in (drop, change):
                await operation.prepare()
            assert (drop.status().phase, change.status().phase) == (Phase.REVERTIBLE, Phase.REVERTIBLE)
        finally:
            await drop.close()
            await change.close()


async def test_a_former_owner_that_wakes_up_drops_no_trigger_of_the_live_table(
    server: LocalServer, database: str, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "FROZEN_S", 1)
    ledger = Ledger(server.server, database, INT)
    await mirrored(connection, ledger, 300)
    target = await target_of(connection, database, INT.create(new=True))
    orders = Orders(server=server.server, schema=database, target=target)
    # The rehearsal drops three; the fourth is the first that goes with the old table.
    victim = await stopped(orders, "trigger-dropped:4")
    operation = alter(server.server, database, target, rows=200)
    try:
        await operation.prepare()
        assert operation.status().phase is Phase.REVERTIBLE
        await operation.revert()
        names = await connection.fetch_all(NAMES, database)
        assert names == [("td",), ("ti",), ("tu",)]
        victim.send_signal(signal.SIGCONT)
        async with asyncio.timeout(120):
            assert await victim.wait() == 1
        assert await connection.fetch_all(NAMES, database) == names
        await connection.execute("UPDATE t SET v = 'after' WHERE id = 1")
        assert await differences(connection) == []
    finally:
        if victim.returncode is None:
            victim.kill()
            await victim.wait()
        await operation.close()
