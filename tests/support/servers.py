"""I give tests real servers: started once per session, gone with it, whatever ended the session."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import itertools
import os
import shutil
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from pathlib import Path

from conf.settings import run_dir
from router.database import Connection, quote_name
from router.model import Account, Flavor
from router.servers.options import branch_options, production_options
from router.servers.process import LocalServer
from router.servers.programs import Programs, default_cache, find_server
from router.servers.template import make_data_directory

ADMIN = Account("tester", "secret of the tests")

# Tests kill processes, not machines: what is committed must reach the system, not the disk.
UNSYNCED = {"innodb-flush-method": "nosync"}
RELAXED = {
    **UNSYNCED,
    "innodb-flush-log-at-trx-commit": "2",
    "sync-binlog": "0",
    "innodb-buffer-pool-size": "64M",
}

# How long something may take that takes a moment: so much that only what hangs takes longer.
HANGS_S = 120.0
LOOKS_S = 0.01
# How often something is looked at that takes the processor a while to tell, as a whole deploy request does.
ASKS_S = 0.05

_BASE = Path(tempfile.gettempdir()) / f"headgate-tests-{os.getuid()}"

_numbers = itertools.count(1)


@contextlib.contextmanager
def session_folder() -> Iterator[Path]:
    """A folder for this session's servers; what sessions that were killed left behind is removed first."""
    _BASE.mkdir(mode=0o700, exist_ok=True)
    for folder in _BASE.iterdir():
        if folder.name == str(os.getpid()) or not Path(f"/proc/{folder.name}").exists():
            remove_servers(folder)
    folder = _BASE / str(os.getpid())
    folder.mkdir()
    try:
        yield folder
    finally:
        remove_servers(folder)


def remove_servers(folder: Path) -> None:
    """Kill every local server whose data directory is in this folder and remove the folder."""
    for mark in folder.rglob("headgate-server.lock"):
        bare = Programs(Flavor.MYSQL, "", None, Path())
        leftover = LocalServer(bare, mark.parent, name="leftover", admin=ADMIN)
        leftover.kill()
        wait_until(lambda leftover=leftover: leftover.pid is None)
        shutil.rmtree(run_dir(leftover.directory), ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)


def wait_until(holds: Callable[[], bool], *, timeout_s: float = HANGS_S, every_s: float = LOOKS_S) -> None:
    """Look again and again until the condition holds; fail when it does not within the time."""
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, f"still waiting after {timeout_s:g} s"
        time.sleep(every_s)


async def until(
    holds: Callable[[], bool | Awaitable[bool]], *, timeout_s: float = HANGS_S, every_s: float = LOOKS_S
) -> None:
    """Do as `wait_until` without stopping the event loop; the condition may be a coroutine function."""
    deadline = time.monotonic() + timeout_s
    while True:
        answer = holds()
        if (await answer) if inspect.isawaitable(answer) else answer:
            return
        assert time.monotonic() < deadline, f"still waiting after {timeout_s:g} s"
        await asyncio.sleep(every_s)


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def new_server(
    flavor: Flavor,
    directory: Path,
    *,
    production: bool = True,
    port: int | None = None,
    options: Mapping[str, str] | None = None,
) -> LocalServer:
    """Make a server, not yet started, with the options of production (fsyncs relaxed) or of a branch."""
    programs = await find_server(flavor)
    await make_data_directory(programs, directory, admin=ADMIN, cache=default_cache())
    base = {**production_options(flavor), **RELAXED} if production else {**branch_options(flavor), **UNSYNCED}
    return LocalServer(
        programs, directory, name=directory.name, admin=ADMIN, port=port, options={**base, **(options or {})}
    )


@contextlib.asynccontextmanager
async def running_server(
    flavor: Flavor,
    directory: Path,
    *,
    production: bool = True,
    port: int | None = None,
    options: Mapping[str, str] | None = None,
) -> AsyncIterator[LocalServer]:
    """Run a server of one's own, for tests that restart, kill or reconfigure it."""
    server = await new_server(flavor, directory, production=production, port=port, options=options)
    await server.start()
    try:
        yield server
    finally:
        server.kill()


@contextlib.asynccontextmanager
async def fresh_schema(server: LocalServer, prefix: str = "t") -> AsyncIterator[str]:
    """Create an empty schema with a name nobody used before; drop it at the end."""
    name = f"{prefix}_{os.getpid()}_{next(_numbers)}"
    async with await Connection.open(server.server) as connection:
        await connection.execute(f"CREATE DATABASE {quote_name(name)}")
    try:
        yield name
    finally:
        async with await Connection.open(server.server) as connection:
            await connection.execute(f"DROP DATABASE IF EXISTS {quote_name(name)}")
