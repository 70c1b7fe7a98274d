"""Who keeps a table from being swapped is named; who may be killed for it is, when somebody says so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from migrator.engine.ground.blockers import WEIGHT_MAX, Blocker
from migrator.engine.ground.operation import Phase
from migrator.engine.ground.state import prepare_state
from router.database import Connection
from router.errors import DatabaseError
from router.servers.process import LocalServer
from tests.migrator.engine.ledger import INT, Ledger, OpenGate, alter, target_of
from tests.support.servers import until


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
