"""I keep a target table equal to its source: changed keys come from the log, rows go from table to table."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import structlog

from migrator.engine import statements
from migrator.engine.applier import UNFIT, Applier, Left, quarantine
from migrator.engine.background import Background
from migrator.engine.binlog import BinlogStream
from migrator.engine.events import EventReader, Position
from migrator.engine.failpoints import reach
from migrator.engine.fence import Fence
from migrator.engine.journal import Journal, read_server_identity
from migrator.engine.keys import Key
from migrator.engine.moves import Moves
from migrator.engine.pair import Pair
from migrator.engine.ranges import Ranges
from migrator.engine.session import FULL, REPEATABLE, Session
from migrator.engine.statements import STATE
from migrator.errors import MigratorError, NotNow, StreamBroken
from router.database import Connection
from router.errors import ConnectionLost, DatabaseError
from router.model import Flavor

if TYPE_CHECKING:
    from collections.abc import Iterator

log = structlog.get_logger()

TICK_S = 0.25
SAVE_EVERY_S = 1.0
DIRTY_MAX = 500_000
RECONNECT_S = 60.0
CONFLICTS_MAX = 20
FULL_PAUSE_S = 5.0


async def log_position(journal: Journal, version: str) -> Position:
    """Return where the server's log ends now."""
    mariadb = journal.server.flavor is Flavor.MARIADB
    modern = not mariadb and tuple(int(n) for n in version.split(".")[:2]) >= (8, 2)
    rows = await journal.fetch_all("SHOW BINARY LOG STATUS" if modern else "SHOW MASTER STATUS")
    if not rows:
        raise MigratorError("the server writes no binary log", hint="start it with log_bin")
    return Position.of(str(rows[0][0]), int(str(rows[0][1])))


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
        start: Position,
        *,
        zone: str,
        lenient: bool = False,
    ) -> None:
        self.journal, self.pair, self.ranges = journal, pair, ranges
        self.background = Background()
        self.quarantined: dict[Key, DatabaseError] = {}
        self.blocked: int = 0
        self.lag_s = 0.0
        self.applier = Applier(pair, journal.check)
        self._lenient = lenient
        # On the way back, values that only the old table has must survive, whatever happens to keys.
        self.keeps = lenient and bool(pair.kept)
        self._moves = Moves()
        server = journal.server
        self._session = Session(server, [*statements.session(server.flavor, zone), *self.applier.setup])
        self._fence_session = Session(server, statements.session(server.flavor))
        self._reader = self._new_reader(start)
        self._received_before = 0
        self.fence = Fence(self._fence_session, journal.operation, lambda: self.received)
        self._may_read = asyncio.Event()
        self._may_read.set()
        self._progress = asyncio.Event()
        self._wake = asyncio.Event()
        self._flushing = asyncio.Lock()
        self._in_flush: set[Key] = set()
        self._recorders: list[set[Key]] = []
        self._saved: Position | None = None
        self._savable: Position | None = None
        self._conflicts = 0

    @property
    def received(self) -> int:
        """How many changes were received."""
        return self._received_before + self._reader.count

    @property
    def boundary(self) -> Position:
        """Where the last whole transaction received so far ends."""
        return self._reader.boundary

    @property
    def pending(self) -> int:
        """How many keys are waiting to be written."""
        return self.ranges.pending_count + len(self._in_flush)

    def start(self) -> None:
        """Begin to follow."""
        self.background.start("stream", self._read())
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
        position = await log_position(self.journal, self.journal.server.version)
        started = time.monotonic()
        try:
            async with asyncio.timeout(timeout_s):
                while self._reader.received < position:
                    self.background.check()
                    self._progress.clear()
                    with suppress(TimeoutError):  # a reader that failed makes no progress
                        async with asyncio.timeout(TICK_S):
                            await self._progress.wait()
        except TimeoutError:
            raise NotNow(
                f"reading the binary log is more than {timeout_s:g} s behind the server",
                hint="deploy at a quieter time",
            ) from None
        self.background.check()
        self.lag_s = time.monotonic() - started
        return position

    async def flush(self) -> None:
        """Write every key that is dirty now."""
        async with self._flushing:
            await self.flush_locked()

    async def flush_locked(self) -> None:
        """Write every key that is dirty now; the caller has paused writing."""
        position = self.ranges.safe_position(self._reader.boundary)
        keys, moves = self.take()
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
                        await self.catch_up()
                        more, later = self.take()
                        keys |= more
                        moves = moves.then(later)
                        await self.fence.cross()
                left = await self._write(sorted(keys), moves, gone)
            except BaseException:
                self.give_back(keys, moves)
                raise
            finally:
                self._in_flush = set()
            self.give_back(left.conflicting | left.vanished, Moves())
            if left.conflicting:
                await self._count_conflict(left.conflicting)
            if left.conflicting or (left.vanished and not self.pair.simple):
                return
            # Rows that vanished just now are no reason to start further back: what removed them is still to
            # be received, and tells of them again.
        self._conflicts = 0
        self._savable = position

    def take(self) -> tuple[set[Key], Moves]:
        """Hand out what is dirty, for a caller that writes it itself while writing is paused."""
        moves, self._moves, self._reader.moves = self._moves.then(self._reader.moves), Moves(), Moves()
        return self.ranges.take_dirty(), moves

    def give_back(self, keys: set[Key], moves: Moves) -> None:
        """Take back what could not be written."""
        self.ranges.dirty |= keys
        self._moves = moves.then(self._moves)

    async def _write(self, keys: Sequence[Key], moves: Moves, gone: set[Key] | None) -> Left:
        unfit: dict[Key, DatabaseError] = {}
        try:
            left = await self.applier.apply(self._session, keys, moves if self.keeps else None, gone)
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
            errors = await self.applier.one_by_one(self._session, sorted(keys), Left())
            await self._put_aside(keys, errors)
            self.ranges.dirty -= set(errors)
            return
        if unfit is not None:
            raise unfit
        raise self.applier.conflict(await self.applier.one_by_one(self._session, sorted(keys), Left()))

    async def find_duplicates(self) -> MigratorError | None:
        """Look for rows of the source that a unique index of the target does not allow side by side."""
        for index in self.pair.target.uniques:
            columns = [self.pair.source.column(name) for name in index.columns]
            if not index.plain or any(column is None or column.generated for column in columns):
                continue
            rows = await self.journal.fetch_all(statements.duplicates(self.pair, index.columns, 5))
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
                if self.ranges.dirty or self._savable != self._reader.boundary:
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
                self._may_read.set()

    async def save_position(self) -> None:
        """Persist where a restart may go on."""
        async with self._flushing:
            await self._save_position()

    async def _save_position(self) -> None:
        position = self._savable
        if position is None or position == self._saved:
            return
        reach("save-position")
        connection = await self._session.get()
        try:
            async with connection.transaction():
                await self.journal.check(connection)
                await connection.execute(
                    f"INSERT INTO {STATE}.stream_position (id, file, offset_) VALUES (%s, %s, %s) "
                    "ON DUPLICATE KEY UPDATE file = VALUES(file), offset_ = VALUES(offset_)",
                    *(self.journal.operation, position.file, position.offset),
                )
        except DatabaseError as error:
            if isinstance(error, ConnectionLost) or error.errno not in REPEATABLE:
                raise
            return
        self._saved = position

    async def _read(self) -> None:
        lost_s: float | None = None
        while True:
            stream = BinlogStream(self.journal.server, self._reader, self._received_some, self._may_read)
            started = time.monotonic()
            try:
                await stream.run()
            except ConnectionLost as error:
                now = time.monotonic()
                if now - started > RECONNECT_S or lost_s is None:
                    lost_s = now
                if now - lost_s > RECONNECT_S:
                    raise
                log.info("stream.interrupted", reason=str(error), position=str(self._reader.boundary))
                await asyncio.sleep(0.2)
                await self._check_identity()
                self._received_before += self._reader.count
                self._moves = self._moves.then(self._reader.moves)
                self._reader = self._new_reader(self._reader.boundary)

    async def _check_identity(self) -> None:
        record = self.journal.record
        try:
            # Its own connection: the fence may be crossing on the other one.
            async with await Connection.open(self.journal.server) as connection:
                identity = await read_server_identity(connection)
        except DatabaseError:
            return  # the stream will say what is wrong with the server
        if record is not None and record.server_identity and identity != record.server_identity:
            raise StreamBroken(
                "another server answers under this address, whose binary log has other positions",
                hint="cancel this deployment and start a new one",
            )

    def _received_some(self) -> None:
        keys, self._reader.changes = self._reader.changes, []
        if keys:
            self.ranges.changed(keys)
            for recorder in self._recorders:
                recorder.update(keys)
            dirty = len(self.ranges.dirty)
            if dirty > 1000:
                self._wake.set()
            if dirty > DIRTY_MAX:
                self._may_read.clear()
        self._progress.set()

    def _new_reader(self, start: Position) -> EventReader:
        source = self.pair.source
        return EventReader(
            start,
            source.schema,
            source.name,
            self.pair.key.columns,
            self.pair.positions,
            ours=statements.tag(self.journal.operation),
        )
