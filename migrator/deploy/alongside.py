"""I do what belongs to a deployment besides its tables: migration rows go along, and its speed is noted."""

from __future__ import annotations

from collections.abc import Collection

from migrator.deploy.carrying import Alongside
from migrator.deploy.copy_speed import CopySpeeds
from migrator.deploy.migration_rows import MigrationRows
from migrator.deploy.request import DeployRequest
from migrator.engine.ground.operation import Status
from router.clock import now


class RowsAndSpeed(Alongside):
    """Carries the rows of migration tables, and remembers how fast copies are."""

    def __init__(self, rows: MigrationRows, speeds: CopySpeeds) -> None:
        self._rows = rows
        self._speeds = speeds

    async def starting(self, request: DeployRequest) -> None:
        """Fix what a deployment carries, before anything is done for it."""
        await self._rows.started(request)

    async def copied(self, request: DeployRequest, states: Collection[Status]) -> None:
        """Note how fast its tables were copied, now that all of them are."""
        if request.started_at is not None:
            since = request.started_at
            await self._speeds.measured(request.database, request.into_branch, states, since, now())

    async def completing(self, request: DeployRequest) -> str | None:
        """Write what it carries, now that it can no longer be reverted; say what was done, if anything."""
        return await self._rows.completed(request)
