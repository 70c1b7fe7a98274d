"""I say what recommendations are made from: production's servers and schema, and how both are used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from control.branches import Branches
from control.databases import Databases
from control.replicas import servers_at
from control.targets import Targets
from control.usage import Usage
from migrator.deploy.frameworks import TABLES, tables_of
from migrator.deploy.request import DeployRequest
from migrator.deploy.store import DeployStore
from migrator.schema.model import Schema
from migrator.schema.recommend.evidence import Use
from migrator.schema.tally import used_tables
from router.model import Server

WATCHED: Final = timedelta(days=366)
"""How far back it is asked what ran; it is remembered for `usage.days`."""
OF_FRAMEWORKS: Final = frozenset(table.name for tables in TABLES.values() for table in tables)


@dataclass(frozen=True, slots=True)
class Traffic:
    """What the proxy saw since a moment: when tables, by name in lower case, were last used.

    `since` is None when it cannot remember all kinds of statements. `hinted` are the indexes they name.
    """

    since: datetime | None
    last_used: Mapping[str, datetime]
    hinted: frozenset[str] = frozenset()

    def use(self, table: str) -> Use | None:
        """Return how a table was used, None when that is not known."""
        if self.since is None:
            return None
        return Use(self.since, self.last_used.get(table.lower()), "as the proxy saw it")


@dataclass(frozen=True, slots=True)
class Source:
    """Where to look: the default branch, on its server and on the `replicas` of that.

    The proxy tells at most `shapes_max` kinds of statements apart.
    """

    branches: Branches
    targets: Targets
    deploys: DeployStore
    databases: Databases
    usage: Usage
    replicas: Sequence[str]
    shapes_max: int

    @property
    def database(self) -> str:
        """The database that is looked at."""
        return self.branches.production.database

    @property
    def schema(self) -> str:
        """What its servers call it."""
        return self.branches.production.schema

    async def servers(self) -> list[Server]:
        """Return the servers to ask, the primary first."""
        default = await self.branches.default()
        server = (await self.targets.get(default.name)).server
        return [server] if default.local else [server, *servers_at(server, self.replicas)]

    async def read(self) -> Schema:
        """Return the schema as it is now."""
        return await self.branches.read((await self.branches.default()).name)

    async def requests(self) -> Sequence[DeployRequest]:
        """Return the deploy requests there are."""
        return await self.deploys.all(self.database)

    async def swapped(self) -> Sequence[tuple[int, str]]:
        """Return number and state of the requests that have changed production, or changed it back."""
        return await self.deploys.swapped(self.database)

    def spared(self) -> frozenset[str]:
        """Return the tables, in lower case, that somebody needs though nothing shows it.

        They are those of every framework: one may be in use that nobody has told us of.
        """
        named = {table.name for table in tables_of(self.databases.settings())}
        return frozenset(name.lower() for name in OF_FRAMEWORKS | named)

    async def traffic(self) -> Traffic | None:
        """Return what the proxy saw, None when it has seen nothing."""
        branch = (await self.branches.default()).name
        since = await self.usage.since(self.database, branch)
        if since is None:
            return None
        seen = await self.usage.shapes(self.database, branch, last_s=WATCHED.total_seconds())
        used = used_tables(seen)
        last_used = {name.lower(): each.last_seen for name, each in used.items() if each.last_seen}
        hinted = frozenset(index for each in used.values() for index in each.hinted)
        # Beyond that many kinds some are forgotten: from not seeing one, nothing follows then.
        return Traffic(since if len(seen) < self.shapes_max else None, last_used, hinted)
