"""I look at production once a day and after each deployment, and keep what is to be recommended."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

import structlog

from control.branches import Branches
from control.errors import ControlError
from control.index_usage import Counted, observations, read_counters
from control.recommendation_source import Source
from control.recommendation_store import RecommendationStore
from control.tentative import new_branch
from migrator.deploy.recommended import Recommended, Standing, reckon
from migrator.deploy.sizes import read_sizes
from migrator.errors import MigratorError
from migrator.schema.errors import SchemaError
from migrator.schema.recommend import recommend
from migrator.schema.recommend.evidence import Evidence, Use
from migrator.schema.recommend.hints import hinted_indexes
from migrator.schema.recommend.watch import by_place, least_idle, observe
from router.clock import now
from router.database import Connection
from router.errors import DatabaseError, RouteError, ServerFailed
from router.model import Actor, Server

log = structlog.get_logger()

EVERY: Final = timedelta(days=1)
LOOK_S: Final = 30.0
"""How often it is seen whether a deployment has changed the schema."""


class Recommendations:
    """The recommendations of one database."""

    def __init__(self, store: RecommendationStore, source: Source, branches: Branches) -> None:
        self._store = store
        self._source = source
        self._branches = branches
        # Two looks at a time would recommend everything twice.
        self._looking = asyncio.Lock()
        # Held from reading a recommendation to writing it: what is dismissed meanwhile stays so.
        self._changing = asyncio.Lock()

    async def run(self) -> None:
        """Look again and again until cancelled: daily, and when a deployment has changed the schema."""
        looked_at: datetime | None = None
        seen: Sequence[tuple[int, str]] = ()
        while True:
            await asyncio.sleep(LOOK_S)
            state = await self._source.swapped()
            if looked_at is None or state != seen or now() - looked_at >= EVERY:
                try:
                    await self.look()
                except (
                    ControlError,
                    DatabaseError,
                    MigratorError,
                    RouteError,
                    SchemaError,
                    ServerFailed,
                    OSError,
                ) as error:
                    log.warning("recommendations.not_made", reason=str(error))
                looked_at, seen = now(), state

    async def look(self) -> list[Recommended]:
        """Look at production now; return what is newly recommended."""
        async with self._looking:
            evidence = await self._evidence()
            database, found = self._source.database, recommend(evidence)
            async with self._changing:
                records = await self._store.all(database)
                reckoning = reckon(records, found, await self._source.requests(), evidence.now)
                added = await self._store.settle(database, reckoning)
        for record in added:
            each = record.recommendation
            log.info("recommendation.made", number=record.number, kind=str(each.kind), table=each.table)
        return added

    async def all(self, standing: str = "") -> list[Recommended]:
        """Return the recommendations, newest first; those of one standing when it is named."""
        records = await self._store.all(self._source.database)
        return [record for record in records if not standing or record.standing == standing]

    async def get(self, number: int) -> Recommended:
        """Return one recommendation, or raise NotFound."""
        return await self._store.get(self._source.database, number)

    async def open(self, number: int) -> Recommended:
        """Return one that is open, or raise ControlError saying what became of it."""
        record = await self.get(number)
        if record.standing is not Standing.OPEN:
            why = {
                Standing.APPLIED: f"deploy request {record.closed_by} has done it",
                Standing.DISMISSED: "it was dismissed",
                Standing.STALE: "what it rested on is no longer so",
            }[record.standing]
            raise ControlError(
                f"recommendation {number} is not open: {why}; see headgate recommendation list "
                f"{self._source.database}"
            )
        return record

    async def dismiss(self, number: int, actor: Actor, reason: str) -> Recommended:
        """Put a recommendation aside for good."""
        async with self._changing:
            record = await self.open(number)
            moment = now()
            return await self._store.put(
                replace(
                    record,
                    standing=Standing.DISMISSED,
                    dismissed_at=moment,
                    dismissed_by=actor,
                    dismissed_reason=reason or None,
                    updated_at=moment,
                )
            )

    async def apply(self, number: int, branch: str = "") -> Recommended:
        """Make a branch of production with the change applied, and remember it.

        Raises ControlError when the server refuses the change; there is no branch then.
        """
        record = await self.open(number)
        name = branch or f"recommendation-{number}"
        async with new_branch(self._branches, name):
            try:
                await self._change(name, record.recommendation.statements)
            except DatabaseError as error:
                raise ControlError(
                    f"recommendation {number} cannot be applied: {error}. Dismiss it with: headgate "
                    f"recommendation dismiss {self._source.database} {number}"
                ) from error
        async with self._changing:
            # It may have been dismissed meanwhile.
            return await self._store.put(replace(await self.get(number), branch=name, updated_at=now()))

    async def _change(self, branch: str, statements: Sequence[str]) -> None:
        server = await self._branches.wake(branch)
        # Columns that foreign keys bind to each other change one after the other.
        setup = ("SET SESSION foreign_key_checks = 0",)
        async with await Connection.open(server, database=self._source.schema, setup=setup) as link:
            for statement in statements:
                await link.execute(statement)

    async def _evidence(self) -> Evidence:
        source, moment = self._source, now()
        schema = await source.read()
        servers = await source.servers()
        uses = await self._uses(servers, moment)
        traffic = await source.traffic()
        sizes = await read_sizes(servers[0], source.schema)
        tables = {
            name: least_idle([uses.get((name, "")), traffic.use(name) if traffic else None])
            for name in schema.tables
        }
        hinted = hinted_indexes(code.text for code in schema.code)
        return Evidence(
            schema=schema,
            now=moment,
            tables={name: use for name, use in tables.items() if use is not None},
            indexes={place: use for place, use in uses.items() if place[1]},
            hinted=hinted | traffic.hinted if traffic else hinted,
            spared=source.spared(),
            rows={name: size.rows for name, size in sizes.items()},
        )

    async def _uses(self, servers: Sequence[Server], moment: datetime) -> dict[tuple[str, str], Use]:
        """Return what all servers have counted, and keep it; nothing when one of them does not count."""
        database = self._source.database
        counted: dict[str, Counted] = {}
        for server in servers:
            try:
                found = await read_counters(server, self._source.schema, moment)
            except DatabaseError as error:
                log.info("recommendations.not_counted", server=str(server.address), reason=str(error))
                found = None
            if found is not None:
                counted[str(server.address)] = found
        before = await self._store.observed(database)
        seen = [
            observe(before.get(each.place), each)
            for address, found in counted.items()
            for each in observations(found, address, moment)
        ]
        # What a server that is away has counted so far is kept for when it is back.
        away = [each for each in before.values() if each.server not in counted]
        await self._store.put_observed(database, [*seen, *away])
        if len(counted) < len(servers):
            return {}
        sources = dict.fromkeys(found.source for found in counted.values())
        where = f" on {len(servers)} servers" if len(servers) > 1 else ""
        return by_place(seen, len(servers), " and ".join(sources) + where)
