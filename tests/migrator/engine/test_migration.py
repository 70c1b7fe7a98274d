"""A table is changed and changed back while others write to it, and every acknowledged write is there."""

from __future__ import annotations

import asyncio

import pytest

from migrator.engine.ground.operation import Phase
from migrator.errors import DataConflict, Refused, SourceChanged, StreamBroken, WrongPhase
from router.database import Connection
from router.errors import DatabaseError
from router.servers.process import LocalServer
from tests.migrator.engine.ledger import (
    COMPOSITE,
    INT,
    TEMPORAL,
    UNIQUE,
    UNSIGNED,
    Ledger,
    OpenGate,
    Table,
    alter,
    target_of,
)

TABLES = {"int": INT, "unique": UNIQUE, "unsigned": UNSIGNED, "composite": COMPOSITE, "temporal": TEMPORAL}


async def tables_of(connection: Connection) -> list[str]:
    return [str(row[0]) for row in await connection.fetch_all("SHOW TABLES")]


async def leftovers(connection: Connection, operation: str) -> list[str]:
    """Every table of the state schema that still knows the operation, and every table beside `t`."""
    found = [name for name in await tables_of(connection) if name != "t"]
    for name in ("chunk", "stream_position", "followed", "quarantine", "fence"):
        if await connection.fetch_value(f"SELECT 1 FROM _headgate.{name} WHERE id = %s LIMIT 1", operation):
            found.append(name)
    return found


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
async def test_rows_are_exact_after_the_change_and_after_its_revert(
    server: LocalServer, database: str, connection: Connection, table: Table
) -> None:
    ledger = Ledger(server.server, database, table, thinks_s=0)
    await ledger.fill(connection, 3000)
    target = await target_of(connection, database, table.create(new=True))
    gate = OpenGate()
    operation = alter(server.server, database, target, gate=gate)
    try:
        async with ledger.writing():
            await ledger.written(100)
            await operation.prepare()
            assert operation.status().phase is Phase.READY
            await ledger.written(100)
            cut = await operation.cut_over()
            assert 0 < cut.lock_ms < 1000
            await ledger.written(300)
        await ledger.check(dropped=True)
        assert "`e`" in str(await connection.fetch_one("SHOW CREATE TABLE t"))
        async with ledger.writing():
            await ledger.written(200)
            await operation.revert()
            assert operation.status().phase is Phase.REVERTED
            await ledger.written(100)
        await ledger.check(dropped=False)
        assert not ledger.errors
        assert gate.opened == gate.closed >= 2
        await operation.finalize()
        assert await leftovers(connection, operation.id) == []
    finally:
        await operation.close()


async def test_finalizing_drops_the_old_table_and_keeps_the_new(
    server: LocalServer, database: str, connection: Connection
) -> None:
    ledger = Ledger(server.server, database, INT)
    await ledger.fill(connection, 500)
    operation = alter(server.server, database, await target_of(connection, database, INT.create(new=True)))
    try:
        await operation.prepare()
        await operation.cut_over()
        await operation.finalize()
        assert operation.status().phase is Phase.FINALIZED
        assert await leftovers(connection, operation.id) == []
        with pytest.raises(WrongPhase):
            await operation.revert()
    finally:
        await operation.close()
    await ledger.check(dropped=True)


async def test_a_new_unique_key_with_duplicates_fails_with_their_keys(
    server: LocalServer, database: str, connection: Connection
) -> None:
    await Ledger(server.server, database, INT).fill(connection, 2000)
    await connection.execute("UPDATE t SET u = 17 WHERE id IN (400, 1900)")
    target = await target_of(connection, database, INT.create(new=True, u_unique=True))
    operation = alter(server.server, database, target)
    try:
        with pytest.raises(DataConflict, match="id=17 and id=400 and id=1900"):
            await operation.prepare()
        assert operation.status().phase is Phase.FAILED
        await operation.cancel()
        assert await leftovers(connection, operation.id) == []
    finally:
        await operation.close()
    assert await connection.fetch_value("SELECT COUNT(*) FROM t") == 2000


async def test_a_new_unique_key_bears_values_that_only_change_places(
    server: LocalServer, database: str, connection: Connection
) -> None:
    ledger = Ledger(server.server, database, INT)
    await ledger.fill(connection, 4000)
    target = await target_of(connection, database, INT.create(new=True, u_unique=True))
    operation = alter(server.server, database, target)
    try:
        async with ledger.writing():
            await operation.prepare()
            await operation.cut_over()
            await ledger.written(100)
        await ledger.check(dropped=True)
    finally:
        await operation.close()


@pytest.mark.parametrize(
    ("change", "bad"),
    [
        ("v VARCHAR(8) NOT NULL", "v = 'much too long'"),
        ("u TINYINT NULL", "u = 300"),
        ("u INT NOT NULL", "u = NULL"),
    ],
    ids=["too long", "out of range", "null"],
)
async def test_a_lossy_change_fails_at_once_and_names_the_row(
    server: LocalServer, database: str, connection: Connection, change: str, bad: str
) -> None:
    await connection.execute("CREATE TABLE t (id INT PRIMARY KEY, u INT NULL, v VARCHAR(20) NOT NULL)")
    for start in range(0, 3000, 1000):
        rows = ", ".join(f"({n}, {n % 100}, 'x')" for n in range(start, start + 1000))
        await connection.execute(f"INSERT INTO t VALUES {rows}")
    await connection.execute(f"UPDATE t SET {bad} WHERE id = 2345")
    columns = [
        change if change.startswith(old[0]) else old for old in ("u INT NULL", "v VARCHAR(20) NOT NULL")
    ]
    target = await target_of(
        connection, database, f"CREATE TABLE t (id INT PRIMARY KEY, {', '.join(columns)})"
    )
    operation = alter(server.server, database, target)
    try:
        with pytest.raises(DataConflict, match="id=2345"):
            await operation.prepare()
        await operation.cancel()
        assert await leftovers(connection, operation.id) == []
    finally:
        await operation.close()
    assert await connection.fetch_value("SELECT COUNT(*) FROM t") == 3000


async def test_cancelling_in_the_middle_leaves_nothing_behind(
    server: LocalServer, database: str, connection: Connection
) -> None:
    ledger = Ledger(server.server, database, INT)
    await ledger.fill(connection, 20000)
    operation = alter(
        server.server, database, await target_of(connection, database, INT.create(new=True)), rows=100
    )
    try:
        async with ledger.writing():
            preparing = asyncio.ensure_future(operation.prepare())
            async with asyncio.timeout(120):
                while operation.status().rows_copied < 1000:
                    await asyncio.sleep(0.002)
            preparing.cancel()
            await asyncio.gather(preparing, return_exceptions=True)
            await operation.cancel()
        assert operation.status().phase is Phase.CANCELLED
        assert await leftovers(connection, operation.id) == []
    finally:
        await operation.close()
    await ledger.check(dropped=False)


async def test_a_prepare_that_was_cancelled_goes_on_where_it_was(
    server: LocalServer, database: str, connection: Connection
) -> None:
    ledger = Ledger(server.server, database, INT)
    await ledger.fill(connection, 20000)
    operation = alter(
        server.server, database, await target_of(connection, database, INT.create(new=True)), rows=100
    )
    try:
        async with ledger.writing():
            preparing = asyncio.ensure_future(operation.prepare())
            async with asyncio.timeout(120):
                while operation.status().rows_copied < 2000:
                    await asyncio.sleep(0.002)
            preparing.cancel()
            await asyncio.gather(preparing, return_exceptions=True)
            await operation.prepare()
            await operation.cut_over()
        await ledger.check(dropped=True)
    finally:
        await operation.close()


async def test_a_long_transaction_postpones_the_cut_over_with_the_gate_open(
    server: LocalServer, database: str, connection: Connection
) -> None:
    ledger = Ledger(server.server, database, INT)
    await ledger.fill(connection, 1000)
    gate = OpenGate()
    target = await target_of(connection, database, INT.create(new=True))
    operation = alter(server.server, database, target, gate=gate)
    try:
        await operation.prepare()
        async with await Connection.open(server.server, database=database) as other:
            await other.execute("START TRANSACTION")
            await other.execute("UPDATE t SET v = 'held' WHERE id = 10")
            cutting = asyncio.ensure_future(operation.cut_over())
            async with asyncio.timeout(120):
                while "trying again" not in operation.status().activity:
                    await asyncio.sleep(0.005)
            assert gate.closed == gate.opened
            async with await Connection.open(server.server, database=database) as third:
                await third.execute("UPDATE t SET v = 'not blocked' WHERE id = 11")
            await other.execute("COMMIT")
        cut = await cutting
        assert cut.attempts > 1
    finally:
        await operation.close()
    assert await connection.fetch_all("SELECT v FROM t WHERE id IN (10, 11)") == [("held",), ("not blocked",)]


async def test_a_row_that_cannot_go_back_blocks_the_revert_until_it_can(
    server: LocalServer, database: str, connection: Connection
) -> None:
    ledger = Ledger(server.server, database, INT)
    await ledger.fill(connection, 100)
    operation = alter(server.server, database, await target_of(connection, database, INT.create(new=True)))
    try:
        await operation.prepare()
        await operation.cut_over()
        await connection.execute("UPDATE t SET v = 'longer than twenty characters' WHERE id = 5")
        async with asyncio.timeout(120):
            while not operation.status().revert_blocked:
                await asyncio.sleep(0.01)
        assert "id=5" in str(operation.status().revert_blocked)
        with pytest.raises(DataConflict, match="id=5"):
            await operation.revert()
        await connection.execute("UPDATE t SET v = 'short' WHERE id = 5")
        async with asyncio.timeout(120):
            while operation.status().revert_blocked:
                await asyncio.sleep(0.01)
        await operation.revert()
        assert await connection.fetch_value("SELECT v FROM t WHERE id = 5") == "short"
    finally:
        await operation.close()


async def test_a_binary_log_that_is_gone_is_told_and_not_guessed_at(
    server: LocalServer, database: str, connection: Connection
) -> None:
    await Ledger(server.server, database, INT).fill(connection, 1000)
    target = await target_of(connection, database, INT.create(new=True))
    operation = alter(server.server, database, target)
    await operation.prepare()
    await operation.close()
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
    again = alter(server.server, database, target)
    try:
        await again.prepare()
        with pytest.raises(StreamBroken, match="no longer has its binary log"):
            await again.cut_over()
        assert again.status().phase is Phase.FAILED
        await again.cancel()
        assert await leftovers(connection, again.id) == []
    finally:
        await again.close()


async def test_a_definition_changed_by_somebody_else_stops_the_migration(
    server: LocalServer, database: str, connection: Connection
) -> None:
    await Ledger(server.server, database, INT).fill(connection, 1000)
    operation = alter(server.server, database, await target_of(connection, database, INT.create(new=True)))
    try:
        await operation.prepare()
        await connection.execute("ALTER TABLE t ADD COLUMN stranger INT")
        with pytest.raises(SourceChanged):
            await operation.cut_over()
        await operation.cancel()
        assert await leftovers(connection, operation.id) == []
    finally:
        await operation.close()


@pytest.mark.parametrize(
    ("definition", "reason"),
    [
        ("CREATE TABLE t (name VARCHAR(20) NOT NULL, UNIQUE KEY (name(5)))", "parts of columns"),
        ("CREATE TABLE t (id INT NULL, UNIQUE KEY (id))", "may be NULL"),
        ("CREATE TABLE t (id INT)", "no unique index"),
        ("CREATE TABLE t (id FLOAT PRIMARY KEY)", "cannot be told exactly"),
    ],
    ids=["prefix", "nullable", "none", "float"],
)
async def test_a_table_without_a_usable_key_is_refused_by_name(
    server: LocalServer, database: str, connection: Connection, definition: str, reason: str
) -> None:
    await connection.execute(definition)
    created = str((await connection.fetch_all("SHOW CREATE TABLE t"))[0][1])
    operation = alter(server.server, database, created)
    try:
        with pytest.raises(Refused, match=reason) as refusal:
            await operation.prepare()
        assert "primary or unique key" in refusal.value.hint
        await operation.cancel()
        assert await leftovers(connection, operation.id) == []
    finally:
        await operation.close()


async def test_counters_checks_and_odd_names_survive(
    server: LocalServer, database: str, connection: Connection
) -> None:
    await connection.execute(
        "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, `sel``ect %s` INT, g INT AS (`sel``ect %s` + 1), "
        "CHECK (`sel``ect %s` > 0), CONSTRAINT `named` CHECK (`sel``ect %s` < 1000000))"
    )
    await connection.execute("INSERT INTO t (`sel``ect %s`) VALUES (1), (2), (3)")
    await connection.execute("DELETE FROM t WHERE id = 3")
    before = str((await connection.fetch_all("SHOW CREATE TABLE t"))[0][1])
    operation = alter(
        server.server, database, before.replace("int", "bigint", 1).replace(" AUTO_INCREMENT=4", "")
    )
    try:
        await operation.prepare()
        await operation.cut_over()
        await connection.execute("INSERT INTO t () VALUES ()")
        assert await connection.fetch_all("SELECT id FROM t ORDER BY id") == [(1,), (2,), (4,)]
        await operation.revert()
        await connection.execute("INSERT INTO t () VALUES ()")
        assert await connection.fetch_all("SELECT id, g FROM t ORDER BY id") == [
            (1, 2),
            (2, 3),
            (4, None),
            (5, None),
        ]
        after = str((await connection.fetch_all("SHOW CREATE TABLE t"))[0][1])
        assert after.replace("AUTO_INCREMENT=6", "AUTO_INCREMENT=4") == before
        await operation.finalize()
    finally:
        await operation.close()


async def test_a_dropped_column_that_updates_itself_comes_back_as_it_was(
    server: LocalServer, database: str, connection: Connection
) -> None:
    touched = "touched DATETIME NOT NULL DEFAULT '2001-01-01' ON UPDATE CURRENT_TIMESTAMP"
    await connection.execute(f"CREATE TABLE t (a INT, b INT, v INT, {touched}, PRIMARY KEY (a, b))")
    await connection.execute("INSERT INTO t (a, b, v) VALUES (1, 1, 1), (2, 2, 2)")
    target = await target_of(connection, database, "CREATE TABLE t (a INT, b INT, v INT, PRIMARY KEY (a, b))")
    operation = alter(server.server, database, target)
    try:
        await operation.prepare()
        await operation.cut_over()
        await connection.execute("UPDATE t SET v = 20 WHERE a = 2")
        await connection.execute("UPDATE t SET b = 7 WHERE a = 1")
        await operation.revert()
        rows = await connection.fetch_all("SELECT a, b, v, touched FROM t WHERE touched = '2001-01-01'")
        assert [row[:3] for row in rows] == [(1, 7, 1), (2, 2, 20)]
        await operation.finalize()
    finally:
        await operation.close()
