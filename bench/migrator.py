"""I measure how fast a table is rebuilt: ours beside native ALTER and pt-online-schema-change.

`python -m bench.migrator` fills sysbench's table with a million rows on an idle MySQL and rebuilds it in
every way in turn, several rounds, the order of the ways moving on by one each round. Ours is measured twice
over: the copy alone, and all from the first look to the finished cut-over. What counts are the ratios of one
round, and of those the median. The last line is one JSON object.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from conf.settings import MigratorSettings, ThrottleSettings
from migrator.engine.migration import OnlineAlter
from migrator.engine.state import prepare_state
from migrator.throttle.throttler import Throttle
from router.database import Connection
from router.errors import ServerNotFound
from router.model import Flavor, Server
from router.servers.packages import fetch
from router.servers.process import LocalServer
from router.servers.programs import default_cache, find_program, launch
from tests.support.servers import ADMIN, free_port, running_server, session_folder

ROWS = int(os.environ.get("HEADGATE_BENCH_ROWS", "1000000"))
ROUNDS = int(os.environ.get("HEADGATE_BENCH_ROUNDS", "3"))
SCHEMA = "sbtest"
TABLE = "sbtest1"
COPY_VS_NATIVE_MAX = 1.3

NATIVE, OURS, PTOSC = "native", "headgate", "pt-osc"

CREATE = (
    f"CREATE TABLE {SCHEMA}.{TABLE} (id INT NOT NULL AUTO_INCREMENT, k INT NOT NULL DEFAULT 0, "
    "c CHAR(120) NOT NULL DEFAULT '', pad CHAR(60) NOT NULL DEFAULT '', PRIMARY KEY (id), KEY k_1 (k))"
)
DIGITS = "LPAD(FLOOR(RAND() * 1e11), 11, '0')"
OPTIONS = {"innodb-buffer-pool-size": "1G", "innodb-redo-log-capacity": "1G", "max-binlog-size": "1G"}


@dataclass
class Seconds:
    """What each way took, round by round."""

    copy: dict[str, list[float]] = field(default_factory=dict)
    total: dict[str, list[float]] = field(default_factory=dict)

    def add(self, way: str, copy_s: float, total_s: float) -> None:
        """Take one measurement."""
        self.copy.setdefault(way, []).append(copy_s)
        self.total.setdefault(way, []).append(total_s)

    def ratio(self, ours: list[float], way: str) -> float | None:
        """Return the median of the rounds' ratios, None when the other way was not measured."""
        theirs = self.total.get(way)
        if not theirs:
            return None
        return round(statistics.median(a / b for a, b in zip(ours, theirs, strict=True)), 3)


class Gate:
    """No application, nothing to hold."""

    async def close(self, tables: object) -> bool:
        """Do nothing."""
        return True

    async def open(self) -> None:
        """Do nothing."""


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


async def fill(server: Server) -> None:
    """Make the table and its rows, inside the server."""
    async with await Connection.open(server) as connection:
        await connection.execute(f"CREATE DATABASE {SCHEMA}")
        await connection.execute(CREATE)
        await connection.execute("SET SESSION cte_max_recursion_depth = 100000000")
        c, pad = (f"CONCAT_WS('-', {', '.join([DIGITS] * n)})" for n in (10, 5))
        step = 100_000
        for start in range(0, ROWS, step):
            await connection.execute(
                f"INSERT INTO {SCHEMA}.{TABLE} (k, c, pad) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL "
                f"SELECT i + 1 FROM n WHERE i < {min(step, ROWS - start)}) "
                f"SELECT FLOOR(RAND() * {ROWS}), {c}, {pad} FROM n"
            )
        await connection.execute(f"ANALYZE TABLE {SCHEMA}.{TABLE}")


async def settle(server: Server) -> None:
    """Let the server write down what the last way left, so that the next does not pay for it."""
    async with await Connection.open(server) as connection:
        await connection.execute("FLUSH BINARY LOGS")
        name = (await connection.fetch_all("SHOW BINARY LOGS"))[-1][0]
        await connection.execute(f"PURGE BINARY LOGS TO '{name}'")
        await connection.execute("SET GLOBAL innodb_max_dirty_pages_pct = 0")
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            row = await connection.fetch_one("SHOW GLOBAL STATUS LIKE 'Innodb_buffer_pool_pages_dirty'")
            if row is None or int(row[1]) < 200:
                break
            await asyncio.sleep(0.1)
        await connection.execute("SET GLOBAL innodb_max_dirty_pages_pct = 90")


async def native(server: Server) -> float:
    async with await Connection.open(server, database=SCHEMA) as connection:
        started = time.monotonic()
        await connection.execute(f"ALTER TABLE {TABLE} ENGINE = InnoDB, ALGORITHM = COPY")
        return time.monotonic() - started


async def ours(server: Server, number: int) -> tuple[float, float]:
    """Return the seconds of the copy and of everything."""
    async with await Connection.open(server, database=SCHEMA) as connection:
        target = str((await connection.fetch_all(f"SHOW CREATE TABLE {TABLE}"))[0][1])
    throttle = Throttle(ThrottleSettings(enabled=False))
    operation = OnlineAlter(
        f"bench-{number}", server, SCHEMA, TABLE, target, Gate(), throttle, MigratorSettings()
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
        await asyncio.sleep(0.005)
    await preparing
    await operation.cut_over()
    total_s = time.monotonic() - started
    await operation.finalize()
    await operation.close()
    return copied_s - copying_s, total_s


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

    async def rebuild(self, local: LocalServer) -> float | None:
        """Return the seconds a rebuild takes, None when it fails."""
        started = time.monotonic()
        dsn = f"h=127.0.0.1,P={local.port},u={ADMIN.user},p={ADMIN.password},D={SCHEMA},t={TABLE}"
        code, output = await self._run("--alter", "ENGINE=InnoDB", "--execute", "--no-version-check", dsn)
        if code != 0:
            say(f"pt-online-schema-change failed: {output[-800:]}")
            return None
        return time.monotonic() - started

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


async def measure(local: LocalServer, folder: Path) -> Seconds:
    server = local.server
    await prepare_state(server)
    say(f"filling {ROWS:,} rows in {folder}")
    await fill(server)
    pt_osc = await PtOsc.find()
    ways = [NATIVE, OURS, *([PTOSC] if pt_osc else [])]
    seconds = Seconds()
    for number in range(ROUNDS):
        turn = number % len(ways)
        for way in ways[turn:] + ways[:turn]:
            await settle(server)
            if way == NATIVE:
                took = await native(server)
                seconds.add(way, took, took)
            elif way == OURS:
                seconds.add(way, *(await ours(server, number)))
            elif pt_osc is not None:
                their_s = await pt_osc.rebuild(local)
                if their_s is None:
                    pt_osc = None
                    seconds.total.pop(PTOSC, None)
                    continue
                seconds.add(way, their_s, their_s)
            copy_s, total_s = seconds.copy[way][-1], seconds.total[way][-1]
            say(f"round {number + 1}: {way}: {copy_s:.2f} s, in all {total_s:.2f} s")
    return seconds


async def main() -> None:
    with session_folder() as folder:
        async with running_server(Flavor.MYSQL, folder / "bench", port=free_port(), options=OPTIONS) as local:
            seconds = await measure(local, folder)
    copy, total = seconds.copy[OURS], seconds.total[OURS]
    ratio = seconds.ratio(copy, NATIVE)
    result: dict[str, object] = {
        "rows": ROWS,
        "rounds": ROUNDS,
        "native_s": round(statistics.median(seconds.total[NATIVE]), 2),
        "copy_s": round(statistics.median(copy), 2),
        "total_s": round(statistics.median(total), 2),
        "copy_vs_native": ratio,
        "total_vs_native": seconds.ratio(total, NATIVE),
        "rows_per_s": round(ROWS / statistics.median(copy)),
        "held": ratio is not None and ratio <= COPY_VS_NATIVE_MAX,
    }
    if PTOSC in seconds.total and len(seconds.total[PTOSC]) == len(copy):
        result["copy_vs_ptosc"] = seconds.ratio(copy, PTOSC)
        result["ptosc_s"] = round(statistics.median(seconds.total[PTOSC]), 2)
    print(json.dumps(result))
    if not result["held"]:
        sys.exit(1)


if __name__ == "__main__":
    asyncio.run(main())
