"""I am a connection of the engine that comes back after a loss, once its former self is surely gone."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence

from migrator.processes import processes
from router.database import Connection
from router.errors import ConnectionLost, DatabaseError
from router.model import Server

GONE_TIMEOUT_S = 30.0
GONE_POLL_S = 0.02
# Lock wait time-out, deadlock, NOWAIT refused, statement killed: the transaction is over and may be repeated.
REPEATABLE = frozenset({1205, 1213, 1317, 3572, 1928})

# No room on the server: somebody must make some; then everything goes on.
FULL = frozenset({1021, 1114, 1041, 1037})


# No connection is free, in all or for our account: as if the server were away for a moment.
CROWDED = frozenset({1040, 1203, 1226})

# The server runs with an option that forbids the statement; the message says which one.
FORBIDDEN = frozenset({1290, 1836})


def is_read_only(error: DatabaseError) -> bool:
    """Whether somebody has made the server read-only: before a fail-over, or for a moment."""
    said = error.message.lower()
    return error.errno in FORBIDDEN and ("read-only" in said or "read_only" in said or "read only" in said)


class Session:
    """Opens its connection when first asked and again whenever it was lost.

    `setup` runs at each opening. A new connection is handed out only after the server has ended the one
    before: a transaction that nobody listens to any more must not write behind our back.
    """

    def __init__(self, server: Server, setup: Sequence[str] = ()) -> None:
        self._server = server
        self._setup = list(setup)
        self._connection: Connection | None = None
        self._opened_s = 0.0

    async def get(self) -> Connection:
        """Return the open connection."""
        former = self._connection
        if former is not None and not former.closed:
            return former
        try:
            connection = await Connection.open(self._server, setup=self._setup)
        except DatabaseError as error:
            if error.errno in CROWDED:
                raise ConnectionLost(error.errno, error.message) from error
            raise
        try:
            if former is not None:
                await self._await_end_of(former.thread_id, connection)
        except BaseException:
            connection.abort()
            raise
        self._connection, self._opened_s = connection, time.monotonic()
        return connection

    async def close(self) -> None:
        """Say goodbye, if connected."""
        if self._connection is not None:
            await self._connection.close()
            self._connection = None

    async def _await_end_of(self, thread: int, connection: Connection) -> None:
        # Thread numbers start anew with the server: after a restart this one may be anybody's.
        if await uptime_s(connection) < time.monotonic() - self._opened_s - 1:
            return
        await end_thread(connection, thread)


async def uptime_s(connection: Connection) -> int:
    """Return for how many seconds the server has been up."""
    row = await connection.fetch_one("SHOW GLOBAL STATUS LIKE 'Uptime'")
    return int(row[1]) if row else 0


async def end_thread(connection: Connection, thread: int) -> None:
    """Kill one of our own server threads and return when it has vanished."""
    user = connection.server.account.user
    deadline = time.monotonic() + GONE_TIMEOUT_S
    killed = False
    while any(each.id == thread and each.user == user for each in await processes(connection)):
        if not killed:
            with contextlib.suppress(DatabaseError):
                await connection.execute(f"KILL {thread}")
            killed = True
        if time.monotonic() > deadline:
            raise ConnectionLost(0, f"the server has not ended its thread {thread} yet")
        await asyncio.sleep(GONE_POLL_S)
