"""A revert is taken back and made again, rows exact; rows that do not fit are given up when told to."""

from __future__ import annotations

import asyncio

import pytest

from migrator.engine.ground.operation import Phase
from migrator.errors import DataConflict
from router.database import Connection
from router.servers.process import LocalServer
from tests.migrator.engine.ledger import INT, UNIQUE, Ledger, OpenGate, Table, alter, target_of
from tests.support.servers import until

LONG = "longer than twenty characters"


class LastMoment(OpenGate):
    """A gate behind which somebody writes rows that do not fit, after the operation has looked for such."""

    def __init__(self, connection: Connection, *statements: str) -> None:
        super().__init__()
        self._connection, self._statements = connection, statements

    async def close(self, tables: object) -> bool:
        """Write, from the second time on."""
        if self.closed:
            for statement in self._statements:
                await self._connection.execute(statement)
        return await super().close(tables)


@pytest.mark.parametrize("table", [INT, UNIQUE], ids=["plain", "unique"])
async def test_a_revert_is_taken_back_three_times_under_load_and_every_row_is_there(
    server: LocalServer, database: str, connection: Connection, table: Table
) -> None:
    ledger = Ledger(server.server, database, table)
    await ledger.fill(connection, 600)
    target = await target_of(connection, database, table.create(new=True))
    operation = alter(server.server, database, target)
    try:
        async with ledger.writing():
            await operation.prepare()
            await operation.cut_over()
            for _ in range(3):
                await ledger.written(40)
                await operation.revert()
                assert operation.status().phase is Phase.REVERTED
                await ledger.written(40)
                await operation.redo()
                assert operation.status().phase is Phase.REVERTIBLE
        await ledger.check(dropped=True)
        counter = "SELECT MAX(id) FROM t"
        highest = await connection.fetch_value(counter)
        await connection.execute("INSERT INTO t (v) VALUES ('after all')")
        assert await connection.fetch_value(counter) > highest
    finally:
        await operation.close()
    assert not ledger.errors


async def test_another_process_takes_a_revert_back(
    server: LocalServer, database: str, connection: Connection
) -> None:
    ledger = Ledger(server.server, database, INT)
    await ledger.fill(connection, 300)
    target = await target_of(connection, database, INT.create(new=True))
    async with ledger.writing():
        for step in ("cut_over", "revert", "redo"):
            operation = alter(server.server, database, target)
            try:
                await operation.prepare()
                await getattr(operation, step)()
                await ledger.written(30)
            finally:
                await operation.close()
            await ledger.written(30)
    await ledger.check(dropped=True)
    operation = alter(server.server, database, target)
    try:
        await operation.prepare()
        await operation.finalize()
    finally:
        await operation.close()
    assert [row[0] for row in await connection.fetch_all("SHOW TABLES")] == ["t"]


async def test_told_to_a_revert_gives_up_exactly_the_rows_that_do_not_fit(
    server: LocalServer, database: str, connection: Connection
) -> None:
    ledger = Ledger(server.server, database, INT)
    await ledger.fill(connection, 50)
    operation = alter(server.server, database, await target_of(connection, database, INT.create(new=True)))
    try:
        await operation.prepare()
        await operation.cut_over()
        for n in (5, 6, 7):
            await connection.execute(f"UPDATE t SET v = '{LONG}' WHERE id = {n}")
        await connection.execute(f"INSERT INTO t (id, u, v) VALUES (900, 1, '{LONG}')")
        await until(lambda: "4 rows" in str(operation.status().revert_blocked))
        # Corrected rows come free, even at the last moment.
        await connection.execute("UPDATE t SET v = 'short' WHERE id = 6")
        await until(lambda: "3 rows" in str(operation.status().revert_blocked))
        with pytest.raises(DataConflict, match="id=5"):
            await operation.revert()
        await connection.execute("UPDATE t SET v = 'fits', u = 77 WHERE id = 7")
        await connection.execute(f"UPDATE t SET v = '{LONG}, still' WHERE id = 5")
        # One that comes after it was said which are to be lost is not one of them.
        operation.give_up(operation.misfits())
        await connection.execute(f"UPDATE t SET v = '{LONG}' WHERE id = 8")
        with pytest.raises(DataConflict, match="id=8"):
            await operation.revert()
        await connection.execute("UPDATE t SET v = 'row 8' WHERE id = 8")
        await until(lambda: "id=8" not in str(operation.misfits()))
        await operation.revert()
        rows = await connection.fetch_all("SELECT id, u, v FROM t WHERE id IN (5, 6, 7, 900) ORDER BY id")
        assert rows == [(5, 5, "row 5"), (6, 6, "short"), (7, 77, "fits")]
        assert operation.status().revert_blocked is None
        async with asyncio.timeout(120):
            await operation.redo()
        # What only the new table held is there again.
        assert await connection.fetch_value("SELECT v FROM t WHERE id = 900") == LONG
    finally:
        await operation.close()


async def test_a_row_that_is_written_in_the_last_moment_and_does_not_fit_is_not_lost(
    server: LocalServer, database: str, connection: Connection
) -> None:
    ledger = Ledger(server.server, database, INT)
    await ledger.fill(connection, 50)
    target = await target_of(connection, database, INT.create(new=True))
    gate = LastMoment(connection, f"UPDATE t SET v = '{LONG}' WHERE id = 5")
    operation = alter(server.server, database, target, gate=gate)
    try:
        await operation.prepare()
        await operation.cut_over()
        with pytest.raises(DataConflict, match="id=5"):
            await operation.revert()
        assert operation.status().phase is Phase.REVERTIBLE
        assert await connection.fetch_value("SELECT v FROM t WHERE id = 5") == LONG
    finally:
        await operation.close()
