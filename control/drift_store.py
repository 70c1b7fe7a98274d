"""I keep how production should look as far as we know, and what was found to be otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from migrator.schema.drift import Drift
from router.clock import now
from router.state import Moment

metadata: Final = sa.MetaData()

schema_lines: Final = sa.Table(
    "schema_lines",
    metadata,
    sa.Column("database", sa.String(63), primary_key=True),
    sa.Column("branch", sa.String(12), primary_key=True),
    sa.Column("schema", sa.Text, nullable=False),
    sa.Column("stamp", sa.String(64), nullable=False),
    sa.Column("taken_at", Moment, nullable=False),
)

schema_drifts: Final = sa.Table(
    "schema_drifts",
    metadata,
    sa.Column("database", sa.String(63), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("state", sa.String(10), nullable=False),
    sa.Column("tables", sa.Text, nullable=False),
    sa.Column("programs", sa.Text, nullable=False),
    sa.Column("diff", sa.Text, nullable=False),
    sa.Column("affected", sa.Text, nullable=False),
    sa.Column("branch", sa.String(63)),
    sa.Column("found_at", Moment, nullable=False),
    sa.Column("closed_at", Moment),
)


class DriftState(StrEnum):
    """What became of a drift."""

    OPEN = "open"
    ADOPTED = "adopted"
    UNDONE = "undone"


@dataclass(frozen=True, slots=True)
class Line:
    """How production should look: a stored schema, and `stamp`, by which a change of it is noticed."""

    schema: str
    stamp: str
    taken_at: datetime


@dataclass(frozen=True, slots=True)
class FoundDrift:
    """One drift: what differs, the open deploy requests it touches, and the branch made to undo it."""

    number: int
    state: DriftState
    tables: tuple[str, ...]
    programs: tuple[str, ...]
    diff: Mapping[str, str]
    affected: tuple[int, ...]
    found_at: datetime
    branch: str | None = None
    closed_at: datetime | None = None

    @property
    def shown(self) -> Drift:
        """What is shown of it."""
        return Drift(self.tables, self.programs, self.diff)


class DriftStore:
    """What is known of the schema of one database."""

    def __init__(self, engine: AsyncEngine, database: str) -> None:
        self._engine = engine
        self._database = database

    async def prepare(self) -> None:
        """Create the tables if they are missing."""
        async with self._engine.begin() as connection:
            await connection.run_sync(metadata.create_all)

    async def line(self, branch: str) -> Line | None:
        """Return how the branch of this id should look, None when it was never looked at."""
        query = sa.select(schema_lines).where(
            schema_lines.c.database == self._database, schema_lines.c.branch == branch
        )
        async with self._engine.connect() as connection:
            row = (await connection.execute(query)).mappings().first()
        return Line(row["schema"], row["stamp"], row["taken_at"]) if row else None

    async def put_line(self, branch: str, schema: str, stamp: str) -> None:
        """Remember how a branch should look from now on."""
        place = {"database": self._database, "branch": branch}
        async with self._engine.begin() as connection:
            await connection.execute(
                schema_lines.delete().where(
                    schema_lines.c.database == self._database, schema_lines.c.branch == branch
                )
            )
            await connection.execute(
                schema_lines.insert().values(**place, schema=schema, stamp=stamp, taken_at=now())
            )

    async def latest(self) -> FoundDrift | None:
        """Return the drift found last, whatever became of it."""
        query = (
            sa.select(schema_drifts)
            .where(schema_drifts.c.database == self._database)
            .order_by(schema_drifts.c.number.desc())
            .limit(1)
        )
        async with self._engine.connect() as connection:
            row = (await connection.execute(query)).mappings().first()
        return _drift(row) if row else None

    async def put(self, drift: FoundDrift) -> FoundDrift:
        """Keep a drift, in place of the one of its number; number 0 is the next free one."""
        async with self._engine.begin() as connection:
            if not drift.number:
                highest = await connection.scalar(
                    sa.select(sa.func.max(schema_drifts.c.number)).where(
                        schema_drifts.c.database == self._database
                    )
                )
                drift = replace(drift, number=(highest or 0) + 1)
            await connection.execute(
                schema_drifts.delete().where(
                    schema_drifts.c.database == self._database, schema_drifts.c.number == drift.number
                )
            )
            await connection.execute(schema_drifts.insert().values(database=self._database, **_values(drift)))
        return drift


def _drift(row: sa.RowMapping) -> FoundDrift:
    return FoundDrift(
        number=row["number"],
        state=DriftState(row["state"]),
        tables=msgspec.json.decode(row["tables"], type=tuple[str, ...]),
        programs=msgspec.json.decode(row["programs"], type=tuple[str, ...]),
        diff=msgspec.json.decode(row["diff"], type=dict[str, str]),
        affected=msgspec.json.decode(row["affected"], type=tuple[int, ...]),
        found_at=row["found_at"],
        branch=row["branch"],
        closed_at=row["closed_at"],
    )


def _values(drift: FoundDrift) -> dict[str, Any]:
    values: dict[str, Any] = {name: getattr(drift, name) for name in FoundDrift.__dataclass_fields__}
    for name in ("tables", "programs", "diff", "affected"):
        values[name] = msgspec.json.encode(values[name]).decode()
    return values
