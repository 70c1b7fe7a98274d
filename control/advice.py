"""I put together what looks at production for its own sake: what it reads, and what it is told."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncEngine

from control.branches import Branches
from control.databases import Databases
from control.recommendation_store import RecommendationStore
from control.recommendations import Recommendations, Source, Traffic
from control.replicas import servers_at
from control.targets import Targets
from control.usage import Usage
from migrator.deploy.frameworks import TABLES, tables_of
from migrator.deploy.request import DeployRequest
from migrator.deploy.store import DeployStore
from migrator.schema.model import Schema
from migrator.schema.tally import used_tables
from router.model import Server

WATCHED = timedelta(days=366)
"""How far back it is asked what ran; it is remembered for `usage.days`."""


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
