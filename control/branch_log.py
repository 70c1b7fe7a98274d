"""I keep the statements that changed a branch's definitions, as the proxy saw them, and tell who follows it.

The log says what was renamed. It need not be complete: who changes a branch without the proxy leaves nothing
here, and then a deploy request asks instead of knowing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Final

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from migrator.errors import MigratorError
from migrator.schema.errors import SchemaError
from proxy.channel import DefinitionChanged
from router.errors import DatabaseError, ServerFailed
from router.state import Moment

log = structlog.get_logger()

KEPT_MAX: Final = 2000
"""Statements kept of one branch; those that are older go."""
TEXT_MAX: Final = 8192
QUIET_S: Final = 0.5
"""How long nothing must have changed before who follows a branch is told: changes come in series."""
QUIET_TRIES: Final = 20
"""So often this is waited for, lest who changes one branch all the time holds all others up."""
WAITING_MAX: Final = 10_000
"""Statements that wait to be written; of more it is only known that their branches have changed."""

metadata = sa.MetaData()

definitions = sa.Table(
    "branch_definitions",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("database", sa.String(63), nullable=False),
    sa.Column("branch", sa.String(63), nullable=False),
    sa.Column("user", sa.String(255), nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("at", Moment, nullable=False),
    sa.Index("branch_definitions_of", "database", "branch", "id"),
)

Follow = Callable[[str, str], Awaitable[None]]
"""Does what is due when a branch has changed: takes its database and name."""


class BranchLog:
    """What was changed on the branches of every database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._waiting: list[DefinitionChanged] = []
        self._changed: set[tuple[str, str]] = set()
        self._event = asyncio.Event()
        # Held while what waits is written: who reads meanwhile waits for it.
        self._writing = asyncio.Lock()

    async def prepare(self) -> None:
        """Create the table that is missing."""
        async with self._engine.begin() as connection:
            await connection.run_sync(metadata.create_all)

    def note(self, message: DefinitionChanged) -> None:
        """Take what a worker saw."""
        if message.text and len(self._waiting) < WAITING_MAX:
            self._waiting.append(message)
        self._changed.add((message.database, message.branch))
        self._event.set()

    async def statements(self, database: str, branch: str) -> list[str]:
        """Return the statements that changed a branch, without their values, oldest first."""
        await self._write()
        query = (
            sa.select(definitions.c.text)
            .where(definitions.c.database == database, definitions.c.branch == branch)
            .order_by(definitions.c.at, definitions.c.id)
        )
        async with self._engine.connect() as connection:
            return [row.text for row in await connection.execute(query)]

    async def forget(self, database: str, branch: str) -> None:
        """Forget a branch that is gone."""
        await self._write()
        async with self._engine.begin() as connection:
            await connection.execute(
                definitions.delete().where(definitions.c.database == database, definitions.c.branch == branch)
            )

    async def begin(self, database: str, branch: str, statements: Sequence[str]) -> None:
        """Forget what led to a branch, which has another base now; these statements lead from there to it."""
        await self._write()
        its = (definitions.c.database == database) & (definitions.c.branch == branch)
        rows = [
            {"database": database, "branch": branch, "user": "", "text": text, "at": datetime.now(UTC)}
            for text in statements
        ]
        async with self._engine.begin() as connection:
            await connection.execute(definitions.delete().where(its))
            if rows:
                await connection.execute(definitions.insert(), rows)

    async def rename(self, database: str, branch: str, new_name: str) -> None:
        """Keep what is known of a branch under its new name."""
        await self._write()
        async with self._engine.begin() as connection:
            await connection.execute(
                definitions.update()
                .where(definitions.c.database == database, definitions.c.branch == branch)
                .values(branch=new_name)
            )

    async def run(self, follow: Follow) -> None:
        """Tell of changed branches until cancelled."""
        while True:
            await self._event.wait()
            for _ in range(QUIET_TRIES):
                self._event.clear()
                await asyncio.sleep(QUIET_S)
                if not self._event.is_set():
                    break
            changed, self._changed = self._changed, set()
            await self._write()
            for database, branch in sorted(changed):
                log.info("branch.changed", database=database, branch=branch)
                try:
                    await follow(database, branch)
                except (DatabaseError, MigratorError, SchemaError, ServerFailed, OSError) as error:
                    # Its requests are checked again before they are deployed, whatever happens here.
                    log.warning("branch.not_followed", branch=branch, reason=str(error))

    async def _write(self) -> None:
        """Store what has come, in the order in which it happened."""
        async with self._writing:
            waiting, self._waiting = sorted(self._waiting, key=lambda message: message.at_s), []
            if not waiting:
                return
            async with self._engine.begin() as connection:
                await connection.execute(
                    definitions.insert(),
                    [
                        {
                            "database": message.database,
                            "branch": message.branch,
                            "user": message.user,
                            "text": message.text[:TEXT_MAX],
                            "at": datetime.fromtimestamp(message.at_s, UTC),
                        }
                        for message in waiting
                    ],
                )
                for database, branch in {(message.database, message.branch) for message in waiting}:
                    its = (definitions.c.database == database) & (definitions.c.branch == branch)
                    kept = sa.select(definitions.c.id).where(its).order_by(definitions.c.id.desc())
                    oldest = await connection.scalar(kept.offset(KEPT_MAX - 1).limit(1))
                    if oldest is not None:
                        await connection.execute(
                            definitions.delete().where(its & (definitions.c.id < oldest))
                        )
