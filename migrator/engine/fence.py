"""I make sure that every change received from the log can be seen by the next read.

A server writes a transaction to its log before the engine shows it to others, so a row can be missing for a
moment although its event is here. Both servers show transactions in the order of the log; so once a committed
write of our own that was begun after an event is acknowledged, that event's row is visible too. MySQL keeps
that order with binlog_order_commits=ON, which `check_server` demands; MariaDB always does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from migrator.engine.session import Session
from migrator.engine.statements import STATE
from router.errors import ConnectionLost


class Fence:
    """Passed with an own write, which all who wait now share; skipped when nothing new was received.

    `received` counts the changes received so far.
    """

    def __init__(self, session: Session, operation: str, received: Callable[[], int]) -> None:
        self._session, self._operation, self._received = session, operation, received
        # Less than any count: changes from before the stream's start must be visible too.
        self._visible = -1
        self._lock = asyncio.Lock()

    def committed(self, received: int) -> None:
        """Tell that a write of ours, begun when so many changes had been received, is committed."""
        self._visible = max(self._visible, received)

    async def cross(self) -> None:
        """Return when all that was received before this call is visible."""
        wanted = self._received()
        async with self._lock:
            while self._visible < wanted:
                received = self._received()
                try:
                    connection = await self._session.get()
                    await connection.execute(
                        f"INSERT INTO {STATE}.fence (id, n) VALUES (%s, 1) ON DUPLICATE KEY UPDATE n = n + 1",
                        self._operation,
                    )
                except ConnectionLost:
                    await asyncio.sleep(0.2)
                    continue
                self.committed(received)
