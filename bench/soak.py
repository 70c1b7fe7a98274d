"""I let a crowd loose on two workers for a while, kill what can be killed, and see that all holds.

`python -m bench.soak --seconds 600`. While the crowd works, backends are killed on the server, clients
vanish, and one worker is killed outright and started again; all kills of workers fall into the first half,
so that the second shows whether memory is flat. The last line is one JSON object; I exit with 0 only when
there was no error but those that the kills explain, no answer to the wrong client, nothing left over and no
growth.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import signal
import statistics
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Final

from bench.crowd import CROWD, FILL, SETUP, Member, attend
from bench.idle import allow_files
from bench.journal import Journal
from bench.peers import (
    ACCOUNT,
    SCHEMA,
    clients_of,
    headgate,
    make_certificate,
    open_files,
    remote_connections,
    resident_kib,
)
from bench.rounds import percentile
from proxy import channel
from router.database import Connection
from router.errors import DatabaseError
from router.model import Address, Flavor, PoolMode, Server
from router.servers.process import LocalServer
from tests.support.proxy import Proxy
from tests.support.servers import free_port, running_server, session_folder, until

WORKERS: Final = 2
BACKENDS: Final = 32
ROWS: Final = 10_000
FILES: Final = 8192
BACKEND_KILL_S: Final = 1.5
WORKER_KILL_S: Final = 30.0
SAMPLE_S: Final = 1.0
SETTLED_S: Final = 15.0

PROXY_CONNECTIONS: Final = "SELECT id FROM information_schema.processlist WHERE user = %s"

SOAKED_S: Final = 300.0
"""A run at least this long shows the true growth; in a shorter one, workers still warm up."""
GROWTH_KIB_PER_MIN_MAX: Final = 256.0
GROWTH_SHORT_KIB_PER_MIN_MAX: Final = 32_768.0


@dataclass(slots=True)
class Ground:
    """The server, the workers and what is seen of them."""

    local: LocalServer
    server: Server
    proxy: Proxy
    journal: Journal
    files_at_rest: int
    memory: dict[int, list[tuple[float, int]]] = field(default_factory=dict)
    backends_most: int = 0

    @property
    def pids(self) -> list[int]:
        """The workers that run now."""
        return self.proxy.pids

    def files(self, pid: int) -> int:
        """Return how many descriptors a worker has besides its backends."""
        return open_files(pid) - remote_connections(pid, self.server.address.port)

    def clients(self) -> int:
        """Return how many clients are still connected."""
        return sum(clients_of(pid, self.proxy.port) for pid in self.pids)

    async def no_transaction_is_open(self) -> bool:
        """Whether what clients left undone was undone."""
        async with await Connection.open(self.local.server) as connection:
            return not await connection.fetch_value("SELECT COUNT(*) FROM information_schema.innodb_trx")


@contextlib.asynccontextmanager
async def ground(journal: Journal, pool_mode: PoolMode) -> AsyncIterator[Ground]:
    """Build a server with tables and two workers before it."""
    async with contextlib.AsyncExitStack() as stack:
        folder = stack.enter_context(session_folder())
        place = folder / "headgate"
        shown = make_certificate(folder / "tls")
        port = free_port()
        options = {"innodb-buffer-pool-size": "256M", "max-connections": "500"}
        local = await stack.enter_async_context(
            running_server(Flavor.MYSQL, folder / "mysql", port=port, options=options)
        )
        async with await Connection.open(local.server) as connection:
            await connection.execute(f"CREATE DATABASE {SCHEMA}")
            await connection.execute(f"CREATE USER {ACCOUNT.user} IDENTIFIED BY %s", ACCOUNT.password)
            await connection.execute(f"GRANT ALL ON {SCHEMA}.* TO {ACCOUNT.user}")
            await connection.execute(f"USE {SCHEMA}")
            tables = [part.format(name=f"sbtest{n}", rows=ROWS) for n in (1, 2) for part in FILL]
            for statement in (*SETUP, *tables):
                await connection.execute(statement)
        # The server asks for the password itself once; through its socket it may have it.
        await (await Connection.open(replace(local.server, account=ACCOUNT))).close()
        server = Server(Flavor.MYSQL, local.server.version, Address("127.0.0.1", port), ACCOUNT)
        _, proxy = await stack.enter_async_context(
            headgate(
                place,
                server,
                shown,
                workers=WORKERS,
                backends=BACKENDS,
                pool_mode=pool_mode,
            )
        )
        rest = Ground(local, server, proxy, journal, 0)
        rest.files_at_rest = max(rest.files(pid) for pid in proxy.pids)
        yield rest


async def soak(seconds: float, pool_mode: PoolMode = PoolMode.TRANSACTION) -> dict[str, object]:
    """Run all of it and return the report."""
    allow_files(FILES)
    journal = Journal()
    async with ground(journal, pool_mode) as here:
        stop = asyncio.Event()
        started = time.monotonic()
        middle = started + seconds / 2
        async with asyncio.TaskGroup() as tasks:
            for kind, act, count in CROWD:
                for _ in range(count):
                    tasks.create_task(attend(Member(kind, here.proxy.port, ROWS, journal), act, stop))
            tasks.create_task(kill_backends(here, stop))
            tasks.create_task(kill_workers(here, stop, middle))
            tasks.create_task(watch(here, stop))
            await asyncio.sleep(seconds)
            stop.set()
        duration_s = time.monotonic() - started
        await until(lambda: not here.clients(), timeout_s=SETTLED_S)
        await until(here.no_transaction_is_open, timeout_s=SETTLED_S)
        files_leaked = {str(pid): here.files(pid) - here.files_at_rest for pid in here.pids}
        lag = [stats.loop_lag_ms for stats in here.proxy.control.all(channel.Stats)]
        growth = {str(pid): growth_kib_per_min(samples, middle) for pid, samples in here.memory.items()}
        for process in here.proxy.processes:
            process.send_signal(signal.SIGTERM)
        for process in here.proxy.processes:
            await process.wait()
        connections_left = await settled(here)
    report: dict[str, object] = {
        "duration_s": round(duration_s),
        "queries": journal.queries,
        "errors_unexpected": journal.unexpected_count,
        "mixed_up": len(journal.mixed_up),
        "rss_growth_kib_per_min": max(value for value in growth.values() if value is not None),
        "fds_leaked": max(files_leaked.values()),
        "backend_connections_leaked": connections_left,
        "loop_lag_p99_ms": round(percentile(lag, 0.99), 2),
        "details": {
            "unexpected": journal.unexpected,
            "mixed_up": journal.mixed_up[:20],
            "errors_explained": dict(journal.explained),
            "deadlocks": journal.retried,
            "kills": dict(journal.kills),
            "rounds_of_each_kind": dict(journal.work),
            "rss_growth_kib_per_min": growth,
            "rss_kib": {str(pid): [rss for _, rss in samples][-1] for pid, samples in here.memory.items()},
            "backends_most": here.backends_most,
            "loop_lag_max_ms": round(max(lag), 2),
        },
    }
    return {**report, "held": holds(report, seconds)}


def holds(report: dict[str, object], seconds: float) -> bool:
    """Whether the soak showed what it must."""
    limit = GROWTH_KIB_PER_MIN_MAX if seconds >= SOAKED_S else GROWTH_SHORT_KIB_PER_MIN_MAX
    leaks = ("errors_unexpected", "mixed_up", "fds_leaked", "backend_connections_leaked")
    growth = report["rss_growth_kib_per_min"]
    assert isinstance(growth, float | int)
    return bool(report["queries"]) and not any(report[key] for key in leaks) and growth <= limit


async def kill_backends(here: Ground, stop: asyncio.Event) -> None:
    """End connections of the proxy on the server, whoever they work for."""
    async with await Connection.open(here.local.server) as connection:
        while not await is_set(stop, BACKEND_KILL_S * (0.5 + random.random())):
            ids = [row[0] for row in await connection.fetch_all(PROXY_CONNECTIONS, ACCOUNT.user)]
            here.backends_most = max(here.backends_most, len(ids))
            if ids:
                here.journal.backend_killed()
                # It may have left by itself meanwhile.
                with contextlib.suppress(DatabaseError):
                    await connection.execute(f"KILL {random.choice(ids)}")


async def kill_workers(here: Ground, stop: asyncio.Event, until_s: float) -> None:
    """Kill the last worker again and again in the first half; the first one lives through all of it."""
    pause_s = min(WORKER_KILL_S, (until_s - time.monotonic()) / 2)
    while time.monotonic() + pause_s < until_s and not await is_set(stop, pause_s):
        here.journal.worker_killed()
        await here.proxy.crash(WORKERS - 1)
        here.journal.worker_came()


async def watch(here: Ground, stop: asyncio.Event) -> None:
    """Note how much memory the workers have."""
    while not await is_set(stop, SAMPLE_S):
        for pid in here.pids:
            with contextlib.suppress(OSError, StopIteration):
                here.memory.setdefault(pid, []).append((time.monotonic(), resident_kib(pid)))


async def is_set(event: asyncio.Event, timeout_s: float) -> bool:
    """Wait for an event, but not longer than so many seconds; say whether it came."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            await event.wait()
    return event.is_set()


def growth_kib_per_min(samples: list[tuple[float, int]], since: float) -> float | None:
    """Return how fast memory grew from then on: a line through the medians of the first and last third.

    None for a worker that did not live from then to the end.
    """
    later = [sample for sample in samples if sample[0] >= since]
    if len(later) < 6 or samples[0][0] > since:
        return None
    third = len(later) // 3
    (began, before), (ended, after) = (
        (statistics.median(moment for moment, _ in part), statistics.median(rss for _, rss in part))
        for part in (later[:third], later[-third:])
    )
    return round((after - before) / (ended - began) * 60, 1)


async def settled(here: Ground) -> int:
    """Return how many connections of the proxy the server still has, once all workers have ended."""
    async with await Connection.open(here.local.server) as connection:
        deadline = time.monotonic() + SETTLED_S
        while True:
            left = len(await connection.fetch_all(PROXY_CONNECTIONS, ACCOUNT.user))
            if not left or time.monotonic() > deadline:
                return left
            await asyncio.sleep(0.1)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--pool-mode", choices=list(PoolMode), default=PoolMode.TRANSACTION.value)
    arguments = parser.parse_args()
    report = asyncio.run(soak(arguments.seconds, PoolMode(arguments.pool_mode)))
    print(json.dumps(report))
    return 0 if report["held"] else 1


if __name__ == "__main__":
    sys.exit(main())
