"""A process that stops in the middle of a cut-over holds up nobody for long: the server lets its lock go."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from migrator.engine.swap import cutover
from migrator.engine.swap.cutover import LOCKED_S
from router.database import Connection
from router.model import Server
from router.servers.process import LocalServer
from tests.migrator.engine.ledger import INT, Ledger, alter, target_of
from tests.migrator.engine.test_outages import dying_at

STALL_S = 9.0
# The server counts silence in whole seconds, and this machine may be busy.
PAUSE_MAX_S = LOCKED_S + 4.0


class Client(threading.Thread):
    """Writes in a thread with an event loop of its own, and remembers its longest wait."""

    def __init__(self, server: Server, schema: str) -> None:
        super().__init__()
        self._server, self._schema = server, schema
        self._over = threading.Event()
        self.longest_s, self.writes = 0.0, 0

    def run(self) -> None:
        asyncio.run(self._write())

    async def _write(self) -> None:
        async with await Connection.open(self._server, database=self._schema) as connection:
            while not self._over.is_set():
                started = time.monotonic()
                await connection.execute(f"UPDATE t SET v = 'write {self.writes}' WHERE id = 3")
                self.longest_s = max(self.longest_s, time.monotonic() - started)
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
    try:
        await operation.prepare()
        client.start()
        dying_at(monkeypatch, cutover, "locked", lambda: time.sleep(STALL_S))
        cut = await operation.cut_over()
        assert cut.attempts > 1
    finally:
        client.end()
        await operation.close()
    assert client.longest_s < PAUSE_MAX_S
    assert await connection.fetch_value("SELECT v FROM t WHERE id = 3") == f"write {client.writes - 1}"
