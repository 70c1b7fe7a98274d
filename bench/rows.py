"""I measure a result of a million rows: how long it takes, and what it costs the proxy.

The time is that of MySQL's own shell, which reads rows one by one as an application does (`mysql --quick`,
its output thrown away). Wide rows are sysbench's, some 190 bytes each; narrow ones have one number, so that
the proxy meets as many packets in a tenth of the bytes. Beside it, in the details, a reader that looks at
nothing but the end: so fast that everything else on the way shows.
"""

from __future__ import annotations

import asyncio
import os
import time

from bench.peers import ACCOUNT, DIRECT, HAPROXY, HEADGATE, ROUTER, SCHEMA, Way, headgate
from bench.rounds import Rounds, rounded, turns, worst
from bench.visitor import Visitor
from bench.world import ROWS, World
from router.model import PoolMode

KEYS = ("million_rows_vs_direct", "million_rows_cpu_vs_router")

TIMES = 1_000_000 // ROWS
_SOURCE = f"FROM sbtest1 a CROSS JOIN (VALUES {', '.join(f'ROW({n})' for n in range(TIMES))}) b"
SHAPES = {"wide": f"SELECT a.id, a.k, a.c, a.pad {_SOURCE}", "narrow": f"SELECT a.id {_SOURCE}"}


async def measure(world: World, rounds: int, pool_mode: PoolMode) -> dict[str, object]:
    """Return the keys of a million rows and their cells."""
    kept = Rounds()
    async with headgate(world.place("rows"), world.server, world.shown, pool_mode=pool_mode) as (ours, _):
        for number in range(rounds):
            for shape, query in SHAPES.items():
                for way in turns([world.direct, world.haproxy, world.router, ours], number):
                    before = way.cpu_s()
                    wall_s = await _shell(world, way, query)
                    figures = {"wall_s": wall_s, "cpu_s": way.cpu_s() - before}
                    figures["discarded_s"] = await asyncio.to_thread(_discard, way, query)
                    kept.add(shape, way.name, figures)
    wall = kept.ratios(HEADGATE, DIRECT, "wall_s")
    cpu = kept.ratios(HEADGATE, ROUTER, "cpu_s")
    return {
        "million_rows_vs_direct": worst(max, wall),
        "million_rows_cpu_vs_router": worst(max, cpu),
        "detail": {
            "wall": rounded(wall),
            "cpu": rounded(cpu),
            "haproxy_vs_direct": rounded(kept.ratios(HAPROXY, DIRECT, "wall_s")),
            "discarded_vs_direct": rounded(kept.ratios(HEADGATE, DIRECT, "discarded_s")),
            "router_discarded_vs_direct": rounded(kept.ratios(ROUTER, DIRECT, "discarded_s")),
            "medians": kept.medians(),
        },
    }


async def _shell(world: World, way: Way, query: str) -> float:
    """Return how long the shell takes, from its start to its end."""
    argv = world.local.programs.command(
        "mysql",
        "--no-defaults",
        "--quick",
        "--batch",
        "--host=127.0.0.1",
        f"--port={way.port}",
        f"--user={ACCOUNT.user}",
        "--ssl-mode=DISABLED",
        f"--execute={query}",
        SCHEMA,
    )
    started = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "MYSQL_PWD": ACCOUNT.password},
    )
    _, errors = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"the mysql shell failed: {errors.decode(errors='replace')}")
    return time.perf_counter() - started


def _discard(way: Way, query: str) -> float:
    """Return how long the result takes, from the query to its last byte, when nobody looks at it."""
    visitor = Visitor(way.port, ACCOUNT.user, ACCOUNT.password, SCHEMA, query)
    with visitor.enter() as sock:
        started = time.perf_counter()
        visitor.ask(sock)
        return time.perf_counter() - started
