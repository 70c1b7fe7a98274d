"""I run the proxies that are compared, each as one process: haproxy in TCP mode, MySQL Router, Headgate."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from control.certificate import ensure_certificate
from proxy.wire.auth import sha2_verifier
from router.model import Account, Branch, PoolMode, Role, Server, User
from router.servers.programs import find_program, launch
from tests.support.proxy import Proxy, running_proxy
from tests.support.servers import free_port

DIRECT, HAPROXY, ROUTER, HEADGATE = "direct", "haproxy", "router", "headgate"

SCHEMA: Final = "sbtest"
DATABASE: Final = "bench"
ACCOUNT: Final = Account("bench", "a password for one benchmark")
CLIENTS_MAX: Final = 10_000

HAPROXY_CONFIG = """\
global
    nbthread {threads}
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

# Passing TLS through and ending it are two ways to use Router; one thread serves both.
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
[routing:plain]
bind_address=127.0.0.1
bind_port={port}
destinations=127.0.0.1:{server_port}
routing_strategy=first-available
protocol=classic
client_ssl_mode=PASSTHROUGH
server_ssl_mode=AS_CLIENT
[routing:tls]
bind_address=127.0.0.1
bind_port={tls_port}
destinations=127.0.0.1:{server_port}
routing_strategy=first-available
protocol=classic
client_ssl_mode=PREFERRED
client_ssl_cert={certificate}
client_ssl_key={key}
server_ssl_mode=DISABLED
"""


@dataclass(frozen=True, slots=True)
class Way:
    """One way to the server: the port to connect to, and the proxy's processes in between."""

    name: str
    port: int
    pids: tuple[int, ...] = ()
    tls_port: int = 0

    def cpu_s(self) -> float:
        """Return the CPU time its processes have used so far, all threads together."""
        return sum(cpu_s(pid) for pid in self.pids)


@dataclass(frozen=True, slots=True)
class Certificate:
    """The files of the certificate that every way shows."""

    certificate: Path
    key: Path


def cpu_s(pid: int) -> float:
    """Return the user and system time of a process so far, to the nanosecond (proc(5), schedstat)."""
    return (
        sum(int(task.read_text().split()[0]) for task in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9
    )


def resident_kib(pid: int) -> int:
    """Return how much memory of a process is resident."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


def open_files(pid: int) -> int:
    """Return how many descriptors a process has open."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def clients_of(pid: int, port: int) -> int:
    """Return how many clients are connected to a port of a process."""
    return _sockets(pid, lambda local, _: local == port)


def remote_connections(pid: int, port: int) -> int:
    """Return how many connections a process has to a port of somebody else."""
    return _sockets(pid, lambda _, remote: remote == port)


def _sockets(pid: int, wanted: Callable[[int, int], bool]) -> int:
    """Count a process's TCP connections by their local and remote port (proc(5), net/tcp)."""
    connected = ("01", "08")  # established, and those whose other end has closed
    inodes = set()
    for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]:
        row = line.split()
        local, remote = (int(address.rpartition(":")[2], 16) for address in row[1:3])
        if row[3] in connected and wanted(local, remote):
            inodes.add(row[9])
    count = 0
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            count += str(entry.readlink()).removeprefix("socket:[").removesuffix("]") in inodes
    return count


@contextlib.asynccontextmanager
async def haproxy(root: Path, folder: Path, server_port: int, *, threads: int = 1) -> AsyncIterator[Way]:
    """Run haproxy, which copies bytes and looks at nothing."""
    port = free_port()
    config = folder / f"haproxy-{threads}.cfg"
    config.write_text(HAPROXY_CONFIG.format(port=port, server_port=server_port, threads=threads))
    argv = [*launch(root, find_program(root, "haproxy")), "-db", "-f", str(config)]
    async with _running(HAPROXY, argv, port) as pid:
        yield Way(HAPROXY, port, (pid,))


@contextlib.asynccontextmanager
async def router(root: Path, folder: Path, server_port: int, shown: Certificate) -> AsyncIterator[Way]:
    """Run MySQL Router: one port that passes TLS through, one that ends it."""
    port, tls_port = free_port(), free_port()
    work = folder / "router"
    work.mkdir()
    config = work / "router.conf"
    plugins = root / "usr/lib/mysqlrouter/plugin"
    config.write_text(
        ROUTER_CONFIG.format(
            plugins=plugins,
            folder=work,
            port=port,
            tls_port=tls_port,
            server_port=server_port,
            certificate=shown.certificate,
            key=shown.key,
        )
    )
    argv = launch(root, find_program(root, "mysqlrouter"))
    if "--library-path" in argv:
        # Router keeps its libraries where only its own installation would look.
        at = argv.index("--library-path") + 1
        argv[at] = ":".join([str(root / "usr/lib/mysql-router"), str(plugins), argv[at]])
    async with _running(ROUTER, [*argv, "-c", str(config)], port) as pid:
        yield Way(ROUTER, port, (pid,), tls_port)


@contextlib.asynccontextmanager
async def headgate(
    folder: Path,
    server: Server,
    shown: Certificate,
    *,
    workers: int = 1,
    pool_mode: PoolMode = PoolMode.TRANSACTION,
    backends: int = 100,
    settings: Mapping[str, str] | None = None,
) -> AsyncIterator[tuple[Way, Proxy]]:
    """Run workers with one safe production branch: guard, tracking, statistics and pooling are on."""
    user = User(ACCOUNT.user, sha2_verifier(ACCOUNT.password), DATABASE, None, Role.READWRITER)
    branch = Branch(DATABASE, "main", SCHEMA, True, True, False, server, pool_mode)
    environment = {
        "HEADGATE_LOG_LEVEL": "warning",
        "HEADGATE_PROXY_MAX_CONNECTIONS": str(CLIENTS_MAX),
        "HEADGATE_PROXY_MAX_USER_CONNECTIONS": str(CLIENTS_MAX),
        "HEADGATE_PROXY_MAX_BACKEND_CONNECTIONS": str(backends),
        "HEADGATE_PROXY_TLS_CERTIFICATE": str(shown.certificate),
        "HEADGATE_PROXY_TLS_KEY": str(shown.key),
        **(settings or {}),
    }
    async with running_proxy(folder, [branch], [user], workers=workers, environment=environment) as proxy:
        yield Way(HEADGATE, proxy.port, tuple(proxy.pids), proxy.port), proxy


def make_certificate(folder: Path) -> Certificate:
    """Make the certificate that all show, as Headgate makes one for itself."""
    ensure_certificate(folder)
    return Certificate(folder / "server.pem", folder / "server.key")


def client_context() -> ssl.SSLContext:
    """Return TLS 1.3 for a client that believes any certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@contextlib.asynccontextmanager
async def _running(name: str, argv: Sequence[str], port: int) -> AsyncIterator[int]:
    """Run a program until the end, once it listens."""
    process = await asyncio.create_subprocess_exec(
        *argv, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(15):
            while not _listens(port):
                if process.returncode is not None:
                    raise RuntimeError(f"{name} ended with {process.returncode}")
                await asyncio.sleep(0.05)
        yield process.pid
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def _listens(port: int) -> bool:
    """Whether somebody listens on a port, without connecting (a server would count that as a failure)."""
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False
