"""I measure what clients feel of a migration: ours beside none and beside pt-online-schema-change.

A steady oltp_read_write at half of the server's capacity runs through the proxy while a table of a million
rows is copied, the throttle on and fed by the proxy as in production; the ways take turns within each round,
and what counts are the ratios of one round. Then a smaller table is cut over and reverted again and again
under the same load, while two clients beside it measure the longest pause. Last, oltp_write_only at full
speed shows whether the log is caught up with, and whether the tables are the same, row by row.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from bench.peers import ACCOUNT, DATABASE, Way, headgate, make_certificate
from bench.rebuild import MILLION, SCHEMA, PtOsc, Size, fill, settle
from bench.report import say
from bench.rounds import turns
from bench.sysbench import READ_WRITE, Figures, Sysbench
from conf.settings import MigratorSettings, ThrottleSettings
from control.traffic import Traffic
from migrator.engine.ground.state import prepare_state
from migrator.engine.migration import OnlineAlter
from migrator.throttle.signals import TrafficSample
from migrator.throttle.throttler import Throttle
from proxy import channel
from router.database import Connection
from router.errors import DatabaseError
from router.model import Address, Flavor, Server
from router.servers.packages import fetch
from router.servers.process import LocalServer
from router.servers.programs import default_cache
from tests.support.proxy import Proxy
from tests.support.servers import free_port, running_server

WITHOUT, OURS, PTOSC = "without", "headgate", "pt-osc"
WRITE_ONLY: Final = "oltp_write_only"
CLIENTS: Final = 8
ROUNDS: Final = int(os.environ.get("HEADGATE_BENCH_ROUNDS", "3"))
WINDOW_S: Final = float(os.environ.get("HEADGATE_BENCH_WINDOW_S", "30"))
CUTOVERS: Final = int(os.environ.get("HEADGATE_BENCH_CUTOVERS", "100"))
BACKLOG_S: Final = 10.0
LARGE: Final = Size("sbtest1", int(os.environ.get("HEADGATE_BENCH_ROWS", str(MILLION))), 1)
SMALL: Final = Size("sbtest2", 20_000, 1)
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

Beside = Callable[[asyncio.Event], Awaitable[None]]
"""What runs beside the load until the event says that it is over."""


@dataclass
class Pauses:
    """What a client beside the load has felt: its statements' times, and what it was refused."""

    longest_ms: float = 0.0
    statements: int = 0
    errors: list[str] = field(default_factory=list)


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
            await asyncio.sleep(0.02)


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


async def measure(folder: Path) -> dict[str, object]:
    """Return the figures by the names that bench.migrator has targets for, with what is behind them."""
    async with _stage(folder) as stage:
        pt_osc = await PtOsc.find()
        shares, detail = await _share(stage, pt_osc)
        swaps, swap_detail = await _swaps(stage)
        behind, behind_detail = await _behind(stage)
    figures: dict[str, object] = {**shares, **swaps, **behind}
    figures["detail"] = {"share": detail, "swaps": swap_detail, "behind": behind_detail}
    return figures


@contextlib.asynccontextmanager
async def _stage(folder: Path) -> AsyncIterator[Stage]:
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


async def _share(stage: Stage, pt_osc: PtOsc | None) -> tuple[dict[str, object], object]:
    """Measure latency without a migration, with ours, and with pt-online-schema-change, in turns."""
    p95: dict[str, list[float]] = {WITHOUT: [], OURS: [], PTOSC: []}
    speeds: list[float] = []
    throttles: list[str] = []
    for number in range(ROUNDS):
        for way in turns([WITHOUT, OURS, *([PTOSC] if pt_osc else [])], number):
            await settle(stage.local.server)
            beside: Beside | None = None
            if way == OURS:
                operation = await stage.operation(f"share-{number}", LARGE, stage.throttle())
                beside = _Copying(operation, speeds, throttles)
            elif way == PTOSC and pt_osc is not None:
                beside = _rebuilding(pt_osc, stage.local)
            figures = await _loaded(stage, beside, WINDOW_S if way != PTOSC else min(WINDOW_S, 12.0))
            p95[way].append(figures.p95_ms)
            say(f"round {number + 1}: {way}: p95 {figures.p95_ms} ms, {figures.errors} errors, {speeds[-1:]}")
    ratios = [with_ / without for with_, without in zip(p95[OURS], p95[WITHOUT], strict=True)]
    theirs = [with_ / without for with_, without in zip(p95[PTOSC], p95[WITHOUT], strict=False)]
    return {
        "p95_with_migration": round(statistics.median(ratios), 3),
        "ptosc_p95_with_migration": round(statistics.median(theirs), 3) if theirs else None,
        "copy_rows_per_s_throttled": round(statistics.median(speeds)),
    }, {"p95_ms": p95, "rows_per_s": speeds, "throttle": throttles, "rate": stage.rate}


async def _loaded(stage: Stage, beside: Beside | None, seconds: float) -> Figures:
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
class _Copying:
    """Copies for as long as the load runs, then gives up and says how fast it was."""

    operation: OnlineAlter
    speeds: list[float]
    throttles: list[str]

    async def __call__(self, over: asyncio.Event) -> None:
        started = time.monotonic()
        preparing = asyncio.ensure_future(self.operation.prepare())
        copied_s, rows = 0.001, 0
        while not preparing.done() and not over.is_set():
            status = self.operation.status()
            if status.activity == "copying" or not rows:
                rows, copied_s = status.rows_copied, time.monotonic() - started
            await asyncio.sleep(0.05)
        self.speeds.append(round(rows / copied_s))
        self.throttles.append(str(self.operation.status().throttled))
        preparing.cancel()
        (outcome,) = await asyncio.gather(preparing, return_exceptions=True)
        if isinstance(outcome, Exception):
            raise outcome
        await self.operation.cancel()
        await self.operation.close()


def _rebuilding(pt_osc: PtOsc, local: LocalServer) -> Beside:
    async def rebuild(_: asyncio.Event) -> None:
        await pt_osc.rebuild(local, LARGE.table)

    return rebuild


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
