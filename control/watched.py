"""I am all that the proxy has seen of statements: what ran, and what changed definitions."""

from __future__ import annotations

import asyncio

from sqlalchemy.ext.asyncio import AsyncEngine

from conf.settings import UsageSettings
from control.branch_log import BranchLog, Follow
from control.usage import Usage
from control.workers import Workers
from migrator.schema.model import Schema
from migrator.schema.renames import Renames, fold, renaming


class Watched:
    """What was seen on the branches of every database."""

    def __init__(self, engine: AsyncEngine, settings: UsageSettings) -> None:
        self.log = BranchLog(engine)
        self.usage = Usage(engine, settings)

    async def prepare(self, workers: Workers) -> None:
        """Make ready, and listen to the workers from now on."""
        await self.log.prepare()
        await self.usage.prepare()
        workers.on_definition = self.log.note
        workers.on_shapes = self.usage.record

    async def run(self, follow: Follow) -> None:
        """Keep what is seen, and have changed branches followed, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.log.run(follow))
            group.create_task(self.usage.run())

    async def renames(self, database: str, branch: str, base: Schema, schema: Schema) -> Renames:
        """Return what was renamed on a branch since its base, as far as it was seen."""
        return fold(await self.log.statements(database, branch), base, schema)

    async def begin(self, database: str, branch: str, renames: Renames) -> None:
        """Note that a branch has a new base: nothing was renamed since but this."""
        await self.log.begin(database, branch, renaming(renames))

    async def rename(self, database: str, branch: str, new_name: str) -> None:
        """Keep what is known of a branch under its new name."""
        await self.log.rename(database, branch, new_name)
        await self.usage.rename(database, branch, new_name)

    async def forget(self, database: str, branch: str) -> None:
        """Forget a branch that is gone."""
        await self.log.forget(database, branch)
        await self.usage.forget(database, branch)
