"""I measure what clients cost that do nothing: memory of the worker, and how late its event loop runs.

Every client has logged in and asked one thing, so that it has all that a client ever has. How late the loop
runs is what the worker itself reports ten times a second. It is looked at twice: while all are silent, and
while eight others ask as fast as they can; then the processes on the machine outnumber its processors, and
part of the lateness is the machine's. Pings, a hundred a second, show the same from outside.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import ssl
import time
from collections.abc import Awaitable

from bench.client import Client
from bench.peers import Way, client_context, headgate, resident_kib
from bench.rounds import percentile
from bench.sysbench import POINT_SELECT
from bench.world import ROWS, World
from proxy import channel
from router.model import PoolMode
from tests.support.proxy import Proxy

KEYS = ("idle_client_kib", "loop_lag_p99_ms")

CLIENTS = 5000
TLS_CLIENTS = 500
BACKENDS = 16
FIRST_CLIENTS = 100
LOGINS_AT_ONCE = 50
BUSY_CLIENTS = 8
PING_S = 0.01
FILES = 3 * CLIENTS


async def measure(world: World, seconds: float, pool_mode: PoolMode) -> dict[str, object]:
    """Return the keys of idle clients, and what was seen besides."""
    clients, tls_clients = CLIENTS, TLS_CLIENTS
    if pool_mode is PoolMode.SESSION:
        # Each keeps a connection to the server, which takes some hundred.
        clients, tls_clients = 200, 50
    allow_files(FILES)
    async with headgate(
        world.place("idle"), world.server, world.shown, pool_mode=pool_mode, backends=BACKENDS
    ) as (ours, proxy):
        pings: list[float] = []
        plain_kib, quiet, busy = await _plain(world, ours, proxy, clients, seconds, pings)
        tls_kib, _ = await _grown(ours, tls_clients, client_context())
    return {
        "idle_client_kib": round(plain_kib, 2),
        "loop_lag_p99_ms": round(percentile(quiet, 0.99), 2),
        "detail": {
            "clients": clients,
            "tls_clients": tls_clients,
            "idle_tls_client_kib": round(tls_kib, 2),
            "loop_lag_ms": _spread(quiet),
            "loop_lag_with_8_busy_ms": _spread(busy),
            "ping_ms": _spread(pings),
        },
    }


async def _plain(
    world: World, way: Way, proxy: Proxy, clients: int, seconds: float, pings: list[float]
) -> tuple[float, list[float], list[float]]:
    """Return the memory of a silent client, and the lateness without and with others that are busy."""
    async with contextlib.AsyncExitStack() as stack:
        kib, there = await _grown(way, clients, None)
        stack.callback(lambda: [client.abort() for client in there])
        quiet = await _lateness(proxy, _ping(way, seconds, pings))
        busy = await _lateness(
            proxy,
            world.sysbench.run(
                POINT_SELECT, way, f"--table-size={ROWS}", clients=BUSY_CLIENTS, seconds=seconds / 2
            ),
        )
    return kib, quiet, busy


def allow_files(wanted: int) -> None:
    """Let this process, and those it starts, have so many files open, as far as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))


async def _grown(way: Way, count: int, tls: ssl.SSLContext | None) -> tuple[float, list[Client]]:
    """Let clients come and return what one of them takes; the first ones pay for what all share."""
    first = await _come(way, FIRST_CLIENTS, tls)
    before_kib = resident_kib(way.pids[0])
    there = await _come(way, count, tls)
    kib = (resident_kib(way.pids[0]) - before_kib) / count
    return kib, first + there


async def _come(way: Way, count: int, tls: ssl.SSLContext | None) -> list[Client]:
    gate = asyncio.Semaphore(LOGINS_AT_ONCE)

    async def one(number: int) -> Client:
        async with gate:
            client = await Client.connect(way.tls_port if tls else way.port, tls=tls)
            await client.query(f"SELECT c FROM sbtest1 WHERE id = {number % ROWS + 1}")
            return client

    return await asyncio.gather(*(one(number) for number in range(count)))


async def _ping(way: Way, seconds: float, pings: list[float]) -> None:
    """Note how long an answer takes, in milliseconds, of a client that does little."""
    client = await Client.connect(way.port)
    started = time.perf_counter()
    while time.perf_counter() - started < seconds:
        before = time.perf_counter()
        await client.ping()
        pings.append((time.perf_counter() - before) * 1000)
        await asyncio.sleep(PING_S)
    client.abort()


async def _lateness(proxy: Proxy, meanwhile: Awaitable[object]) -> list[float]:
    """Return how late the loop ran, in milliseconds, one figure for each report of the worker."""
    await asyncio.sleep(0.3)
    started = time.time()
    await meanwhile
    return [stats.loop_lag_ms for stats in proxy.control.all(channel.Stats) if stats.at_s > started + 0.2]


def _spread(values: list[float]) -> dict[str, float]:
    return {
        "p50": round(percentile(values, 0.5), 2),
        "p99": round(percentile(values, 0.99), 2),
        "max": round(max(values), 2),
    }
