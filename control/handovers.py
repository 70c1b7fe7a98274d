"""I keep in the state database which programs of a branch are being made anew, should a kill lose them."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from migrator.schema.model import Schema
from migrator.schema.serial import from_json, to_json

metadata = sa.MetaData()

handovers = sa.Table(
    "branch_handovers",
    metadata,
    sa.Column("branch_id", sa.String(12), primary_key=True),
    sa.Column("programs", sa.Text),
)


class HandOvers:
    """The branches whose programs go to another account or are rebased, and those that may be missing."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def prepare(self) -> None:
        """Create the table if it is missing."""
        async with self._engine.begin() as connection:
            await connection.run_sync(metadata.create_all)

    async def begin(self, branch_id: str) -> None:
        """Remember that something is begun on a branch; what was noted before stays."""
        async with self._engine.begin() as connection:
            known = sa.select(handovers.c.branch_id).where(handovers.c.branch_id == branch_id)
            if (await connection.execute(known)).first() is None:
                await connection.execute(handovers.insert().values(branch_id=branch_id, programs=None))

    async def note(self, branch_id: str, programs: Schema | None = None) -> None:
        """Remember that programs of a branch are made anew, and those that may be missing now.

        They stand in a schema without tables.
        """
        text = None if programs is None else to_json(programs)
        async with self._engine.begin() as connection:
            await connection.execute(handovers.delete().where(handovers.c.branch_id == branch_id))
            await connection.execute(handovers.insert().values(branch_id=branch_id, programs=text))

    async def end(self, branch_id: str) -> None:
        """Take note that everything of a branch is there."""
        async with self._engine.begin() as connection:
            await connection.execute(handovers.delete().where(handovers.c.branch_id == branch_id))

    async def begun(self) -> dict[str, Schema | None]:
        """Return what a process that is gone has left: by branch, the programs that may be missing."""
        async with self._engine.connect() as connection:
            rows = (await connection.execute(sa.select(handovers))).all()
        return {row.branch_id: None if row.programs is None else from_json(row.programs) for row in rows}
