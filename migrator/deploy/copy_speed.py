"""I remember how fast the last large copy of a database was."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from migrator.engine.estimate import CopySpeed, worth_keeping
from migrator.engine.ground.operation import Status
from router.state import Moment

metadata = sa.MetaData()

copy_speeds = sa.Table(
    "copy_speeds",
    metadata,
    sa.Column("database", sa.String(63), primary_key=True),
    sa.Column("branch", sa.String(63), primary_key=True),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("data_bytes", sa.BigInteger, nullable=False),
    sa.Column("seconds", sa.Float, nullable=False),
    sa.Column("measured_at", Moment, nullable=False),
)


class CopySpeeds:
    """The last known speed of copies into each branch."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def prepare(self) -> None:
        """Create the table if it is missing."""
        async with self._engine.begin() as connection:
            await connection.run_sync(metadata.create_all)

    async def last(self, database: str, branch: str) -> CopySpeed | None:
        """Return how fast the last large copy was, None when there was none."""
        query = sa.select(copy_speeds).where(_of(database, branch))
        async with self._engine.connect() as connection:
            row = (await connection.execute(query)).mappings().first()
        if row is None:
            return None
        return CopySpeed(row["rows"], row["data_bytes"], row["seconds"], row["measured_at"])

    async def measured(
        self, database: str, branch: str, states: Iterable[Status], since: datetime, now: datetime
    ) -> None:
        """Remember how fast tables were copied from `since` to `now`, unless they were too small to tell."""
        done = list(states)
        speed = CopySpeed(
            sum(state.rows_copied for state in done),
            sum(state.bytes_copied for state in done),
            (now - since).total_seconds(),
            now,
        )
        if not worth_keeping(speed):
            return
        values = {
            "database": database,
            "branch": branch,
            "rows": speed.rows,
            "data_bytes": speed.data_bytes,
            "seconds": speed.seconds,
            "measured_at": now,
        }
        async with self._engine.begin() as connection:
            await connection.execute(copy_speeds.delete().where(_of(database, branch)))
            await connection.execute(copy_speeds.insert().values(values))


def _of(database: str, branch: str) -> sa.ColumnElement[bool]:
    return sa.and_(copy_speeds.c.database == database, copy_speeds.c.branch == branch)
