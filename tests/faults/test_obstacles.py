"""Somebody or something is in the way of a change: it waits and holds nobody up, or ends cleanly."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from migrator.engine.ground.operation import Phase
from migrator.engine.migration import OnlineAlter
from migrator.engine.swap import cutover
from migrator.errors import MigratorError
from router.database import Connection
from router.model import Flavor
from router.servers.process import LocalServer
from tests.migrator.engine.ledger import INT, UNIQUE, Ledger, OpenGate, alter, target_of
from tests.migrator.engine.test_migration import leftovers
from tests.migrator.engine.test_outages import dying_at
from tests.support.servers import until

ENGINE = Path(__file__).parents[2] / "migrator" / "engine"


async def test_a_lock_that_is_not_had_at_once_is_given_up_and_tried_again(
    server: LocalServer, database: str, connection: Connection
) -> None:
    ledger = Ledger(server.server, database, INT)
    await ledger.fill(connection, 1000)
    gate = OpenGate()
    target = await target_of(connection, database, INT.create(new=True))
    operation = alter(server.server, database, target, gate=gate)
    try:
        async with ledger.writing(), await Connection.open(server.server, database=database) as other:
            await operation.prepare()
            for _ in range(2):
                await other.execute("START TRANSACTION")
                await other.execute("SELECT COUNT(*) FROM t")
                cutting = asyncio.ensure_future(operation.cut_over())
                await until(lambda: "trying again" in operation.status().activity)
                assert gate.closed == gate.opened
                await ledger.written(20)
                cutting.cancel()
                await asyncio.gather(cutting, return_exceptions=True)
                await other.execute("COMMIT")
            await operation.cut_over()
        assert gate.closed == gate.opened
    finally:
        await operation.close()
    assert not ledger.errors
    await ledger.check(dropped=True)


BACKUP = {
    Flavor.MYSQL: ("LOCK INSTANCE FOR BACKUP", "UNLOCK INSTANCE"),
    Flavor.MARIADB: ("BACKUP STAGE START", "BACKUP STAGE END"),
}
# From this stage on MariaDB's backup holds up changes of definitions.
BLOCKS = {Flavor.MARIADB: ("BACKUP STAGE FLUSH", "BACKUP STAGE BLOCK_DDL")}


async def test_a_backup_that_forbids_renames_postpones_the_cut_over_and_writers_go_on(
    server: LocalServer, database: str, connection: Connection
) -> None:
    ledger = Ledger(server.server, database, INT)
    await ledger.fill(connection, 1000)
    target = await target_of(connection, database, INT.create(new=True))
    operation = alter(server.server, database, target)
    flavor = server.server.flavor
    begin, end = BACKUP[flavor]
    try:
        async with ledger.writing(), await Connection.open(server.server, database=database) as other:
            await operation.prepare()
            for statement in (begin, *BLOCKS.get(flavor, ())):
                await other.execute(statement)
            cutting = asyncio.ensure_future(operation.cut_over())
            await until(lambda: "trying again" in operation.status().activity)
            await ledger.written(20)
            await other.execute(end)
            await cutting
            await ledger.written(20)
    finally:
        await operation.close()
    assert not ledger.errors
    await ledger.check(dropped=True)


async def test_a_prepared_transaction_on_the_table_postpones_the_cut_over_and_is_part_of_it(
    server: LocalServer, database: str, connection: Connection
) -> None:
    ledger = Ledger(server.server, database, INT)
    await ledger.fill(connection, 1000)
    target = await target_of(connection, database, INT.create(new=True))
    operation = alter(server.server, database, target)
    xid = f"'{database}'"
    try:
        await operation.prepare()
        other = await Connection.open(server.server, database=database)
        for statement in (f"XA START {xid}", "UPDATE t SET v = 'by xa' WHERE id = 7", f"XA END {xid}"):
            await other.execute(statement)
        await other.execute(f"XA PREPARE {xid}")
        other.abort()
        cutting = asyncio.ensure_future(operation.cut_over())
        await until(lambda: "trying again" in operation.status().activity)
        async with ledger.writing():
            pass
        await connection.execute(f"XA COMMIT {xid}")
        await cutting
    finally:
        await operation.close()
    ledger.rows[7] = (ledger.rows[7][0], "by xa", ledger.rows[7][2])
    await ledger.check(dropped=True)


@pytest.mark.parametrize(
    ("stage", "statement"),
    [
        ("copied", "TRUNCATE TABLE t"),
        ("ready", "TRUNCATE TABLE t"),
        ("ready", "ALTER TABLE t ADD COLUMN stranger INT"),
        ("ready", "RENAME TABLE t TO elsewhere"),
        ("ready", "DROP TABLE t"),
        ("revertible", "ALTER TABLE t ADD COLUMN stranger INT"),
    ],
)
async def test_whoever_changes_the_table_behind_our_back_ends_the_change_and_keeps_what_he_did(
    server: LocalServer, database: str, connection: Connection, stage: str, statement: str
) -> None:
    await Ledger(server.server, database, INT).fill(connection, 600)
    target = await target_of(connection, database, INT.create(new=True))
    operation = alter(server.server, database, target)
    try:
        if stage == "copied":
            preparing = asyncio.ensure_future(operation.prepare())
            await until(lambda: operation.status().rows_copied > 0)
            await connection.execute(statement)
            with pytest.raises(MigratorError):
                await _both(preparing, operation)
        else:
            await operation.prepare()
            if stage == "revertible":
                await operation.cut_over()
            await connection.execute(statement)
            with pytest.raises(MigratorError):
                await (operation.revert() if stage == "revertible" else operation.cut_over())
        if stage != "revertible":
            await operation.cancel()
            found = [str(row[0]) for row in await connection.fetch_all("SHOW TABLES")]
            assert found == {"D": [], "R": ["elsewhere"]}.get(statement[0], ["t"])
    finally:
        await operation.close()
        await connection.execute("DROP TABLE IF EXISTS elsewhere")


async def _both(preparing: asyncio.Future[None], operation: OnlineAlter) -> None:
    await preparing
    await operation.cut_over()


async def test_a_process_that_stands_still_under_the_lock_costs_time_and_no_row(
    server: LocalServer, database: str, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger(server.server, database, INT)
    await ledger.fill(connection, 1000)
    target = await target_of(connection, database, INT.create(new=True))
    operation = alter(server.server, database, target)
    # The fault itself: the event loop stands still while the table is locked.
    dying_at(monkeypatch, cutover, "before-write-ahead", lambda: time.sleep(1.2))
    try:
        async with ledger.writing():
            await operation.prepare()
            await operation.cut_over()
            await ledger.written(50)
            dying_at(monkeypatch, cutover, "before-rename", lambda: time.sleep(1.2))
            await operation.revert()
            await ledger.written(50)
        await operation.finalize()
    finally:
        await operation.close()
    assert not ledger.errors
    await ledger.check(dropped=False)
    assert await leftovers(connection, operation.id) == []


async def test_a_clock_that_jumps_changes_nothing(
    server: LocalServer, database: str, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    jumps = iter(range(10**9))
    monkeypatch.setattr(time, "time", lambda: (next(jumps) % 2) * 86400.0 * 365)
    ledger = Ledger(server.server, database, INT)
    await ledger.fill(connection, 1000)
    target = await target_of(connection, database, INT.create(new=True))
    operation = alter(server.server, database, target)
    try:
        async with ledger.writing():
            await operation.prepare()
            await operation.cut_over()
            await operation.revert()
            assert operation.status().phase is Phase.REVERTED
    finally:
        await operation.close()
    assert not ledger.errors
    await ledger.check(dropped=False)


def test_nothing_that_must_hold_is_decided_by_the_clock_of_this_machine() -> None:
    for file in sorted(ENGINE.rglob("*.py")):
        text = file.read_text()
        assert "time.time()" not in text, file
        assert "datetime.now" not in text, file


async def test_one_row_that_everybody_changes_all_the_time_is_exact(
    server: LocalServer, database: str, connection: Connection
) -> None:
    ledger = Ledger(server.server, database, UNIQUE)
    await ledger.fill(connection, 500)
    await connection.execute("CREATE TABLE counted (id INT PRIMARY KEY, n INT)")
    target = await target_of(connection, database, UNIQUE.create(new=True))
    operation = alter(server.server, database, target)
    counts = [0] * 4
    stop = asyncio.Event()

    async def hammer(number: int) -> None:
        async with await Connection.open(server.server, database=database) as mine:
            while not stop.is_set():
                await mine.execute("UPDATE t SET v = v + 1 WHERE id = 10000000")
                counts[number] += 1

    try:
        await connection.execute("INSERT INTO t (id, u, v) VALUES (10000000, NULL, '0')")
        hammers = [asyncio.ensure_future(hammer(number)) for number in range(4)]
        try:
            async with ledger.writing():
                await operation.prepare()
                await operation.cut_over()
                await until(lambda: sum(counts) > 500)
                await operation.revert()
        finally:
            stop.set()
            await asyncio.gather(*hammers)
    finally:
        await operation.close()
    assert int(await connection.fetch_value("SELECT v FROM t WHERE id = 10000000")) == sum(counts)
    await connection.execute("DELETE FROM t WHERE id = 10000000")
    assert not ledger.errors
    await ledger.check(dropped=False)


@pytest.mark.parametrize("stage", ["while copying", "in the window"])
async def test_a_transaction_over_the_whole_table_is_followed(
    server: LocalServer, database: str, connection: Connection, stage: str
) -> None:
    ledger = Ledger(server.server, database, INT)
    await ledger.fill(connection, 15000)
    target = await target_of(connection, database, INT.create(new=True))
    operation = alter(server.server, database, target, rows=1000)
    sql = "UPDATE t SET v = CONCAT('all ', id) WHERE id < 15000"
    try:
        if stage == "while copying":
            preparing = asyncio.ensure_future(operation.prepare())
            await until(lambda: operation.status().rows_copied > 2000)
            await connection.execute(sql)
            await preparing
        else:
            await operation.prepare()
        await operation.cut_over()
        if stage == "in the window":
            await connection.execute(sql)
            await operation.revert()
    finally:
        await operation.close()
    ledger.rows = {n: (u, f"all {n}", d) for n, (u, _, d) in ledger.rows.items()}
    await ledger.check(dropped=stage != "in the window")


async def test_cancelling_does_not_wait_for_the_copy(
    server: LocalServer, database: str, connection: Connection
) -> None:
    ledger = Ledger(server.server, database, INT)
    await ledger.fill(connection, 20000)
    target = await target_of(connection, database, INT.create(new=True))
    operation = alter(server.server, database, target, rows=100)
    try:
        preparing = asyncio.ensure_future(operation.prepare())
        await until(lambda: operation.status().rows_copied > 1000)
        preparing.cancel()
        await asyncio.gather(preparing, return_exceptions=True)
        await operation.cancel()
        assert operation.status().rows_copied < 20000
        assert operation.status().phase is Phase.CANCELLED
    finally:
        await operation.close()
    await ledger.check(dropped=False)
    assert await leftovers(connection, operation.id) == []


async def test_a_prepared_statement_sees_the_new_columns_after_the_swap(
    server: LocalServer, database: str, connection: Connection
) -> None:
    await Ledger(server.server, database, INT).fill(connection, 300)
    target = await target_of(connection, database, INT.create(new=True))
    operation = alter(server.server, database, target)
    try:
        await operation.prepare()
        async with await Connection.open(server.server, database=database) as client:
            await client.execute("PREPARE whole FROM 'SELECT * FROM t WHERE id = 5'")
            assert list(await client.fetch_dicts("EXECUTE whole")) == [
                {"id": 5, "u": 5, "v": "row 5", "d": 1005}
            ]
            await operation.cut_over()
            assert list(await client.fetch_dicts("EXECUTE whole")) == [
                {"id": 5, "e": 7, "u": 5, "v": "row 5"}
            ]
            await operation.revert()
            assert list(await client.fetch_dicts("EXECUTE whole")) == [
                {"id": 5, "u": 5, "v": "row 5", "d": 1005}
            ]
    finally:
        await operation.close()
