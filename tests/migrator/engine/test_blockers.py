"""Who keeps a table from being swapped is named; who may be killed for it is, when somebody says so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from migrator.engine.ground.blockers import WEIGHT_MAX, Blocker, find_suspects
from migrator.engine.ground.operation import Phase
from migrator.engine.ground.state import prepare_state
from migrator.processes import PAUSE_S
from router.database import Connection
from router.errors import DatabaseError
from router.model import Flavor
from router.servers.process import LocalServer
from tests.migrator.engine.ledger import INT, Ledger, OpenGate, alter, target_of
from tests.support.servers import running_server, until


@asynccontextmanager
async def postponed(
    server: LocalServer, database: str, connection: Connection, why: str, gate: OpenGate | None = None
) -> AsyncIterator[tuple[Callable[[], None], Callable[[], str], asyncio.Future[object]]]:
    """A cut-over that somebody keeps waiting: how to force it, what its status says, and its end."""
    target = await target_of(connection, database, INT.create(new=True))
    operation = alter(server.server, database, target, gate=gate)
    try:
        await operation.prepare()
        cutting = asyncio.ensure_future(operation.cut_over())

        def said() -> str:
            return operation.status().activity

        await until(lambda: why in said() and "trying again" in said())
        assert operation.status().phase is Phase.READY
        yield operation.force, said, cutting
        async with asyncio.timeout(120):
            await cutting
        assert operation.status().phase is Phase.REVERTIBLE
    finally:
        await operation.close()


async def test_an_idle_transaction_is_named_and_killed_when_the_cut_over_is_forced(
    server: LocalServer, database: str, connection: Connection
) -> None:
    await Ledger(server.server, database, INT).fill(connection, 100)
    async with await Connection.open(server.server, database=database) as other:
        await other.execute("START TRANSACTION")
        await other.execute("UPDATE t SET v = 'my secret' WHERE id = 3")
        async with postponed(server, database, connection, "has held t in a transaction") as (force, said, _):
            assert f"connection {other.thread_id} of 'tester' from localhost" in said()
            assert "idle" in said()
            assert "my secret" not in said()
            force()
        with pytest.raises(DatabaseError):
            await other.fetch_value("SELECT 1")
    assert await connection.fetch_value("SELECT v FROM t WHERE id = 3") == "row 3"


async def test_who_locked_the_table_on_purpose_is_spared(
    server: LocalServer, database: str, connection: Connection
) -> None:
    await Ledger(server.server, database, INT).fill(connection, 100)
    async with await Connection.open(server.server, database=database) as other:
        await other.execute("LOCK TABLES t READ")
        async with postponed(server, database, connection, "has locked t") as (force, said, _):
            force()
            await until(lambda: "not killed: it has locked the table on purpose" in said())
            assert await other.fetch_value("SELECT COUNT(*) FROM t") == 100
            await other.execute("UNLOCK TABLES")


WATCH = (
    "UPDATE performance_schema.setup_instruments SET ENABLED = %s WHERE NAME = 'wait/lock/metadata/sql/mdl'"
)


async def test_old_transactions_are_named_when_the_server_does_not_watch_who_holds_which_table(
    server: LocalServer, database: str, connection: Connection
) -> None:
    await Ledger(server.server, database, INT).fill(connection, 100)
    # Locks are watched from when they are asked for.
    await connection.execute(WATCH, "NO")
    try:
        async with await Connection.open(server.server, database=database) as other:
            await other.execute("START TRANSACTION")
            await other.execute("UPDATE t SET v = 'held' WHERE id = 3")
            suspected = f"does not tell what they hold: connection {other.thread_id} of 'tester'"
            async with postponed(server, database, connection, suspected):
                await connection.execute(WATCH, "YES")
                # Who watches knows better than to suspect everybody.
                assert await find_suspects(connection) is None
                await other.execute("COMMIT")
    finally:
        await connection.execute(WATCH, "YES")


@pytest.mark.parametrize("flavor", list(Flavor), ids=str)
async def test_old_transactions_are_named_without_performance_schema(flavor: Flavor, tmp_path: Path) -> None:
    async with (
        running_server(flavor, tmp_path / "blind", options={"performance-schema": "0"}) as server,
        await Connection.open(server.server) as asking,
        await Connection.open(server.server) as other,
    ):
        assert await find_suspects(asking) is None
        await other.execute("CREATE DATABASE s")
        await other.execute("CREATE TABLE s.t (id INT PRIMARY KEY)")
        await other.execute("START TRANSACTION")
        await other.execute("INSERT INTO s.t VALUES (1)")

        async def is_named() -> bool:
            # Who asks again at once is told by MySQL what it has read before.
            await asyncio.sleep(PAUSE_S)
            return f"connection {other.thread_id} of 'tester'" in str(await find_suspects(asking))

        await until(is_named)


async def test_a_backup_is_seen_before_anything_is_locked(mysql: LocalServer, mysql_database: str) -> None:
    await prepare_state(mysql.server)
    gate = OpenGate()
    async with (
        await Connection.open(mysql.server, database=mysql_database) as connection,
        await Connection.open(mysql.server) as other,
    ):
        await Ledger(mysql.server, mysql_database, INT).fill(connection, 100)
        target = await target_of(connection, mysql_database, INT.create(new=True))
        operation = alter(mysql.server, mysql_database, target, gate=gate)
        try:
            await operation.prepare()
            await other.execute("LOCK INSTANCE FOR BACKUP")
            cutting = asyncio.ensure_future(operation.cut_over())
            await until(lambda: "locked all tables or their definitions" in operation.status().activity)
            assert gate.closed == 0
            await other.execute("UNLOCK INSTANCE")
            await cutting
        finally:
            await operation.close()


async def test_a_prepared_xa_transaction_is_named(
    server: LocalServer, database: str, connection: Connection
) -> None:
    await Ledger(server.server, database, INT).fill(connection, 100)
    name = f"xa-{database}"
    target = await target_of(connection, database, INT.create(new=True))
    operation = alter(server.server, database, target)
    try:
        await operation.prepare()
        async with await Connection.open(server.server, database=database) as other:
            await other.execute(f"XA START '{name}'")
            await other.execute("UPDATE t SET v = 'prepared' WHERE id = 3")
            await other.execute(f"XA END '{name}'")
            await other.execute(f"XA PREPARE '{name}'")
        cutting = asyncio.ensure_future(operation.cut_over())
        try:
            await until(lambda: name in operation.status().activity)
        finally:
            await connection.execute(f"XA COMMIT '{name}'")
        async with asyncio.timeout(120):
            await cutting
        assert await connection.fetch_value("SELECT v FROM t WHERE id = 3") == "prepared"
    finally:
        await operation.close()


@pytest.mark.parametrize(
    ("changes", "spared"),
    [
        ({}, None),
        ({"table": ""}, "backup"),
        ({"command": "Binlog Dump"}, "replication"),
        ({"user": "system user"}, "replication"),
        ({"lock": "SHARED_NO_READ_WRITE"}, "on purpose"),
        ({"weight": WEIGHT_MAX + 1}, "longer than waiting"),
    ],
)
def test_nobody_is_killed_who_would_do_harm_by_it(changes: dict[str, object], spared: str | None) -> None:
    facts: dict[str, object] = {
        "thread": 7,
        "user": "app",
        "host": "10.0.0.1",
        "age_s": 5.0,
        "command": "Sleep",
        "lock": "SHARED_WRITE",
        "table": "t",
        "weight": 3,
        "digest": None,
    }
    blocker = Blocker(**{**facts, **changes})  # type: ignore[arg-type]
    assert (spared or "None") in str(blocker.spared)
