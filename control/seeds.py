"""I have rows of its parent copied into a new branch, and tell how far that is."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import structlog

from control.branches import Branches
from control.making import Begun
from control.targets import Targets
from migrator.engine.seeding import Progress, Seeding
from migrator.errors import MigratorError
from migrator.schema.errors import SchemaError
from migrator.schema.seed import Wish
from router.errors import DatabaseError, ServerFailed
from router.model import SYSTEM, Actor
from router.records import BranchRecord, BranchState

log = structlog.get_logger()


class Seeds:
    """The copies that are under way; `folder` is on the disk that branches live on.

    A copy whose process was killed is not gone on with, because its moment is gone: Branches.prepare removes
    the branch.
    """

    def __init__(self, branches: Branches, targets: Targets, folder: Path) -> None:
        self._branches = branches
        self._targets = targets
        self._folder = folder
        self._begun: asyncio.Queue[tuple[Begun, Seeding]] = asyncio.Queue()
        self._under_way: dict[str, Seeding] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def create(
        self,
        name: str,
        parent: str,
        wish: Wish,
        *,
        protected: bool = False,
        ttl_s: int | None = None,
        actor: Actor = SYSTEM,
    ) -> BranchRecord:
        """Begin a branch with rows; it is PENDING until they are there, and gone if they cannot be copied."""
        begun = await self._branches.begin(
            name, parent, protected=protected, ttl_s=ttl_s, actor=actor, wish=wish
        )
        assert begun.plan is not None
        for sentence in begun.plan.left_out:
            log.warning("branch.incomplete", branch=name, reason=sentence)
        try:
            seeding = await self._seeding(begun)
        except BaseException:
            await asyncio.shield(self._branches.give_up(begun, "the copy could not begin"))
            raise
        self._under_way[begun.record.id] = seeding
        self._begun.put_nowait((begun, seeding))
        return begun.record

    def progress(self, record: BranchRecord) -> Progress | None:
        """Return how far the copy into a branch is, None when there is none."""
        seeding = self._under_way.get(record.id) if record.state is BranchState.PENDING else None
        return seeding.progress if seeding is not None else None

    async def cancel(self, record: BranchRecord) -> None:
        """Stop the copy into a branch, because that is to be deleted."""
        task = self._tasks.get(record.id)
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def run(self) -> None:
        """Copy what is asked for until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                begun, seeding = await self._begun.get()
                self._tasks[begun.record.id] = group.create_task(self._sow(begun, seeding))

    async def _sow(self, begun: Begun, seeding: Seeding) -> None:
        try:
            with self._branches.in_use(begun.origin):
                rows = await seeding.run()
            log.info("branch.seeded", branch=begun.record.name, parent=begun.origin.name, rows=rows)
            await self._branches.finish(begun)
        except (MigratorError, SchemaError, DatabaseError, ServerFailed, OSError) as error:
            await self._branches.give_up(begun, str(error))
        except Exception as error:
            # A fault of ours: the other copies, and everything else, go on.
            log.error("seeding.failed", branch=begun.record.name, exc_info=error)
            await self._branches.give_up(begun, "Headgate has a fault: its log holds the details")
        finally:
            self._under_way.pop(begun.record.id, None)
            self._tasks.pop(begun.record.id, None)

    async def _seeding(self, begun: Begun) -> Seeding:
        assert begun.plan is not None
        origin, production = begun.origin, self._branches.production
        throttle = (await self._targets.get(origin.name)).throttle if origin.safe_migrations else None
        parent = await self._branches.admin(origin) if origin.local else production.migrator
        free_bytes = shutil.disk_usage(self._folder).free
        return Seeding(begun.plan, parent, begun.server, production.schema, throttle, free_bytes=free_bytes)
