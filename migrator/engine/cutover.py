"""I swap two tables at once, under a lock of the server's own; if I cannot tell whether I did, I say so.

Everything that was written before the lock is in the log before our fence, and is copied under the lock;
everything after it goes to the new table. The gate in front of the applications only makes the wait shorter:
nothing here relies on it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Protocol

import structlog

from migrator.engine import statements
from migrator.engine.binlog import SILENCE_S
from migrator.engine.blockers import find_blocker
from migrator.engine.events import Position
from migrator.engine.failpoints import reach
from migrator.engine.follow import Follower
from migrator.engine.journal import Journal
from migrator.engine.session import end_thread
from migrator.engine.shadow import exists, raise_counter
from migrator.engine.shape import fingerprint, show_create
from migrator.errors import LostOwnership, NotNow, OwnershipUnknown, SourceChanged
from router.database import Connection, quote_name
from router.errors import ConnectionLost, DatabaseError
from router.model import Flavor

log = structlog.get_logger()

SENTRY = "headgate sentry"
COMMENT_OF = "SELECT TABLE_COMMENT FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s"
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
WAITING = "SELECT STATE FROM information_schema.PROCESSLIST WHERE ID = %s"


class TrafficGate(Protocol):
    """Whoever can hold new statements on tables back for a moment."""

    async def close(self, tables: Sequence[tuple[str, str]]) -> bool:
        """Hold new statements; False when some that began before are still running."""

    async def open(self) -> None:
        """Let everything go on."""


@dataclass(frozen=True, slots=True)
class Swap:
    """`live` gives its name to `incoming` and takes that of `outgoing`; all in one schema."""

    schema: str
    live: str
    incoming: str
    outgoing: str

    def quoted(self, table: str) -> str:
        """Return a table's qualified name for SQL text."""
        return f"{quote_name(self.schema)}.{quote_name(table)}"

    @property
    def rename(self) -> str:
        """The one statement that does it."""
        live, incoming, outgoing = map(self.quoted, (self.live, self.incoming, self.outgoing))
        return f"RENAME TABLE {live} TO {outgoing}, {incoming} TO {live}"


def patience_s(attempt: int) -> float:
    """Return how long the work under the lock may take at an attempt, counted from 1."""
    return min(LOCKED_S + 0.5 * max(attempt - PATIENT_ATTEMPTS, 0), LOCKED_MAX_S)


async def has_happened(connection: Connection, swap: Swap) -> bool:
    """Tell from the names whether the swap happened; nobody may be able to do it any more.

    Raises OwnershipUnknown when the names fit neither.
    """
    found = {
        name
        for name in (swap.live, swap.incoming, swap.outgoing)
        if await exists(connection, swap.schema, name)
    }
    if swap.outgoing in found and await _is_sentry(connection, swap):
        found.discard(swap.outgoing)
    if found == {swap.live, swap.incoming}:
        return False
    if found == {swap.live, swap.outgoing}:
        return True
    raise OwnershipUnknown(
        f"of the tables {swap.live}, {swap.incoming} and {swap.outgoing} in {swap.schema!r} only "
        f"{', '.join(sorted(found)) or 'none'} exist",
        hint="somebody renamed or dropped one of them; compare their rows before you do anything else",
    )


async def remove_sentry(journal: Journal, swap: Swap) -> None:
    """Drop the empty table that guards the old name, if it is there.

    As the owner, because the name may be the old table's a moment later, by somebody else's hand.
    """

    async def remove(owner: Connection) -> None:
        if await _is_sentry(owner, swap):
            tag = statements.tag(journal.operation)
            await owner.execute(f"DROP TABLE {swap.quoted(swap.outgoing)} /* {tag} */")

    await journal.as_owner(remove)


async def _is_sentry(connection: Connection, swap: Swap) -> bool:
    return bool(await connection.fetch_value(COMMENT_OF, swap.schema, swap.outgoing) == SENTRY)


class CutOverAttempt:
    """One try. `write_ahead` persists, as the last thing before the swap, that it may have happened.

    `definition` is the fingerprint the live table must still have. `run` returns for how many milliseconds
    the table was locked. When it raises with `written_ahead` set, the swap may have happened: end the
    connections it recorded, then ask the names; else nothing has happened.
    """

    def __init__(
        self,
        follower: Follower,
        swap: Swap,
        gate: TrafficGate,
        *,
        zone: str,
        lock_wait_ms: int,
        definition: str,
        write_ahead: Callable[[Position], Awaitable[None]],
        locked_max_s: float = LOCKED_S,
    ) -> None:
        self._follower, self._swap, self._gate = follower, swap, gate
        self._journal: Journal = follower.journal
        self._zone, self._lock_wait_s = zone, lock_wait_ms / 1000
        self._definition, self._write_ahead = definition, write_ahead
        self._locked_max_s = locked_max_s
        self._tag = f"/* {statements.tag(self._journal.operation)} */"
        self._mariadb = self._journal.server.flavor is Flavor.MARIADB
        self.written_ahead = False

    async def run(self) -> float:
        """Try once."""
        swap = self._swap
        await self._drain(DRAIN_S)
        async with self._connections() as (lock, second):
            blocker = await find_blocker(second, swap.schema, swap.live, lock.thread_id)
            if blocker is not None:
                raise NotNow(blocker)
            if self._mariadb:
                await self._put_sentry(second)
            try:
                return await self._gated(lock, second)
            finally:
                if self._mariadb and not self.written_ahead:
                    with suppress(DatabaseError, LostOwnership):
                        lock.abort()
                        await end_thread(second, lock.thread_id)
                        await remove_sentry(self._journal, swap)

    async def _drain(self, seconds: float) -> None:
        """Write what is waiting, and then what came meanwhile, until that is little or time is up."""
        follower, until = self._follower, time.monotonic() + seconds
        while True:
            await follower.catch_up()
            await follower.flush()
            if follower.pending <= FEW_KEYS or time.monotonic() > until:
                return

    async def _gated(self, lock: Connection, second: Connection) -> float:
        follower = self._follower
        try:
            await self._gate.close([(self._swap.schema, self._swap.live)])
            await self._drain(GATED_DRAIN_S)
            await follower.pause_writing()
            try:
                lock_ms = await self._locked(lock, second)
            except BaseException:
                follower.resume_writing()
                raise
            # What follows this table now writes to another one: it must never write again.
            return lock_ms
        finally:
            await asyncio.shield(self._gate.open())

    async def _locked(self, lock: Connection, second: Connection) -> float:
        swap = self._swap
        tables = [swap.live, swap.incoming, *([swap.outgoing] if self._mariadb else [])]
        await lock.execute("SET autocommit = 0")
        await lock.execute("SET SESSION lock_wait_timeout = 1")
        locking = ", ".join(f"{swap.quoted(table)} WRITE" for table in tables)
        reach("before-lock")
        await self._within(
            lock, second, f"LOCK TABLES {locking}", self._lock_wait_s, f"{swap.live} is in use"
        )
        started = time.monotonic()
        try:
            async with asyncio.timeout(self._locked_max_s) as deadline:
                await self._final_flush(lock, second)
                # From here on the answer to RENAME must be awaited, however long it takes.
                deadline.reschedule(None)
                await self._swap_now(lock, second)
        except TimeoutError:
            raise NotNow(f"the last rows of {swap.live} took too long under the lock") from None
        finally:
            await self._unlock(lock)
        return (time.monotonic() - started) * 1000

    async def _final_flush(self, lock: Connection, second: Connection) -> None:
        follower, swap = self._follower, self._swap
        if fingerprint(await show_create(second, swap.schema, swap.live)) != self._definition:
            raise SourceChanged(
                f"the definition of {swap.schema}.{swap.live} changed during the deployment",
                hint="cancel this deployment and start a new one",
            )
        # Nobody writes to the table now, and whoever did is in the log before this write of ours.
        await self._journal.guarded(self._write_fence)
        position = await follower.catch_up(timeout_s=self._locked_max_s)
        keys, moves = follower.take()
        try:
            if len(keys) > FINAL_KEYS_PER_S * self._locked_max_s:
                raise NotNow(f"{len(keys)} rows of {swap.live} changed in the last moment")
            if keys:
                if follower.keeps:
                    await follower.applier.follow(lock, moves)
                await follower.applier.write(lock, sorted(keys))
            await lock.execute("COMMIT")
        except BaseException as error:
            follower.give_back(keys, moves)
            # UNLOCK TABLES would commit what was written of them.
            with suppress(DatabaseError):
                await lock.execute("ROLLBACK")
            if isinstance(error, DatabaseError):
                raise NotNow(f"the last rows of {swap.live} could not be written: {error}") from error
            raise
        if follower.ranges.pending_count:
            raise NotNow(f"{swap.live} changed although it is locked")
        await raise_counter(
            lock, self._journal.operation, swap.schema, swap.live, swap.incoming, reader=second
        )
        self._position = position

    async def _write_fence(self, connection: Connection) -> None:
        await connection.execute(
            f"INSERT INTO {statements.STATE}.fence (id, n) VALUES (%s, 1) ON DUPLICATE KEY UPDATE n = n + 1",
            self._journal.operation,
        )

    async def _swap_now(self, lock: Connection, second: Connection) -> None:
        reach("before-write-ahead")
        self.written_ahead = True
        await self._write_ahead(self._position)
        reach("before-rename")
        if self._mariadb:
            await self._rename_from_outside(lock, second)
        else:
            await self._within(lock, second, f"{self._swap.rename} {self._tag}", RENAME_MAX_S, "RENAME waits")
        reach("after-rename")

    async def _rename_from_outside(self, lock: Connection, second: Connection) -> None:
        """MariaDB: another connection waits for the table with RENAME, and gets it before all writers.

        The sentry holds the old name until then, so that a RENAME that gets through early, because the lock
        was lost, fails.
        """
        swap = self._swap
        rename = asyncio.ensure_future(second.execute(f"{swap.rename} {self._tag}"))
        try:
            async with asyncio.timeout(RENAME_MAX_S):
                await self._until_waiting(lock, second, rename)
            reach("before-sentry-drop")
            await lock.execute(f"DROP TABLE {swap.quoted(swap.outgoing)} {self._tag}")
            await lock.execute("UNLOCK TABLES")
            await rename
        except BaseException:
            if not rename.done():
                rename.cancel()
            await asyncio.gather(rename, return_exceptions=True)
            raise

    async def _until_waiting(self, lock: Connection, second: Connection, rename: asyncio.Future[int]) -> None:
        while True:
            if rename.done():
                await rename  # an error, since the sentry is there
                raise OwnershipUnknown("RENAME went through although the table was locked")
            state = await lock.fetch_value(WAITING, second.thread_id)
            # Not "schema metadata lock" or any other: there it would not be the first who gets the table.
            if state is not None and str(state).lower() == "waiting for table metadata lock":
                return
            await asyncio.sleep(0.002)

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
        setup = statements.session(server.flavor, self._zone)
        # A process that dies holds its locks no longer than the server takes to notice.
        lock_setup = [*setup, "SET SESSION wait_timeout = 10", *self._follower.applier.setup]
        lock = await Connection.open(server, setup=lock_setup)
        try:
            second = await Connection.open(server, setup=[*setup, "SET SESSION lock_wait_timeout = 1"])
            try:
                await self._journal.save(lock_connections=[lock.thread_id, second.thread_id])
                yield lock, second
            finally:
                if lock.closed and not self.written_ahead:
                    # Cut off in the middle of a statement: the server would go on with it, and hold the lock.
                    with suppress(DatabaseError):
                        await end_thread(second, lock.thread_id)
                await second.close()
        finally:
            await lock.close()

    async def _put_sentry(self, second: Connection) -> None:
        if await _is_sentry(second, self._swap):
            return  # of a process that died
        await second.execute(
            f"CREATE TABLE {self._swap.quoted(self._swap.outgoing)} (id INT) COMMENT = '{SENTRY}' {self._tag}"
        )
