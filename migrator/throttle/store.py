"""I keep in the state database what people have said of the throttle, so that a restart forgets nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from migrator.throttle.ratio import Ratio
from router.clock import now
from router.state import Moment

metadata: Final = sa.MetaData()

throttle_ratios: Final = sa.Table(
    "throttle_ratios",
    metadata,
    sa.Column("database", sa.String(63), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("ratio", sa.Integer, nullable=False),
    sa.Column("paused", sa.Boolean, nullable=False),
    sa.Column("expires_at", Moment),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("updated_at", Moment, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Stored:
    """A ratio as stored: of a deploy request, or of the whole database with the number 0."""

    number: int
    ratio: Ratio
    created_at: datetime
    updated_at: datetime


class RatioStore:
    """The ratios of every database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def prepare(self) -> None:
        """Create the table if it is missing."""
        async with self._engine.begin() as connection:
            await connection.run_sync(metadata.create_all)

    async def all(self, database: str) -> dict[int, Stored]:
        """Return the ratios of a database by number."""
        query = sa.select(throttle_ratios).where(throttle_ratios.c.database == database)
        async with self._engine.connect() as connection:
            rows = (await connection.execute(query)).mappings().all()
        return {
            row["number"]: Stored(
                row["number"],
                Ratio(row["ratio"], row["paused"], row["expires_at"]),
                row["created_at"],
                row["updated_at"],
            )
            for row in rows
        }

    async def put(self, database: str, number: int, ratio: Ratio | None) -> None:
        """Store a ratio in place of the one before, or forget it."""
        where = (throttle_ratios.c.database == database, throttle_ratios.c.number == number)
        async with self._engine.begin() as connection:
            since = await connection.scalar(sa.select(throttle_ratios.c.created_at).where(*where))
            await connection.execute(throttle_ratios.delete().where(*where))
            if ratio is not None:
                at = now()
                await connection.execute(
                    throttle_ratios.insert().values(
                        database=database,
                        number=number,
                        ratio=ratio.ratio,
                        paused=ratio.paused,
                        expires_at=ratio.expires_at,
                        created_at=since or at,
                        updated_at=at,
                    )
                )
