"""I measure point selects: CPU for each query in the proxy, and how many there are in a second.

Text and prepared, with few and many clients, plain through everybody, and with TLS 1.3 towards the client
through those that end it. One worker; guard, response tracking, statistics and transaction pooling are on.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from bench.peers import HAPROXY, HEADGATE, ROUTER, Way, headgate
from bench.rounds import Rounds, rounded, turns, worst
from bench.sysbench import POINT_SELECT, PREPARED, TEXT
from bench.world import ROWS, World
from router.model import PoolMode

CLIENTS = (1, 8, 64)
MODES = (TEXT, PREPARED)
KEYS = ("cpu_vs_router", "cpu_vs_haproxy", "throughput_vs_router", "tls_cpu_vs_router")


async def measure(world: World, rounds: int, seconds: float, pool_mode: PoolMode) -> dict[str, object]:
    """Return the keys of point selects and their cells."""
    plain, inside_tls = Rounds(), Rounds()
    async with headgate(world.place("points"), world.server, world.shown, pool_mode=pool_mode) as (ours, _):
        for number in range(rounds):
            for mode, clients in itertools.product(MODES, CLIENTS):
                cell = f"{mode} {clients}"
                everybody = [world.direct, world.haproxy, world.router, ours]
                await _take_turns(world, plain, everybody, number, cell, seconds)
                await _take_turns(world, inside_tls, [world.router, ours], number, cell, seconds, tls=True)
    vs_router = plain.ratios(HEADGATE, ROUTER, "cpu_us")
    vs_haproxy = plain.ratios(HEADGATE, HAPROXY, "cpu_us")
    throughput = plain.ratios(HEADGATE, ROUTER, "queries_per_s")
    tls = inside_tls.ratios(HEADGATE, ROUTER, "cpu_us")
    return {
        "cpu_vs_router": worst(max, vs_router),
        "cpu_vs_haproxy": worst(max, vs_haproxy),
        "throughput_vs_router": worst(min, throughput),
        "tls_cpu_vs_router": worst(max, tls),
        "detail": {
            "cpu_vs_router": rounded(vs_router),
            "cpu_vs_haproxy": rounded(vs_haproxy),
            "haproxy_cpu_vs_router": rounded(plain.ratios(HAPROXY, ROUTER, "cpu_us")),
            "haproxy_throughput_vs_router": rounded(plain.ratios(HAPROXY, ROUTER, "queries_per_s")),
            "throughput_vs_router": rounded(throughput),
            "tls_cpu_vs_router": rounded(tls),
            "tls_throughput_vs_router": rounded(inside_tls.ratios(HEADGATE, ROUTER, "queries_per_s")),
            "plain": plain.medians(),
            "tls": inside_tls.medians(),
        },
    }


async def _take_turns(
    world: World,
    kept: Rounds,
    ways: Sequence[Way],
    number: int,
    cell: str,
    seconds: float,
    *,
    tls: bool = False,
) -> None:
    mode, clients = cell.split()
    for way in turns(ways, number):
        before = way.cpu_s()
        figures = await world.sysbench.run(
            POINT_SELECT,
            way,
            f"--table-size={ROWS}",
            clients=int(clients),
            seconds=seconds,
            mode=mode,
            tls=tls,
        )
        cpu_us = (way.cpu_s() - before) * 1e6 / figures.queries
        kept.add(
            cell,
            way.name,
            {"cpu_us": cpu_us, "queries_per_s": figures.queries_per_s, "p95_ms": figures.p95_ms},
        )
