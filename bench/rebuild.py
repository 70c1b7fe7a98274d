"""I measure how long a whole rebuild of a table takes: ours beside native ALTER and pt-online-schema-change.

One million and five million of sysbench's rows on an idle MySQL, the throttle off, every way in turn, the
order of the ways moving on by one each round. Ours runs in a process of its own, as in production, so that
its memory is the engine's alone; its time is from the first look to the finished cut-over, verification
included. What counts are the ratios of one round, and of those the median.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.report import say
from bench.rounds import Rounds, turns
from conf.settings import MigratorSettings, ThrottleSettings
from migrator.engine.migration import OnlineAlter
from migrator.throttle.throttler import Throttle
from router.database import Connection
from router.errors import ServerNotFound
from router.model import Server
from router.servers.packages import fetch
from router.servers.process import LocalServer
from router.servers.programs import default_cache, find_program, launch
from tests.support.servers import ADMIN

SCHEMA: Final = "sbtest"
NATIVE, OURS, PTOSC = "native", "headgate", "pt-osc"
MILLION: Final = 1_000_000

DIGITS: Final = "LPAD(FLOOR(RAND() * 1e11), 11, '0')"


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """How one rebuild by the engine went; the copy's seconds are part of the total's."""

    copy_s: float
    total_s: float
    rss_mib: float


@dataclass(frozen=True, slots=True)
class Size:
    """One of the tables that are rebuilt."""

    table: str
    rows: int
    rounds: int


SIZES: Final = (Size("sbtest1", MILLION, 3), Size("sbtest5", 5 * MILLION, 2))


class NoGate:
    """No application, nothing to hold."""

    async def close(self, tables: object) -> bool:
        """Do nothing."""
        return True

    async def open(self) -> None:
        """Do nothing."""


async def measure(local: LocalServer, sizes: Sequence[Size] = SIZES) -> dict[str, object]:
    """Return copy_vs_native, copy_vs_ptosc, row_cost_growth, migrator_rss_mib and the figures behind them."""
    server = local.server
    say("filling the tables")
    await fill(server, sizes)
    pt_osc = await PtOsc.find()
    rounds = Rounds()
    for size in sizes:
        for number in range(size.rounds):
            for way in turns([NATIVE, OURS, *([PTOSC] if pt_osc else [])], number):
                await settle(server)
                figures = await _rebuild(way, local, size, pt_osc, f"bench-{size.table}-{number}")
                rounds.add(size.table, way, figures)
                say(f"{size.rows:,} rows, round {number + 1}: {way}: {figures}")
    vs_native = rounds.ratios(OURS, NATIVE, "total_s")
    vs_ptosc = rounds.ratios(OURS, PTOSC, "total_s")
    medians = rounds.medians()
    cost = {size.table: medians[size.table][OURS]["total_s"] / size.rows for size in sizes}
    report: dict[str, object] = {
        "copy_vs_native": round(max(vs_native.values()), 3),
        "copy_vs_ptosc": round(max(vs_ptosc.values()), 3) if vs_ptosc else None,
        "row_cost_growth": round(cost[sizes[-1].table] / cost[sizes[0].table], 3),
        "migrator_rss_mib": max(row["rss_mib"] for row in rounds.samples[sizes[-1].table, OURS]),
        "detail": {
            "copy_vs_native": vs_native,
            "copy_alone_vs_native": {
                size.table: round(
                    statistics.median(
                        ours["copy_s"] / native["total_s"]
                        for ours, native in zip(
                            rounds.samples[size.table, OURS], rounds.samples[size.table, NATIVE], strict=True
                        )
                    ),
                    3,
                )
                for size in sizes
            },
            "copy_vs_ptosc": vs_ptosc,
            "medians": medians,
        },
    }
    return report


async def fill(server: Server, sizes: Sequence[Size]) -> None:
    """Make the tables and their rows, inside the server: the first by random, the others from it."""
    async with await Connection.open(server) as connection:
        await connection.execute(f"CREATE DATABASE {SCHEMA}")
        await connection.execute("SET SESSION cte_max_recursion_depth = 100000000")
        first = sizes[0]
        for size in sizes:
            await connection.execute(
                f"CREATE TABLE {SCHEMA}.{size.table} (id INT NOT NULL AUTO_INCREMENT, k INT NOT NULL "
                "DEFAULT 0, c CHAR(120) NOT NULL DEFAULT '', pad CHAR(60) NOT NULL DEFAULT '', "
                "PRIMARY KEY (id), KEY k_1 (k))"
            )
        c, pad = (f"CONCAT_WS('-', {', '.join([DIGITS] * n)})" for n in (10, 5))
        step = 100_000
        for start in range(0, first.rows, step):
            await connection.execute(
                f"INSERT INTO {SCHEMA}.{first.table} (k, c, pad) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL "
                f"SELECT i + 1 FROM n WHERE i < {min(step, first.rows - start)}) "
                f"SELECT FLOOR(RAND() * {first.rows}), {c}, {pad} FROM n"
            )
        for size in sizes[1:]:
            for _ in range(size.rows // first.rows):
                await connection.execute(
                    f"INSERT INTO {SCHEMA}.{size.table} (k, c, pad) "
                    f"SELECT k, c, pad FROM {SCHEMA}.{first.table}"
                )
        for size in sizes:
            await connection.execute(f"ANALYZE TABLE {SCHEMA}.{size.table}")


async def settle(server: Server) -> None:
    """Let the server write down what the last way left, so that the next does not pay for it."""
    async with await Connection.open(server) as connection:
        await connection.execute("FLUSH BINARY LOGS")
        name = (await connection.fetch_all("SHOW BINARY LOGS"))[-1][0]
        await connection.execute(f"PURGE BINARY LOGS TO '{name}'")
        await connection.execute("SET GLOBAL innodb_max_dirty_pages_pct = 0")
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            row = await connection.fetch_one("SHOW GLOBAL STATUS LIKE 'Innodb_buffer_pool_pages_dirty'")
            if row is None or int(row[1]) < 200:
                break
            await asyncio.sleep(0.1)
        await connection.execute("SET GLOBAL innodb_max_dirty_pages_pct = 90")


async def _rebuild(
    way: str, local: LocalServer, size: Size, pt_osc: PtOsc | None, operation: str
) -> dict[str, float]:
    if way == NATIVE:
        return {"total_s": await native(local.server, size.table)}
    if way == PTOSC:
        assert pt_osc is not None
        return {"total_s": await pt_osc.rebuild(local, size.table)}
    rebuilt = await ours(local.server, size.table, operation)
    return {
        "copy_s": round(rebuilt.copy_s, 3),
        "total_s": round(rebuilt.total_s, 3),
        "rss_mib": rebuilt.rss_mib,
    }


async def native(server: Server, table: str) -> float:
    """Return the seconds of the server's own rebuild."""
    async with await Connection.open(server, database=SCHEMA) as connection:
        started = time.monotonic()
        await connection.execute(f"ALTER TABLE {table} ENGINE = InnoDB, ALGORITHM = COPY")
        return round(time.monotonic() - started, 3)


async def ours(server: Server, table: str, operation: str) -> Rebuilt:
    """Rebuild by the engine, in a process of its own."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as executor:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(executor, _run_engine, server, table, operation)


def _run_engine(server: Server, table: str, operation: str) -> Rebuilt:
    return asyncio.run(_engine(server, table, operation))


async def _engine(server: Server, table: str, identity: str) -> Rebuilt:
    async with await Connection.open(server, database=SCHEMA) as connection:
        target = str((await connection.fetch_all(f"SHOW CREATE TABLE {table}"))[0][1])
    throttle = Throttle(ThrottleSettings(enabled=False))
    operation = OnlineAlter(
        identity, server, SCHEMA, table, target, NoGate(), throttle, MigratorSettings(garbage_hold_s=0)
    )
    started = time.monotonic()
    preparing = asyncio.ensure_future(operation.prepare())
    copying_s = copied_s = 0.0
    while not preparing.done():
        activity = operation.status().activity
        now = time.monotonic()
        if activity == "copying" and not copying_s:
            copying_s = now
        elif activity not in ("copying", "preparing", "") and copying_s and not copied_s:
            copied_s = now
        await asyncio.sleep(0.01)
    await preparing
    await operation.cut_over()
    total_s = time.monotonic() - started
    await operation.finalize()
    await operation.close()
    return Rebuilt(copied_s - copying_s, total_s, _peak_mib())


def _peak_mib() -> float:
    """Return the most memory that was resident in this process so far (proc(5), VmHWM)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return round(int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) / 1024, 1)


class PtOsc:
    """Percona's tool, from its package, with the perl that comes along."""

    def __init__(self, command: list[str], plugins: str) -> None:
        self._command, self._plugins = command, plugins

    @classmethod
    async def find(cls) -> PtOsc | None:
        """Fetch it; None when it cannot run here."""
        try:
            root = await fetch("percona-toolkit", ["percona-toolkit"], "sid", default_cache())
            # Its client library looks for authentication plugins where its package would have put them.
            plugins = next(root.glob("usr/lib/*/libmariadb3/plugin"), root)
            tool = cls(launch(root, find_program(root, "pt-online-schema-change")), str(plugins))
        except ServerNotFound as error:
            say(f"pt-online-schema-change is left out: {error}")
            return None
        code, output = await tool._run("--version")
        if code != 0:
            say(f"pt-online-schema-change is left out, it does not run: {output[-500:]}")
            return None
        return tool

    async def rebuild(self, local: LocalServer, table: str) -> float:
        """Return the seconds a rebuild takes; raises RuntimeError when it fails."""
        started = time.monotonic()
        dsn = f"h=127.0.0.1,P={local.port},u={ADMIN.user},p={ADMIN.password},D={SCHEMA},t={table}"
        code, output = await self._run("--alter", "ENGINE=InnoDB", "--execute", "--no-version-check", dsn)
        if code != 0:
            raise RuntimeError(f"pt-online-schema-change failed: {output[-800:]}")
        return round(time.monotonic() - started, 3)

    async def _run(self, *args: str) -> tuple[int, str]:
        process = await asyncio.create_subprocess_exec(
            *self._command,
            *args,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, "MARIADB_PLUGIN_DIR": self._plugins},
        )
        output, _ = await process.communicate()
        return process.returncode or 0, output.decode(errors="replace")
