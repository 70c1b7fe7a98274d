"""I answer go or wait, with the reason: I carry samples to the controller and sit out its pauses."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass

import structlog

from conf.settings import ThrottleSettings
from migrator.throttle.controller import Controller, Permit
from migrator.throttle.signals import ServerSample, TrafficSignal
from router.database import Connection
from router.errors import DatabaseError
from router.model import Server

log = structlog.get_logger()

POLL_S = 0.05
SERVER_EVERY_S = 0.5
REST_MAX_S = 2.0
IDLE_TARGET_S = 0.25


@dataclass(frozen=True, slots=True)
class Budget:
    """What one chunk may cost."""

    target_s: float
    share: float


class Throttle:
    """One for all operations on a server.

    `traffic` is what the proxy sees, None when nobody tells; `server` is asked for its running threads.
    """

    def __init__(
        self,
        settings: ThrottleSettings,
        traffic: TrafficSignal | None = None,
        server: Server | None = None,
        *,
        idle_target_s: float = IDLE_TARGET_S,
    ) -> None:
        self._enabled = settings.enabled
        self._idle_target_s = idle_target_s
        self._traffic, self._server = traffic, server
        self._controller = Controller(settings.latency_rise, idle_target_s, os.cpu_count() or 1)
        self._connection: Connection | None = None
        self._asked_s = float("-inf")
        self._asking = asyncio.Lock()
        self._busy_until_s = float("-inf")

    async def permit(self) -> Budget:
        """Return when the next chunk may start, with what it may cost."""
        if not self._enabled:
            return Budget(self._idle_target_s, 1.0)
        while True:
            await self._ask_server()
            now_s = time.monotonic()
            self._controller.take_traffic(self._traffic.sample() if self._traffic else None)
            permit: Permit | None = self._controller.decide(now_s)
            if permit is not None and (permit.share >= 1.0 or now_s >= self._busy_until_s):
                return Budget(permit.target_s, permit.share)
            pause_s = POLL_S if permit is None else min(POLL_S, self._busy_until_s - now_s)
            await asyncio.sleep(pause_s)

    def record(self, budget: Budget, seconds: float, commit_s: float) -> None:
        """Take what a chunk cost: it is followed by a rest that makes up the budget's share."""
        self._controller.took(commit_s)
        if budget.share < 1.0:
            rest_s = min(seconds * (1 / budget.share - 1), REST_MAX_S)
            # All copiers share one clock: together they take the share, not each of them.
            self._busy_until_s = max(self._busy_until_s, time.monotonic()) + rest_s

    def explain(self) -> str | None:
        """Say what holds copying back, None when nothing does."""
        return self._controller.reason if self._enabled else None

    async def close(self) -> None:
        """Close the connection that asks the server."""
        if self._connection is not None:
            await self._connection.close()
            self._connection = None

    async def _ask_server(self) -> None:
        if self._server is None or time.monotonic() - self._asked_s < SERVER_EVERY_S or self._asking.locked():
            return
        async with self._asking:
            self._asked_s = time.monotonic()
            try:
                if self._connection is None or self._connection.closed:
                    self._connection = await Connection.open(self._server)
                row = await self._connection.fetch_one("SHOW GLOBAL STATUS LIKE 'Threads_running'")
                ours = await self._connection.fetch_value(
                    "SELECT COUNT(*) FROM information_schema.PROCESSLIST "
                    "WHERE USER = %s AND COMMAND NOT IN ('Sleep', 'Binlog Dump', 'Daemon')",
                    self._server.account.user,
                )
            except DatabaseError as error:
                log.info("throttle.server_silent", reason=str(error))
                return
            running = int(row[1]) if row else 0
            self._controller.take_server(ServerSample(self._asked_s, max(0, running - int(ours or 0))))
