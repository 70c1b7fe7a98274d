"""I keep recommendations, and what was counted of the use of indexes and tables, in the state database."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from control.errors import NotFound
from migrator.deploy.recommended import Reckoning, Recommended, Standing
from migrator.schema.recommend.recommendation import Kind, Recommendation
from migrator.schema.recommend.watch import Observation
from router.clock import now
from router.model import Actor
from router.secrets import new_id
from router.state import Moment

metadata = sa.MetaData()

recommendations = sa.Table(
    "schema_recommendations",
    metadata,
    sa.Column("id", sa.String(12), primary_key=True),
    sa.Column("database", sa.String(63), nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("kind", sa.String(40), nullable=False),
    sa.Column("table", sa.String(64), nullable=False),
    sa.Column("element", sa.String(64), nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("statements", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("standing", sa.String(10), nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("updated_at", Moment, nullable=False),
    sa.Column("branch", sa.String(63)),
    sa.Column("applied_at", Moment),
    sa.Column("closed_by", sa.Integer),
    sa.Column("dismissed_at", Moment),
    sa.Column("dismissed_by", sa.Text, nullable=False),
    sa.Column("dismissed_reason", sa.Text),
    sa.UniqueConstraint("database", "number"),
)

observations = sa.Table(
    "schema_observations",
    metadata,
    sa.Column("database", sa.String(63), primary_key=True),
    sa.Column("server", sa.String(255), primary_key=True),
    sa.Column("table", sa.String(64), primary_key=True),
    sa.Column("index", sa.String(64), primary_key=True),
    sa.Column("since", Moment, nullable=False),
    sa.Column("last_at", Moment),
    sa.Column("count", sa.BigInteger, nullable=False),
)


class RecommendationStore:
    """The recommendations of every database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def prepare(self) -> None:
        """Create the tables that are missing."""
        async with self._engine.begin() as connection:
            await connection.run_sync(metadata.create_all)

    async def all(self, database: str) -> Sequence[Recommended]:
        """Return the recommendations of a database, newest first."""
        query = (
            sa.select(recommendations)
            .where(recommendations.c.database == database)
            .order_by(recommendations.c.number.desc())
        )
        async with self._engine.connect() as connection:
            return [_recommended(row) for row in (await connection.execute(query)).mappings()]

    async def get(self, database: str, number: int) -> Recommended:
        """Return one recommendation, or raise NotFound."""
        query = sa.select(recommendations).where(
            recommendations.c.database == database, recommendations.c.number == number
        )
        async with self._engine.connect() as connection:
            row = (await connection.execute(query)).mappings().first()
        if row is None:
            raise NotFound(
                f"database {database!r} has no recommendation {number}: "
                f"see headgate recommendation list {database}"
            )
        return _recommended(row)

    async def put(self, record: Recommended) -> Recommended:
        """Store a changed recommendation and return it."""
        async with self._engine.begin() as connection:
            await _update(connection, record)
        return record

    async def settle(self, database: str, reckoning: Reckoning) -> list[Recommended]:
        """Store what a look at production has brought; return what is new, with its numbers."""
        moment = now()
        added: list[Recommended] = []
        async with self._engine.begin() as connection:
            for record in reckoning.changed:
                await _update(connection, record)
            highest = await connection.scalar(
                sa.select(sa.func.max(recommendations.c.number)).where(recommendations.c.database == database)
            )
            for number, each in enumerate(reckoning.new, start=(highest or 0) + 1):
                record = Recommended(new_id(), database, number, each, Standing.OPEN, moment, moment)
                await connection.execute(recommendations.insert().values(_values(record)))
                added.append(record)
        return added

    async def observed(self, database: str) -> dict[tuple[str, str, str], Observation]:
        """Return what was counted so far."""
        query = sa.select(observations).where(observations.c.database == database)
        async with self._engine.connect() as connection:
            rows = (await connection.execute(query)).mappings().all()
        found = [
            Observation(row["server"], row["table"], row["index"], row["since"], row["last_at"], row["count"])
            for row in rows
        ]
        return {each.place: each for each in found}

    async def put_observed(self, database: str, seen: Sequence[Observation]) -> None:
        """Store what is known after another look, in place of what was known before it."""
        rows = [
            {
                "database": database,
                "server": each.server,
                "table": each.table,
                "index": each.index,
                "since": each.since,
                "last_at": each.last_at,
                "count": each.count,
            }
            for each in seen
        ]
        async with self._engine.begin() as connection:
            await connection.execute(observations.delete().where(observations.c.database == database))
            if rows:
                await connection.execute(observations.insert(), rows)


async def _update(connection: AsyncConnection, record: Recommended) -> None:
    await connection.execute(
        recommendations.update().where(recommendations.c.id == record.id).values(_values(record))
    )


def _values(record: Recommended) -> dict[str, Any]:
    each = record.recommendation
    return {
        "id": record.id,
        "database": record.database,
        "number": record.number,
        "kind": str(each.kind),
        "table": each.table,
        "element": each.element,
        "title": each.title,
        "statements": msgspec.json.encode(each.statements).decode(),
        "reason": each.reason,
        "standing": str(record.standing),
        "created_at": record.created_at,
        "updated_at": record.updated_at,
        "branch": record.branch,
        "applied_at": record.applied_at,
        "closed_by": record.closed_by,
        "dismissed_at": record.dismissed_at,
        "dismissed_by": msgspec.json.encode(record.dismissed_by).decode(),
        "dismissed_reason": record.dismissed_reason,
    }


def _recommended(row: sa.RowMapping) -> Recommended:
    values = dict(row)
    each = Recommendation(
        Kind(values.pop("kind")),
        str(values.pop("table")),
        str(values.pop("element")),
        str(values.pop("title")),
        msgspec.json.decode(values.pop("statements"), type=tuple[str, ...]),
        str(values.pop("reason")),
    )
    actor = msgspec.json.decode(values.pop("dismissed_by"), type=Actor | None)
    standing = Standing(values.pop("standing"))
    return Recommended(**values, recommendation=each, standing=standing, dismissed_by=actor)
