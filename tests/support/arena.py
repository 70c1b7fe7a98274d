"""I am a worker between clients and a server where everything can be made to go wrong."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

from router.database import Connection
from router.model import PoolMode
from router.servers.process import LocalServer
from tests.support.chaos import Chaos, Way, chaos
from tests.support.proxy import Proxy, production, running_proxy, user
from tests.support.raw_client import raw_client
from tests.support.servers import until

BUGS = ("callback.failed", "login.failed", "Traceback", '"level": "error"')
"""What a worker logs when something is wrong with it."""
EXPECTED_ERRORS = ("backend.misunderstood",)


@dataclass
class Arena:
    """A worker with a network between it and its server that misbehaves on command."""

    proxy: Proxy
    between: Chaos
    log: Path
    mode: PoolMode
    descriptors: int = 0

    @property
    def pid(self) -> int:
        """The worker's process."""
        return self.proxy.pids[0]

    def own_descriptors(self) -> int:
        """What the worker has open besides its connections to the server."""
        return descriptors(self.pid) - len(self.between.links)

    async def settle(self) -> None:
        """Remember what a worker at rest has open: what has not changed for a while."""
        counts: list[int] = []

        def is_steady() -> bool:
            counts.append(self.own_descriptors())
            return len(counts) > 20 and len(set(counts[-20:])) == 1

        await until(is_steady)
        self.descriptors = counts[-1]

    async def rest(self) -> None:
        """Wait until nothing of what was is left: no client, no connection that nobody needs."""
        await until(lambda: self.own_descriptors() == self.descriptors)
        if self.mode is PoolMode.SESSION:
            await until(lambda: not self.between.links)

    async def recover(self) -> None:
        """Let the network behave, and show that nothing is left of the time when it did not."""
        between = self.between
        between.resume()
        between.split(0)
        between.refuses = False
        for way in Way:
            between.edit(way, lambda data: data)
        await self.serves()
        await self.rest()

    def bugs(self) -> list[str]:
        """What the worker has logged that it should not have had to."""
        lines = self.log.read_text().splitlines()
        return [
            line
            for line in lines
            if any(word in line for word in BUGS) and not any(word in line for word in EXPECTED_ERRORS)
        ]

    async def serves(self, clients: int = 4) -> None:
        """Show that clients are served, and each with its own answers."""

        async def one(number: int) -> None:
            async with raw_client(self.proxy.port) as client:
                for turn in range(3):
                    mark = f"{number}-{turn}".encode()
                    assert await client.query(f"SELECT '{mark.decode()}', 'x'") == [[mark, b"x"]]

        await asyncio.gather(*(one(number) for number in range(clients)))


def descriptors(pid: int) -> int:
    """Count what a process has open."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


@contextlib.asynccontextmanager
async def new_arena(
    server: LocalServer, schema: str, mode: PoolMode, folder: Path, **environment: str
) -> AsyncIterator[Arena]:
    """Run a worker of its own, with settings of the section proxy; it must log no bug."""
    async with await Connection.open(server.server) as connection:
        for setting in ("max_allowed_packet = 67108864", "local_infile = 1"):
            await connection.execute(f"SET GLOBAL {setting}")
    async with chaos(server.server.address, folder) as between:
        main = production(replace(server.server, address=between.address), schema)
        branches = [replace(main, pool_mode=mode, local_infile=True)]
        settings = {f"HEADGATE_PROXY_{name.upper()}": value for name, value in environment.items()}
        log = folder / "log"
        async with running_proxy(folder, branches, [user()], environment=settings, log=log) as proxy:
            arena = Arena(proxy, between, log, mode)
            await arena.serves(1)
            await arena.settle()
            yield arena
            between.resume()
        assert arena.bugs() == []
