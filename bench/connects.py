"""I measure connections in a second: a login, one query, a goodbye, plain and with TLS 1.3.

Several visitors, each a process of its own, come as fast as they can. What one costs the visitors and the
server is the same through every proxy; a run directly to the server shows how far the visitors alone get.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from dataclasses import dataclass

from bench.peers import ACCOUNT, DIRECT, HEADGATE, ROUTER, SCHEMA, Way, headgate
from bench.rounds import Rounds, rounded, turns, worst
from bench.world import World
from router.model import PoolMode

KEYS = ("connects_vs_router",)

VISITORS = 6
QUERY = "SELECT c FROM sbtest1 WHERE id = 7"
PLAIN, TLS = "plain", "tls"


@dataclass(frozen=True, slots=True)
class Storm:
    """What all visitors did together."""

    visits: int
    per_s: float


async def measure(world: World, rounds: int, seconds: float, pool_mode: PoolMode) -> dict[str, object]:
    """Return the key of connections and its cells."""
    kept = Rounds()
    async with headgate(world.place("connects"), world.server, world.shown, pool_mode=pool_mode) as (ours, _):
        for number in range(rounds):
            for cell in (PLAIN, TLS):
                for way in turns([world.direct, world.router, ours], number):
                    before = way.cpu_s()
                    storm = await visit(way, seconds, tls=cell == TLS)
                    cpu_us = (way.cpu_s() - before) * 1e6 / storm.visits
                    kept.add(cell, way.name, {"connects_per_s": storm.per_s, "cpu_us": cpu_us})
    ratios = kept.ratios(HEADGATE, ROUTER, "connects_per_s")
    return {
        "connects_vs_router": worst(min, ratios),
        "detail": {
            "ratios": rounded(ratios),
            "router_vs_direct": rounded(kept.ratios(ROUTER, DIRECT, "connects_per_s")),
            "cpu_vs_router": rounded(kept.ratios(HEADGATE, ROUTER, "cpu_us")),
            "medians": kept.medians(),
        },
    }


async def visit(way: Way, seconds: float, *, tls: bool, visitors: int = VISITORS) -> Storm:
    """Let visitors come for some seconds."""
    task = {
        "port": way.tls_port if tls else way.port,
        "user": ACCOUNT.user,
        "password": ACCOUNT.password,
        "schema": SCHEMA,
        "query": QUERY,
        "tls": tls,
        "seconds": seconds,
    }
    results = await asyncio.gather(*(_visitor(json.dumps(task).encode()) for _ in range(visitors)))
    return Storm(
        sum(int(result["visits"]) for result in results),
        sum(result["visits"] / result["seconds"] for result in results),
    )


async def _visitor(task: bytes) -> dict[str, float]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bench.visitor",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ},
    )
    output, errors = await process.communicate(task)
    if process.returncode:
        raise RuntimeError(f"a visitor failed: {errors.decode(errors='replace')[-500:]}")
    result: dict[str, float] = json.loads(output.splitlines()[-1])
    return result
