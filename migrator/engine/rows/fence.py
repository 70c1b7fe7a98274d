"""I make sure that every change received from the log can be seen by the next read, or say which may not be.

A server writes a transaction to its log before the engine shows it to others, so a row can be missing for a
moment although its event is here. Both servers show transactions in the order of the log; so once a committed
write of our own that was begun after an event is acknowledged, that event's row is visible too. MariaDB
always keeps that order, MySQL with binlog_order_commits=ON. Without it, MySQL is asked to wait until it has
executed the very transactions that were received: it counts them when their rows can be seen.

A read that need not see everything can do without: the keys that were received since the last such moment are
remembered, every committed write of ours is such a moment, and whoever reads writes those keys again later.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from migrator.engine.ground.session import Session
from migrator.engine.log.place import Position
from migrator.engine.table.keys import Key
from migrator.engine.table.statements import STATE
from migrator.errors import NotNow
from router.errors import ConnectionLost

RETRY_S = 0.2
# How long the server is asked to wait at a time; a commit can hang for as long as a replica is awaited.
WAIT_S = 1
PATIENCE_S = 60.0
# How many keys are remembered; with more, crossing costs less than looking through them.
UNSEEN_MAX = 2_000


class Received(Protocol):
    """What was received from the log so far."""

    @property
    def received(self) -> int:
        """How many changes."""

    @property
    def boundary(self) -> Position:
        """Where the last whole transaction received so far ends."""

    @property
    def unordered(self) -> bool:
        """Whether transactions may become visible in another order than that of the log."""

    def gtids_received(self) -> str | None:
        """All transactions of which anything was received, or which came before."""


@dataclass(frozen=True, slots=True, order=True)
class Moment:
    """How much was received when a write of ours began."""

    received: int
    boundary: Position


class Fence:
    """Passed with an own write, which all who wait now share; skipped when nothing new was received."""

    def __init__(self, session: Session, operation: str, tail: Received) -> None:
        self._session, self._operation, self._tail = session, operation, tail
        # Less than any count: changes from before the stream's start must be visible too.
        self._visible = Moment(-1, tail.boundary)
        self._unseen: deque[tuple[int, Sequence[Key]]] = deque()
        self._remembered = self._forgotten = 0
        self._lock = asyncio.Lock()

    @property
    def now(self) -> Moment:
        """What `committed` is told of a write of ours that begins now."""
        return Moment(self._tail.received, self._tail.boundary)

    def seen_up_to(self) -> Position:
        """Return a place in the log up to which every change can be seen; it never goes back."""
        if self._visible.received >= self._tail.received:
            self._see(self.now)  # what came since was about other tables
        return self._visible.boundary

    def remember(self, keys: Sequence[Key]) -> None:
        """Take keys that were just received and may be asked for by `unseen`."""
        received = self._tail.received
        self._unseen.append((received, keys))
        self._remembered += len(keys)
        if self._remembered > UNSEEN_MAX:
            self._unseen.clear()
            self._remembered, self._forgotten = 0, received

    def unseen(self) -> list[Key] | None:
        """Return the keys of which a read that begins now may show the past; None: only crossing helps."""
        if self._visible.received < self._forgotten:
            return None
        return [key for _, keys in self._unseen for key in keys]

    def committed(self, begun: Moment) -> None:
        """Tell that a write of ours that began at this moment is committed."""
        if not self._tail.unordered:
            self._see(begun)

    def _see(self, moment: Moment) -> None:
        if moment < self._visible:
            return
        self._visible = moment
        while self._unseen and self._unseen[0][0] <= moment.received:
            self._remembered -= len(self._unseen.popleft()[1])

    async def cross(self) -> None:
        """Return when all that was received before this call is visible."""
        wanted = self._tail.received
        async with self._lock:
            while self._visible.received < wanted:
                begun = self.now
                try:
                    if self._tail.unordered:
                        await self._await_executed()
                    else:
                        await self._write()
                except ConnectionLost:
                    await asyncio.sleep(RETRY_S)
                    continue
                self._see(begun)

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
