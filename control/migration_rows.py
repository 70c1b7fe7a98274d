"""I have the rows of migration frameworks' tables carried between branches, wherever these live."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from sqlalchemy.ext.asyncio import AsyncEngine

from control.branches import Branches
from control.databases import Databases
from control.errors import ControlError
from migrator.deploy.lifecycle import State
from migrator.deploy.migration_row_store import MigrationRowStore
from migrator.deploy.migration_rows import MigrationRows, Place
from migrator.deploy.request import DeployRequest
from migrator.errors import MigratorError
from router.errors import RouteError
from router.model import Server
from router.records import BranchRecord

Requests = Callable[[], Awaitable[Sequence[DeployRequest]]]

SWAPPED = frozenset({State.COMPLETE_PENDING_REVERT, State.COMPLETE_REVERT_ERROR, State.IN_PROGRESS_REDO})
"""The tables of such a deployment are in place, and what else it carries will follow."""


async def make_migration_rows(
    engine: AsyncEngine, branches: Branches, requests: Requests, databases: Databases
) -> MigrationRows:
    """Return what carries the rows of migration frameworks; new branches get theirs from now on."""
    store = MigrationRowStore(engine)
    await store.prepare()
    schema, migrator = branches.production.schema, branches.production.migrator

    async def place(record: BranchRecord) -> Place:
        return Place(record.id, await branches.admin(record) if record.local else migrator, schema)

    async def reach(branch: str) -> Place:
        try:
            return await place(await branches.get(branch))
        except (ControlError, RouteError) as error:
            raise MigratorError(str(error)) from error

    async def endow(parent: BranchRecord, record: BranchRecord, server: Server) -> None:
        under_way = [
            request
            for request in await requests()
            if request.into_branch == parent.name and request.deployment_state in SWAPPED
        ]
        await rows.seed(await place(parent), Place(record.id, server, schema), under_way)

    rows = MigrationRows(store, reach, databases.settings)
    branches.endowments.append(endow)
    return rows
