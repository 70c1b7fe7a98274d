"""I fill the target range by range, several ranges at a time, beside those who write to the source."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from conf.settings import MigratorSettings
from migrator.engine.ground.failpoints import reach
from migrator.engine.ground.session import FULL, REPEATABLE, Session
from migrator.engine.rows.applier import DUPLICATE, UNFIT
from migrator.engine.rows.chunks import ChunkSizer
from migrator.engine.rows.follow import FULL_PAUSE_S, Follower
from migrator.engine.rows.ranges import Region
from migrator.engine.table import statements
from migrator.engine.table.keys import Key
from migrator.engine.table.statements import STATE
from migrator.errors import MigratorError
from migrator.throttle.throttler import Budget, Throttle
from router.database import Connection
from router.errors import ConnectionLost, DatabaseError

log = structlog.get_logger()

DUPLICATE_ATTEMPTS = 50
LOST_ATTEMPTS = 30
LOST_PAUSE_S = 0.5
SLOW_CHUNK_S = 10.0
BACKLOG_STOP = 20_000
BACKLOG_GO = 2_000


class Copier:
    """Copies whatever `follower.ranges` does not have yet; `rows` counts what is copied."""

    def __init__(
        self, follower: Follower, throttle: Throttle, settings: MigratorSettings, *, zone: str, copied: int
    ) -> None:
        self.rows = copied
        self._doing = "copying"
        self._follower, self._throttle, self._settings, self._zone = follower, throttle, settings, zone
        self._pair, self._journal = follower.pair, follower.journal
        self._sizer = ChunkSizer(settings.chunk_rows_max, follower.pair.source.row_bytes)
        self._walking = asyncio.Lock()
        self._sequence = 0
        self._asked_s: dict[int, float] = {}

    @property
    def activity(self) -> str:
        """What is being done, or waited for: a server whose disk is full may not even say so."""
        if self._doing != "copying" or not self._asked_s:
            return self._doing
        waited_s = time.monotonic() - min(self._asked_s.values())
        if waited_s > SLOW_CHUNK_S:
            return f"waiting for the server for {waited_s:.0f} s (is its disk full?)"
        return self._doing

    async def run(self) -> None:
        """Copy until nothing is left; raises MigratorError when rows do not fit the target."""
        rows = await self._journal.fetch_all(
            f"SELECT COALESCE(MAX(seq), 0) FROM {STATE}.chunk WHERE id = %s", self._journal.operation
        )
        self._sequence = int(str(rows[0][0]))
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(max(1, self._settings.copiers) if self._pair.key.ordered else 1):
                    group.create_task(self._work())
        except ExceptionGroup as group_of_errors:
            raise group_of_errors.exceptions[0] from group_of_errors

    async def _work(self) -> None:
        server = self._journal.server
        setup = [*statements.session(server.flavor, self._zone), *self._follower.applier.setup]
        session = Session(server, setup)
        try:
            while True:
                budget = await self._throttle.permit()
                await self._wait_for_backlog()
                async with self._in_turn():
                    if not await self._copy_next(session, budget):
                        return
        finally:
            await session.close()

    @asynccontextmanager
    async def _in_turn(self) -> AsyncIterator[None]:
        """Let nobody write meanwhile when only the server can tell which keys are in the range."""
        if self._pair.key.ordered:
            yield
            return
        await self._follower.pause_writing()
        try:
            yield
        finally:
            self._follower.resume_writing()

    async def _copy_next(self, session: Session, budget: Budget) -> bool:
        """Copy the next range; False when there is none."""
        opened = await self._open_next(session, self._sizer.rows(budget.target_s))
        if opened is None:
            return False
        sequence, region = opened
        started = time.monotonic()
        self._asked_s[sequence] = started
        rows, commit_s = await self._copy(session, region, sequence)
        del self._asked_s[sequence]
        self._follower.ranges.close(region)
        seconds = time.monotonic() - started
        self.rows += rows
        self._sizer.took(rows, seconds - commit_s, budget.target_s)
        self._throttle.record(budget, seconds, commit_s, rows)
        return True

    async def _wait_for_backlog(self) -> None:
        """Let the log come first: a copy of rows that are already out of date helps nobody."""
        if len(self._follower.ranges.dirty) < BACKLOG_STOP:
            return
        self._doing = "catching up"
        while len(self._follower.ranges.dirty) > BACKLOG_GO:
            await asyncio.sleep(0.1)
        self._doing = "copying"

    async def _open_next(self, session: Session, rows: int) -> tuple[int, Region] | None:
        """Find the next range and begin it; its bounds carry no weight, only that ranges do not overlap."""
        fence = self._follower.fence
        async with self._walking:
            gap = self._follower.ranges.gap()
            if gap is None:
                return None
            low, bound = gap
            high = await self._boundary(session, low, bound, rows)
            unseen = fence.unseen()
            self._sequence += 1
            sequence, high = self._sequence, bound if high is None else high
            region = self._follower.ranges.open(low, high, fence.seen_up_to(), unseen or ())
        if unseen is None:
            await fence.cross()
        return sequence, region

    async def _boundary(self, session: Session, low: Key | None, bound: Key | None, rows: int) -> Key | None:
        sql = statements.boundary(self._pair, low, bound, rows)
        for attempt in range(LOST_ATTEMPTS):
            try:
                row = await (await session.get()).fetch_one(sql)
            except ConnectionLost as error:
                if attempt == LOST_ATTEMPTS - 1:
                    raise
                await self._wait_for_server(error)
            else:
                return None if row is None else self._pair.key.from_row(row)
        raise AssertionError("unreachable")

    async def _copy(self, session: Session, region: Region, sequence: int) -> tuple[int, float]:
        """Copy one range; returns its rows and how long the commit took."""
        duplicates = lost = 0
        while True:
            try:
                connection = await session.get()
                if lost and (rows := await self._copied(connection, sequence)) is not None:
                    return rows, 0.0
                if not duplicates:
                    return await self._transaction(connection, region, sequence, carefully=False)
                if not self._pair.key.ordered:
                    return await self._transaction(connection, region, sequence, carefully=True)
                await self._follower.pause_writing()
                try:
                    return await self._transaction(connection, region, sequence, carefully=True)
                finally:
                    self._follower.resume_writing()
            except ConnectionLost as error:
                # The commit may have happened: `session.get` waits for the end of the former connection.
                lost += 1
                if lost == LOST_ATTEMPTS:
                    raise
                await self._wait_for_server(error)
            except DatabaseError as error:
                if error.errno in REPEATABLE:
                    self._throttle.collided()
                    continue
                if error.errno in FULL:
                    log.warning("copy.disk_full", reason=str(error))
                    self._doing = f"waiting for room on the server: {error.message}"
                    await asyncio.sleep(FULL_PAUSE_S)
                    self._doing = "copying"
                elif self._may_be_passing(error) and duplicates < DUPLICATE_ATTEMPTS:
                    # A value may have moved from a row that is copied to one of these.
                    duplicates += 1
                    if duplicates % 5 == 0 and (found := await self._follower.find_duplicates()):
                        raise found from error
                    if self._pair.key.ordered:
                        await self._follower.catch_up()
                        await self._follower.flush()
                    else:
                        await self._follower.catch_up_alone()
                        await self._follower.flush_locked()
                elif error.errno in UNFIT:
                    raise await self._explain(session, region, error) from error
                else:
                    raise

    async def _wait_for_server(self, error: ConnectionLost) -> None:
        log.info("copy.interrupted", reason=str(error))
        self._doing = f"waiting for the server: {error.message}"
        await asyncio.sleep(LOST_PAUSE_S)
        self._doing = "copying"

    def _may_be_passing(self, error: DatabaseError) -> bool:
        return error.errno == DUPLICATE and not self._pair.simple

    async def _transaction(
        self, connection: Connection, region: Region, sequence: int, *, carefully: bool
    ) -> tuple[int, float]:
        key = self._pair.key
        begun = self._follower.fence.now
        try:
            # Each round trip costs the server's clients and ours as much as a dozen rows.
            _, (_, owned) = await connection.run_all(("START TRANSACTION",), self._journal.claim)
            self._journal.confirm(owned)
            if carefully:
                await self._follower.applier.copy(connection, region.low, region.high)
                rows = await self._count(connection, region)
            else:
                rows = await connection.execute(statements.copy_range(self._pair, region.low, region.high))
            reach("chunk-before-commit")
            started = time.monotonic()
            done = (
                f"INSERT INTO {STATE}.chunk (id, seq, low_key, high_key, row_count) "
                "VALUES (%s, %s, %s, %s, %s)",
                *(self._journal.operation, sequence, key.dump(region.low), key.dump(region.high), rows),
            )
            await connection.run_all(done, ("COMMIT",))
            reach("chunk-after-commit")
        except DatabaseError as error:
            if not isinstance(error, ConnectionLost):
                await connection.execute("ROLLBACK")
            raise
        except BaseException:
            connection.abort()
            raise
        self._follower.fence.committed(begun)
        return rows, time.monotonic() - started

    async def _count(self, connection: Connection, region: Region) -> int:
        source = self._pair.source.quoted
        within = self._pair.key.within(source, region.low, region.high)
        return int(await connection.fetch_value(f"SELECT COUNT(*) FROM {source} WHERE {within}"))

    async def _copied(self, connection: Connection, sequence: int) -> int | None:
        rows = await connection.fetch_value(
            f"SELECT row_count FROM {STATE}.chunk WHERE id = %s AND seq = %s",
            *(self._journal.operation, sequence),
        )
        return None if rows is None else int(rows)

    async def _explain(self, session: Session, region: Region, error: DatabaseError) -> MigratorError:
        """Name the rows that do not fit: find the first of them by halving the range."""
        if error.errno == DUPLICATE and not self._pair.simple:
            found = await self._follower.find_duplicates()
            if found is not None:
                return found
        connection = await session.get()
        limit = 10 * self._settings.chunk_rows_max
        listed = await connection.fetch_all(statements.ranks(self._pair, region.low, region.high, limit))
        keys = [self._pair.key.from_row(row) for row in listed]
        first, last = 0, len(keys) - 1
        while first < last:
            middle = (first + last) // 2
            low = keys[first - 1] if first else region.low
            failed = await self._fails(connection, low, keys[middle])
            if failed is None:
                first = middle + 1
            else:
                last, error = middle, failed
        return self._follower.applier.conflict({keys[first]: error} if keys else {None: error})

    async def _fails(self, connection: Connection, low: Key | None, high: Key) -> DatabaseError | None:
        await connection.execute("START TRANSACTION")
        try:
            await connection.execute(statements.copy_range(self._pair, low, high))
        except DatabaseError as error:
            if error.errno not in UNFIT:
                raise
            return error
        finally:
            if not connection.closed:
                await connection.execute("ROLLBACK")
        return None
