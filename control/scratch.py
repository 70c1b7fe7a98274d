"""I lend the scratch server, on which proofs are made."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from control.idle import Idle
from migrator.schema.verify import drop_leftovers
from router.hosts import SCRATCH, LocalHost
from router.model import Server


class Scratch:
    """The scratch server of one host.

    What proofs of a killed process left behind is dropped once, before the first proof of this one.
    """

    def __init__(self, host: LocalHost, idle: Idle) -> None:
        self._host = host
        self._idle = idle
        self._cleaning = asyncio.Lock()
        self._clean = False

    @contextlib.asynccontextmanager
    async def awake(self) -> AsyncIterator[Server]:
        """Keep the scratch server awake while the body runs."""
        with self._idle.in_use(SCRATCH):
            server = await self._host.wake(SCRATCH)
            async with self._cleaning:
                if not self._clean:
                    await drop_leftovers(server)
                    self._clean = True
            yield server
