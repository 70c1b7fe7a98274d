"""A process that stops in the middle of a cut-over holds up nobody for long: the server lets its lock go."""

from __future__ import annotations

import asyncio
import threading

import pytest

from migrator.engine.swap import cutover
from router.database import Connection
from router.model import Server
from router.servers.process import LocalServer
from tests.migrator.engine.ledger import INT, Ledger, alter, target_of
from tests.migrator.engine.test_outages import dying_at
from tests.support.servers import wait_until


class Client(threading.Thread):
    """Writes in a thread with an event loop of its own, and counts its writes."""

    def __init__(self, server: Server, schema: str) -> None:
        super().__init__()
        self._server, self._schema = server, schema
        self._over = threading.Event()
        self.writes = 0

    def run(self) -> None:
        asyncio.run(self._write())

    async def _write(self) -> None:
        async with await Connection.open(self._server, database=self._schema) as connection:
            while not self._over.is_set():
                await connection.execute(f"UPDATE t SET v = 'write {self.writes}' WHERE id = 3")
                self.writes += 1

    def end(self) -> None:
        self._over.set()
        self.join()


async def test_an_event_loop_that_stalls_under_the_lock_loses_it_and_no_row(
    server: LocalServer, database: str, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger(server.server, database, INT)
    await ledger.fill(connection, 200)
    operation = alter(server.server, database, await target_of(connection, database, INT.create(new=True)))
    client = Client(server.server, database)

    def stall() -> None:
        before = client.writes
        # One write may have been counted late; the next can only come when the lock is lost.
        wait_until(lambda: client.writes > before + 1)

    try:
        await operation.prepare()
        client.start()
        dying_at(monkeypatch, cutover, "locked", stall)
        cut = await operation.cut_over()
        assert cut.attempts > 1
    finally:
        client.end()
        await operation.close()
    assert await connection.fetch_value("SELECT v FROM t WHERE id = 3") == f"write {client.writes - 1}"
