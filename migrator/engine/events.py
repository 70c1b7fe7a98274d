"""I read binary log events, MySQL's and MariaDB's, and say which keys of one table changed and up to where.

Sources: the servers' own pages on replication events (page_protocol_replication.html,
mariadb.com/kb/en/replication-protocol). Rows of other tables cost one look at their table's number.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import zstandard

from migrator.engine.keys import Key, KeyColumn
from migrator.engine.moves import Moves
from migrator.engine.rowimage import RowImages, column_images
from migrator.errors import SourceChanged, StreamBroken

HEADER_BYTES = 19
CHECKSUM_BYTES = 4

QUERY, ROTATE, FORMAT_DESCRIPTION, XID, TABLE_MAP = 2, 4, 15, 16, 19
INCIDENT, HEARTBEAT, XA_PREPARE, PARTIAL_UPDATE, TRANSACTION_PAYLOAD, HEARTBEAT_V2 = 26, 27, 38, 39, 40, 41
MARIADB_GTID, START_ENCRYPTION, QUERY_COMPRESSED = 162, 164, 165

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
_PREPARED_XA = 64

_WORDS = re.compile(r"`((?:[^`]|``)+)`|([\w$\u0080-\uffff]+)")
_COMMENTS = re.compile(r"/\*(?!!|M!).*?\*/|--\s[^\n]*|#[^\n]*", re.DOTALL)
_NAME = r"(?:`(?:[^`]|``)+`|[\w$\u0080-\uffff]+)"
_ALTERED = re.compile(
    rf"\s*ALTER\s+(?:(?:ONLINE|IGNORE)\s+)*TABLE\s+(?:IF\s+EXISTS\s+)?({_NAME}(?:\s*\.\s*{_NAME})?)",
    re.IGNORECASE,
)
_DEFINES = frozenset({"alter", "truncate", "drop", "rename", "create", "optimize", "repair"})
_WRITES = frozenset({"insert", "update", "delete", "replace", "load", "with"})


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in the binary log; places of one server can be compared."""

    number: int
    offset: int
    file: str = field(compare=False, default="")

    @classmethod
    def of(cls, file: str, offset: int) -> Position:
        """Make a position of a file's name, whose digits at the end count up, and an offset in it."""
        return cls(int(file.rpartition(".")[2]), offset, file)

    def __str__(self) -> str:
        return f"{self.file}:{self.offset}"


class EventReader:
    """The log from a position on, for one table.

    Feed events in order. `changes` collects the keys that changed (the caller takes them and puts an empty
    list there), `moves` says which key a row had before an UPDATE gave it another, `boundary` is where the
    last whole transaction ended, `count` how many keys were ever seen. Keys of a prepared XA transaction
    count as changed when it is committed, and `boundary` stays before it until then.

    Raises SourceChanged for a statement that changes the table's definition or writes to it as a statement,
    StreamBroken for what cannot be followed. Statements that contain `ours` are our own.
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
    ) -> None:
        self.received = start
        self.changes: list[Key] = []
        self.moves = Moves()
        self.count = 0
        self.checksum: bool | None = None
        self._boundary = start
        self._schema, self._table = schema, table
        self._name = (schema.encode(), table.encode())
        self._key, self._positions, self._ours = tuple(key), tuple(positions), ours
        self._tables: dict[int, RowImages | None] = {}
        self._held: list[Key] = []
        self._holding = False
        self._prepared: dict[bytes, tuple[Position, list[Key]]] = {}
        self._unzip = zstandard.ZstdDecompressor()

    @property
    def boundary(self) -> Position:
        """Where reading must start again so that nothing is missed."""
        return min([self._boundary, *(position for position, _ in self._prepared.values())])

    def feed(self, event: bytes) -> None:
        """Take one event as the server sends it (without the protocol's OK byte)."""
        if len(event) < HEADER_BYTES:
            raise StreamBroken("the server sent a binary log event without a header")
        type_ = event[4]
        flags = event[17] | event[18] << 8
        log_pos = int.from_bytes(event[13:17], "little")
        if self.checksum is None:
            # The first event comes before the one that says whether there are checksums.
            self.checksum = zlib.crc32(event[:-CHECKSUM_BYTES]) == _checksum_in(event)
        if self.checksum:
            body = event[HEADER_BYTES:-CHECKSUM_BYTES]
            if zlib.crc32(event[:-CHECKSUM_BYTES]) != _checksum_in(event):
                raise StreamBroken(f"an event after {self.received} in the binary log has a wrong checksum")
        else:
            body = event[HEADER_BYTES:]
        if type_ == FORMAT_DESCRIPTION:
            self._format(event)
            return
        if type_ == ROTATE:
            self._rotate(body)
            return
        if type_ in (HEARTBEAT, HEARTBEAT_V2):
            return
        if log_pos and not flags & ARTIFICIAL:
            self._advance(log_pos)
        try:
            self._event(type_, body)
        except (IndexError, zlib.error, zstandard.ZstdError) as error:
            raise StreamBroken(
                f"an event before {self.received} in the binary log is broken: {error}"
            ) from error

    def _advance(self, log_pos: int) -> None:
        # Only the low 32 bits are sent; a file that holds one huge transaction can be longer.
        offset = self.received.offset & ~0xFFFFFFFF | log_pos
        if offset < self.received.offset:
            offset += 1 << 32
        self.received = Position(self.received.number, offset, self.received.file)

    def _event(self, type_: int, body: bytes) -> None:
        rows = _ROWS.get(type_)
        if rows is not None:
            images = self._tables.get(int.from_bytes(body[:6], "little"))
            if images is not None:
                self._rows(type_, rows, body, images)
        elif type_ == TABLE_MAP:
            self._table_map(body)
        elif type_ == XID:
            self._ended()
        elif type_ == QUERY:
            self._query(body, compressed=False)
        elif type_ == QUERY_COMPRESSED:
            self._query(body, compressed=True)
        elif type_ == TRANSACTION_PAYLOAD:
            self._payload(body)
        elif type_ == MARIADB_GTID:
            # Rows of a prepared XA transaction follow; MySQL says so by an XA START statement instead.
            self._holding = bool(body[12] & _PREPARED_XA)
        elif type_ == XA_PREPARE:
            self._xa_prepared(body)
        elif type_ == INCIDENT:
            raise StreamBroken(
                "the server recorded an incident: its binary log has a gap", hint="start the deployment again"
            )
        elif type_ == START_ENCRYPTION:
            return  # the server decrypts what it sends

    def _ended(self) -> None:
        self._boundary = self.received
        self._holding = False
        if self._held:
            self._changed(self._held)
            self._held = []

    def _changed(self, keys: list[Key]) -> None:
        self.changes += keys
        self.count += len(keys)

    def _format(self, event: bytes) -> None:
        # 2 version, 50 server version, 4 created, 1 header length, one byte per type, then the algorithm.
        server = event[HEADER_BYTES + 2 : HEADER_BYTES + 52].split(b"\0")[0]
        has_algorithm = not server.startswith((b"5.0", b"5.1", b"5.5"))
        self.checksum = has_algorithm and event[-CHECKSUM_BYTES - 1] == 1
        self._tables.clear()

    def _rotate(self, body: bytes) -> None:
        offset, file = int.from_bytes(body[:8], "little"), body[8:].decode("utf-8", "surrogateescape")
        position = Position.of(file, offset)
        if position < self.received:
            raise StreamBroken(f"the server went back from {self.received} to {position} in its binary log")
        at_boundary = self._boundary == self.received
        self.received = position
        if at_boundary or position.number > self._boundary.number:
            # A transaction never spans two files.
            self._boundary = position

    def _table_map(self, body: bytes) -> None:
        number = int.from_bytes(body[:6], "little")
        at = 8
        schema = body[at + 1 : at + 1 + body[at]]
        at += body[at] + 2
        table = body[at + 1 : at + 1 + body[at]]
        at += body[at] + 2
        if (schema, table) != self._name:
            self._tables[number] = None
            return
        columns, at = _packed(body, at)
        types, at = body[at : at + columns], at + columns
        size, at = _packed(body, at)
        images = column_images(types, body[at : at + size])
        known = self._tables.get(number)
        if known is None or known.images != images:
            self._tables[number] = RowImages(images, self._key, self._positions, self._table)

    def _rows(self, type_: int, rows: tuple[str, bool, bool], body: bytes, images: RowImages) -> None:
        action, extra, compressed = rows
        at = 8
        if extra:
            at += body[8] | body[9] << 8
        columns, at = _packed(body, at)
        size = (columns + 7) // 8
        before = images.present(body[at : at + size])
        at += size
        after = before
        if action is _UPDATE:
            after = images.present(body[at : at + size])
            at += size
        if compressed:
            body, at = _uncompress(body[at:]), 0
        keys: list[Key] = []
        end = len(body)
        while at < end:
            first: dict[int, Any] = {}
            at = images.read(body, at, before, first)
            keys.append(images.key_of(first, first))
            if action is _DELETE:
                self.moves.deleted(keys[-1])
            elif action is _UPDATE:
                if type_ == PARTIAL_UPDATE:
                    at = self._skip_value_options(body, at, images)
                second: dict[int, Any] = {}
                at = images.read(body, at, after, second)
                self._updated(keys, images.key_of(second, first))
        if self._holding:
            self._held += keys
        else:
            self._changed(keys)

    def _updated(self, keys: list[Key], key: Key) -> None:
        if key != keys[-1]:
            self.moves.moved(keys[-1], key)
            keys.append(key)

    def _skip_value_options(self, body: bytes, at: int, images: RowImages) -> int:
        options, at = _packed(body, at)
        return at + (images.json_columns + 7) // 8 if options & 1 else at

    def _payload(self, body: bytes) -> None:
        at, method = 0, 255
        while at < len(body):
            kind, at = _packed(body, at)
            if kind == 0:
                break
            length, at = _packed(body, at)
            if kind == 2:
                method, _ = _packed(body, at)
            at += length
        if method not in (0, 255):
            raise StreamBroken(f"the binary log is compressed by method {method}, which is not understood")
        data = self._unzip.decompressobj().decompress(body[at:]) if method == 0 else body[at:]
        at = 0
        while at < len(data):
            size = int.from_bytes(data[at + 9 : at + 13], "little")
            if size < HEADER_BYTES:
                raise StreamBroken("a compressed transaction in the binary log holds a broken event")
            self._event(data[at + 4], data[at + HEADER_BYTES : at + size])
            at += size

    def _query(self, body: bytes, *, compressed: bool) -> None:
        schema_length = body[8]
        variables = body[11] | body[12] << 8
        at = 13 + variables
        schema = body[at : at + schema_length].decode("utf-8", "surrogateescape")
        raw = body[at + schema_length + 1 :]
        sql = (_uncompress(raw) if compressed else raw).decode("utf-8", "surrogateescape")
        head = sql[:32].upper()
        if head.startswith(("BEGIN", "START TRANSACTION")):
            return
        if head.startswith(("COMMIT", "ROLLBACK")) and not head.startswith("ROLLBACK TO"):
            self._ended()
            return
        if head.startswith("XA "):
            self._xa(sql)
            return
        if head.startswith(("SAVEPOINT", "ROLLBACK TO", "RELEASE")):
            return  # keys of what was rolled back are a harmless extra
        if self._ours not in sql:
            self._refuse_if_about_us(schema, sql)
        self._ended()

    def _refuse_if_about_us(self, schema: str, sql: str) -> None:
        verb, about = self._about_us(schema, _COMMENTS.sub(" ", sql))
        if about and verb in _DEFINES:
            raise SourceChanged(
                f"somebody ran {verb.upper()} on {self._schema}.{self._table} while it was being changed",
                hint="cancel this deployment and start a new one",
            )
        if about and verb in _WRITES:
            raise StreamBroken(
                f"a session with binlog_format=STATEMENT wrote to {self._schema}.{self._table}",
                hint="row changes cannot be followed that way: set binlog_format=ROW and start again",
            )

    def _about_us(self, schema: str, sql: str) -> tuple[str, bool]:
        """Say how a statement begins and whether it may concern the table; in doubt it does."""
        words = [(quoted.replace("``", "`") or bare).lower() for quoted, bare in _WORDS.findall(sql)]
        if not words:
            return "", False
        verb, names = words[0], set(words[1:])
        ours, here = self._table.lower(), self._schema.lower()
        if verb == "drop" and words[1:2] in (["database"], ["schema"]):
            return verb, here in names
        altered = _ALTERED.match(sql)
        if altered and not names & {"references", "exchange"}:
            parts = [
                (quoted.replace("``", "`") or bare).lower()
                for quoted, bare in _WORDS.findall(altered.group(1))
            ]
            return verb, parts[-1] == ours and (parts[0] if len(parts) > 1 else schema.lower()) == here
        if verb == "create" and not names & {"index", "trigger", "references"}:
            return verb, False
        return verb, ours in names and (schema.lower() == here or here in names)

    def _xa(self, sql: str) -> None:
        words = sql.split(None, 2)
        verb = words[1].upper() if len(words) > 1 else ""
        if verb == "START":
            self._holding = True
        elif verb in ("COMMIT", "ROLLBACK"):
            found = self._prepared.pop(_xid_of_text(sql), None)
            if found is None and verb == "COMMIT":
                raise StreamBroken(
                    "an XA transaction that was prepared before the deployment began was committed",
                    hint="nobody can tell what it changed: start the deployment again",
                )
            if found is not None and verb == "COMMIT":
                self._changed(found[1])
            self._held = []
            self._ended()

    def _xa_prepared(self, body: bytes) -> None:
        one_phase = bool(body[0])
        gtrid, bqual = int.from_bytes(body[5:9], "little"), int.from_bytes(body[9:13], "little")
        name = body[1:5] + b"|" + body[13 : 13 + gtrid] + b"|" + body[13 + gtrid : 13 + gtrid + bqual]
        keys, self._held, self._holding = self._held, [], False
        if one_phase:
            self._changed(keys)
        else:
            # Even one that did not touch the table, or its COMMIT would be a stranger after a restart.
            self._prepared[name] = (self._boundary, keys)
        self._ended()


def _xid_of_text(sql: str) -> bytes:
    """Make the name of an XA transaction out of `XA COMMIT X'67',X'62',1`, the form the servers log."""
    parts = re.findall(r"[Xx]'([0-9A-Fa-f]*)'", sql)
    number = re.search(r",\s*(\d+)\s*$", sql)
    gtrid, bqual = (bytes.fromhex(part) for part in (*parts, "", "")[:2])
    return int(number.group(1) if number else 1).to_bytes(4, "little") + b"|" + gtrid + b"|" + bqual


def _checksum_in(event: bytes) -> int:
    return int.from_bytes(event[-CHECKSUM_BYTES:], "little")


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
