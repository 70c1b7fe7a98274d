"""Triggers go with the table's name: no write meets it without them or with them twice."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from migrator.engine.ground.operation import Phase
from migrator.errors import Refused, SourceChanged
from router.database import Connection
from router.servers.process import LocalServer
from tests.migrator.engine.ledger import INT, Ledger, alter, target_of
from tests.migrator.engine.test_crash import killed_at

NAMES = "SELECT TRIGGER_NAME FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = %s ORDER BY TRIGGER_NAME"
MIRROR = (
    "CREATE TABLE mirror (id INT PRIMARY KEY, u BIGINT NULL, v VARCHAR(40) NOT NULL)",
    "CREATE TRIGGER ti AFTER INSERT ON t FOR EACH ROW INSERT INTO mirror VALUES (NEW.id, NEW.u, NEW.v)",
    "CREATE TRIGGER tu AFTER UPDATE ON t FOR EACH ROW "
    "UPDATE mirror SET id = NEW.id, u = NEW.u, v = NEW.v WHERE id = OLD.id",
    "CREATE TRIGGER td AFTER DELETE ON t FOR EACH ROW DELETE FROM mirror WHERE id = OLD.id",
)
GUARDED = 1644


async def mirrored(connection: Connection, ledger: Ledger, count: int) -> None:
    """Make a table with rows, and triggers that keep another one the same."""
    await ledger.fill(connection, count)
    for statement in MIRROR:
        await connection.execute(statement)
    await connection.execute("INSERT INTO mirror SELECT id, u, v FROM t")


async def differences(connection: Connection) -> list[tuple[object, ...]]:
    """Rows that a trigger missed, or wrote twice."""
    return await connection.fetch_all(
        "SELECT t.id, t.u, t.v, m.u, m.v FROM t LEFT JOIN mirror m USING (id) "
        "WHERE NOT (t.u <=> m.u AND t.v <=> m.v) "
        "UNION ALL SELECT m.id, NULL, NULL, m.u, m.v FROM mirror m LEFT JOIN t USING (id) WHERE t.id IS NULL"
    )


async def texts(connection: Connection, names: Sequence[str]) -> list[tuple[object, ...]]:
    """What the server keeps of triggers, but when they were made."""
    return [(await connection.fetch_all(f"SHOW CREATE TRIGGER {name}"))[0][:6] for name in names]


async def test_writers_find_the_triggers_before_during_and_after_a_swap_and_a_revert(
    server: LocalServer, database: str, connection: Connection
) -> None:
    ledger = Ledger(server.server, database, INT)
    await mirrored(connection, ledger, 500)
    before = await texts(connection, ["ti", "tu", "td"])
    operation = alter(server.server, database, await target_of(connection, database, INT.create(new=True)))
    try:
        async with ledger.writing():
            await operation.prepare()
            await operation.cut_over()
            await ledger.written(100)
            names = [str(row[0]) for row in await connection.fetch_all(NAMES, database)]
            assert names == ["td__hg1", "ti__hg1", "tu__hg1"]
            await operation.revert()
            await ledger.written(100)
            await operation.finalize()
            await ledger.written(50)
        assert not ledger.errors
        assert await differences(connection) == []
        await ledger.check(dropped=False)
        assert await texts(connection, ["ti", "tu", "td"]) == before
    finally:
        await operation.close()


async def test_triggers_have_their_own_names_texts_settings_and_order_when_all_is_over(
    server: LocalServer, database: str, connection: Connection
) -> None:
    await connection.execute("CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(60) NOT NULL)")
    await connection.execute("CREATE TABLE log (n INT AUTO_INCREMENT PRIMARY KEY, what VARCHAR(20))")
    for event in ("INSERT", "UPDATE", "DELETE"):
        for time in ("BEFORE", "AFTER"):
            await connection.execute(
                f"CREATE TRIGGER {time}_{event} {time} {event} ON t FOR EACH ROW "
                f"INSERT INTO log (what) VALUES ('{time} {event}')"
            )
    long = "n" * 64
    await connection.execute(
        f"CREATE TRIGGER {long} BEFORE INSERT ON t FOR EACH ROW PRECEDES BEFORE_INSERT "
        "INSERT INTO log (what) VALUES ('first')"
    )
    await connection.execute(
        "SET SESSION character_set_client = latin1, collation_connection = latin1_german1_ci, "
        "sql_mode = 'ANSI_QUOTES,PIPES_AS_CONCAT'"
    )
    await connection.execute(
        'CREATE TRIGGER "odd one" BEFORE UPDATE ON t FOR EACH ROW '
        "BEGIN SET NEW.v = NEW.v || '\xe9' || _latin1'\xe9'; END".encode("latin1")
    )
    await connection.execute("SET NAMES utf8mb4")
    await connection.execute("SET SESSION sql_mode = DEFAULT")
    order = (
        "SELECT TRIGGER_NAME, ACTION_TIMING, EVENT_MANIPULATION, ACTION_ORDER, SQL_MODE, DEFINER, "
        "CHARACTER_SET_CLIENT, COLLATION_CONNECTION, ACTION_STATEMENT FROM information_schema.TRIGGERS "
        "WHERE TRIGGER_SCHEMA = %s ORDER BY 1"
    )
    before = await connection.fetch_all(order, database)
    names = ["BEFORE_INSERT", "`odd one`", long]
    texts_before = await texts(connection, names)
    target = await target_of(
        connection, database, "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(80) NOT NULL, e INT NULL)"
    )
    operation = alter(server.server, database, target)
    try:
        await operation.prepare()
        await operation.cut_over()
        await connection.execute("INSERT INTO t (id, v) VALUES (1, 'x')")
        await connection.execute("UPDATE t SET v = 'y'")
        assert await connection.fetch_all("SELECT what FROM log ORDER BY n") == [
            ("first",),
            ("BEFORE INSERT",),
            ("AFTER INSERT",),
            ("BEFORE UPDATE",),
            ("AFTER UPDATE",),
        ]
        assert await connection.fetch_value("SELECT v FROM t") == "y\xe9\xe9"
        await operation.finalize()
    finally:
        await operation.close()
    assert await connection.fetch_all(order, database) == before
    assert await texts(connection, names) == texts_before
    await connection.execute("DELETE FROM t")
    assert await connection.fetch_value("SELECT MAX(what) FROM log WHERE n = 7") == "AFTER DELETE"


async def test_a_trigger_that_needs_a_column_that_goes_is_refused_before_anything_is_copied(
    server: LocalServer, database: str, connection: Connection
) -> None:
    await connection.execute("CREATE TABLE t (id INT PRIMARY KEY, d INT NULL)")
    await connection.execute("CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW SET NEW.d = 1")
    operation = alter(
        server.server, database, await target_of(connection, database, "CREATE TABLE t (id INT PRIMARY KEY)")
    )
    try:
        with pytest.raises(Refused, match=r"trigger 'tr'.*'d'"):
            await operation.prepare()
        await operation.cancel()
    finally:
        await operation.close()
    assert await connection.fetch_all("SHOW TABLES") == [("t",)]
    assert await connection.fetch_all(NAMES, database) == [("tr",)]


async def test_a_trigger_that_somebody_makes_meanwhile_is_not_lost(
    server: LocalServer, database: str, connection: Connection
) -> None:
    await connection.execute("CREATE TABLE t (id INT PRIMARY KEY)")
    await connection.execute("CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW SET @a = 1")
    operation = alter(
        server.server,
        database,
        await target_of(connection, database, "CREATE TABLE t (id BIGINT PRIMARY KEY)"),
    )
    try:
        await operation.prepare()
        await connection.execute("DROP TRIGGER tr")
        await connection.execute("CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW SET @a = 2")
        with pytest.raises(SourceChanged):
            async with asyncio.timeout(120):
                await operation.cut_over()
        await operation.cancel()
    finally:
        await operation.close()
    assert await connection.fetch_all("SHOW TABLES") == [("t",)]
    assert await connection.fetch_all(NAMES, database) == [("tr",)]


@pytest.mark.parametrize(
    "failpoint", ["trigger-created", "before-rename", "after-rename", "trigger-dropped:4"]
)
async def test_a_swap_that_is_killed_leaves_no_write_without_its_triggers(
    server: LocalServer, database: str, connection: Connection, failpoint: str
) -> None:
    ledger = Ledger(server.server, database, INT)
    await mirrored(connection, ledger, 300)
    target = await target_of(connection, database, INT.create(new=True))
    async with ledger.writing():
        await killed_at(server, database, target, failpoint, revert=False)
        operation = alter(server.server, database, target, rows=200)
        try:
            await operation.prepare()
            await operation.cut_over()
            assert operation.status().phase is Phase.REVERTIBLE
            await ledger.written(50)
            await operation.finalize()
            await ledger.written(50)
        finally:
            await operation.close()
    assert not ledger.errors
    await ledger.check(dropped=True)
    assert await differences(connection) == []
    assert [row[0] for row in await connection.fetch_all(NAMES, database)] == ["td", "ti", "tu"]


@pytest.mark.parametrize(
    "failpoint", ["guard-created:3", "suffixed-dropped", "trigger-restored:2", "guard-dropped"]
)
async def test_names_given_back_by_a_process_that_is_killed_cost_errors_but_no_trigger(
    server: LocalServer, database: str, connection: Connection, failpoint: str
) -> None:
    ledger = Ledger(server.server, database, INT)
    await mirrored(connection, ledger, 100)
    target = await target_of(connection, database, INT.create(new=True))
    async with ledger.writing():
        await killed_at(server, database, target, failpoint, revert=False, finalize=True)
        operation = alter(server.server, database, target)
        try:
            await operation.prepare()
            await operation.finalize()
            await ledger.written(50)
        finally:
            await operation.close()
    assert {error.errno for error in ledger.errors} <= {GUARDED}
    await ledger.check(dropped=True)
    assert await differences(connection) == []
    assert [row[0] for row in await connection.fetch_all(NAMES, database)] == ["td", "ti", "tu"]
