"""I measure what Headgate's proxy costs and how fast it is, beside haproxy, MySQL Router and no proxy at all.

`python -m bench.proxy` measures all sections in turn, before one MySQL server on this machine; `--only` names
some of them, `--rounds` fewer rounds. The ways take turns within each round, so that whatever else the
machine does hurts all of them; what counts are the medians of the rounds' ratios, and of those the worst
cell. CPU is the user and system time of the proxy's process. The last line is one JSON object;
docs/performance.md says what its keys are.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from importlib.machinery import EXTENSION_SUFFIXES

from bench import connects, idle, points, pooling, rows
from bench.report import AT_LEAST, AT_MOST, met, say
from bench.world import DURABILITY, World, world
from router.model import PoolMode

TARGETS = {
    "cpu_vs_router": (AT_MOST, 0.90),
    "cpu_vs_haproxy": (AT_MOST, 1.15),
    "throughput_vs_router": (AT_LEAST, 1.0),
    "tls_cpu_vs_router": (AT_MOST, 1.2),
    "transaction_pool_vs_direct": (AT_LEAST, 0.9),
    "million_rows_vs_direct": (AT_MOST, 1.10),
    "million_rows_cpu_vs_router": (AT_MOST, 1.0),
    "connects_vs_router": (AT_LEAST, 1.0),
    "idle_client_kib": (AT_MOST, 12.0),
    "loop_lag_p99_ms": (AT_MOST, 5.0),
    "two_workers_vs_one": (AT_LEAST, 1.0),
}

COMPILED_MODULES = ("proxy.wire.response", "proxy.wire.packets")


@dataclass(frozen=True, slots=True)
class Section:
    """Some keys that are measured together, and in how many rounds."""

    keys: tuple[str, ...]
    rounds: int
    measure: Callable[[World, int, PoolMode], Awaitable[dict[str, object]]]


SECTIONS = {
    "points": Section(points.KEYS, 5, lambda world, rounds, mode: points.measure(world, rounds, 1, mode)),
    "pool": Section(
        pooling.POOL_KEYS, 3, lambda world, rounds, mode: pooling.measure_pool(world, rounds, 4, mode)
    ),
    "rows": Section(rows.KEYS, 4, rows.measure),
    "connects": Section(
        connects.KEYS, 3, lambda world, rounds, mode: connects.measure(world, rounds, 1.5, mode)
    ),
    "workers": Section(
        pooling.WORKER_KEYS, 5, lambda world, rounds, mode: pooling.measure_workers(world, rounds, 1, mode)
    ),
    "idle": Section(idle.KEYS, 1, lambda world, _, mode: idle.measure(world, 12, mode)),
}


async def main(arguments: argparse.Namespace) -> int:
    """Measure and print the JSON line."""
    started = time.monotonic()
    mode = PoolMode(arguments.pool_mode)
    figures: dict[str, object] = {}
    details: dict[str, object] = {}
    async with world() as built:
        version = built.local.server.version
        for name in arguments.only or SECTIONS:
            section = SECTIONS[name]
            began = time.monotonic()
            try:
                found = await section.measure(built, arguments.rounds or section.rounds, mode)
            except RuntimeError as error:
                found = dict.fromkeys(section.keys) | {"detail": {"failed": str(error)}}
            details[name] = found.pop("detail")
            figures |= found
            say(f"{name}: {time.monotonic() - began:.0f} s, {json.dumps(found)}")
    report = {
        **figures,
        "targets_met": {key: met(TARGETS, key, value) for key, value in figures.items()},
        "details": details,
        "pool_mode": mode,
        "compiled": compiled(),
        "durability": DURABILITY,
        "mysql": version,
        "cores": os.cpu_count(),
        "seconds": round(time.monotonic() - started),
    }
    print(json.dumps(report))
    return 0


def compiled() -> bool:
    """Whether the workers run compiled: they look for it as this process did."""
    files = [str(importlib.import_module(name).__file__) for name in COMPILED_MODULES]
    return all(file.endswith(tuple(EXTENSION_SUFFIXES)) for file in files)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.proxy", description=__doc__)
    parser.add_argument(
        "--only", action="append", choices=SECTIONS, help="measure this section; may be repeated"
    )
    parser.add_argument("--rounds", type=int, help="rounds of each section (default: its own number)")
    parser.add_argument("--pool-mode", choices=list(PoolMode), default=PoolMode.TRANSACTION.value)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(asyncio.run(main(parse())))
