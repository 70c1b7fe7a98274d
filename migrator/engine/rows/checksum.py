"""I prove, without a lock, that the target holds exactly the source's rows.

Each range is digested on both sides by one statement, which sees one moment of both tables. Where the
digests differ, single rows are compared; a difference is explained when the row's key was waiting to be
written or has changed meanwhile, and is healed and looked at again when it was not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

import structlog

from conf.settings import MigratorSettings
from migrator.engine.ground.session import REPEATABLE, Session
from migrator.engine.rows import comparison
from migrator.engine.rows.chunks import ChunkSizer
from migrator.engine.rows.follow import Follower
from migrator.engine.table import statements
from migrator.engine.table.keys import Key
from migrator.errors import MigratorError
from migrator.throttle.throttler import Kind, Throttle
from router.database import Connection
from router.errors import ConnectionLost, DatabaseError

log = structlog.get_logger()

_Compare = Callable[[Connection], Awaitable[tuple[int, set[Key]]]]

ATTEMPTS = 8
LOST_ATTEMPTS = 30
# Differences that no change explains are healed, but more than a few mean that something is badly wrong.
UNEXPLAINED_MAX = 100


class Checksum:
    """One pass over the whole table; `rows` counts how far it is."""

    def __init__(
        self, follower: Follower, throttle: Throttle, settings: MigratorSettings, *, zone: str
    ) -> None:
        self.rows = 0
        self._follower, self._throttle, self._settings = follower, throttle, settings
        self._pair, self._journal = follower.pair, follower.journal
        # Values that are converted are compared after the server itself has converted them.
        self._staged = bool(self._pair.converted)
        self._sizer = ChunkSizer(settings.chunk_rows_max, self._pair.source.row_bytes)
        server = self._journal.server
        self._setup = statements.session(server.flavor, zone)
        if self._staged:
            self._setup.append(statements.create_stage(self._pair))
        self._low: Key | None = None
        self._over = False
        self._walking = asyncio.Lock()
        self._unexplained: dict[Key, int] = {}

    async def run(self) -> None:
        """Compare everything; raises MigratorError when the tables are not the same."""
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(max(1, self._settings.copiers)):
                    group.create_task(self._work())
        except ExceptionGroup as group_of_errors:
            raise group_of_errors.exceptions[0] from group_of_errors
        if not self._pair.target_key.at_home:
            session = Session(self._journal.server, self._setup)
            try:
                await self._until_explained(session, self._strangers)
            finally:
                await session.close()

    async def _work(self) -> None:
        session = Session(self._journal.server, self._setup)
        clock = asyncio.get_running_loop().time
        try:
            while True:
                budget = await self._throttle.permit(Kind.VERIFY)
                found = await self._next(session, self._sizer.rows(budget.target_s))
                if found is None:
                    return
                started = clock()
                low, high = found
                rows = await self._until_explained(session, partial(self._compare, low=low, high=high))
                self.rows += rows
                seconds = clock() - started
                self._sizer.took(rows, seconds, budget.target_s)
                self._throttle.record(budget, seconds, 0.0, rows)
        finally:
            await session.close()

    async def _next(self, session: Session, rows: int) -> tuple[Key | None, Key | None] | None:
        async with self._walking:
            if self._over:
                return None
            low = self._low
            sql = statements.boundary(self._pair, low, None, rows)
            for attempt in range(LOST_ATTEMPTS):
                try:
                    row = await (await session.get()).fetch_one(sql)
                    break
                except ConnectionLost:
                    if attempt == LOST_ATTEMPTS - 1:
                        raise
                    await asyncio.sleep(0.5)
            self._low = None if row is None else self._pair.key.from_row(row)
            self._over = row is None
            return low, self._low

    async def _until_explained(self, session: Session, compare: _Compare) -> int:
        """Compare, heal what nothing explains, and compare again; returns how many rows it were."""
        attempt = lost = 0
        while attempt < ATTEMPTS:
            try:
                connection = await session.get()
                rows, strange = await compare(connection)
            except ConnectionLost:
                lost += 1
                if lost == LOST_ATTEMPTS:
                    raise
                await asyncio.sleep(0.5)
                continue
            except DatabaseError as error:
                if error.errno not in REPEATABLE:
                    raise
                attempt += 1
                continue
            if not strange:
                return rows
            self._count(strange)
            log.warning("verify.differed", table=self._pair.source.name, keys=len(strange), attempt=attempt)
            attempt += 1
            self._follower.ranges.dirty |= strange
            await self._follower.flush()
        raise MigratorError(
            f"verifying {self._pair.source.name} was interrupted {ATTEMPTS} times",
            hint="look at the server's error log, then prepare this operation again",
        )

    async def _compare(
        self, connection: Connection, low: Key | None, high: Key | None
    ) -> tuple[int, set[Key]]:
        """Return the rows of the range and the keys whose difference nothing explains."""
        key, follower = self._pair.key, self._follower
        with follower.recording() as explained:
            if self._staged:
                for statement in statements.stage_range(self._pair, low, high, []):
                    await connection.execute(statement)
            if self._pair.target_key.at_home:
                sql = comparison.digests(self._pair, low, high, staged=self._staged)
                row = await connection.fetch_one(sql)
                assert row is not None
                rows, digest, target_rows, target_digest = row
                if (rows, digest) == (target_rows, target_digest):
                    return int(rows), set()
            else:
                # The target orders keys in another way: it has no such range. Every row is looked up.
                rows = await connection.fetch_value(f"SELECT COUNT(*) FROM {statements.STAGE}")
            differing: set[Key] = set()
            for statement in comparison.differing(self._pair, low, high, staged=self._staged):
                differing.update(key.from_row(each) for each in await connection.fetch_all(statement))
            if differing - explained:
                # Changes that were committed before the statements, but are still on their way to us.
                await follower.catch_up()
            return int(rows), differing - explained

    async def _strangers(self, connection: Connection) -> tuple[int, set[Key]]:
        """Return the keys of rows that the target has too many, where no range of it could tell."""
        with self._follower.recording() as explained:
            listed = await connection.fetch_all(comparison.strangers(self._pair))
            found = {self._pair.target_key.from_row(row) for row in listed}
            if found - explained:
                await self._follower.catch_up()
            return 0, found - explained

    def _count(self, strange: set[Key]) -> None:
        for key in strange:
            self._unexplained[key] = self._unexplained.get(key, 0) + 1
        twice = [key for key, times in self._unexplained.items() if times > 1]
        if not twice and len(self._unexplained) <= UNEXPLAINED_MAX:
            return
        shown = ", ".join(self._pair.key.text(key) for key in (twice or list(strange))[:5])
        raise MigratorError(
            f"the copy of {self._pair.source.name} differs from it in rows that nobody changed: {shown}",
            hint="does a session write with sql_log_bin=0? Its changes cannot be followed; cancel, and "
            "deploy again while it is away",
        )
