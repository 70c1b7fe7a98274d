"""I put together what looks at production for its own sake: what it reads, and what it is told."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncEngine

from control.branches import Branches
from control.databases import Databases
from control.recommendation_store import RecommendationStore
from control.recommendations import Recommendations, Source, Traffic
from control.replicas import servers_at
from control.targets import Targets
from migrator.deploy.actions import Deploys
from migrator.deploy.frameworks import TABLES, tables_of
from migrator.deploy.request import DeployRequest
from migrator.schema.model import Schema
from router.model import Server


async def make_recommendations(
    engine: AsyncEngine,
    branches: Branches,
    targets: Targets,
    deploys: Deploys,
    databases: Databases,
    *,
    replicas: Sequence[str],
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

    def spared() -> frozenset[str]:
        """Return the tables of every framework: one may be in use that nobody has told us of."""
        named = {table.name for table in tables_of(databases.settings())}
        return frozenset(name.lower() for name in known | named)

    async def traffic() -> Traffic | None:
        return None

    source = Source(database, branches.production.schema, servers, read, requests, spared, traffic)
    return Recommendations(store, source, branches)
