"""I remember the rows of migration tables: what a branch began with, and what a deploy request carries."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from migrator.deploy.frameworks import Batch, Key, MigrationTable
from migrator.deploy.request import DeployRequest

metadata = sa.MetaData()

origins = sa.Table(
    "migration_row_origins",
    metadata,
    sa.Column("branch_id", sa.String(12), primary_key=True),
    sa.Column("keys", sa.Text, nullable=False),
)
"""By table, the keys of the rows that a branch had when it was made, or that have reached its target."""

carried = sa.Table(
    "migration_rows",
    metadata,
    sa.Column("database", sa.String(63), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("branch_id", sa.String(12), nullable=False),
    sa.Column("batches", sa.Text, nullable=False),
)
"""What a deploy request carries, fixed when it starts."""


class MigrationRowStore:
    """The rows and keys that are remembered in the state database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def prepare(self) -> None:
        """Create the tables that are missing."""
        async with self._engine.begin() as connection:
            await connection.run_sync(metadata.create_all)

    async def origin(self, branch_id: str) -> dict[str, list[Key]]:
        """Return the keys that a branch had when it was made, by table."""
        query = sa.select(origins.c["keys"]).where(origins.c.branch_id == branch_id)
        async with self._engine.connect() as connection:
            stored = (await connection.execute(query)).scalar()
        known = json.loads(stored) if stored else {}
        return {table: [tuple(key) for key in keys] for table, keys in known.items()}

    async def put_origin(self, branch_id: str, keys: Mapping[str, Sequence[Key]]) -> None:
        """Store the keys of a branch, by table, in place of earlier ones; nothing is stored for none."""
        async with self._engine.begin() as connection:
            await connection.execute(origins.delete().where(origins.c.branch_id == branch_id))
            if keys:
                await connection.execute(
                    origins.insert().values({"branch_id": branch_id, "keys": json.dumps(keys)})
                )

    async def carried(self, request: DeployRequest) -> tuple[str, list[Batch]]:
        """Return the id of the branch that a request comes from, and what it carries, if that is fixed."""
        query = sa.select(carried).where(_of(request))
        async with self._engine.connect() as connection:
            row = (await connection.execute(query)).mappings().first()
        if row is None:
            return "", []
        return str(row["branch_id"]), [_batch(stored) for stored in json.loads(row["batches"])]

    async def put_carried(self, request: DeployRequest, branch_id: str, batches: Sequence[Batch]) -> None:
        """Fix what a request carries, in place of what it was to carry before."""
        values = {
            "database": request.database,
            "number": request.number,
            "branch_id": branch_id,
            "batches": json.dumps([_stored(batch) for batch in batches]),
        }
        async with self._engine.begin() as connection:
            await connection.execute(carried.delete().where(_of(request)))
            await connection.execute(carried.insert().values(values))


def _of(request: DeployRequest) -> sa.ColumnElement[bool]:
    return sa.and_(carried.c.database == request.database, carried.c.number == request.number)


def _stored(batch: Batch) -> dict[str, Any]:
    table = batch.table
    named = {"name": table.name, "key": table.key, "counter": table.counter, "succeeded": table.succeeded}
    return {"table": named, "rows": batch.rows, "left": batch.left}


def _batch(stored: Mapping[str, Any]) -> Batch:
    table = MigrationTable(**{**stored["table"], "key": tuple(stored["table"]["key"])})
    return Batch(table, tuple(stored["rows"]), tuple(stored["left"]))
