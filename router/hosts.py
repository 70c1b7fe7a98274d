"""I keep the local servers: embedded production, one per development branch, and scratch."""

from __future__ import annotations

import asyncio
import shutil
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import structlog

from router.errors import ServerFailed
from router.model import Account, Server
from router.servers.options import OPTIONS, Purpose
from router.servers.process import LocalServer
from router.servers.programs import Programs
from router.servers.template import make_data_directory

log = structlog.get_logger()

PRODUCTION = "production"
SCRATCH = "scratch"
NICENESS = 10
"""What is started for developers must not slow production down on the same machine."""


class LocalHost:
    """The local servers of one state folder, each a process on a data directory below `directory`.

    A server that was left running by an earlier process is taken over. Every method may be called for any
    name at any time; calls for one name wait for each other. `admin` may do everything on every server.
    """

    def __init__(self, programs: Programs, directory: Path, cache: Path, admin: Account) -> None:
        self.programs = programs
        self.admin = admin
        self._directory = directory
        self._cache = cache
        self._servers: dict[str, LocalServer] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._purposes: dict[str, Purpose] = {PRODUCTION: Purpose.PRODUCTION}
        self._ending = False

    def exists(self, name: str) -> bool:
        """Whether there is a data directory of this name."""
        return (self._directory / name).is_dir()

    def names(self) -> list[str]:
        """Return the names of all local servers, running or asleep."""
        if not self._directory.is_dir():
            return []
        entries = self._directory.iterdir()
        return sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))

    async def wake(self, name: str) -> Server:
        """Return the server of this name, running: made when it does not exist, started when asleep.

        Raises ServerFailed when it does not start, OSError when the disk is full.
        """
        async with self._locks[name]:
            if self._ending:
                raise ServerFailed(f"Headgate is stopping: the local server {name!r} is not started any more")
            if not self.exists(name):
                await make_data_directory(
                    self.programs, self._directory / name, admin=self.admin, cache=self._cache
                )
            local = self._local(name)
            if local.pid is None:
                try:
                    await local.start()
                except asyncio.CancelledError:
                    # MariaDB can miss a SIGTERM while it starts, and would be waited for in vain.
                    local.kill()
                    raise
                log.info("server.started", name=name, pid=local.pid)
            elif not await local.running():
                await local.start()
            return local.server

    def designate(self, name: str, purpose: Purpose) -> None:
        """Let the server of this name serve a purpose from its next start on."""
        if self._purposes.get(name, Purpose.BRANCH) is not purpose:
            self._purposes[name] = purpose
            self._servers.pop(name, None)

    async def restart(self, name: str) -> Server:
        """Stop the server of this name if it runs, and start it for the purpose that it has now."""
        await self.sleep(name)
        return await self.wake(name)

    def server(self, name: str) -> Server | None:
        """Return the server of this name, running or not, or None when there is none."""
        return self._local(name).server if self.exists(name) else None

    def asleep(self, name: str) -> bool:
        """Whether the server of this name does not run."""
        return not self.exists(name) or self._local(name).pid is None

    async def sleep(self, name: str, unless: Callable[[], bool] = lambda: False) -> None:
        """Stop the server of this name; its data stay.

        `unless` is asked when no `wake` of this name is under way: a server that was woken meanwhile stays.
        """
        async with self._locks[name]:
            local = self._local(name)
            if local.pid is not None and not unless():
                await local.stop()
                log.info("server.stopped", name=name)

    async def delete(self, name: str) -> None:
        """Stop the server of this name and remove its data."""
        async with self._locks[name]:
            if not self.exists(name):
                return
            await self._local(name).remove()
            del self._servers[name]
            self._purposes.pop(name, None)
            log.info("server.deleted", name=name)

    async def remove_leftovers(self) -> None:
        """Remove what crashes in the middle of deleting servers have left."""
        for doomed in self._directory.glob(".*.removed"):
            await asyncio.to_thread(shutil.rmtree, doomed, ignore_errors=True)

    async def stop_all(self) -> None:
        """Stop every server, and start none from now on; one that does not stop keeps no other from it."""
        self._ending = True

        async def stop(name: str) -> None:
            try:
                await self.sleep(name)
            except (ServerFailed, OSError) as error:
                log.error("server.not_stopped", name=name, reason=str(error))

        async with asyncio.TaskGroup() as group:
            for name in self.names():
                group.create_task(stop(name))

    def _local(self, name: str) -> LocalServer:
        if name not in self._servers:
            purpose = self._purposes.get(name, Purpose.BRANCH)
            self._servers[name] = LocalServer(
                self.programs,
                self._directory / name,
                name=name,
                admin=self.admin,
                options=OPTIONS[purpose](self.programs.flavor),
                niceness=0 if purpose is Purpose.PRODUCTION else NICENESS,
            )
        return self._servers[name]
