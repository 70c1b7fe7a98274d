"""I measure cut-overs, and whether the log is caught up with, while clients work at the same tables.

A small table is cut over and reverted again and again under the steady load, while two clients beside it
measure the longest pause. Then oltp_write_only at full speed shows whether the log is caught up with, and
whether the tables are the same, row by row.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import statistics
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bench.rebuild import SCHEMA, Size, settle
from bench.report import say
from bench.steady import CLIENTS, LARGE, ON_LARGE, Stage, running_stage
from conf.settings import ThrottleSettings
from migrator.engine.migration import OnlineAlter
from migrator.throttle.throttler import Throttle
from router.database import Connection
from router.errors import DatabaseError
from router.model import Server

WRITE_ONLY: Final = "oltp_write_only"
CUTOVERS: Final = int(os.environ.get("HEADGATE_BENCH_CUTOVERS", "100"))
BACKLOG_S: Final = 10.0
SMALL: Final = Size("sbtest2", 20_000, 1)


@dataclass
class Pauses:
    """What a client beside the load has felt: its statements' times, and what it was refused."""

    longest_ms: float = 0.0
    statements: int = 0
    errors: list[str] = field(default_factory=list)


async def measure(folder: Path) -> dict[str, object]:
    """Return the figures by the names that bench.migrator has targets for, with what is behind them."""
    async with running_stage(folder) as stage:
        swaps, swap_detail = await _swaps(stage)
        behind, behind_detail = await _behind(stage)
    figures: dict[str, object] = {**swaps, **behind}
    figures["detail"] = {"swaps": swap_detail, "behind": behind_detail}
    return figures


async def _swaps(stage: Stage) -> tuple[dict[str, object], object]:
    """Cut over and revert a small table again and again, under the load and under two clients of its own."""
    await _make_small(stage.local.server)
    stop = asyncio.Event()
    pauses = [Pauses(), Pauses()]
    probes = [
        asyncio.ensure_future(_probe(stage, pause, number, stop)) for number, pause in enumerate(pauses)
    ]
    load = asyncio.ensure_future(_until(stop, stage))
    locks: list[float] = []
    reverts: list[float] = []
    attempts: list[int] = []
    started = time.monotonic()
    try:
        for number in range(CUTOVERS):
            for one in (*probes, load):
                if one.done():
                    await one
            operation = await stage.operation(
                f"swap-{number}", SMALL, Throttle(ThrottleSettings(enabled=False))
            )
            await operation.prepare()
            swapped = await operation.cut_over()
            began = time.monotonic()
            back = await operation.revert()
            reverts.append((time.monotonic() - began) * 1000)
            locks += [swapped.lock_ms, back.lock_ms]
            attempts += [swapped.attempts, back.attempts]
            await operation.finalize()
            await operation.close()
    finally:
        stop.set()
        await asyncio.gather(*probes, load)
    report: dict[str, object] = {
        "cutover_longest_pause_ms": round(max(pause.longest_ms for pause in pauses), 1),
        "cutover_errors": float(sum(len(pause.errors) for pause in pauses)),
        "revert_ms": round(max(reverts), 1),
    }
    say(f"swaps: {report}")
    return report, {
        "cutovers": CUTOVERS,
        "seconds": round(time.monotonic() - started),
        "statements": sum(pause.statements for pause in pauses),
        "longest_lock_ms": round(max(locks), 1),
        "median_lock_ms": round(statistics.median(locks), 1),
        "median_revert_ms": round(statistics.median(reverts), 1),
        "attempts_max": max(attempts),
        "errors": [error for pause in pauses for error in pause.errors][:5],
    }


async def _make_small(server: Server) -> None:
    async with await Connection.open(server, database=SCHEMA) as connection:
        await connection.execute(f"CREATE TABLE {SMALL.table} LIKE {LARGE.table}")
        await connection.execute(
            f"INSERT INTO {SMALL.table} SELECT * FROM {LARGE.table} ORDER BY id LIMIT {SMALL.rows}"
        )
        await connection.execute(f"ANALYZE TABLE {SMALL.table}")


async def _until(stop: asyncio.Event, stage: Stage) -> None:
    while not stop.is_set():
        await stage.load(10)


async def _probe(stage: Stage, pauses: Pauses, number: int, stop: asyncio.Event) -> None:
    """Be an application on the table that is swapped: one transaction after another, each timed."""
    async with await Connection.open(stage.client, database=SCHEMA) as client:
        for turn in itertools.count():
            if stop.is_set():
                return
            row = 1 + (turn * 37 + number * 11) % SMALL.rows
            began = time.monotonic()
            try:
                if number:
                    await client.fetch_all(f"SELECT k FROM {SMALL.table} WHERE id = {row}")
                else:
                    await client.execute(f"UPDATE {SMALL.table} SET k = k + 1 WHERE id = {row}")
            except DatabaseError as error:
                pauses.errors.append(str(error))
            pauses.longest_ms = max(pauses.longest_ms, (time.monotonic() - began) * 1000)
            pauses.statements += 1
            await asyncio.sleep(0.002)


async def _behind(stage: Stage) -> tuple[dict[str, object], object]:
    """Rebuild under oltp_write_only at full speed; look whether the log is caught up with and nothing lost.

    The engine is stopped for a while under the load and started again. If it catches up after `t` more
    seconds, it wrote the changes of `BACKLOG_S + t` seconds in `t`.
    """
    await settle(stage.local.server)
    stop = asyncio.Event()

    async def load() -> float:
        rates = []
        while not stop.is_set():
            figures = await stage.sysbench.run(WRITE_ONLY, stage.way, *ON_LARGE, clients=CLIENTS, seconds=10)
            rates.append(figures.queries_per_s * 4 / 6)  # of six statements, two begin and commit
        return statistics.median(rates)

    writing = asyncio.ensure_future(load())
    started = time.monotonic()
    throttle = Throttle(ThrottleSettings(enabled=False))
    operation = await stage.operation("behind", LARGE, throttle)
    await operation.prepare()
    prepared_s = time.monotonic() - started
    await operation.close()
    await asyncio.sleep(BACKLOG_S)
    began = time.monotonic()
    operation = await stage.operation("behind", LARGE, throttle)
    await operation.prepare()
    await _caught_up(operation)
    caught_s = time.monotonic() - began
    await operation.cut_over()
    finished_s = time.monotonic() - started
    stop.set()
    changes_per_s = await writing
    await _caught_up(operation)
    exact = await _same(stage.local.server)
    await operation.finalize()
    await operation.close()
    report: dict[str, object] = {
        "under_load_row_exact": float(exact),
        "catch_up_ratio": round((BACKLOG_S + caught_s) / caught_s, 2),
    }
    say(f"behind: {report}")
    return report, {
        "changes_per_s": round(changes_per_s),
        "prepared_s": round(prepared_s, 1),
        "finished_s": round(finished_s, 1),
        "caught_up_s": round(caught_s, 2),
    }


async def _caught_up(operation: OnlineAlter) -> None:
    """Return when the follower is no more than a moment behind the server."""
    while True:
        follower = operation._must_follow()
        began = time.monotonic()
        await follower.catch_up()
        await follower.flush()
        if time.monotonic() - began < 0.5:
            return


async def _same(server: Server) -> bool:
    """Whether the table in use and the one that was kept current hold the same rows; nobody writes now."""
    async with await Connection.open(server, database=SCHEMA) as connection:
        names = [str(row[0]) for row in await connection.fetch_all("SHOW TABLES")]
        kept = [name for name in names if name.startswith(f"{LARGE.table}__hg") and name.endswith("_old")]
        sums = [
            row[1]
            for name in (LARGE.table, *kept)
            for row in await connection.fetch_all(f"CHECKSUM TABLE {name}")
        ]
    return len(sums) == 2 and sums[0] == sums[1] and sums[0] is not None
