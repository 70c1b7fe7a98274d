"""I put the servers of branches to sleep that nobody needs, and start those of production that died."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection

import structlog

from control.branch_record import server_name
from control.branches import Branches
from router.errors import DatabaseError, ServerFailed
from router.hosts import SCRATCH
from router.records import BranchRecord, BranchState

log = structlog.get_logger()

CHECK_S = 1.0


class Sleep:
    """The sleep of the servers that belong to some branches.

    `connections` answers how many clients a branch has now, `needed` which branches must not sleep though
    they have none.
    """

    def __init__(
        self,
        branches: Branches,
        connections: Callable[[str, str], int],
        needed: Callable[[], Awaitable[Collection[str]]],
    ) -> None:
        self._branches = branches
        self._connections = connections
        self.needed = needed

    async def run(self) -> None:
        """Look again and again until cancelled."""
        while True:
            await asyncio.sleep(CHECK_S)
            await self._look()

    async def _look(self) -> None:
        branches, idle = self._branches, self._branches.idle
        after_s = branches.settings.sleep_after_s
        awake = [
            record for record in await branches.all() if record.local and record.state is BranchState.READY
        ]
        needed = await self.needed() if any(record.safe_migrations for record in awake) else ()
        for record in awake:
            if record.production:
                await self._keep_running(record)
                continue
            if record.name in needed or self._connections(record.database, record.name):
                idle.touch(server_name(record))
            await self._put_to_sleep(server_name(record), after_s)
        for server in (SCRATCH, branches.spare.server):
            if server is not None:
                await self._put_to_sleep(server, after_s)

    async def _put_to_sleep(self, server: str, after_s: float) -> None:
        try:
            await self._branches.idle.sleep_if_idle(server, after_s)
        except (ServerFailed, OSError) as error:
            # The next look tries it again; others go on.
            log.error("server.not_stopped", name=server, reason=str(error))

    async def _keep_running(self, record: BranchRecord) -> None:
        if not self._branches.asleep(record):
            return
        log.info("production.started", branch=record.name)
        try:
            await self._branches.admin(record)
        except (DatabaseError, ServerFailed, OSError) as error:
            log.error("production.not_started", branch=record.name, reason=str(error))
