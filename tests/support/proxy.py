"""I run real proxy workers in front of real servers, for tests and benchmarks."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from conf.settings import ProxySettings, run_dir
from control.certificate import ensure_certificate, ensure_password_key
from control.production import greeting
from proxy import channel
from proxy.credentials import PASSWORD_KEY
from proxy.wire.auth import PasswordKey, sha2_verifier
from router.model import Branch, Server, User
from tests.support.channel import Control, listening
from tests.support.servers import until

PASSWORD = "a long random secret of an application"


@functools.cache
def password_key_pem() -> bytes:
    """The key that passwords are hidden with from every proxy of this session."""
    with tempfile.TemporaryDirectory() as folder:
        return ensure_password_key(Path(folder)).read_bytes()


@functools.cache
def public_key_pem() -> bytes:
    """The half of it that clients have."""
    return PasswordKey(password_key_pem()).public_pem


@dataclass
class Proxy:
    """A running proxy: where to connect, and the strings to pull."""

    port: int
    control: Control
    processes: list[asyncio.subprocess.Process] = field(default_factory=list)
    start: Callable[[int], Awaitable[asyncio.subprocess.Process]] | None = None

    @property
    def pids(self) -> list[int]:
        """The workers' process ids."""
        return [process.pid for process in self.processes]

    async def crash(self, number: int) -> None:
        """Kill a worker at once and start another in its place."""
        assert self.start is not None
        process = self.processes[number]
        process.kill()
        await process.wait()
        self.processes[number] = await self.start(number)

    async def publish(self, branches: Sequence[Branch], users: Sequence[User]) -> None:
        """Send a new routing table and wait until the workers have it."""
        version = self.control.routes.version + 1
        self.control.routes = channel.Routes(version, self.control.routes.greeting, [*users], [*branches])
        self.control.send(self.control.routes)


def user(name: str = "app", *, database: str = "shop", branch: str | None = None) -> User:
    """A user with the password all tests know."""
    return User(name, sha2_verifier(PASSWORD), database, branch)


def production(server: Server, schema: str, *, safe: bool = True, database: str = "shop") -> Branch:
    """A production branch on a server."""
    return Branch(database, "main", schema, True, safe, False, server)


@contextlib.asynccontextmanager
async def limits(proxy: Proxy, usual: ProxySettings, **changes: object) -> AsyncIterator[None]:
    """Have the workers live with other limits for a while, as a reload of the configuration does."""
    for each in (replace(usual, **changes), usual):  # type: ignore[arg-type]
        control = proxy.control
        version = control.routes.version + 1
        control.routes = msgspec.structs.replace(control.routes, version=version, limits=each)
        control.send(control.routes)
        await control.wait_for(channel.RoutesTaken, lambda taken, n=version: taken.version >= n)
        if each is not usual:
            yield


@contextlib.asynccontextmanager
async def running_proxy(
    folder: Path,
    branches: Sequence[Branch],
    users: Sequence[User],
    *,
    workers: int = 1,
    environment: Mapping[str, str] | None = None,
    log: Path | None = None,
) -> AsyncIterator[Proxy]:
    """Run workers with these routes; at the end they are drained and must exit with 0.

    What they log goes to the file `log` when one is given.
    """
    shared = socket.create_server(("127.0.0.1", 0), backlog=1024)
    port = shared.getsockname()[1]
    state = folder / "state"
    ensure_certificate(state / "tls")
    (state / PASSWORD_KEY).write_bytes(password_key_pem())
    version = next((greeting(branch.server) for branch in branches if branch.server), "9.7.0")
    routes = channel.Routes(1, version, [*users], [*branches])
    async with listening(run_dir(state.absolute()) / "control.sock", routes) as control:
        proxy = Proxy(port, control)
        settings = {
            "HEADGATE_STATE": str(state),
            "HEADGATE_PROXY_PORT": str(port),
            "HEADGATE_PROXY_WORKERS": str(workers),
            **(environment or {}),
        }
        proxy.start = functools.partial(start_worker, settings=settings, listening=shared, log=log)
        try:
            for number in range(workers):
                proxy.processes.append(await proxy.start(number))
            for number in range(workers):
                await control.wait_for(channel.Hello, lambda hello, n=number: hello.worker == n)
            await until(lambda: len(control.all(channel.RoutesTaken)) >= workers)
            yield proxy
        finally:
            shared.close()
            for process in proxy.processes:
                if process.returncode is None:
                    process.send_signal(signal.SIGTERM)
            for process in proxy.processes:
                async with asyncio.timeout(120):
                    await process.wait()
    shutil.rmtree(run_dir(state.absolute()), ignore_errors=True)
    assert all(process.returncode in (0, -signal.SIGKILL) for process in proxy.processes)


async def start_worker(
    number: int,
    settings: Mapping[str, str],
    listening: socket.socket | None = None,
    log: Path | None = None,
) -> asyncio.subprocess.Process:
    """Start one worker process, which shares a listening socket with others or opens its own."""
    descriptors = [listening.fileno()] if listening else []
    with contextlib.ExitStack() as files:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "proxy", "--worker", str(number), "--listen", *map(str, descriptors)),
            env={**os.environ, **settings},
            pass_fds=descriptors,
            stderr=files.enter_context(log.open("ab")) if log else None,
        )
