"""I keep a target table equal to its source: changed keys come from the log, rows go from table to table."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import structlog

from migrator.engine.ground.failpoints import reach
from migrator.engine.ground.journal import Journal
from migrator.engine.ground.session import FULL, REPEATABLE, Session
from migrator.engine.log.events import Position
from migrator.engine.log.gtid import Gtids
from migrator.engine.log.moves import Stretch
from migrator.engine.log.place import SOMEWHERE
from migrator.engine.rows import comparison
from migrator.engine.rows.applier import UNFIT, Applier, Left, quarantine
from migrator.engine.rows.background import Background
from migrator.engine.rows.beginning import Place
from migrator.engine.rows.fence import Fence
from migrator.engine.rows.ranges import Ranges
from migrator.engine.rows.tail import Tail
from migrator.engine.table import statements
from migrator.engine.table.keys import Key
from migrator.engine.table.pair import Pair
from migrator.engine.table.statements import STATE
from migrator.errors import MigratorError
from migrator.throttle.throttler import Kind, Throttle
from router.errors import ConnectionLost, DatabaseError

if TYPE_CHECKING:
    from collections.abc import Iterator

log = structlog.get_logger()

TICK_S = 0.25
SAVE_EVERY_S = 1.0
DIRTY_MAX = 200_000
CONFLICTS_MAX = 20
FULL_PAUSE_S = 5.0
STRAYS_SHOWN = 5


class Follower:
    """Follows one pair from a position on.

    `lenient` puts rows that do not fit the target aside instead of failing: the way back of a deployment must
    not stop for one row. Between `start` and `stop` the work goes on by itself; failures are in `background`.
    """

    def __init__(
        self,
        journal: Journal,
        pair: Pair,
        ranges: Ranges,
        start: Place,
        *,
        zone: str,
        lenient: bool = False,
        followed: tuple[Position, Gtids | None] = (SOMEWHERE, None),
        throttle: Throttle | None = None,
    ) -> None:
        self.journal, self.pair, self.ranges = journal, pair, ranges
        self.background = Background()
        self.quarantined: dict[Key, DatabaseError] = {}
        self.blocked: int = 0
        self.strays = 0
        # On the way back, values that only the old table has must survive, whatever happens to keys.
        self.keeps = lenient and bool(pair.kept)
        self.applier = Applier(
            *(pair, journal.check, lambda: self.ranges.frontier),
            operation=journal.operation,
            keeps=self.keeps,
        )
        self._lenient, self._throttle = lenient, throttle
        self._undone = Stretch()
        self._tail = Tail(journal, pair, start, self._changed, self._strayed, followed)
        server = journal.server
        self._session = Session(server, [*statements.session(server.flavor, zone), *self.applier.setup])
        self._fence_session = Session(server, statements.session(server.flavor))
        self.fence = Fence(self._fence_session, journal.operation, self._tail)
        self._wake = asyncio.Event()
        self._flushing = asyncio.Lock()
        self._in_flush: set[Key] = set()
        self._recorders: list[set[Key]] = []
        self._saved: Position | None = None
        self._savable: Position | None = None
        self._conflicts = 0
        self._alone = False

    @property
    def lag_s(self) -> float:
        """How old the newest moment is of which all changes are known to be received; 0 for now."""
        return self._tail.lag_s

    @property
    def pending(self) -> int:
        """How many keys are waiting to be written."""
        return self.ranges.pending_count + len(self._in_flush)

    def start(self) -> None:
        """Begin to follow."""
        self.background.start("stream", self._tail.run())
        self.background.start("lag", self._tail.measure())
        self.background.start("flush", self._flush_always())

    async def load_quarantine(self) -> None:
        """Remember the rows that could not go back before a restart, and try them again."""
        for dumped, errno, message in await self.journal.fetch_all(
            f"SELECT row_key, errno, message FROM {STATE}.quarantine WHERE id = %s", self.journal.operation
        ):
            key = self.pair.key.load(str(dumped))
            self.quarantined[key] = DatabaseError(int(str(errno)), str(message))
            self.ranges.dirty.add(key)

    async def stop(self) -> None:
        """Stop following; nothing of this object writes afterwards."""
        await self.background.stop()
        await self._session.close()
        await self._fence_session.close()

    async def pause_writing(self) -> None:
        """Wait for a flush under way and let no other begin."""
        await self._flushing.acquire()

    def resume_writing(self) -> None:
        """Let flushes go on."""
        self._flushing.release()

    @contextmanager
    def recording(self) -> Iterator[set[Key]]:
        """Collect the keys not known to be equal: those waiting now and those that change meanwhile."""
        recorded = self.ranges.dirty | self._in_flush | set(self.quarantined)
        self._recorders.append(recorded)
        try:
            yield recorded
        finally:
            # By identity: two recordings may hold equal sets.
            self._recorders = [each for each in self._recorders if each is not recorded]

    async def catch_up(self, *, timeout_s: float = 60.0) -> Position:
        """Return when everything committed before this call has been received."""
        return await self._tail.catch_up(self.background.check, timeout_s)

    async def catch_up_alone(self) -> None:
        """Catch up while nobody else may write: nothing makes room, so reading must not wait for any."""
        self._alone = True
        self._tail.go_on()
        try:
            await self.catch_up()
        finally:
            self._alone = False

    async def flush(self) -> None:
        """Write every key that is dirty now."""
        async with self._flushing:
            await self.flush_locked()

    async def flush_locked(self) -> None:
        """Write every key that is dirty now; the caller has paused writing."""
        await self.applier.arrive(self._session)
        position = self._safe_position()
        keys, stretch = self.take()
        if keys:
            self._in_flush = keys
            try:
                await self.fence.cross()
                reach("flush")
                gone: set[Key] | None = None
                if self.keeps:
                    gone = await self.applier.vanished(self._session, sorted(keys))
                    if gone:
                        # Rows that are gone were deleted or moved: the log says which, and says it by now.
                        await self.catch_up_alone()
                        more, later = self.take()
                        keys |= more
                        stretch = stretch.then(later)
                        await self.fence.cross()
                    await self.applier.follow_alone(self._session, stretch)
                    # Another row may have come there since, and gone on to where only a later event tells.
                    gone -= {move.after for move in stretch.moves}
                    stretch = Stretch()
                left = await self._write(sorted(keys), gone)
            except BaseException:
                self.give_back(keys, stretch)
                raise
            finally:
                self._in_flush = set()
            self.give_back(left.conflicting | left.vanished, Stretch())
            if left.conflicting:
                await self._count_conflict(left.conflicting)
            if left.conflicting or (left.vanished and not self.pair.simple):
                return
            # Rows that vanished just now are no reason to start further back: what removed them is still to
            # be received, and tells of them again.
        self._conflicts = 0
        self._savable = position

    def _safe_position(self) -> Position:
        """Return where a restart may begin to read once every key that is dirty now has been written.

        A change that a copy to come may not see must be read again then; without one, all keys are here.
        """
        complete = self.ranges.complete
        return self.ranges.safe_position(self._tail.boundary if complete else self.fence.seen_up_to())

    def take(self) -> tuple[set[Key], Stretch]:
        """Hand out what is dirty, for a caller that writes it itself while writing is paused.

        Rows that moved must follow first; their keys are among those to be written, whenever that was done
        last.
        """
        moves, undone = tuple(self._tail.take_moves()), self._undone
        taken, stretch, self._undone = self.ranges.take_dirty(), Stretch(), Stretch()
        if self.keeps and (moves or undone.moves):
            end = self._tail.ended
            stretch = undone.again(moves, end, self._tail.gtids_at(end)) if moves else undone
            taken |= stretch.keys
        # There is room now, and whoever takes them may have to wait for what comes behind.
        self._tail.go_on()
        return taken, stretch

    def give_back(self, keys: set[Key], stretch: Stretch) -> None:
        """Take back what could not be written, or of which nobody knows whether it was."""
        self.ranges.dirty |= keys
        if stretch.moves:
            self._undone = stretch

    async def _write(self, keys: Sequence[Key], gone: set[Key] | None) -> Left:
        unfit: dict[Key, DatabaseError] = {}
        try:
            left = await self.applier.apply(self._session, keys, gone)
        except DatabaseError as error:
            if error.errno not in UNFIT:
                raise
            left = Left()
            unfit = await self.applier.one_by_one(self._session, keys, left, gone)
            if unfit and not self._lenient:
                raise self.applier.conflict(unfit) from error
        if self._lenient and (unfit or self.quarantined):
            await self._put_aside(set(keys) - left.conflicting - left.vanished, unfit)
        return left

    async def _put_aside(self, written: set[Key], unfit: Mapping[Key, DatabaseError]) -> None:
        healed = [key for key in self.quarantined if key in written and key not in unfit]
        self.quarantined.update(unfit)
        connection = await self._session.get()
        async with connection.transaction():
            await self.journal.check(connection)
            await quarantine(connection, self.journal.operation, self.pair, unfit)
            for key in healed:
                await connection.execute(
                    f"DELETE FROM {STATE}.quarantine WHERE id = %s AND row_key = %s",
                    *(self.journal.operation, self.pair.key.dump(key)),
                )
        for key in healed:
            del self.quarantined[key]

    async def _count_conflict(self, keys: set[Key]) -> None:
        """Tell real duplicates from rows that are just exchanging values."""
        self._conflicts += 1
        if self._conflicts % 5:
            return
        unfit = await self.find_duplicates()
        if unfit is None and self._conflicts < CONFLICTS_MAX:
            return
        if self._lenient:
            await self._write_one_by_one(keys)
            return
        if unfit is not None:
            raise unfit
        raise self.applier.conflict(await self.applier.one_by_one(self._session, sorted(keys), Left()))

    async def _write_one_by_one(self, keys: set[Key]) -> None:
        """Put those aside that do not fit for good; what changes meanwhile is dirty again."""
        self.ranges.dirty -= keys
        left = Left()
        try:
            # Rows that vanished may have moved: that they are gone is for a flush to find out.
            gone: set[Key] | None = set() if self.keeps else None
            errors = await self.applier.one_by_one(self._session, sorted(keys), left, gone)
            await self._put_aside(keys - left.vanished, errors)
        except BaseException:
            self.ranges.dirty |= keys
            raise
        self.ranges.dirty |= left.vanished

    async def find_duplicates(self) -> MigratorError | None:
        """Look for rows of the source that a unique index of the target does not allow side by side."""
        for index in self.pair.target.uniques:
            sql = comparison.duplicates(self.pair, index, 5)
            rows = await self.journal.fetch_all(sql) if sql is not None else []
            if rows:
                return self.applier.duplicates_found(index, [str(row[0]) for row in rows])
        return None

    async def _flush_always(self) -> None:
        saved_s = time.monotonic()
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(TICK_S):
                    await self._wake.wait()
            self._wake.clear()
            try:
                if self.ranges.dirty or self._savable != self._tail.boundary:
                    if self._throttle is not None:
                        await self._throttle.permit(Kind.FLUSH)
                    await self.flush()
                if time.monotonic() - saved_s > SAVE_EVERY_S:
                    saved_s = time.monotonic()
                    await self.save_position()
            except ConnectionLost as error:
                log.info("flush.interrupted", reason=str(error))
                await asyncio.sleep(TICK_S)
            except DatabaseError as error:
                if error.errno not in FULL:
                    raise
                log.warning("flush.disk_full", reason=str(error))
                await asyncio.sleep(FULL_PAUSE_S)
            if len(self.ranges.dirty) < DIRTY_MAX:
                self._tail.go_on()

    async def save_position(self) -> None:
        """Persist where a restart may go on."""
        async with self._flushing:
            await self._save_position()

    async def _save_position(self) -> None:
        position = self._savable
        if position is None or position == self._saved:
            if position != self._tail.boundary:
                await self.fence.cross()  # nobody else shows that there is something new to go on from
            return
        reach("save-position")
        connection = await self._session.get()
        try:
            async with connection.transaction():
                await self.journal.check(connection)
                await connection.execute(
                    f"INSERT INTO {STATE}.stream_position (id, file, offset_, gtid) VALUES (%s, %s, %s, %s) "
                    "ON DUPLICATE KEY UPDATE file = VALUES(file), offset_ = VALUES(offset_), "
                    "gtid = VALUES(gtid)",
                    *(self.journal.operation, position.file, position.offset),
                    self._tail.gtids_at(position),
                )
        except DatabaseError as error:
            if isinstance(error, ConnectionLost) or error.errno not in REPEATABLE:
                raise
            return
        self._saved = position
        self._tail.forget(position)

    def gtids_at(self, position: Position) -> str | None:
        """Name the transactions before a position, on a server that has GTIDs."""
        return self._tail.gtids_at(position)

    def _strayed(self, keys: Sequence[Key]) -> None:
        """Somebody else wrote to the target: its rows are made what they must be, as after any change."""
        self.strays += len(keys)
        shown = ", ".join(self.pair.key.text(key) for key in keys[:STRAYS_SHOWN])
        log.warning("target.strange_write", table=self.pair.target.name, count=len(keys), keys=shown)
        self._changed(keys)

    def _changed(self, keys: Sequence[Key]) -> None:
        self.ranges.changed(keys)
        if not self.ranges.complete:
            self.fence.remember(keys)
        for recorder in self._recorders:
            recorder.update(keys)
        dirty = len(self.ranges.dirty)
        if dirty > 1000:
            self._wake.set()
        if dirty > DIRTY_MAX and not self._alone:
            self._tail.hold()
