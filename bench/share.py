"""I measure what clients feel of a migration that yields to them: ours, and pt-online-schema-change's.

A table of a million rows is copied beside a steady load, the throttle on. The ways take turns within each
round, and what counts are the ratios of one round: how long statements take without any migration is itself
twice as much in one window as in another. So the processor's time of each process is told beside it, which
varies far less.
"""

from __future__ import annotations

import asyncio
import os
import resource
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.rebuild import PtOsc, settle
from bench.report import say
from bench.rounds import Figures as Row
from bench.rounds import Rounds, turns
from bench.steady import LARGE, Stage, running_stage
from bench.sysbench import Figures
from migrator.engine.migration import OnlineAlter
from migrator.throttle.ratio import WHOLE_DATABASE, Ratio

WITHOUT, FOLLOWING, OURS, PTOSC = "without", "following", "headgate", "pt-osc"
CELL: Final = "share"
# Its clients wait for minutes: that shows in a moment.
PTOSC_MAX_S: Final = 12.0
TICKS: Final = os.sysconf("SC_CLK_TCK")

Beside = Callable[[asyncio.Event], Awaitable[None]]
"""What runs beside the load until the event says that it is over."""


async def measure(folder: Path, rounds: int, window_s: float) -> dict[str, object]:
    """Return the figures by the names that bench.migrator has targets for, with what is behind them."""
    async with running_stage(folder) as stage:
        pt_osc = await PtOsc.find()
        found = Rounds()
        ways = [WITHOUT, OURS, FOLLOWING, *([PTOSC] if pt_osc else [])]
        for number in range(rounds):
            for way in turns(ways, number):
                await settle(stage.local.server)
                row = await _window(stage, way, f"share-{number}-{way}", pt_osc, window_s)
                found.add(CELL, way, row)
                say(f"round {number + 1}: {way}: {row}")
    rises = {way: found.ratios(way, WITHOUT, "p95_ms").get(CELL) for way in ways[1:]}
    base = [row["p95_ms"] for row in found.samples[CELL, WITHOUT]]
    return {
        "p95_with_migration": _rounded(rises[OURS]),
        "ptosc_p95_with_migration": _rounded(rises.get(PTOSC)),
        "copy_rows_per_s_throttled": round(found.medians()[CELL][OURS]["rows_per_s"]),
        "detail": {
            "rate": stage.rate,
            "p95_following": _rounded(rises[FOLLOWING]),
            "p95_base_ms": {"least": min(base), "median": statistics.median(base), "most": max(base)},
            "medians": found.medians()[CELL],
            "rounds": {way: found.samples[CELL, way] for way in ways},
        },
    }


def _rounded(ratio: float | None) -> float | None:
    return None if ratio is None else round(ratio, 3)


async def _window(stage: Stage, way: str, identity: str, pt_osc: PtOsc | None, window_s: float) -> Row:
    """Run the load for one window with one of the ways beside it; returns what it was like."""
    copying: Copying | None = None
    beside: Beside | None = None
    if way in (OURS, FOLLOWING):
        beside = copying = await Copying.of(stage, identity, paused=way == FOLLOWING)
    elif way == PTOSC and pt_osc is not None:
        window_s = min(window_s, PTOSC_MAX_S)
        beside = _rebuilding(pt_osc, stage)
    before = _processor_s(stage)
    started = time.monotonic()
    figures = await loaded(stage, beside, window_s)
    seconds = time.monotonic() - started
    after = _processor_s(stage)
    row = {"p95_ms": figures.p95_ms, "transactions_per_s": figures.events_per_s, "errors": figures.errors}
    row |= {f"{name}_percent": round(100 * (after[name] - before[name]) / seconds, 1) for name in after}
    if copying is not None:
        row["rows_per_s"] = copying.rows_per_s
    return row


def _processor_s(stage: Stage) -> Mapping[str, float]:
    """Return the seconds of a processor that each program has taken so far, and all that this machine has.

    The engine runs in this process; clients are children that have ended (proc(5), getrusage(2)).
    """
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    user, nice, system, _, _, irq, softirq = map(int, Path("/proc/stat").read_text().split()[1:8])
    return {
        "server": _taken_s(stage.local.pid or 0),
        "proxy": sum(map(_taken_s, stage.way.pids)),
        "engine": _taken_s(os.getpid()),
        "clients": children.ru_utime + children.ru_stime,
        "machine": (user + nice + system + irq + softirq) / TICKS,
    }


def _taken_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


async def loaded(stage: Stage, beside: Beside | None, seconds: float) -> Figures:
    """Run the load with something beside it, which is told when the load is over and ends then."""
    over = asyncio.Event()
    work = asyncio.ensure_future(beside(over)) if beside else None
    try:
        return await stage.load(seconds)
    finally:
        over.set()
        if work is not None:
            await work


@dataclass
class Copying:
    """Copies for as long as the load runs, then gives up and says how fast it was."""

    operation: OnlineAlter
    rows_per_s: float = 0.0

    @classmethod
    async def of(cls, stage: Stage, identity: str, *, paused: bool) -> Copying:
        """Return one of the large table; paused, it only follows the log."""
        throttle = stage.throttle()
        if paused:
            throttle.station.ratios.put(WHOLE_DATABASE, Ratio(paused=True))
        return cls(await stage.operation(identity, LARGE, throttle))

    async def __call__(self, over: asyncio.Event) -> None:
        """Run beside the load."""
        started = time.monotonic()
        preparing = asyncio.ensure_future(self.operation.prepare())
        copied_s, rows = 0.001, 0
        while not preparing.done() and not over.is_set():
            status = self.operation.status()
            if status.activity == "copying" or not rows:
                rows, copied_s = status.rows_copied, time.monotonic() - started
            await asyncio.sleep(0.2)
        self.rows_per_s = round(rows / copied_s)
        say(f"held: {self.operation.status().throttled}")
        preparing.cancel()
        (outcome,) = await asyncio.gather(preparing, return_exceptions=True)
        if isinstance(outcome, Exception):
            raise outcome
        await self.operation.cancel()
        await self.operation.close()


def _rebuilding(pt_osc: PtOsc, stage: Stage) -> Beside:
    async def rebuild(_: asyncio.Event) -> None:
        await pt_osc.rebuild(stage.local, LARGE.table)

    return rebuild
