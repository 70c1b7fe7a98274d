"""I measure what a statement costs in the proxy, beside a plain TCP proxy and MySQL Router.

`python -m bench.proxy` runs sysbench's point selects (text protocol) directly, through haproxy in TCP mode,
through MySQL Router and through one Headgate worker with guard, response tracking and statistics on; all
before one MySQL server on this machine. The ways take turns within each round, so that whatever else the
machine does hurts all of them; what counts are the ratios of one round, and of those the median. CPU is the
user and system time of the proxy's process. The last line is one JSON object.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import statistics
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from proxy.wire.auth import sha2_verifier
from router.database import Connection
from router.model import Account, Address, Flavor, Server, User
from router.servers.packages import fetch
from router.servers.programs import default_cache, find_program, launch
from tests.support.proxy import production, running_proxy
from tests.support.servers import free_port, running_server, session_folder

ROUNDS = 8
SECONDS = 2
CLIENTS = (1, 8)
ROWS = 10_000
SCHEMA = "sbtest"
ACCOUNT = Account("bench", "a password for one benchmark")

CPU_VS_ROUTER_MAX = 0.95
CPU_VS_HAPROXY_MAX = 1.3

DIRECT, HAPROXY, ROUTER, HEADGATE = "direct", "haproxy", "router", "headgate"

TICK_S = 1 / os.sysconf("SC_CLK_TCK")

HAPROXY_CONFIG = """\
global
    nbthread 1
    maxconn 1000
defaults
    mode tcp
    timeout connect 5s
    timeout client 1h
    timeout server 1h
listen bench
    bind 127.0.0.1:{port}
    server production 127.0.0.1:{server_port}
"""

ROUTER_CONFIG = """\
[DEFAULT]
plugin_folder={plugins}
logging_folder={folder}
runtime_folder={folder}
data_folder={folder}
[logger]
level=warning
[io]
threads=1
[routing:bench]
bind_address=127.0.0.1
bind_port={port}
destinations=127.0.0.1:{server_port}
routing_strategy=first-available
protocol=classic
client_ssl_mode=PASSTHROUGH
server_ssl_mode=AS_CLIENT
"""


@dataclass(frozen=True, slots=True)
class Way:
    """One way to the server: the port to connect to, and the proxy process in between."""

    name: str
    port: int
    pid: int | None = None

    def cpu_s(self) -> float:
        """Return the CPU time its process has used so far, all threads together."""
        if self.pid is None:
            return 0.0
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) * TICK_S


@dataclass(frozen=True, slots=True)
class Sample:
    """One run of sysbench one way."""

    queries_per_s: float
    p95_ms: float
    cpu_us: float


@dataclass(slots=True)
class Results:
    """All samples: by way and number of clients, one for each round."""

    samples: dict[tuple[str, int], list[Sample]] = field(default_factory=dict)

    def add(self, way: Way, clients: int, sample: Sample) -> None:
        """Keep a sample."""
        self.samples.setdefault((way.name, clients), []).append(sample)

    def median(self, way: str, clients: int, what: str) -> float:
        """Return the median of one figure over the rounds."""
        return statistics.median(float(getattr(sample, what)) for sample in self.samples[way, clients])

    def ratio(self, way: str, other: str, clients: int, what: str) -> float:
        """Return the median of the rounds' ratios of one figure between two ways."""
        pairs = zip(self.samples[way, clients], self.samples[other, clients], strict=True)
        return statistics.median(float(getattr(ours, what) / getattr(theirs, what)) for ours, theirs in pairs)


async def main() -> int:
    """Measure, print a table and the JSON line."""
    started = time.monotonic()
    cache = default_cache()
    sysbench, haproxy, router = [
        await fetch(name, [name], suite, cache)
        for name, suite in (("sysbench", "bookworm"), ("haproxy", "bookworm"), ("mysql-router", "sid"))
    ]
    results = Results()
    with session_folder() as folder:
        async with contextlib.AsyncExitStack() as stack:
            local = await stack.enter_async_context(
                running_server(Flavor.MYSQL, folder / "mysql", port=free_port())
            )
            port = local.server.address.port
            await _prepare(local.server, sysbench)
            # By TCP, as the others connect; the socket of an embedded server would cost less.
            server = Server(Flavor.MYSQL, local.server.version, Address("127.0.0.1", port), ACCOUNT)
            ways = [
                Way(DIRECT, port),
                await stack.enter_async_context(_haproxy(haproxy, folder, port)),
                await stack.enter_async_context(_router(router, folder, port)),
                await stack.enter_async_context(_headgate(folder, server)),
            ]
            for number in range(ROUNDS):
                for clients in CLIENTS:
                    for way in ways[number % len(ways) :] + ways[: number % len(ways)]:
                        results.add(way, clients, await _sample(sysbench, way, clients))
                print(f"round {number + 1} of {ROUNDS} done", file=sys.stderr)
    _print_table(results)
    report = _report(results)
    report["mysql"] = local.server.version
    report["seconds"] = round(time.monotonic() - started)
    print(json.dumps(report))
    return 0


async def _prepare(server: Server, sysbench: Path) -> None:
    async with await Connection.open(server) as connection:
        await connection.execute(f"CREATE DATABASE {SCHEMA}")
        await connection.execute(f"CREATE USER {ACCOUNT.user} IDENTIFIED BY %s", ACCOUNT.password)
        await connection.execute(f"GRANT ALL ON {SCHEMA}.* TO {ACCOUNT.user}")
    await _sysbench(sysbench, "prepare", server.address.port, f"--table-size={ROWS}", "--tables=1")


async def _sample(sysbench: Path, way: Way, clients: int) -> Sample:
    before = way.cpu_s()
    output = await _sysbench(
        sysbench, "run", way.port, f"--table-size={ROWS}", f"--threads={clients}", f"--time={SECONDS}"
    )
    cpu_s = way.cpu_s() - before
    total, rate = re.findall(r"queries:\s+(\d+)\s+\(([\d.]+) per sec", output)[0]
    p95 = re.findall(r"95th percentile:\s+([\d.]+)", output)[0]
    return Sample(float(rate), float(p95), cpu_s * 1e6 / int(total))


async def _sysbench(root: Path, verb: str, port: int, *options: str) -> str:
    scripts = root / "usr/share/sysbench"
    plugins = next(root.glob("usr/lib/*/libmariadb3/plugin"))
    argv = [
        *launch(root, find_program(root, "sysbench")),
        str(scripts / "oltp_point_select.lua"),
        "--db-driver=mysql",
        "--db-ps-mode=disable",
        "--mysql-host=127.0.0.1",
        f"--mysql-port={port}",
        f"--mysql-user={ACCOUNT.user}",
        f"--mysql-password={ACCOUNT.password}",
        f"--mysql-db={SCHEMA}",
        *options,
        verb,
    ]
    environment = {"LUA_PATH": f"{scripts}/?.lua;;", "MARIADB_PLUGIN_DIR": str(plugins)}
    process = await asyncio.create_subprocess_exec(
        *argv,
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"sysbench {verb} failed: {output.decode(errors='replace')[-2000:]}")
    return output.decode()


@contextlib.asynccontextmanager
async def _haproxy(root: Path, folder: Path, server_port: int) -> AsyncIterator[Way]:
    port = free_port()
    config = folder / "haproxy.cfg"
    config.write_text(HAPROXY_CONFIG.format(port=port, server_port=server_port))
    argv = [*launch(root, find_program(root, "haproxy")), "-db", "-f", str(config)]
    async with _running(HAPROXY, argv, port) as way:
        yield way


@contextlib.asynccontextmanager
async def _router(root: Path, folder: Path, server_port: int) -> AsyncIterator[Way]:
    port = free_port()
    work = folder / "router"
    work.mkdir()
    config = work / "router.conf"
    plugins = root / "usr/lib/mysqlrouter/plugin"
    config.write_text(ROUTER_CONFIG.format(plugins=plugins, folder=work, port=port, server_port=server_port))
    program, loader = find_program(root, "mysqlrouter"), None
    argv = launch(root, program)
    at = argv.index("--library-path") + 1 if "--library-path" in argv else loader
    if at is not None:
        # Router keeps its libraries where only its own installation would look.
        argv[at] = ":".join([str(root / "usr/lib/mysql-router"), str(plugins), argv[at]])
    async with _running(ROUTER, [*argv, "-c", str(config)], port) as way:
        yield way


@contextlib.asynccontextmanager
async def _headgate(folder: Path, server: Server) -> AsyncIterator[Way]:
    user = User(ACCOUNT.user, sha2_verifier(ACCOUNT.password), "bench")
    branch = production(server, SCHEMA, database="bench")
    quiet = {"HEADGATE_LOG_LEVEL": "warning"}
    async with running_proxy(folder / "headgate", [branch], [user], environment=quiet) as proxy:
        yield Way(HEADGATE, proxy.port, proxy.pids[0])


@contextlib.asynccontextmanager
async def _running(name: str, argv: Sequence[str], port: int) -> AsyncIterator[Way]:
    """Run a program until the end, once it listens."""
    process = await asyncio.create_subprocess_exec(
        *argv, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(15):
            while True:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    break
                if process.returncode is not None:
                    raise RuntimeError(f"{name} ended with {process.returncode}")
                await asyncio.sleep(0.05)
        yield Way(name, port, process.pid)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def _rows(results: Results) -> Iterator[tuple[str, int, float, float, float]]:
    for clients in CLIENTS:
        for way in (DIRECT, HAPROXY, ROUTER, HEADGATE):
            figures = (results.median(way, clients, what) for what in ("cpu_us", "queries_per_s", "p95_ms"))
            yield way, clients, *figures  # type: ignore[misc]


def _print_table(results: Results) -> None:
    print(f"{'way':<10}{'clients':>8}{'CPU µs/query':>14}{'queries/s':>12}{'p95 ms':>9}")
    for way, clients, cpu, rate, p95 in _rows(results):
        print(f"{way:<10}{clients:>8}{cpu:>14.1f}{rate:>12.0f}{p95:>9.2f}")


def _report(results: Results) -> dict[str, object]:
    def worst_cpu(other: str) -> float:
        return max(results.ratio(HEADGATE, other, clients, "cpu_us") for clients in CLIENTS)

    def worst_rate(other: str) -> float:
        return min(results.ratio(HEADGATE, other, clients, "queries_per_s") for clients in CLIENTS)

    def cpu_by_clients(way: str) -> Mapping[str, float]:
        return {str(clients): round(results.median(way, clients, "cpu_us"), 1) for clients in CLIENTS}

    vs_router, vs_haproxy = round(worst_cpu(ROUTER), 3), round(worst_cpu(HAPROXY), 3)
    return {
        "cpu_vs_router": vs_router,
        "cpu_vs_haproxy": vs_haproxy,
        "throughput_vs_direct": round(worst_rate(DIRECT), 3),
        "throughput_vs_haproxy": round(worst_rate(HAPROXY), 3),
        "throughput_vs_router": round(worst_rate(ROUTER), 3),
        "cpu_us_per_query": {way: cpu_by_clients(way) for way in (HAPROXY, ROUTER, HEADGATE)},
        "targets_met": vs_router <= CPU_VS_ROUTER_MAX and vs_haproxy <= CPU_VS_HAPROXY_MAX,
        "rounds": ROUNDS,
    }


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
