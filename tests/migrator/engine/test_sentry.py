"""Nobody empties or locks a table in the moment before its name is given to another one."""

from __future__ import annotations

import asyncio

import pytest

from migrator.engine.ground.operation import Phase
from migrator.engine.ground.state import prepare_state
from migrator.engine.swap import cutover, sentry
from migrator.engine.swap.sentry import yields
from migrator.errors import SourceChanged
from router.database import Connection
from router.errors import DatabaseError
from router.servers.process import LocalServer
from tests.migrator.engine.ledger import INT, Ledger, alter, target_of
from tests.support.servers import until


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT 1", True),
        ("  ( select 1 ) union (select 2)", True),
        ("/* from the app */ -- and more\n UPDATE t SET v = 1", True),
        ("WITH x AS (SELECT 1) SELECT * FROM x", True),
        ("TRUNCATE t", False),
        ("/*! TRUNCATE t */", False),
        ("/*M!100100 TRUNCATE t */", False),
        ("LOCK TABLES t WRITE", False),
        ("SELECTED", False),
        ("", False),
        (None, False),
    ],
)
def test_only_statements_about_rows_let_a_rename_go_first(sql: str | None, expected: bool) -> None:
    assert yields(sql) is expected


@pytest.mark.parametrize("statement", ["TRUNCATE TABLE t", "LOCK TABLES t WRITE", "ALTER TABLE t FORCE"])
async def test_a_statement_that_waits_for_the_table_longer_than_our_rename_stops_the_attempt(
    mariadb: LocalServer, mariadb_database: str, monkeypatch: pytest.MonkeyPatch, statement: str
) -> None:
    await prepare_state(mariadb.server)
    ledger = Ledger(mariadb.server, mariadb_database, INT)
    async with (
        await Connection.open(mariadb.server, database=mariadb_database) as connection,
        await Connection.open(mariadb.server, database=mariadb_database) as other,
    ):
        await ledger.fill(connection, 200)
        target = await target_of(connection, mariadb_database, INT.create(new=True))
        operation = alter(mariadb.server, mariadb_database, target)
        waiting: list[asyncio.Future[int]] = []
        real = sentry._until_waiting

        async def begin_first(lock: Connection, second: Connection, renaming: asyncio.Future[int]) -> None:
            await real(lock, second, renaming)

        async def swap_now(self: cutover.CutOverAttempt, lock: Connection, second: Connection) -> None:
            if not waiting:
                waiting.append(asyncio.ensure_future(other.execute(statement)))
                sql = "SELECT STATE FROM information_schema.PROCESSLIST WHERE ID = %s"

                async def waits() -> bool:
                    return "metadata lock" in str(await connection.fetch_value(sql, other.thread_id))

                await until(waits)
            await plain(self, lock, second)

        plain = cutover.CutOverAttempt._swap_now
        monkeypatch.setattr(sentry, "_until_waiting", begin_first)
        monkeypatch.setattr(cutover.CutOverAttempt, "_swap_now", swap_now)
        try:
            await operation.prepare()
            cutting = asyncio.ensure_future(operation.cut_over())
            await until(lambda: bool(waiting) and waiting[0].done())
            if statement.startswith("LOCK"):
                # It has the old table now: what is written there must not be lost.
                await other.execute("UPDATE t SET v = 'locked' WHERE id = 3")
                await other.execute("UNLOCK TABLES")
                await cutting
                assert await connection.fetch_value("SELECT v FROM t WHERE id = 3") == "locked"
                assert operation.status().phase is Phase.REVERTIBLE
            else:
                with pytest.raises(SourceChanged):
                    await cutting
                assert operation.status().phase is not Phase.REVERTIBLE
                left = 0 if statement.startswith("TRUNCATE") else 200
                assert await connection.fetch_value("SELECT COUNT(*) FROM t") == left
        finally:
            await operation.close()


async def test_a_table_that_was_emptied_unseen_by_the_log_is_not_swapped(
    server: LocalServer, database: str, connection: Connection
) -> None:
    await Ledger(server.server, database, INT).fill(connection, 100)
    operation = alter(server.server, database, await target_of(connection, database, INT.create(new=True)))
    try:
        await operation.prepare()
        await connection.execute("SET SESSION sql_log_bin = 0")
        await connection.execute("TRUNCATE TABLE t")
        await connection.execute("SET SESSION sql_log_bin = 1")
        with pytest.raises(SourceChanged, match="another table now"):
            await operation.cut_over()
        await operation.cancel()
        with pytest.raises(DatabaseError):
            await connection.execute("SELECT 1 FROM t__hg1_new")
    finally:
        await operation.close()
