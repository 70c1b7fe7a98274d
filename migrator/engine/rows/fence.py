"""I make sure that every change received from the log can be seen by the next read.

A server writes a transaction to its log before the engine shows it to others, so a row can be missing for a
moment although its event is here. Both servers show transactions in the order of the log; so once a committed
write of our own that was begun after an event is acknowledged, that event's row is visible too. MariaDB
always keeps that order, MySQL with binlog_order_commits=ON. Without it, MySQL is asked to wait until it has
executed the very transactions that were received: it counts them when their rows can be seen.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from migrator.engine.ground.session import Session
from migrator.engine.table.statements import STATE
from migrator.errors import NotNow
from router.errors import ConnectionLost

RETRY_S = 0.2
# How long the server is asked to wait at a time; a commit can hang for as long as a replica is awaited.
WAIT_S = 1
PATIENCE_S = 60.0


class Received(Protocol):
    """What was received from the log so far."""

    @property
    def received(self) -> int:
        """How many changes."""

    @property
    def unordered(self) -> bool:
        """Whether transactions may become visible in another order than that of the log."""

    def gtids_received(self) -> str | None:
        """All transactions of which anything was received, or which came before."""


class Fence:
    """Passed with an own write, which all who wait now share; skipped when nothing new was received."""

    def __init__(self, session: Session, operation: str, tail: Received) -> None:
        self._session, self._operation, self._tail = session, operation, tail
        # Less than any count: changes from before the stream's start must be visible too.
        self._visible = -1
        self._lock = asyncio.Lock()

    def committed(self, received: int) -> None:
        """Tell that a write of ours, begun when so many changes had been received, is committed."""
        if not self._tail.unordered:
            self._visible = max(self._visible, received)

    async def cross(self) -> None:
        """Return when all that was received before this call is visible."""
        wanted = self._tail.received
        async with self._lock:
            while self._visible < wanted:
                received = self._tail.received
                try:
                    if self._tail.unordered:
                        await self._await_executed()
                    else:
                        await self._write()
                except ConnectionLost:
                    await asyncio.sleep(RETRY_S)
                    continue
                self._visible = max(self._visible, received)

    async def _write(self) -> None:
        connection = await self._session.get()
        await connection.execute(
            f"INSERT INTO {STATE}.fence (id, n) VALUES (%s, 1) ON DUPLICATE KEY UPDATE n = n + 1",
            self._operation,
        )

    async def _await_executed(self) -> None:
        gtids = self._tail.gtids_received()
        assert gtids is not None
        connection = await self._session.get()
        deadline = asyncio.get_running_loop().time() + PATIENCE_S
        while await connection.fetch_value(f"SELECT WAIT_FOR_EXECUTED_GTID_SET(%s, {WAIT_S})", gtids):
            if asyncio.get_running_loop().time() > deadline:
                raise NotNow(
                    f"transactions that are in the binary log are not visible after {PATIENCE_S:g} s",
                    hint="look for commits that wait, for a semi-synchronous replica for example",
                )
