"""What others do at the worst moment costs nobody a row, a table, a trigger or the way back."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from conf.settings import MigratorSettings, ThrottleSettings
from migrator.engine import migration
from migrator.engine.checks.inspection import refuse_losses
from migrator.engine.direct.choose import Method, Shortcut
from migrator.engine.direct.direct import Direct
from migrator.engine.ground import blockers, garbage
from migrator.engine.ground.garbage import Collector
from migrator.engine.ground.operation import Phase
from migrator.engine.ground.state import prepare_state
from migrator.engine.rows import follow
from migrator.engine.swap.drop import DropTable
from migrator.engine.table.shape import show_create
from migrator.errors import SourceChanged
from migrator.throttle.throttler import Throttle
from router.database import Connection
from router.servers.process import LocalServer
from tests.migrator.engine.ledger import INT, Ledger, OpenGate, alter, target_of
from tests.migrator.engine.test_garbage import DUE, tables_of
from tests.support.servers import until

PATIENT = MigratorSettings(garbage_hold_s=0, lock_wait_ms=900)
STATES = "SELECT STATE FROM information_schema.PROCESSLIST WHERE INFO LIKE %s AND ID <> CONNECTION_ID()"
BUILDING = "SELECT STATE FROM information_schema.PROCESSLIST WHERE DB = %s AND INFO LIKE %s"
ROWS_DOUBLED = 17


async def nobody(*args: object) -> list[object]:
    """Stand in for the search for those who hold a table: the attempt itself is to meet them."""
    return []


async def test_a_drop_that_was_cancelled_while_it_waited_does_not_happen_later(
    server: LocalServer, database: str, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blockers, "find_blockers", nobody)
    await connection.execute("CREATE TABLE t (id INT PRIMARY KEY)")
    await connection.execute("INSERT INTO t VALUES (1)")
    operation = DropTable(f"drop-{database}", server.server, database, "t", OpenGate(), PATIENT)

    async def states() -> list[str]:
        return [str(row[0]) for row in await connection.fetch_all(STATES, f"RENAME TABLE `{database}`%")]

    async def waits() -> bool:
        return any(state.startswith("Waiting") for state in await states())

    async def is_over() -> bool:
        return not await states()

    async with await Connection.open(server.server, database=database) as other:
        try:
            await operation.prepare()
            await other.execute("START TRANSACTION")
            await other.execute("SELECT * FROM t")
            cutting = asyncio.ensure_future(operation.cut_over())
            await until(waits)
            cutting.cancel()
            with suppress(asyncio.CancelledError):
                await cutting
            await operation.cancel()
            assert operation.status().phase is Phase.CANCELLED
            assert await is_over()
            await other.execute("COMMIT")
            assert await tables_of(connection) == ["t"]
        finally:
            await operation.close()


async def test_an_index_that_was_cancelled_while_it_was_built_does_not_appear_later(
    server: LocalServer, database: str, connection: Connection
) -> None:
    await connection.execute(
        "CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, v VARCHAR(200), w VARCHAR(200))"
    )
    await connection.execute("INSERT INTO t (v, w) VALUES (UUID(), REPEAT('x', 150))")
    for _ in range(ROWS_DOUBLED):
        await connection.execute(
            "INSERT INTO t (v, w) SELECT UUID(), CONCAT(UUID(), REPEAT('x', 150)) FROM t"
        )
    way = Shortcut(
        Method.INPLACE,
        "ADD INDEX vw (v, w), ALGORITHM=INPLACE, LOCK=NONE",
        "DROP INDEX vw, ALGORITHM=INPLACE, LOCK=NONE",
        builds=True,
    )
    operation = Direct(f"direct-{database}", server.server, database, "t", "", way, None)

    async def state() -> str | None:
        found = await connection.fetch_value(BUILDING, database, "ALTER TABLE `t` ADD INDEX%")
        return None if found is None else str(found)

    try:
        await operation.prepare()
        cutting = asyncio.ensure_future(operation.cut_over())

        async def is_built() -> bool:
            assert not cutting.done()
            seen = await state()
            return seen is not None and "lock" not in seen

        await until(is_built)
        cutting.cancel()
        with suppress(asyncio.CancelledError):
            await cutting
        await operation.cancel()
        assert operation.status().phase is Phase.CANCELLED
        assert await state() is None
        assert "KEY `vw`" not in await show_create(connection, database, "t")
    finally:
        await operation.close()


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE t ADD COLUMN z INT NOT NULL DEFAULT 42",
        "CREATE TRIGGER another BEFORE INSERT ON t FOR EACH ROW SET NEW.v = 'by trigger'",
        "CREATE TABLE child (id INT PRIMARY KEY, FOREIGN KEY (id) REFERENCES t (id))",
    ],
    ids=["column", "trigger", "foreign key"],
)
async def test_a_definition_that_changes_while_rows_are_looked_at_ends_the_change(
    server: LocalServer,
    database: str,
    connection: Connection,
    monkeypatch: pytest.MonkeyPatch,
    statement: str,
) -> None:
    await Ledger(server.server, database, INT).fill(connection, 100)
    target = await target_of(connection, database, INT.create(new=True))

    async def look_and_be_late(*args: object, **kwargs: object) -> None:
        await refuse_losses(*args, **kwargs)  # type: ignore[arg-type]
        await connection.execute(statement)

    monkeypatch.setattr(migration, "refuse_losses", look_and_be_late)
    operation = alter(server.server, database, target)
    try:
        with pytest.raises(SourceChanged, match="changed while the deployment was prepared"):
            await operation.prepare()
        await operation.cancel()
        assert set(await tables_of(connection)) <= {"t", "child"}
    finally:
        await operation.close()


async def test_a_delete_of_more_rows_than_may_wait_leaves_the_way_back_open(
    server: LocalServer, database: str, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "DIRTY_MAX", 2000)
    ledger = Ledger(server.server, database, INT)
    await ledger.fill(connection, 30000)
    target = await target_of(connection, database, INT.create(new=True))
    operation = alter(server.server, database, target, rows=5000)

    async def is_followed() -> bool:
        assert operation.status().failure is None
        return not await connection.fetch_value("SELECT 1 FROM t__hg1_old WHERE id >= 100 LIMIT 1")

    try:
        await operation.prepare()
        await operation.cut_over()
        await connection.execute("DELETE FROM t WHERE id >= 100")
        await until(is_followed)
        await operation.revert()
    finally:
        await operation.close()
    ledger.rows = {n: row for n, row in ledger.rows.items() if n < 100}
    await ledger.check(dropped=False)


@pytest.mark.parametrize(
    ("before", "after", "left"),
    [
        (
            "SELECT 1",
            "ALTER TABLE other ADD FOREIGN KEY (id) REFERENCES t (id) ON DELETE CASCADE",
            ["other", "t__hg1_old"],
        ),
        (
            "CREATE TRIGGER away AFTER DELETE ON t FOR EACH ROW DELETE FROM other WHERE id = OLD.id",
            "SELECT 1",
            ["other"],
        ),
    ],
    ids=["cascade", "trigger"],
)
async def test_emptying_a_table_that_nobody_needs_touches_no_other_table(
    mariadb: LocalServer,
    mariadb_database: str,
    monkeypatch: pytest.MonkeyPatch,
    before: str,
    after: str,
    left: list[str],
) -> None:
    await prepare_state(mariadb.server)
    monkeypatch.setattr(garbage, "LARGE_BYTES", 0)
    async with await Connection.open(mariadb.server, database=mariadb_database) as connection:
        for name in ("t", "other"):
            await connection.execute(f"CREATE TABLE {name} (id INT PRIMARY KEY)")
            await connection.execute(f"INSERT INTO {name} VALUES (1), (2)")
        settings = MigratorSettings(garbage_hold_s=3600)
        identifier = f"drop-{mariadb_database}"
        operation = DropTable(identifier, mariadb.server, mariadb_database, "t", OpenGate(), settings)
        await connection.execute(before)
        try:
            await operation.prepare()
            await connection.execute(after)
            await operation.cut_over()
            await operation.finalize()
        finally:
            await operation.close()
        await connection.execute(DUE, mariadb_database)
        await Collector(mariadb.server, Throttle(ThrottleSettings(enabled=False))).collect()
        assert await connection.fetch_value("SELECT COUNT(*) FROM other") == 2
        assert await tables_of(connection) == left
