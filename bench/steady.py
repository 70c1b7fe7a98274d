"""I am what a migration beside clients is measured on: a server, Headgate before it, and a steady load.

oltp_read_write runs at half of the server's capacity, through the proxy, whose measurements steer the
throttle as in production.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from bench.peers import ACCOUNT, DATABASE, Way, headgate, make_certificate
from bench.rebuild import MILLION, SCHEMA, Size, fill
from bench.report import say
from bench.sysbench import READ_WRITE, Figures, Sysbench
from conf.settings import MigratorSettings, ThrottleSettings
from control.traffic import Traffic
from migrator.engine.ground.state import prepare_state
from migrator.engine.migration import OnlineAlter
from migrator.throttle.signals import TrafficSample
from migrator.throttle.throttler import Throttle
from proxy import channel
from router.database import Connection
from router.model import Address, Flavor, Server
from router.servers.packages import fetch
from router.servers.process import LocalServer
from router.servers.programs import default_cache
from tests.support.proxy import Proxy
from tests.support.servers import free_port, running_server

CLIENTS: Final = 8
LARGE: Final = Size("sbtest1", int(os.environ.get("HEADGATE_BENCH_ROWS", str(MILLION))), 1)
ON_LARGE: Final = (f"--table-size={LARGE.rows}", "--tables=1")
OPTIONS: Final = {
    "innodb-buffer-pool-size": "2G",
    "innodb-redo-log-capacity": "1G",
    "max-binlog-size": "1G",
    # Each commit is on disk before it is confirmed, as on an embedded production server.
    "innodb-flush-log-at-trx-commit": "1",
    "sync-binlog": "1",
    "max-connections": "300",
}


class ProxyGate:
    """The gate of the branch, as control shuts it in every worker."""

    _ids = itertools.count(1)

    def __init__(self, proxy: Proxy) -> None:
        self._control, self._workers = proxy.control, len(proxy.pids)
        self._id = 0

    async def close(self, tables: Sequence[tuple[str, str]]) -> bool:
        """Hold what would start on these tables."""
        self._id = next(self._ids)
        self._control.send(
            channel.GateClose(self._id, DATABASE, "main", list(tables), hold_ms=1500, max_held=1000)
        )
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await self._control.wait_for(channel.GateClosed, lambda closed: closed.id == self._id)
                return True
        await self.open()
        return False

    async def open(self) -> None:
        """Let go what is held."""
        self._control.send(channel.GateOpen(self._id))


class Signal:
    """The traffic as control adds it up from the workers' reports."""

    def __init__(self, proxy: Proxy) -> None:
        self._control = proxy.control
        self.traffic = Traffic()

    def sample(self) -> TrafficSample | None:
        """Return the last second of the branch."""
        return self.traffic.sample(DATABASE, "main")

    async def listen(self) -> None:
        """Take each report as it comes; what was taken is not kept."""
        while True:
            received, self._control.received = self._control.received, []
            for message in received:
                if isinstance(message, channel.Stats):
                    self.traffic.record(0, message.branches)
                elif not isinstance(message, channel.GateOpened):
                    self._control.received.append(message)
            await asyncio.sleep(0.05)


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything that one measurement needs."""

    local: LocalServer
    way: Way
    signal: Signal
    gate: ProxyGate
    sysbench: Sysbench
    rate: int

    @property
    def client(self) -> Server:
        """Where an application connects."""
        return Server(Flavor.MYSQL, "", Address("127.0.0.1", self.way.port), ACCOUNT)

    async def load(self, seconds: float) -> Figures:
        """Run the steady load for some seconds."""
        options = (f"--rate={self.rate}", *ON_LARGE)
        return await self.sysbench.run(READ_WRITE, self.way, *options, clients=CLIENTS, seconds=seconds)

    async def operation(self, identity: str, size: Size, throttle: Throttle) -> OnlineAlter:
        """Return a rebuild of a table that is not yet begun."""
        server = self.local.server
        async with await Connection.open(server, database=SCHEMA) as connection:
            target = str((await connection.fetch_all(f"SHOW CREATE TABLE {size.table}"))[0][1])
        return OnlineAlter(
            identity,
            server,
            SCHEMA,
            size.table,
            target,
            self.gate,
            throttle,
            MigratorSettings(garbage_hold_s=0),
        )

    def throttle(self) -> Throttle:
        """Return a throttle as control makes it."""
        return Throttle(ThrottleSettings(), self.signal, self.local.server)


@contextlib.asynccontextmanager
async def running_stage(folder: Path) -> AsyncIterator[Stage]:
    program = await fetch("sysbench", ["sysbench"], "bookworm", default_cache())
    shown = make_certificate(folder / "tls")
    async with running_server(Flavor.MYSQL, folder / "mysql", port=free_port(), options=OPTIONS) as local:
        await prepare_state(local.server)
        await fill(local.server, [LARGE])
        async with await Connection.open(local.server) as connection:
            await connection.execute(f"CREATE USER {ACCOUNT.user} IDENTIFIED BY %s", ACCOUNT.password)
            await connection.execute(f"GRANT ALL ON {SCHEMA}.* TO {ACCOUNT.user}")
        server = replace(local.server, account=ACCOUNT)
        sysbench = Sysbench(program, folder, shown)
        async with headgate(folder / "headgate", server, shown) as (way, proxy):
            signal = Signal(proxy)
            listening = asyncio.ensure_future(signal.listen())
            try:
                full = await sysbench.run(READ_WRITE, way, *ON_LARGE, clients=CLIENTS, seconds=10)
                say(f"capacity: {full.events_per_s:.0f} transactions/s, p95 {full.p95_ms} ms")
                rate = max(1, round(full.events_per_s / 2))
                yield Stage(local, way, signal, ProxyGate(proxy), sysbench, rate)
            finally:
                listening.cancel()
                await asyncio.gather(listening, return_exceptions=True)
