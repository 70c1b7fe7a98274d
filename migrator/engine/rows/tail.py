"""I read the end of the server's log for one pair of tables, and go on after every lost connection."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

import structlog

from migrator.engine.ground.journal import Journal, read_server_identity
from migrator.engine.log.binlog import SLICE_S, BinlogStream
from migrator.engine.log.events import EventReader, Position, Watched
from migrator.engine.log.gtid import Gtids, Trail
from migrator.engine.log.moves import Move
from migrator.engine.log.place import SOMEWHERE
from migrator.engine.rows.beginning import Place, log_end
from migrator.engine.table import statements
from migrator.engine.table.keys import Key
from migrator.engine.table.pair import Pair
from migrator.errors import MigratorError, NotNow, StreamBroken
from router.database import Connection
from router.errors import ConnectionLost, DatabaseError

log = structlog.get_logger()

RECONNECT_S = 60.0
RETRY_S = 0.2
LOOK_S = 0.25
MEASURE_S = 1.0
UNORDERED = "SHOW GLOBAL VARIABLES LIKE 'binlog_order_commits'"


class Tail:
    """The changes of a pair's source from a place on; `changed` is called with their keys at once.

    `strayed` gets keys of the target that somebody else wrote. Up to `followed`, by position or by GTIDs,
    rows have followed their keys already. `run` reads until cancelled, `hold` and `go_on` let the log wait on
    the server while there is no room.
    """

    def __init__(
        self,
        journal: Journal,
        pair: Pair,
        start: Place,
        changed: Callable[[Sequence[Key]], None],
        strayed: Callable[[Sequence[Key]], None],
        followed: tuple[Position, Gtids | None] = (SOMEWHERE, None),
    ) -> None:
        self._journal, self._pair, self._changed, self._strayed = journal, pair, changed, strayed
        self._trail = Trail(start.gtids) if start.gtids is not None else None
        self._moves: list[Move] = []
        self._followed, self._followed_gtids = followed
        self._unread = start.unread
        self._reader = self._new_reader(start.position)
        self._received_before = 0
        self._replica = 0xC0000000 | secrets.randbits(28)
        self._may_read = asyncio.Event()
        self._may_read.set()
        self._progress = asyncio.Event()
        self._waiting = 0
        self._hurried = asyncio.Event()
        self._known_until_s = time.monotonic()
        self._behind = False
        self.unordered = False

    @property
    def received(self) -> int:
        """How many changes were received."""
        return self._received_before + self._reader.count

    @property
    def boundary(self) -> Position:
        """Where the last whole transaction received so far ends."""
        return self._reader.boundary

    @property
    def ended(self) -> Position:
        """Where the last transaction received so far ends, prepared or not."""
        # After a lost connection the reader begins before a prepared transaction, and moves nothing again.
        return max(self._reader.ended, self._followed)

    @property
    def lag_s(self) -> float:
        """How old the newest moment is of which all changes are known to be received; 0 for now."""
        return time.monotonic() - self._known_until_s if self._behind else 0.0

    def gtids_at(self, place: Position) -> str | None:
        """Name transactions that ended before a place, for a server where the place means nothing."""
        return None if self._trail is None else str(self._trail.at(place))

    def gtids_received(self) -> str | None:
        """Name all transactions that ended before or of which anything was received."""
        if self._trail is None:
            return None
        gtids = self._trail.newest.copy()
        if self._reader.gtid is not None:
            gtids.add(self._reader.gtid)
        return str(gtids)

    def forget(self, place: Position) -> None:
        """Nobody will go on from before this place."""
        if self._trail is not None:
            self._trail.forget(place)

    def hold(self) -> None:
        """Read no further for now."""
        self._may_read.clear()

    def go_on(self) -> None:
        """Read on."""
        self._may_read.set()

    def take_moves(self) -> list[Move]:
        """Hand out the moves since the last call, up to `ended`."""
        moves, self._moves, self._reader.moves = self._moves + self._reader.moves, [], []
        return moves

    async def catch_up(self, check: Callable[[], None], timeout_s: float) -> Position:
        """Return when everything committed before this call has been received.

        `check` is asked again and again, and raises when nobody reads any more.
        """
        asked_s = time.monotonic()
        position = await self._log_end()
        try:
            with self._in_a_hurry():
                async with asyncio.timeout(timeout_s):
                    while self._reader.received < position:
                        check()
                        self._progress.clear()
                        with suppress(TimeoutError):  # a reader that failed makes no progress
                            async with asyncio.timeout(LOOK_S):
                                await self._progress.wait()
        except TimeoutError:
            raise NotNow(
                f"reading the binary log is more than {timeout_s:g} s behind the server",
                hint="deploy at a quieter time",
            ) from None
        check()
        self._known_until_s = max(self._known_until_s, asked_s)
        return position

    @contextmanager
    def _in_a_hurry(self) -> Iterator[None]:
        self._waiting += 1
        self._hurried.set()
        try:
            yield
        finally:
            self._waiting -= 1
            if not self._waiting:
                self._hurried.clear()

    async def measure(self) -> None:
        """Keep `lag_s` true until cancelled: see once a second whether the log's end is received yet."""
        while True:
            try:
                asked_s = time.monotonic()
                position = await self._log_end()
                await asyncio.sleep(2 * SLICE_S)
                while self._reader.received < position:
                    self._behind = True
                    await asyncio.sleep(LOOK_S)
                self._known_until_s, self._behind = asked_s, False
            except (DatabaseError, MigratorError) as error:
                self._behind = True
                log.info("stream.lag_unknown", reason=str(error))
            await asyncio.sleep(MEASURE_S)

    async def run(self) -> None:
        """Read; returns only by an exception."""
        lost_s: float | None = None
        while True:
            started = time.monotonic()
            try:
                await self._read()
            except ConnectionLost as error:
                now = time.monotonic()
                if now - started > RECONNECT_S or lost_s is None:
                    lost_s = now
                if now - lost_s > RECONNECT_S:
                    raise
                log.info("stream.interrupted", reason=str(error), position=str(self._reader.boundary))
                await asyncio.sleep(RETRY_S)
                await self._check_identity()
                self._begin_again()

    async def _read(self) -> None:
        try:
            async with await Connection.open(self._journal.server) as connection:
                rows = await connection.fetch_all(UNORDERED)
        except DatabaseError as error:
            raise ConnectionLost(error.errno, error.message) from error
        self.unordered = bool(rows) and rows[0][1] == "OFF"
        if self.unordered and self._trail is None:
            raise StreamBroken(
                "binlog_order_commits was switched off on a server without GTIDs: nobody can tell what of "
                "its binary log can be seen already",
                hint="set binlog_order_commits=ON or gtid_mode=ON, and start the deployment again",
            )
        boundary = self._reader.boundary
        gtids: Gtids | None = None
        if self._trail is not None and (self.unordered or boundary == SOMEWHERE):
            # Where commits have no order, what is not visible yet may be before any position.
            gtids = self._trail.at(boundary)
            self._reader = self._new_reader(SOMEWHERE)
        stream = BinlogStream(
            self._journal.server,
            self._reader,
            self._received_some,
            self._may_read,
            self._hurried,
            replica=self._replica,
            gtids=gtids,
        )
        await stream.run()

    def _begin_again(self) -> None:
        """Forget what came after the last whole transaction: it will be sent once more."""
        boundary = self._reader.boundary
        self._received_before += self._reader.count
        # What a prepared transaction keeps from being forgotten is sent again, but moves nothing again.
        self._moves += self._reader.moves
        self._followed = max(self._followed, self._reader.ended)
        if self._trail is not None:
            self._trail.go_back(boundary)
        self._reader = self._new_reader(boundary)

    async def _log_end(self) -> Position:
        found: list[Position] = []

        async def look(connection: Connection) -> None:
            found.append(await log_end(connection))

        await self._journal.using(look)
        return found[0]

    async def _check_identity(self) -> None:
        record = self._journal.record
        try:
            # Its own connection: the fence may be crossing on the other one.
            async with await Connection.open(self._journal.server) as connection:
                identity = await read_server_identity(connection)
        except DatabaseError:
            return  # the stream will say what is wrong with the server
        if record is not None and record.server_identity and identity != record.server_identity:
            raise NotNow(
                "another server answers under this address: what is recorded there says how to go on"
            )

    def _received_some(self) -> None:
        reader = self._reader
        if self._trail is not None and reader.gtids:
            gtids, reader.gtids = reader.gtids, []
            self._trail.note(reader.ended, gtids)
        keys, reader.changes = reader.changes, []
        strays, reader.strays = reader.strays, []
        if keys:
            self._changed(keys)
        if strays:
            self._strayed(strays)
        self._progress.set()

    def _new_reader(self, start: Position) -> EventReader:
        pair = self._pair
        return EventReader(
            start,
            pair.source.schema,
            pair.source.name,
            pair.key.columns,
            pair.positions,
            ours=statements.tag(self._journal.operation),
            beside=self._beside(),
            followed=self._followed,
            followed_gtids=self._followed_gtids,
            unread=self._unread,
        )

    def _beside(self) -> Watched | None:
        """Say how to read keys of the target, where they look as they do in the source."""
        target, key = self._pair.target, self._pair.target_key
        if not key.at_home:
            return None  # texts in another character set or collation
        columns = [target.column(part.name) for part in key.columns]
        positions = [column.ordinal for column in columns if column is not None]
        return Watched(target.schema, target.name, key.columns, positions)
