"""I measure what the server and its replicas say of themselves, and leave a heartbeat for the replicas.

Each runs beside the others, so that one that hangs makes only its own signals old.
"""

from __future__ import annotations

import asyncio
import math
import os
import statistics
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final

import structlog

from migrator.processes import processes
from migrator.throttle.gates import Gates, Signal
from migrator.throttle.status import read, wanted
from router.database import Connection
from router.errors import ConnectionLost, DatabaseError
from router.model import Address, Flavor, Server

log = structlog.get_logger()

EVERY_S: Final = 0.5
ANSWER_S: Final = 2.0
RARELY_S: Final = 10.0
COMMITS: Final = 5
HEARTBEAT: Final = 1
BEAT: Final = (
    "INSERT INTO _headgate.heartbeat (id, at) VALUES (%s, FROM_UNIXTIME(%s)) "
    "ON DUPLICATE KEY UPDATE at = VALUES(at)"
)
HEARD: Final = "SELECT UNIX_TIMESTAMP(at) FROM _headgate.heartbeat WHERE id = %s"
RESTING: Final = frozenset({"Sleep", "Binlog Dump", "Daemon"})
HISTORY: Final = (
    "SELECT `COUNT` FROM information_schema.INNODB_METRICS "
    "WHERE NAME = 'trx_rseg_history_len' AND STATUS = 'enabled'"
)
SETTINGS: Final = "SELECT @@GLOBAL.innodb_max_dirty_pages_pct, @@GLOBAL.datadir"
SESSION: Final = ("SET SESSION time_zone = '+00:00'",)


class ServerWatch:
    """Tells the gates what the server says of itself, twice a second."""

    def __init__(self, server: Server, gates: Gates) -> None:
        self._server, self._gates = server, gates
        self._connection: Connection | None = None
        self._commits: deque[float] = deque(maxlen=COMMITS)
        self._rarely_s = float("-inf")
        self._dirty_percent = 90.0
        self._folder = ""

    async def run(self) -> None:
        """Look until cancelled."""
        try:
            while True:
                started = time.monotonic()
                with suppress(TimeoutError):
                    async with asyncio.timeout(ANSWER_S):
                        await self._look()
                await asyncio.sleep(max(EVERY_S - (time.monotonic() - started), 0.05))
        finally:
            if self._connection is not None:
                self._connection.abort()

    async def _look(self) -> None:
        try:
            if self._connection is None or self._connection.closed:
                self._connection = await Connection.open(self._server, timeout_s=ANSWER_S, setup=SESSION)
            connection, signals = self._connection, self._gates.signals
            await self._beat(connection)
            await self._settings(connection)
            await self._status(connection)
            if Signal.HISTORY_LENGTH in signals and self._server.flavor is Flavor.MYSQL:
                await self._history(connection)
            self._room()
        except ConnectionLost as error:
            log.debug("throttle.server_silent", reason=str(error))

    async def _beat(self, connection: Connection) -> None:
        """Write the heartbeat; how long that takes is how long commits take."""
        started = time.monotonic()
        try:
            await connection.execute(BEAT, HEARTBEAT, f"{time.time():.6f}")
        except ConnectionLost:
            raise
        except DatabaseError as error:
            self._refuse(Signal.COMMIT_LATENCY, error)
            return
        now_s = time.monotonic()
        self._commits.append((now_s - started) * 1000)
        self._gates.take(now_s, Signal.COMMIT_LATENCY, statistics.median(self._commits))

    async def _settings(self, connection: Connection) -> None:
        if time.monotonic() - self._rarely_s < RARELY_S:
            return
        row = await connection.fetch_one(SETTINGS)
        if row is not None:
            self._dirty_percent, self._folder = float(row[0]), str(row[1])
        self._rarely_s = time.monotonic()

    async def _status(self, connection: Connection) -> None:
        flavor = self._server.flavor
        names = ", ".join(f"'{name}'" for name in wanted(flavor))
        try:
            rows = await connection.fetch_all(f"SHOW GLOBAL STATUS WHERE Variable_name IN ({names})")
            ours = sum(
                each.user == self._server.account.user and each.command not in RESTING
                for each in await processes(connection)
            )
        except ConnectionLost:
            raise
        except DatabaseError as error:
            for signal in (Signal.THREADS_RUNNING, Signal.REDO_AGE, Signal.DIRTY_PAGES):
                self._refuse(signal, error)
            return
        now_s = time.monotonic()
        values = read(flavor, {str(name): str(value) for name, value in rows}, self._dirty_percent)
        if Signal.THREADS_RUNNING in values:
            values[Signal.THREADS_RUNNING] = max(values[Signal.THREADS_RUNNING] - ours, 0.0)
        told = {Signal.THREADS_RUNNING, Signal.REDO_AGE, Signal.DIRTY_PAGES}
        if flavor is Flavor.MARIADB:
            told.add(Signal.HISTORY_LENGTH)
        for signal in told:
            if signal in values:
                self._gates.take(now_s, signal, values[signal])
            else:
                self._refuse(signal, "this server does not tell it")

    async def _history(self, connection: Connection) -> None:
        try:
            length = await connection.fetch_value(HISTORY)
        except ConnectionLost:
            raise
        except DatabaseError as error:
            self._refuse(Signal.HISTORY_LENGTH, error)
            return
        if length is None:
            self._refuse(Signal.HISTORY_LENGTH, "innodb_monitor_enable leaves out trx_rseg_history_len")
        else:
            self._gates.take(time.monotonic(), Signal.HISTORY_LENGTH, float(length))

    def _room(self) -> None:
        """Look at the disk, if the server's data are on this machine."""
        address = self._server.address
        here = address.socket is not None or address.host in {"127.0.0.1", "localhost", "::1"}
        try:
            if not here or not self._folder:
                raise OSError("the server is on another machine")
            disk = os.statvfs(self._folder)
        except OSError as error:
            self._refuse(Signal.DISK_USED, error)
            return
        self._gates.take(time.monotonic(), Signal.DISK_USED, 1.0 - disk.f_bavail / max(disk.f_blocks, 1))

    def _refuse(self, signal: Signal, why: object) -> None:
        if self._gates.refuse(signal, str(why)):
            log.info("throttle.signal_missing", signal=str(signal), reason=str(why))


class ReplicaWatch:
    """Tells how far replicas are behind, by the heartbeat that they have; one that is silent is behind."""

    def __init__(
        self, production: Server, addresses: Sequence[str], tell: Callable[[float, float, str], None]
    ) -> None:
        self._servers = [replace(production, address=_address(text)) for text in addresses]
        self._tell = tell
        self._lags: dict[str, tuple[float, float, str]] = {}

    async def run(self) -> None:
        """Look until cancelled."""
        async with asyncio.TaskGroup() as group:
            for server in self._servers:
                group.create_task(self._watch(server))

    async def _watch(self, server: Server) -> None:
        connection: Connection | None = None
        name = str(server.address)
        try:
            while True:
                lag_s, because = math.inf, f"replica {name} does not answer"
                with suppress(TimeoutError):
                    async with asyncio.timeout(ANSWER_S):
                        try:
                            if connection is None or connection.closed:
                                connection = await Connection.open(server, timeout_s=ANSWER_S, setup=SESSION)
                            heard = await connection.fetch_value(HEARD, HEARTBEAT)
                        except DatabaseError as error:
                            because = f"replica {name} does not tell its lag: {error}"
                        else:
                            if heard is None:
                                because = f"replica {name} has never received a heartbeat"
                            else:
                                # Between two heartbeats a replica cannot have anything newer.
                                lag_s = max(time.time() - float(heard) - EVERY_S, 0.0)
                                because = ""
                self._take(name, lag_s, because)
                await asyncio.sleep(EVERY_S)
        finally:
            if connection is not None:
                connection.abort()

    def _take(self, name: str, lag_s: float, because: str) -> None:
        self._lags[name] = time.monotonic(), lag_s, because
        if len(self._lags) < len(self._servers):
            return
        at_s = min(at_s for at_s, _, _ in self._lags.values())
        _, worst_s, because = max(self._lags.values(), key=lambda each: each[1])
        self._tell(at_s, worst_s, because)


def _address(text: str) -> Address:
    host, _, port = text.rpartition(":")
    return Address(host.strip("[]"), int(port))
