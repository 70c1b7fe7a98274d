"""I swap tables at once, under a lock of the server's own; if I cannot tell whether I did, I say so.

Everything that was written before the lock is in the log before our fence, and is copied under the lock;
everything after it goes to the new tables. The gate in front of the applications only makes the wait shorter:
nothing here relies on it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, Protocol, TypeVar

import structlog

from migrator.engine.ground.blockers import clear_way, find_prepared, find_suspects
from migrator.engine.ground.failpoints import reach
from migrator.engine.ground.journal import Change
from migrator.engine.ground.session import end_thread
from migrator.engine.log.binlog import SILENCE_S
from migrator.engine.log.events import Position
from migrator.engine.rows.followed import TABLE as FOLLOWED
from migrator.engine.swap.final import LastRows, check_source
from migrator.engine.swap.part import Part
from migrator.engine.swap.sentry import put_sentry, remove_sentry, rename_from_outside
from migrator.engine.table import statements
from migrator.errors import LostOwnership, MigratorError, NotNow
from router.database import Connection, quote_name
from router.errors import ConnectionLost, DatabaseError
from router.model import Flavor

log = structlog.get_logger()

_A = TypeVar("_A")
_B = TypeVar("_B")

# Rounds of the log and the flush go on until so few keys come with each that the lock will be short.
FEW_KEYS = 200
DRAIN_S = 5.0
GATED_DRAIN_S = 0.5
# The work under the lock may take one second, and more for attempts that failed often: under writers who
# leave no quieter moment, a longer lock is the only one that ends.
LOCKED_S, LOCKED_MAX_S = 1.0, 3.0
PATIENT_ATTEMPTS = 3
FINAL_KEYS_PER_S = 2000
RENAME_MAX_S = 1.5


class TrafficGate(Protocol):
    """Whoever can hold new statements on tables back for a moment."""

    async def close(self, tables: Sequence[tuple[str, str]]) -> bool:
        """Hold new statements; False when some that began before are still running."""

    async def open(self) -> None:
        """Let everything go on."""


class Busy(NotNow):
    """So much was written in the last moment that the lock would have become too long."""


def patience_s(attempt: int) -> float:
    """Return how long the work under the lock may take at an attempt, counted from 1."""
    return min(LOCKED_S + 0.5 * max(attempt - PATIENT_ATTEMPTS, 0), LOCKED_MAX_S)


class CutOverAttempt:
    """One try to do all parts at once; on MariaDB there can be one part only.

    The last thing before the swap is to persist, for all parts together, that it may have happened. `run`
    returns for how many milliseconds the tables were locked. When it raises with `written_ahead` set, the
    swap may have happened: stop following, end the connections that were recorded, then ask the names; else
    nothing has happened. With `force`, whoever holds a table for long is killed instead of waited for.
    """

    def __init__(
        self,
        parts: Sequence[Part],
        gate: TrafficGate | None,
        *,
        lock_wait_ms: int,
        locked_max_s: float = LOCKED_S,
        force: bool = False,
    ) -> None:
        self._parts, self._gate = parts, gate
        self._journal = parts[0].journal
        self._followers = [part.follower for part in parts if part.follower is not None]
        self._lock_wait_s, self._locked_max_s, self._force = lock_wait_ms / 1000, locked_max_s, force
        # Each operation takes what somebody else does to its table for a reason to stop.
        self._tag = f"/* {' '.join(statements.tag(part.journal.operation) for part in parts)} */"
        self._mariadb = self._journal.server.flavor is Flavor.MARIADB
        self._named = ", ".join(part.live for part in parts)
        self._tables = [table for part in parts for table in part.tables]
        self._positions: dict[str, Position] = {}
        self._gtids: dict[str, str | None] = {}
        self._rows: LastRows | None = None
        self.written_ahead = False

    async def run(self) -> float:
        """Try once."""
        try:
            return await self._try()
        finally:
            for part in self._parts:
                for companion in part.companions:
                    await companion.close()

    async def _try(self) -> float:
        await self._drain(DRAIN_S)
        async with self._connections() as (lock, second):
            for part in self._parts:
                for companion in part.companions:
                    await companion.prepare(second)
            await self._meet_blockers(lock, second)
            swap = self._parts[0].swap
            if self._mariadb and swap is not None:
                await put_sentry(second, swap, self._tag)
            try:
                return await self._gated(lock, second)
            finally:
                if self._mariadb and swap is not None and not self.written_ahead:
                    with suppress(DatabaseError, LostOwnership):
                        lock.abort()
                        await end_thread(second, lock.thread_id)
                        await remove_sentry(self._journal, swap)

    async def _drain(self, seconds: float) -> None:
        """Write what is waiting, and then what came meanwhile, until that is little or time is up."""
        until = time.monotonic() + seconds
        few = min(FEW_KEYS, FINAL_KEYS_PER_S * self._locked_max_s / 2)
        while True:
            for follower in self._followers:
                await follower.catch_up_alone()
                await follower.flush()
            if sum(follower.pending for follower in self._followers) <= few or time.monotonic() > until:
                return

    async def _meet_blockers(self, lock: Connection, second: Connection) -> None:
        """Before anything is locked, see whether the lock could be had at all."""
        ours = {lock.thread_id, second.thread_id}
        end_for = self._journal.operation if self._force else None
        await clear_way(second, self._tables, ours, end_for=end_for)

    async def _gated(self, lock: Connection, second: Connection) -> float:
        try:
            if self._gate is not None:
                await self._gate.close(self._to_hold())
            await self._drain(GATED_DRAIN_S)
            paused = []
            try:
                for follower in self._followers:
                    await follower.pause_writing()
                    paused.append(follower)
                return await self._locked(lock, second)
            except BaseException:
                # Once the swap may have happened, nobody may write before the names have been asked: what
                # followed one table would write to another.
                if not self.written_ahead:
                    for follower in paused:
                        follower.resume_writing()
                raise
        finally:
            if self._gate is not None:
                await asyncio.shield(self._gate.open())

    async def _locked(self, lock: Connection, second: Connection) -> float:
        # With InnoDB's own lock: it waits for XA transactions whose clients are gone, too.
        await lock.execute("SET SESSION autocommit = 0, SESSION innodb_table_locks = ON")
        # Whatever becomes of this process, its event loop or the network: the server ends a session that
        # says nothing for so long, and its lock with it.
        silence_s = int(self._locked_max_s) + 1
        await lock.execute(f"SET SESSION lock_wait_timeout = 1, SESSION wait_timeout = {silence_s}")
        reach("before-lock")
        locking = ", ".join(
            f"{quote_name(schema)}.{quote_name(name)} WRITE" for schema, name in self._to_lock()
        )
        try:
            await self._within(
                lock, second, f"LOCK TABLES {locking}", self._lock_wait_s, f"{self._named} is in use"
            )
        except NotNow as error:
            for find in (find_prepared, find_suspects):
                if (more := await find(second)) is not None:
                    raise NotNow(f"{error.message}; {more}") from error
            raise
        started = time.monotonic()
        try:
            async with asyncio.timeout(self._locked_max_s) as deadline:
                reach("locked")
                await self._final_flush(lock, second)
                flushed = time.monotonic()
                # From here on the answer to RENAME must be awaited, however long it takes.
                deadline.reschedule(None)
                await self._swap_now(lock, second)
        except TimeoutError:
            raise Busy(f"the last rows of {self._named} took too long under the lock") from None
        finally:
            await self._unlock(lock)
        ended = time.monotonic()
        log.info(
            "cutover.locked",
            tables=self._named,
            flush_ms=round((flushed - started) * 1000, 1),
            rename_ms=round((ended - flushed) * 1000, 1),
        )
        return (ended - started) * 1000

    def _to_hold(self) -> list[tuple[str, str]]:
        """The tables that applications use, and for which they would have to wait."""
        tables = [(part.schema, part.live) for part in self._parts]
        for part in self._parts:
            tables += [table for companion in part.companions for table in companion.tables()]
        return list(dict.fromkeys(tables))

    def _to_lock(self) -> list[tuple[str, str]]:
        tables = list(dict.fromkeys(self._tables))
        if any(follower.keeps for follower in self._followers):
            tables.append((statements.STATE, FOLLOWED))
        if self._mariadb:
            tables += [(part.schema, part.swap.outgoing) for part in self._parts if part.swap is not None]
        return tables

    async def _final_flush(self, lock: Connection, second: Connection) -> None:
        # Nobody writes to the tables now, and whoever did is in the log before a write of ours.
        counters, _ = await _both(self._check_sources(second), self._read_to_the_end())
        rows = self._rows
        assert rows is not None
        rows.take()
        try:
            if rows.count > FINAL_KEYS_PER_S * self._locked_max_s:
                raise Busy(f"{rows.count} rows of {self._named} changed in the last moment")
            rows.check()
            await rows.write()
            await lock.execute("COMMIT")
        except BaseException as error:
            rows.give_back()
            # UNLOCK TABLES would commit what was written of them.
            with suppress(DatabaseError):
                await lock.execute("ROLLBACK")
            if isinstance(error, DatabaseError):
                raise NotNow(f"the last rows of {self._named} could not be written: {error}") from error
            raise
        if any(follower.ranges.pending_count for follower in self._followers):
            raise NotNow(f"{self._named} changed although it is locked")
        for follower in self._followers:
            await follower.applier.depart(lock)
        for part, counter in zip(self._parts, counters, strict=True):
            if counter and part.swap is not None:
                incoming = part.swap.quoted(part.swap.incoming)
                await lock.execute(f"ALTER TABLE {incoming} AUTO_INCREMENT = {counter} {self._tag}")

    async def _check_sources(self, second: Connection) -> list[int]:
        return [await check_source(second, part) for part in self._parts]

    async def _read_to_the_end(self) -> None:
        if not self._followers:
            return
        # One statement, whoever owns the operation by now: to persist the swap is what only the owner can.
        await self._journal.using(self._write_fence)
        positions = await asyncio.gather(
            *(follower.catch_up(timeout_s=self._locked_max_s) for follower in self._followers)
        )
        following = [part for part in self._parts if part.follower is not None]
        for part, position in zip(following, positions, strict=True):
            self._positions[part.journal.operation] = position
            # No more than came before: what is read from there on would be told for the second time.
            self._gtids[part.journal.operation] = part.follower.gtids_at(position) if part.follower else None

    async def _write_fence(self, connection: Connection) -> None:
        await connection.execute(
            f"INSERT INTO {statements.STATE}.fence (id, n) VALUES (%s, 1) ON DUPLICATE KEY UPDATE n = n + 1",
            self._journal.operation,
        )

    async def _swap_now(self, lock: Connection, second: Connection) -> None:
        reach("before-write-ahead")
        self.written_ahead = True
        group = self._journal.operation if len(self._parts) > 1 else ""
        await self._journal.save_with(
            [part.journal for part in self._parts[1:]],
            [
                Change(
                    {"flip_gtid": self._gtids.get(part.journal.operation), "swap_group": group},
                    phase=part.way.ahead,
                    flip=self._positions.get(part.journal.operation),
                )
                for part in self._parts
            ],
        )
        try:
            await self._rename(lock, second)
        except NotNow:
            # The answer was no, and the tables are still locked: nobody need meet what was prepared.
            with suppress(DatabaseError, MigratorError):
                for part in self._parts:
                    for companion in part.companions:
                        await companion.abandon(lock)
            raise
        reach("after-rename")
        for part in self._parts:
            for companion in part.companions:
                # What cannot be done now, `settle` does later: the swap has happened.
                with suppress(DatabaseError, MigratorError):
                    await companion.after_swap(lock)

    async def _rename(self, lock: Connection, second: Connection) -> None:
        try:
            for part in self._parts:
                for companion in part.companions:
                    await companion.before_swap(lock)
        except ConnectionLost:
            raise
        except DatabaseError as error:
            raise NotNow(f"triggers or foreign keys cannot go along now: {error.message}") from error
        reach("before-rename")
        renames = ", ".join(
            f"{quote_name(part.schema)}.{quote_name(before)} TO {quote_name(part.schema)}.{quote_name(after)}"
            for part in self._parts
            for before, after in part.renames
        )
        rename = f"RENAME TABLE {renames} {self._tag}"
        swap = self._parts[0].swap
        if self._mariadb and swap is not None:
            await rename_from_outside(lock, second, swap, rename, self._tag)
        else:
            await self._within(lock, second, rename, RENAME_MAX_S, "RENAME waits")

    async def _unlock(self, lock: Connection) -> None:
        if not lock.closed:
            with suppress(DatabaseError):
                await lock.execute("UNLOCK TABLES")

    async def _within(
        self, lock: Connection, second: Connection, sql: str, seconds: float, reason: str
    ) -> None:
        """Run a statement on the locking connection; kill it when it takes longer."""
        running = asyncio.ensure_future(lock.execute(sql))
        try:
            done, _ = await asyncio.wait({running}, timeout=seconds)
            if not done:
                async with asyncio.timeout(SILENCE_S):
                    await second.execute(f"KILL QUERY {lock.thread_id}")
                    await asyncio.wait({running})
            await running
        except TimeoutError:
            raise ConnectionLost(0, f"the server was silent for {SILENCE_S:g} s") from None
        except ConnectionLost:
            raise
        except DatabaseError as error:
            raise NotNow(f"{reason}: {error.message}") from error
        finally:
            if not running.done():
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)

    @asynccontextmanager
    async def _connections(self) -> AsyncIterator[tuple[Connection, Connection]]:
        """Open both connections and record them: whoever takes over ends them before it looks at names."""
        server = self._journal.server
        setup = statements.session(server.flavor)
        # A process that dies holds its locks no longer than the server takes to notice.
        lock = await Connection.open(server, setup=[*setup, "SET SESSION wait_timeout = 10"])
        try:
            self._rows = LastRows(lock, self._parts)
            await self._rows.prepare()
            second = await Connection.open(server, setup=[*setup, "SET SESSION lock_wait_timeout = 1"])
            try:
                for each in (lock, second):
                    await self._journal.check_server(each)
                threads = lock.thread_id, second.thread_id
                await self._journal.save_with(
                    [part.journal for part in self._parts[1:]],
                    [Change(lock_connections=threads)] * len(self._parts),
                )
                yield lock, second
            finally:
                if lock.closed and not self.written_ahead:
                    # Cut off in the middle of a statement: the server would go on with it, and hold the lock.
                    with suppress(DatabaseError):
                        await end_thread(second, lock.thread_id)
                await second.close()
        finally:
            await lock.close()


async def _both(one: Coroutine[Any, Any, _A], other: Coroutine[Any, Any, _B]) -> tuple[_A, _B]:
    """Do both at once; should one fail, the other has ended too when the error is raised."""
    first, second = asyncio.ensure_future(one), asyncio.ensure_future(other)
    try:
        await asyncio.wait({first, second})
        return await first, await second
    finally:
        for task in (first, second):
            task.cancel()
        await asyncio.gather(first, second, return_exceptions=True)
