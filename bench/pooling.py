"""I measure many clients on few backends against as many clients as backends, and two workers against one."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence

from bench.peers import DIRECT, HAPROXY, HEADGATE, Way, clients_of, headgate
from bench.rounds import Rounds, rounded, turns, worst
from bench.sysbench import POINT_SELECT, PREPARED, READ_WRITE, TEXT, Figures, Sysbench
from bench.world import ROWS, TABLES, World
from router.model import PoolMode

POOL_KEYS = ("transaction_pool_vs_direct",)
WORKER_KEYS = ("two_workers_vs_one",)

BACKENDS = 16
POOLED_CLIENTS = 200
WORKER_CLIENTS = 8
ONE, TWO = "one worker", "two workers"
PEER_ONE, PEER_TWO = "haproxy with one thread", "haproxy with two threads"


async def measure_pool(world: World, rounds: int, seconds: float, pool_mode: PoolMode) -> dict[str, object]:
    """Compare 200 clients on 16 backends with 16 clients that have the server to themselves.

    Sixteen clients through haproxy show what passing the same bytes on costs a machine that has no third core
    for it. An error ends the run; deadlocks, which sysbench overlooks, are counted as errors too.
    """
    kept = Rounds()
    # A session would keep its backend: then as many clients as there are backends must do.
    clients = POOLED_CLIENTS if pool_mode is PoolMode.TRANSACTION else BACKENDS
    errors = 0
    async with headgate(
        world.place("pool"), world.server, world.shown, pool_mode=pool_mode, backends=BACKENDS
    ) as (ours, _):
        counts = {DIRECT: BACKENDS, HAPROXY: BACKENDS, HEADGATE: clients}
        for number, mode in itertools.product(range(rounds), (TEXT, PREPARED)):
            for way in turns([world.direct, world.haproxy, ours], number):
                figures = await _read_write(world.sysbench, way, mode, counts[way.name], seconds)
                if way is ours:
                    errors += figures.errors + figures.reconnects
                kept.add(mode, way.name, _sample(figures))
    ratios = kept.ratios(HEADGATE, DIRECT, "events_per_s")
    return {
        "transaction_pool_vs_direct": worst(min, ratios),
        "detail": {
            "clients": clients,
            "backends": BACKENDS,
            "errors": errors,
            "ratios": rounded(ratios),
            "haproxy_vs_direct": rounded(kept.ratios(HAPROXY, DIRECT, "events_per_s")),
            "medians": kept.medians(),
        },
    }


async def measure_workers(
    world: World, rounds: int, seconds: float, pool_mode: PoolMode
) -> dict[str, object]:
    """Compare two workers with one, and see how evenly the clients are shared out.

    haproxy with two threads and with one shows what a second of anything is worth on this machine.
    """
    kept, shares = Rounds(), list[list[int]]()
    async with (
        headgate(world.place("one"), world.server, world.shown, pool_mode=pool_mode) as (one, _),
        headgate(world.place("two"), world.server, world.shown, pool_mode=pool_mode, workers=2) as (two, _),
    ):
        for number in range(rounds):
            for mode in (TEXT, PREPARED):
                ways = [(ONE, one), (TWO, two), (PEER_ONE, world.haproxy), (PEER_TWO, world.haproxy_two)]
                for name, way in turns(ways, number):
                    run = asyncio.ensure_future(_points(world.sysbench, way, mode, seconds))
                    if way is two:
                        shares.append(await _share(run, two, WORKER_CLIENTS))
                    figures = await run
                    kept.add(mode, name, {"queries_per_s": figures.queries_per_s, "p95_ms": figures.p95_ms})
    ratios = kept.ratios(TWO, ONE, "queries_per_s")
    return {
        "two_workers_vs_one": worst(min, ratios),
        "detail": {
            "ratios": rounded(ratios),
            "haproxy_two_vs_one": rounded(kept.ratios(PEER_TWO, PEER_ONE, "queries_per_s")),
            "share": shares,
            "medians": kept.medians(),
        },
    }


async def _read_write(sysbench: Sysbench, way: Way, mode: str, clients: int, seconds: float) -> Figures:
    return await sysbench.run(
        READ_WRITE,
        way,
        f"--table-size={ROWS}",
        f"--tables={TABLES}",
        "--rand-type=uniform",
        clients=clients,
        seconds=seconds,
        mode=mode,
    )


async def _points(sysbench: Sysbench, way: Way, mode: str, seconds: float) -> Figures:
    return await sysbench.run(
        POINT_SELECT, way, f"--table-size={ROWS}", clients=WORKER_CLIENTS, seconds=seconds, mode=mode
    )


async def _share(run: asyncio.Future[Figures], way: Way, clients: int) -> list[int]:
    """Return how many clients each worker has, once all are there."""
    share: Sequence[int] = ()
    while not run.done() and sum(share) < clients:
        await asyncio.sleep(0.05)
        share = [clients_of(pid, way.port) for pid in way.pids]
    return list(share)


def _sample(figures: Figures) -> dict[str, float]:
    return {
        "events_per_s": figures.events_per_s,
        "queries_per_s": figures.queries_per_s,
        "p95_ms": figures.p95_ms,
        "errors": figures.errors + figures.reconnects,
    }
