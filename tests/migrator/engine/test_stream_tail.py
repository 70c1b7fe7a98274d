"""The end of the log is followed through everything, and how far behind we are is never flattered."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator

from migrator.engine.ground.journal import Journal
from migrator.engine.rows.beginning import log_place
from migrator.engine.rows.tail import Tail
from migrator.engine.table.keys import Key
from migrator.engine.table.pair import match
from migrator.engine.table.shape import read_shape
from router.database import Connection
from router.model import Address, Server
from router.servers.process import LocalServer
from tests.support.cutting import cutter
from tests.support.servers import until


@contextlib.asynccontextmanager
async def tailing(
    server: Server, connection: Connection, database: str
) -> AsyncIterator[tuple[Tail, list[Key]]]:
    """Follow a table `t` of the test's schema."""
    await connection.execute("CREATE TABLE t (id INT PRIMARY KEY)")
    await connection.execute("CREATE TABLE n LIKE t")
    journal = Journal(server, f"op-{database}")
    await journal.open(kind="alter", schema=database, table="t", target_sql="")
    source = await read_shape(connection, database, "t")
    target = await read_shape(connection, database, "n")
    assert source is not None
    assert target is not None
    changes: list[Key] = []
    start = await log_place(connection)
    tail = Tail(journal, match(source, target), start, changes.extend, changes.extend)
    tasks = [asyncio.ensure_future(tail.run()), asyncio.ensure_future(tail.measure())]
    try:
        yield tail, changes
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await journal.close()


async def test_the_lag_grows_while_nothing_is_read_and_is_gone_when_everything_is(
    server: LocalServer, database: str, connection: Connection
) -> None:
    async with tailing(server.server, connection, database) as (tail, changes):
        await connection.execute("INSERT INTO t VALUES (1)")
        await until(lambda: changes == [1])
        await until(lambda: tail.lag_s == 0.0)
        tail.hold()

        # What is on its way already may still come.
        async def behind() -> bool:
            await connection.execute("INSERT INTO t SELECT MAX(id) + 1 FROM t")
            return tail.lag_s > 1.0

        await until(behind)
        tail.go_on()
        await until(lambda: tail.lag_s == 0.0)
        await tail.catch_up(lambda: None, 30.0)
        rows = await connection.fetch_all("SELECT id FROM t ORDER BY id")
        assert changes == [row[0] for row in rows]


async def test_a_connection_that_breaks_costs_no_change_and_names_no_transaction_twice(
    server: LocalServer, database: str, connection: Connection
) -> None:
    async with cutter(server.server.address.port) as between:
        far = dataclasses.replace(server.server, address=Address("127.0.0.1", between.port))
        async with tailing(far, connection, database) as (tail, changes):
            for number in range(1, 6):
                await connection.execute("BEGIN")
                await connection.execute(f"INSERT INTO t VALUES ({number})")
                await connection.execute(f"INSERT INTO t VALUES ({number + 100})")
                await connection.execute("COMMIT")
                await until(lambda number=number: number + 100 in changes)
                await connection.execute("FLUSH BINARY LOGS")
                # The server itself ends the connection that reads.
                for (thread,) in await connection.fetch_all(
                    "SELECT ID FROM information_schema.PROCESSLIST WHERE COMMAND LIKE 'Binlog Dump%%'"
                ):
                    with contextlib.suppress(Exception):
                        await connection.execute(f"KILL {thread}")
            await tail.catch_up(lambda: None, 30.0)
            assert set(changes) == {*range(1, 6), *range(101, 106)}
            executed = await log_place(connection)
            assert tail.gtids_received() == tail.gtids_at(tail.boundary) == str(executed.gtids)
