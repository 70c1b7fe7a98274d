"""I put together what looks at production for its own sake: what it reads, and what it is told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncEngine

from control.branches import Branches
from control.databases import Databases
from control.errors import ControlError
from control.recommendation_store import RecommendationStore
from control.recommendations import Recommendations, Source, Traffic
from control.replicas import servers_at
from control.targets import Targets
from control.usage import Usage
from migrator.deploy.frameworks import TABLES, tables_of
from migrator.deploy.lifecycle import State
from migrator.deploy.migration_row_store import MigrationRowStore
from migrator.deploy.migration_rows import MigrationRows, Place
from migrator.deploy.request import DeployRequest
from migrator.deploy.store import DeployStore
from migrator.errors import MigratorError
from migrator.schema.model import Schema
from migrator.schema.tally import used_tables
from router.errors import RouteError
from router.model import Server
from router.store import BranchRecord

Requests = Callable[[], Awaitable[Sequence[DeployRequest]]]

SWAPPED = frozenset({State.COMPLETE_PENDING_REVERT, State.COMPLETE_REVERT_ERROR, State.IN_PROGRESS_REDO})
"""The tables of such a deployment are in place, and what else it carries will follow."""
WATCHED = timedelta(days=366)
"""How far back it is asked what ran; it is remembered for `usage.days`."""


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

    async def furnish(parent: BranchRecord, record: BranchRecord, server: Server) -> None:
        under_way = [
            request
            for request in await requests()
            if request.into_branch == parent.name and request.deployment_state in SWAPPED
        ]
        await rows.seed(await place(parent), Place(record.id, server, schema), under_way)

    rows = MigrationRows(store, reach, databases.settings)
    branches.furnishings.append(furnish)
    return rows


async def make_recommendations(
    engine: AsyncEngine,
    branches: Branches,
    targets: Targets,
    deploys: DeployStore,
    databases: Databases,
    usage: Usage,
    *,
    replicas: Sequence[str],
    shapes_max: int,
) -> Recommendations:
    """Return the recommendations of the database that `branches` are of, ready to run."""
    store = RecommendationStore(engine)
    await store.prepare()
    database = branches.production.database
    known = {table.name for tables in TABLES.values() for table in tables}

    async def servers() -> list[Server]:
        default = await branches.default()
        server = (await targets.get(default.name)).server
        return [server] if default.local else [server, *servers_at(server, replicas)]

    async def read() -> Schema:
        return await branches.read((await branches.default()).name)

    async def requests() -> Sequence[DeployRequest]:
        return await deploys.all(database)

    async def swapped() -> Sequence[tuple[int, str]]:
        return await deploys.swapped(database)

    def spared() -> frozenset[str]:
        """Return the tables of every framework: one may be in use that nobody has told us of."""
        named = {table.name for table in tables_of(databases.settings())}
        return frozenset(name.lower() for name in known | named)

    async def traffic() -> Traffic | None:
        branch = (await branches.default()).name
        since = await usage.since(database, branch)
        if since is None:
            return None
        seen = await usage.shapes(database, branch, last_s=WATCHED.total_seconds())
        used = used_tables(seen)
        last_used = {name.lower(): each.last_seen for name, each in used.items() if each.last_seen}
        hinted = frozenset(index for each in used.values() for index in each.hinted)
        # Beyond that many kinds some are forgotten: from not seeing one, nothing follows then.
        return Traffic(since if len(seen) < shapes_max else None, last_used, hinted)

    source = Source(database, branches.production.schema, servers, read, requests, swapped, spared, traffic)
    return Recommendations(store, source, branches)
