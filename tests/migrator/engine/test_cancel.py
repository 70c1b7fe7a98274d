"""Whatever a change is doing, it is given up at once: the table as it was, nobody held back, nothing left."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from migrator.engine.ground import blockers
from migrator.engine.ground.operation import Phase
from migrator.engine.migration import OnlineAlter
from migrator.engine.swap import cutover
from router.database import Connection
from router.servers.process import LocalServer
from tests.migrator.engine.ledger import INT, Ledger, OpenGate, alter, target_of
from tests.migrator.engine.test_migration import leftovers
from tests.support.servers import HANGS_S, until

ENDS_S = 2.0
SLOWER = 30


@asynccontextmanager
async def in_time() -> AsyncIterator[None]:
    """End the body when it takes longer than two seconds, by a clock that is slower than the machine's.

    So what is waited for counts in full, and how busy the machine is hardly does.
    """
    real, began = time.monotonic, time.monotonic()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "monotonic", lambda: began + (real() - began) / SLOWER)
        async with asyncio.timeout(ENDS_S):
            yield


class StuckGate(OpenGate):
    """A gate that takes for ever to close."""

    async def close(self, tables: object) -> bool:
        await super().close(tables)
        await asyncio.Event().wait()
        return True


@asynccontextmanager
async def holding(server: LocalServer, database: str) -> AsyncIterator[None]:
    """A transaction that holds the table."""
    async with await Connection.open(server.server, database=database) as other:
        await other.execute("START TRANSACTION")
        await other.execute("SELECT * FROM t LIMIT 1")
        yield


async def given_up(
    operation: OnlineAlter, working: asyncio.Future[object], gate: OpenGate, connection: Connection
) -> None:
    """Cancel as the deploy runner does, in time, and see that nothing is left of it."""
    async with in_time():
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        await operation.cancel()
    assert operation.status().phase is Phase.CANCELLED
    assert gate.opened == gate.closed
    assert await leftovers(connection, operation.id) == []
    async with asyncio.timeout(HANGS_S):
        await connection.execute("INSERT INTO t (v) VALUES ('goes on')")


async def work(operation: OnlineAlter) -> None:
    await operation.prepare()
    await operation.cut_over()


@pytest.mark.parametrize("doing", ["copying", "verifying", "following"])
async def test_before_the_cut_over(
    server: LocalServer, database: str, connection: Connection, doing: str
) -> None:
    ledger = Ledger(server.server, database, INT)
    await ledger.fill(connection, 6000)
    gate = OpenGate()
    target = await target_of(connection, database, INT.create(new=True))
    operation = alter(server.server, database, target, gate=gate, rows=50)
    try:
        async with ledger.writing():
            working: asyncio.Future[object] = asyncio.ensure_future(operation.prepare())
            await until(lambda: operation.status().activity.startswith(doing))
            await given_up(operation, working, gate, connection)
    finally:
        await operation.close()


@pytest.mark.parametrize("doing", ["gate", "lock", "backoff", "drain"])
async def test_during_the_cut_over(
    server: LocalServer, database: str, connection: Connection, monkeypatch: pytest.MonkeyPatch, doing: str
) -> None:
    await Ledger(server.server, database, INT).fill(connection, 300)
    gate = StuckGate() if doing == "gate" else OpenGate()
    target = await target_of(connection, database, INT.create(new=True))
    operation = alter(server.server, database, target, gate=gate)
    operation.settings = replace(operation.settings, lock_wait_ms=60_000)
    try:
        await operation.prepare()
        sql = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE 'LOCK TABLES%'"

        async def is_doing() -> bool:
            if doing == "gate":
                return gate.closed > 0
            if doing == "lock":
                return bool(await connection.fetch_value(sql))
            if doing == "drain":
                return "cutting over" in operation.status().activity
            return "trying again" in operation.status().activity

        if doing == "drain":
            monkeypatch.setattr(cutover, "FEW_KEYS", -1)
            monkeypatch.setattr(cutover, "DRAIN_S", 60.0)
        held = holding(server, database) if doing in ("lock", "backoff") else _nothing()
        if doing == "lock":
            # Nobody is looked for, so that the lock itself is waited for.
            monkeypatch.setattr(blockers, "find_blockers", _nobody)
        async with held:
            working: asyncio.Future[object] = asyncio.ensure_future(operation.cut_over())
            await until(is_doing)
            if doing in ("lock", "backoff"):
                async with in_time():
                    working.cancel()
                    await asyncio.gather(working, return_exceptions=True)
                await connection.execute("UPDATE t SET v = 'not locked' WHERE id = 3")
            await given_up(operation, working, gate, connection)
    finally:
        await operation.close()


async def test_while_the_server_says_nothing(
    server: LocalServer, database: str, connection: Connection
) -> None:
    await Ledger(server.server, database, INT).fill(connection, 6000)
    target = await target_of(connection, database, INT.create(new=True))
    operation = alter(server.server, database, target, rows=50)
    pid = server.pid
    assert pid is not None
    try:
        working = asyncio.ensure_future(operation.prepare())
        await until(lambda: operation.status().activity.startswith("copying"))
        os.kill(pid, signal.SIGSTOP)
        try:
            async with in_time():
                working.cancel()
                await asyncio.gather(working, return_exceptions=True)
        finally:
            os.kill(pid, signal.SIGCONT)
        await operation.cancel()
        assert await leftovers(connection, operation.id) == []
    finally:
        await operation.close()


@asynccontextmanager
async def _nothing() -> AsyncIterator[None]:
    yield


async def _nobody(*_: object, **__: object) -> list[object]:
    return []
