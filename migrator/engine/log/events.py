"""I read binary log events, MySQL's and MariaDB's, and say which keys of one table changed and up to where.

Sources: the servers' own pages on replication events (page_protocol_replication.html,
mariadb.com/kb/en/replication-protocol). Rows of other tables cost one look at their table's number.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import zstandard

from migrator.engine.log.gtid import GTID, GTID_TAGGED, MARIADB_GTID, Gtid, Gtids, parse_gtid
from migrator.engine.log.logged import Meaning, judge
from migrator.engine.log.moves import Move
from migrator.engine.log.place import SOMEWHERE
from migrator.engine.log.place import Position as Position
from migrator.engine.log.rowimage import RowImages, column_images
from migrator.engine.table.keys import Key, KeyColumn
from migrator.engine.table.statements import COMPANION
from migrator.errors import SourceChanged, StreamBroken

HEADER_BYTES = 19
CHECKSUM_BYTES = 4
# What zlib.crc32 says of data that is followed by its own checksum.
RIGHT_CHECKSUM: Final = 0x2144DF1C
UNZIP_BYTES = 1 << 20

QUERY, ROTATE, FORMAT_DESCRIPTION, XID, TABLE_MAP = 2, 4, 15, 16, 19
INCIDENT, HEARTBEAT, XA_PREPARE, PARTIAL_UPDATE, TRANSACTION_PAYLOAD, HEARTBEAT_V2 = 26, 27, 38, 39, 40, 41
START_ENCRYPTION, QUERY_COMPRESSED = 164, 165
# LOAD DATA of a session that logs statements.
_LOADS = frozenset({6, 7, 8, 9, 10, 11, 12, 17, 18})
# Unknown before, variables of statements, what a server tells its replicas about itself.
_NOTHING = frozenset({0, 3, 5, 13, 14, 28, 29, 34, 35, 36, 37, START_ENCRYPTION, 160, 161, 163})
IGNORABLE = 0x80

# event type → (what it does, extra header of version 2, rows compressed by MariaDB)
_INSERT, _UPDATE, _DELETE = "insert", "update", "delete"
_ROWS: dict[int, tuple[str, bool, bool]] = {
    23: (_INSERT, False, False),
    24: (_UPDATE, False, False),
    25: (_DELETE, False, False),
    30: (_INSERT, True, False),
    31: (_UPDATE, True, False),
    32: (_DELETE, True, False),
    PARTIAL_UPDATE: (_UPDATE, True, False),
    166: (_INSERT, False, True),
    167: (_UPDATE, False, True),
    168: (_DELETE, False, True),
    169: (_INSERT, True, True),
    170: (_UPDATE, True, True),
    171: (_DELETE, True, True),
}

ARTIFICIAL = 0x20
_STANDALONE, _COMMIT_ID, _PREPARED_XA, _COMPLETED_XA = 1, 2, 64, 128
_ALTER_BEGINS, _ALTER_FAILED = 2, 8
# In the flags of a rows event: the session had foreign_key_checks off, as ours have and applications do not.
_UNCHECKED = 2


@dataclass(frozen=True, slots=True)
class Watched:
    """A table whose changed keys are wanted; `positions` say where the key is in its row images."""

    schema: str
    name: str
    key: Sequence[KeyColumn]
    positions: Sequence[int]

    @property
    def in_map(self) -> bytes:
        """How the table's name is written in a table map event."""
        schema, name = self.schema.encode(), self.name.encode()
        return bytes((len(schema),)) + schema + b"\0" + bytes((len(name),)) + name + b"\0"


class EventReader:
    """The log from a position on, for one table.

    Feed events in order. `changes` collects the keys that changed (the caller takes them and puts an empty
    list there), `boundary` is where the last whole transaction ended, `count` how many keys were ever seen.
    `moves` collects, once a transaction has ended, which rows it gave another key or took away; not of
    transactions that ended before `followed`, a position or GTIDs, though they are read once more. `gtids`
    names the transactions that ended, `gtid` the one that is being received. Keys of a prepared XA
    transaction count as changed when it is committed, and `boundary` stays before it until then. One of which
    no rows were read may be committed up to `unread`, or anywhere when that is None.

    `beside` is the table that only we may write to: `strays` collects keys that somebody else changed there.
    Raises SourceChanged for a statement that changes the table's definition, StreamBroken for what cannot be
    followed. Statements that contain `ours` are our own.
    """

    def __init__(
        self,
        start: Position,
        schema: str,
        table: str,
        key: Sequence[KeyColumn],
        positions: Sequence[int],
        *,
        ours: str,
        beside: Watched | None = None,
        followed: Position = SOMEWHERE,
        followed_gtids: Gtids | None = None,
        unread: Position | None = SOMEWHERE,
    ) -> None:
        self.changes: list[Key] = []
        self.strays: list[Key] = []
        self.moves: list[Move] = []
        self.gtids: list[Gtid] = []
        self.count = 0
        self.checksum: bool | None = None
        self._boundary = start
        self._number, self._offset, self._file = start.number, start.offset, start.file
        # Told by GTIDs where to begin, the server does not say where that is, but where it begins to look.
        self._somewhere = start == SOMEWHERE
        self._source, self._beside = Watched(schema, table, key, positions), beside
        self._in_maps = (self._source.in_map, *([beside.in_map] if beside else []))
        self._ours = ours
        self._tables: dict[bytes, RowImages | SourceChanged | None] = {}
        self._strangers: dict[bytes, RowImages] = {}
        self._maps: dict[bytes, bytes] = {}
        self.gtid: Gtid | None = None
        self._in_group = False
        self._alter_undecided = False
        self._held: list[Key] = []
        self._holding = False
        self._followed, self._followed_gtids = followed, followed_gtids
        self._unread = unread
        self._moving: list[Move] = []
        self._savepoints: dict[str, int] = {}
        self._prepared: dict[bytes, tuple[Position, list[Key], list[Move]]] = {}
        self._unzip = zstandard.ZstdDecompressor()

    @property
    def received(self) -> Position:
        """Where the last event ended."""
        return Position(self._number, self._offset, self._file)

    @property
    def ended(self) -> Position:
        """Where the last whole transaction ended, prepared or not."""
        return self._boundary

    @property
    def boundary(self) -> Position:
        """Where reading must start again so that nothing is missed."""
        return min([self._boundary, *(position for position, _, _ in self._prepared.values())])

    def feed(self, event: bytes) -> None:
        """Take one event as the server sends it (without the protocol's OK byte)."""
        end = len(event)
        if end < HEADER_BYTES:
            raise StreamBroken("the server sent a binary log event without a header")
        if self.checksum:
            if zlib.crc32(event) != RIGHT_CHECKSUM:
                raise StreamBroken(f"an event after {self.received} in the binary log has a wrong checksum")
            end -= CHECKSUM_BYTES
        elif self.checksum is None:
            # The first event comes before the one that says whether there are checksums.
            self.checksum = zlib.crc32(event) == RIGHT_CHECKSUM
            end -= CHECKSUM_BYTES if self.checksum else 0
        type_ = event[4]
        if type_ == ROTATE:
            self._rotate(event[HEADER_BYTES:end])
            return
        if type_ == FORMAT_DESCRIPTION:
            self._format(event)
            return
        log_pos = int.from_bytes(event[13:17], "little")
        if type_ in (HEARTBEAT, HEARTBEAT_V2):
            if self._somewhere and log_pos > self._offset:
                self._offset = log_pos  # up to here nothing was to be sent
            return
        if log_pos and not event[17] & ARTIFICIAL:
            # Only the low 32 bits are sent; a file that holds one huge transaction can be longer.
            offset = self._offset & ~0xFFFFFFFF | log_pos
            self._offset = offset if offset >= self._offset else offset + (1 << 32)
        try:
            self._event(type_, event, HEADER_BYTES, end)
        except (IndexError, zlib.error, zstandard.ZstdError) as error:
            raise StreamBroken(
                f"an event before {self.received} in the binary log is broken: {error}"
            ) from error

    def _event(self, type_: int, data: bytes, at: int, end: int) -> None:
        """Take an event whose body is `data[at:end]`, its header right before it."""
        rows = _ROWS.get(type_)
        if rows is not None:
            number = data[at : at + 6]
            images = self._tables.get(number)
            if images is not None:
                self._rows(type_, rows, data, at, end, images)
            elif number in self._strangers and not data[at + 6] & _UNCHECKED:
                self.strays += self._keys(type_, rows, data, at, end, self._strangers[number], [])
        elif type_ == TABLE_MAP:
            if data.startswith(self._in_maps, at + 8):
                self._table_map(data, at, end)
            else:
                number = data[at : at + 6]
                self._tables[number] = None
                self._maps.pop(number, None)
        elif type_ == XID:
            self._ended()
        elif type_ == QUERY:
            self._query(data, at, end, compressed=False)
        elif type_ in (GTID, GTID_TAGGED):
            self.gtid = parse_gtid(type_, 0, data[at:end])
        elif type_ == MARIADB_GTID:
            self._mariadb_gtid(int.from_bytes(data[at - 14 : at - 10], "little"), data[at:end])
        else:
            self._rare_event(type_, data, at, end)

    def _rare_event(self, type_: int, data: bytes, at: int, end: int) -> None:
        if type_ == QUERY_COMPRESSED:
            self._query(data, at, end, compressed=True)
        elif type_ == TRANSACTION_PAYLOAD:
            self._payload(data, at, end)
        elif type_ == XA_PREPARE:
            self._xa_prepared(data[at:end])
        elif type_ == INCIDENT:
            raise StreamBroken(
                "the server recorded an incident: its binary log has a gap", hint="start the deployment again"
            )
        elif type_ in _LOADS:
            raise self._written_as_statement("LOAD DATA")
        elif type_ not in _NOTHING and not data[at - 2] & IGNORABLE:
            raise StreamBroken(
                f"the binary log has an event of type {type_}, which this Headgate does not know",
                hint="the server is newer than this Headgate: update it",
            )

    def _mariadb_gtid(self, server_id: int, body: bytes) -> None:
        self.gtid = parse_gtid(MARIADB_GTID, server_id, body)
        flags = body[12]
        self._in_group = not flags & _STANDALONE
        # Rows of a prepared XA transaction follow; MySQL says so by an XA START statement instead.
        self._holding = bool(flags & _PREPARED_XA)
        # ALTER TABLE can be logged when it begins and once more when it is done, or has failed.
        at = 21 if flags & _COMMIT_ID else 13
        if flags & (_PREPARED_XA | _COMPLETED_XA):
            at += 6 + body[at + 4] + body[at + 5]
        more = body[at] if at < len(body) else 0
        self._alter_undecided = bool(more & (_ALTER_BEGINS | _ALTER_FAILED))

    def _ended(self) -> None:
        self._boundary = self.received
        self._somewhere = False
        self._holding = self._in_group = False
        if self._moving:
            if not self._was_followed():
                self.moves += self._moving
            self._moving = []
        self._savepoints.clear()
        if self.gtid is not None:
            self.gtids.append(self.gtid)
            self.gtid = None
        if self._held:
            self._changed(self._held)
            self._held = []

    def _was_followed(self) -> bool:
        if self.gtid is not None and self._followed_gtids is not None and self._followed_gtids.has(self.gtid):
            return True
        return self._boundary <= self._followed

    def _changed(self, keys: list[Key]) -> None:
        self.changes += keys
        self.count += len(keys)

    def _format(self, event: bytes) -> None:
        # 2 version, 50 server version, 4 created, 1 header length, one byte per type, then the algorithm.
        server = event[HEADER_BYTES + 2 : HEADER_BYTES + 52].split(b"\0")[0]
        has_algorithm = not server.startswith((b"5.0", b"5.1", b"5.5"))
        self.checksum = has_algorithm and event[-CHECKSUM_BYTES - 1] == 1
        self._tables.clear()
        self._strangers.clear()
        self._maps.clear()

    def _rotate(self, body: bytes) -> None:
        offset, file = int.from_bytes(body[:8], "little"), body[8:].decode("utf-8", "surrogateescape")
        position, former = Position.of(file, offset), self.received
        if position < former:
            raise StreamBroken(f"the server went back from {former} to {position} in its binary log")
        self._number, self._offset, self._file = position.number, offset, file
        at_boundary = self._boundary == former
        if not self._somewhere and (at_boundary or position.number > self._boundary.number):
            # A transaction never spans two files.
            self._boundary = position

    def _table_map(self, data: bytes, at: int, end: int) -> None:
        number, text = data[at : at + 6], data[at:end]
        if self._maps.get(number) == text:
            return
        source = data.startswith(self._in_maps[0], at + 8)
        watched = self._source if source else self._beside
        assert watched is not None
        at += 8 + len(watched.in_map)
        columns, at = _packed(data, at)
        types, at = data[at : at + columns], at + columns
        size, at = _packed(data, at)
        images = column_images(types, data[at : at + size])
        if source:
            try:
                self._tables[number] = RowImages(images, watched.key, watched.positions, watched.name)
            except SourceChanged as changed:
                # No harm without rows: a cut-over's last write names all tables it has locked, the one that
                # is about to give its name away as well.
                self._tables[number] = changed
        else:
            self._tables[number] = None
            # For a moment another table can have the name: the one that keeps it free until the swap.
            with suppress(SourceChanged):
                self._strangers[number] = RowImages(images, watched.key, watched.positions, watched.name)
        self._maps[number] = text

    def _rows(
        self,
        type_: int,
        rows: tuple[str, bool, bool],
        data: bytes,
        at: int,
        end: int,
        images: RowImages | SourceChanged,
    ) -> None:
        if isinstance(images, SourceChanged):
            raise images
        keys = self._keys(type_, rows, data, at, end, images, self._moving)
        if self._holding:
            self._held += keys
        else:
            self._changed(keys)

    def _keys(
        self,
        type_: int,
        rows: tuple[str, bool, bool],
        data: bytes,
        at: int,
        end: int,
        images: RowImages,
        moves: list[Move],
    ) -> list[Key]:
        """Read the keys of a rows event, of a row before its change and after it."""
        action, extra, compressed = rows
        at += 8
        if extra:
            at += data[at] | data[at + 1] << 8
        columns, at = _packed(data, at)
        size = (columns + 7) // 8
        before = after = images.image(data[at : at + size])
        at += size
        if action is _UPDATE:
            after = images.image(data[at : at + size])
            at += size
        if compressed:
            data, at = _uncompress(data[at:end]), 0
            end = len(data)
        keys: list[Key] = []
        while at < end:
            key, at = before.read(data, at, end)
            keys.append(key)
            if action is _DELETE:
                moves.append(Move(key, None))
            elif action is _UPDATE:
                if type_ == PARTIAL_UPDATE:
                    at = _skip_value_options(data, at, images)
                now, at = after.read(data, at, end, key)
                if now != key:
                    moves.append(Move(key, now))
                    keys.append(now)
        return keys

    def _payload(self, data: bytes, at: int, end: int) -> None:
        method = 255
        while at < end:
            kind, at = _packed(data, at)
            if kind == 0:
                break
            length, at = _packed(data, at)
            if kind == 2:
                method, _ = _packed(data, at)
            at += length
        if method not in (0, 255):
            raise StreamBroken(f"the binary log is compressed by method {method}, which is not understood")
        if method == 255:
            self._inner_events(data[at:end])
            return
        # A little at a time: a transaction may be far larger than what is kept of it.
        unzip, rest = self._unzip.decompressobj(), b""
        for start in range(at, end, UNZIP_BYTES):
            rest = self._inner_events(rest + unzip.decompress(data[start : min(start + UNZIP_BYTES, end)]))
        if rest or not unzip.eof:
            raise StreamBroken("a compressed transaction in the binary log ends too early")

    def _inner_events(self, data: bytes) -> bytes:
        """Take the whole events at the beginning of `data`, return the rest."""
        at = 0
        while at + HEADER_BYTES <= len(data):
            size = int.from_bytes(data[at + 9 : at + 13], "little")
            if size < HEADER_BYTES:
                raise StreamBroken("a compressed transaction in the binary log holds a broken event")
            if at + size > len(data):
                break
            self._event(data[at + 4], data, at + HEADER_BYTES, at + size)
            at += size
        return data[at:]

    def _query(self, data: bytes, at: int, end: int, *, compressed: bool) -> None:
        text_at = at + 13 + (data[at + 11] | data[at + 12] << 8)
        schema_end = text_at + data[at + 8]
        raw = data[schema_end + 1 : end]
        if raw == b"BEGIN":
            self._in_group = True
            return
        sql = (_uncompress(raw) if compressed else raw).decode("utf-8", "surrogateescape")
        head = sql[:32].upper()
        if head.startswith(("BEGIN", "START TRANSACTION")):
            self._in_group = True
        elif head.startswith("COMMIT"):
            self._ended()
        elif head.startswith("ROLLBACK") and not head.startswith("ROLLBACK TO"):
            self._moving = []
            self._ended()
        elif head.startswith("XA "):
            self._xa(sql)
        elif head.startswith("SAVEPOINT"):
            self._savepoints[sql[9:].strip().lower()] = len(self._moving)
        elif head.startswith("ROLLBACK TO"):
            # Its keys are a harmless extra; rows it moved did not move.
            name = sql[11:].strip().lower().removeprefix("savepoint ").lstrip()
            del self._moving[self._savepoints.get(name, len(self._moving)) :]
        elif head.startswith("RELEASE"):
            return
        else:
            ours = self._ours in sql or COMPANION in sql
            if not ours and not self._alter_undecided:
                schema = data[text_at:schema_end].decode("utf-8", "surrogateescape")
                self._refuse_if_about_us(schema, sql)
            if not self._in_group:
                self._ended()

    def _refuse_if_about_us(self, schema: str, sql: str) -> None:
        source = self._source
        meaning, verb = judge(sql, schema, source.schema, source.name)
        if meaning is Meaning.DEFINES:
            raise SourceChanged(
                f"somebody ran {verb.upper()} on {source.schema}.{source.name} while it was being changed",
                hint="cancel this deployment and start a new one",
            )
        if meaning is Meaning.WRITES:
            raise self._written_as_statement(verb.upper())

    def _written_as_statement(self, verb: str) -> StreamBroken:
        source = self._source
        return StreamBroken(
            f"a session with binlog_format=STATEMENT or MIXED ran {verb}, which may have changed rows of "
            f"{source.schema}.{source.name}",
            hint="such changes cannot be followed: set binlog_format=ROW, globally and in every session that "
            "is connected already, and start the deployment again",
        )

    def _xa(self, sql: str) -> None:
        words = sql.split(None, 2)
        verb = words[1].upper() if len(words) > 1 else ""
        if verb in ("START", "BEGIN"):
            self._holding = self._in_group = True
        elif verb in ("COMMIT", "ROLLBACK"):
            found = self._prepared.pop(_xid_of_text(sql), None)
            known = found is not None or self._unread is None or self.received <= self._unread
            if not known and verb == "COMMIT":
                raise StreamBroken(
                    "an XA transaction that was prepared before the deployment began was committed",
                    hint="nobody can tell what it changed: start the deployment again",
                )
            self._held, self._moving = [], []
            if found is not None and verb == "COMMIT":
                _, keys, self._moving = found
                self._changed(keys)
            self._ended()

    def _xa_prepared(self, body: bytes) -> None:
        one_phase = bool(body[0])
        gtrid, bqual = int.from_bytes(body[5:9], "little"), int.from_bytes(body[9:13], "little")
        name = body[1:5] + b"|" + body[13 : 13 + gtrid] + b"|" + body[13 + gtrid : 13 + gtrid + bqual]
        keys, self._held = self._held, []
        if one_phase:
            self._changed(keys)
        else:
            # Even one that did not touch the table, or its COMMIT would be a stranger after a restart.
            self._prepared[name] = (self._boundary, keys, self._moving)
            self._moving = []
        self._ended()


def _skip_value_options(data: bytes, at: int, images: RowImages) -> int:
    options, at = _packed(data, at)
    return at + (images.json_columns + 7) // 8 if options & 1 else at


def _xid_of_text(sql: str) -> bytes:
    """Make the name of an XA transaction out of `XA COMMIT X'67',X'62',1`, the form the servers log."""
    parts = re.findall(r"[Xx]'([0-9A-Fa-f]*)'", sql)
    number = re.search(r",\s*(\d+)\s*$", sql)
    gtrid, bqual = (bytes.fromhex(part) for part in (*parts, "", "")[:2])
    return int(number.group(1) if number else 1).to_bytes(4, "little") + b"|" + gtrid + b"|" + bqual


def _packed(data: bytes, at: int) -> tuple[int, int]:
    first = data[at]
    if first < 251:
        return first, at + 1
    size = {252: 2, 253: 3, 254: 8}.get(first)
    if size is None:
        raise StreamBroken("a length in the binary log is broken")
    return int.from_bytes(data[at + 1 : at + 1 + size], "little"), at + 1 + size


def _uncompress(data: bytes) -> bytes:
    """Undo MariaDB's log_bin_compress: one byte of flags, the length in big-endian bytes, zlib data."""
    return zlib.decompress(data[1 + (data[0] & 7) :])
