"""I follow a response packet by packet and say when it is over, and what it says about the session.

I walk headers and look into the few packets that matter; rows are stepped over without being copied. The
grammar of each command's response is in page_protocol_command_phase.html.

Towards a pooled backend, trackers are on that the client did not ask for: then I rewrite the OK packets, so
that the client gets what the server would have sent to it directly.
"""

from __future__ import annotations

from typing import Final

from proxy.wire.constants import EOF, ERR, LOCAL_INFILE, MAX_FRAME, OK, Command, Status
from proxy.wire.errors import RemoteError
from proxy.wire.framing import HEADER_BYTES
from proxy.wire.primitives import Reader, lenenc_bytes
from proxy.wire.session_state import VARIABLE, StateChange, Wishes, filter_state, parse_state

# Which packet of the response is expected next: plain numbers, they are compared for every packet.
# RESULT: OK, ERR, or a column count. ROWS: up to an EOF, the OK in its place, or an ERR. SIMPLE: one OK, ERR
# or EOF. DEFINITIONS: columns of a prepared statement, with an EOF after each kind unless those are
# deprecated. OPAQUE: one packet of any kind. NEXT_RESULT: as RESULT, after another one.
_OVER: Final = 0
_RESULT: Final = 1
_COLUMNS: Final = 2
_COLUMNS_END: Final = 3
_ROWS: Final = 4
_SIMPLE: Final = 5
_PREPARED: Final = 6
_DEFINITIONS: Final = 7
_OPAQUE: Final = 8
_NEXT_RESULT: Final = 9
_FIRST_PACKETS: Final = (_RESULT, _SIMPLE, _PREPARED, _OPAQUE)

_FIRST_PART: Final[dict[int, int]] = {
    Command.QUERY: _RESULT,
    Command.STMT_EXECUTE: _RESULT,
    Command.FIELD_LIST: _ROWS,
    Command.STMT_FETCH: _ROWS,
    Command.STMT_PREPARE: _PREPARED,
    Command.STATISTICS: _OPAQUE,
    Command.STMT_SEND_LONG_DATA: _OVER,
    Command.STMT_CLOSE: _OVER,
    Command.QUIT: _OVER,
    Command.BINLOG_DUMP: _ROWS,
    Command.BINLOG_DUMP_GTID: _ROWS,
}

# What `feed` says. The last three are added to one of the others.
UNFINISHED: Final = 0
FINISHED: Final = 1
FAILED: Final = 2
EDITED: Final = 4
"""`take_output` has what to write instead of the chunk."""
INFILE: Final = 8
"""The server waits for a file of the client's; its answer comes after that."""
NEWS: Final = 16
"""On a tracked connection: `changes`, `warnings`, `insert_id` or `errno` has something, or not `settled`."""

_MORE_RESULTS: Final = int(Status.MORE_RESULTS)
_CURSOR: Final = int(Status.CURSOR_EXISTS)
_IN_TRANSACTION: Final = int(Status.IN_TRANSACTION | Status.IN_TRANSACTION_READONLY)
_CHANGED: Final = int(Status.STATE_CHANGED)
_CHANGED_HIGH: Final = _CHANGED >> 8
_EOF_BYTES: Final = 5
_OK_BYTES: Final = 7
_LONG_NUMBER: Final = 0xFB
_NO_HEAD: Final = b"?" * 5


class Response:
    """The responses of one connection, one after another.

    `begin` says which command was sent, `feed` takes the server's chunks. `over` is true between responses;
    `prepared_id` is what the last STMT_PREPARE gave, else None, with `columns` and `parameters`. Raises
    RemoteError for bytes that cannot be part of this response: the connection is then of no use.

    `tracked` says that the connection has SESSION_TRACK and all trackers on. `wishes` are those of a client
    that has SESSION_TRACK too; None: it has not. `eof_tells` is for MariaDB: its EOF packets say whether
    there are changes to tell, and only an OK packet that tells some tells all (MySQL's always do).

    About the last response: `status`, `warnings`, `errno` of an ERR, `affected` and `insert_id` of its last
    OK, all `changes`. `settled` is false while the server may have changes that it could not tell yet.

    A client repeats its statements, so a result often begins with the very bytes of the last one: number and
    definitions of its columns. This head is remembered, and stepped over at once when it comes again.
    """

    __slots__ = (
        "_asked",
        "_carry",
        "_columns",
        "_continued",
        "_copied",
        "_deprecate_eof",
        "_end_bytes",
        "_eof_tells",
        "_head",
        "_infile",
        "_marked",
        "_output",
        "_part",
        "_pieces",
        "_shown",
        "_skip",
        "_tracked",
        "_wishes",
        "affected",
        "changes",
        "columns",
        "errno",
        "insert_id",
        "parameters",
        "prepared_id",
        "settled",
        "status",
        "warnings",
    )

    def __init__(
        self,
        *,
        deprecate_eof: bool,
        status: int = int(Status.AUTOCOMMIT),
        tracked: bool = False,
        wishes: Wishes | None = None,
        eof_tells: bool = False,
    ) -> None:
        self.status = int(status)
        self.warnings = 0
        self.errno = 0
        self.affected = 0
        self.insert_id = 0
        self.changes: list[StateChange] = []
        self.settled = True
        self.prepared_id: int | None = None
        self.columns = 0
        self.parameters = 0
        self._deprecate_eof = deprecate_eof
        self._end_bytes = HEADER_BYTES + (_OK_BYTES if deprecate_eof else _EOF_BYTES)
        self._tracked = tracked
        self._wishes = wishes
        self._eof_tells = eof_tells
        self._part: int = _OVER
        self._columns = 0
        self._skip = 0
        self._continued = False
        self._infile = False
        self._asked = False
        self._shown = False
        self._carry = b""
        self._head = _NO_HEAD
        self._marked = False
        self._pieces: list[bytes] | None = None
        self._copied = 0
        self._output = b""

    @property
    def over(self) -> bool:
        """Whether no byte is outstanding."""
        return self._part == _OVER

    @property
    def untouched(self) -> bool:
        """Whether nothing has come yet of an expected response, so that an error may take its place."""
        return self._part in _FIRST_PACKETS and (self._tracked or not self._carry)

    @property
    def in_transaction(self) -> bool:
        """Whether the server said last that a transaction is open."""
        return bool(self.status & _IN_TRANSACTION)

    def begin(self, command: int, *, infile: bool = False) -> bool:
        """Expect the response to a command; false when there will be none.

        `infile` allows the server to ask for a file of the client's.
        """
        if self._marked:
            self._forget()
        self._part = int(_FIRST_PART.get(command, _SIMPLE))
        self._infile = self._marked = infile
        self.prepared_id = None
        return self._part != _OVER

    def begin_query(self) -> None:
        """Expect the response to a query: `begin`, for the command that matters."""
        if self._marked:
            self._forget()
        self._part = _RESULT

    def begin_endless(self) -> None:
        """Expect events of the binary log; they end with an ERR or EOF packet, if at all."""
        self.begin(int(Command.BINLOG_DUMP))

    def take_output(self) -> bytes:
        """Return what to write instead of the last chunk, when `feed` said EDITED."""
        output, self._output = self._output, b""
        return output

    def feed(self, data: bytes) -> int:
        """Take a chunk; say UNFINISHED, or that the response ends with it: FINISHED, or FAILED by an ERR.

        EDITED, INFILE and NEWS may be added. Bytes after the end raise RemoteError: a server speaks only when
        asked.
        """
        head = self._head
        if self._part != _RESULT or self._carry or not data.startswith(head):
            return self._feed_slowly(data)
        end = len(data)
        at = step_over_rows(data, len(head), end)
        if (
            end - at == self._end_bytes
            and data[at + 4] == EOF
            and data[at] == end - at - HEADER_BYTES
            and not (data[at + 1] | data[at + 2] | data[at + 5] | data[at + 6])
            and not (data[at + 7] & _MORE_RESULTS or data[at + 8] & _CHANGED_HIGH)
        ):
            # An end with nothing to tell: no warnings, no changes.
            if not self._deprecate_eof:
                self._part = _OVER
                self.status = data[at + 7] | data[at + 8] << 8
                if not self._eof_tells:
                    self.settled = False
                return FINISHED | NEWS if self._tracked and not self.settled else FINISHED
            if not (data[at + 9] or data[at + 10] or (self._eof_tells and not self.settled)):
                self._part = _OVER
                self.status = data[at + 7] | data[at + 8] << 8
                self.settled = True
                return FINISHED
        self._part = _ROWS
        return self._follow(data, at)

    def _feed_slowly(self, data: bytes) -> int:
        """Take a chunk that does not begin as the last result did."""
        part = self._part
        if part == _OVER:
            raise RemoteError("the server spoke without being asked")
        if self._carry:
            data = self._carry + data
            self._carry = b""
            if self._tracked:
                # The beginning of this was kept back.
                self._pieces = []
        elif part == _RESULT and len(data) == HEADER_BYTES + _OK_BYTES and _is_plain_ok(data):
            self._part = _OVER
            self.status = data[7] | data[8] << 8
            self.affected, self.insert_id = data[5], data[6]
            self._marked = True
            self.settled = self.settled or not self._eof_tells
            return FINISHED | NEWS if self._tracked and (self.insert_id or not self.settled) else FINISHED
        at, self._skip = self._skip, 0
        if at > len(data):
            self._skip = at - len(data)
            return UNFINISHED
        return self._follow(data, at)

    def _follow(self, data: bytes, at: int) -> int:
        """Walk through a chunk, and put together what is to be written instead if it is not as it came."""
        outcome = self._walk(data, at)
        if not self._tracked:
            return outcome
        if outcome & (FINISHED | FAILED) and (
            self.changes or self.warnings or self.insert_id or self.errno or not self.settled
        ):
            outcome |= NEWS
        pieces, self._pieces = self._pieces, None
        if pieces is None and not self._carry:
            return outcome
        # Nobody may see half of a packet that may still be changed.
        rest = data[self._copied : len(data) - len(self._carry)]
        self._copied = 0
        self._output = b"".join([*pieces, rest]) if pieces else rest
        return outcome | EDITED

    def _walk(self, data: bytes, at: int) -> int:
        """Go from header to header, stepping over what does not matter."""
        part, end = self._part, len(data)
        begins_here = at == 0 and part == _RESULT
        if at == 0 and not self._infile and part in _FIRST_PACKETS and end >= HEADER_BYTES and not data[3]:
            raise RemoteError("the server spoke without being asked, before it could answer")
        while end - at > HEADER_BYTES:
            first = data[at + HEADER_BYTES]
            length = data[at] | data[at + 1] << 8 | data[at + 2] << 16
            following = at + HEADER_BYTES + length
            if self._continued or (part == _ROWS and length == MAX_FRAME):
                self._continued = length == MAX_FRAME
            elif part == _ROWS and first < EOF and length:
                following = step_over_rows(data, at, end)
            elif part == _COLUMNS and first != ERR:
                part = self._column()
            elif length == 0:
                raise RemoteError("the server sent an empty packet")
            elif following > end:
                self._carry = data[at:]
                return UNFINISHED
            else:
                part = self._look(first, data, at, length)
                if part == _OVER or self._asked:
                    if following < end:
                        raise RemoteError("the server went on after the end of a response")
                    if part == _OVER:
                        return FAILED if first == ERR else FINISHED
                    self._asked = False
                    return INFILE
            if begins_here and part == _ROWS and following <= end:
                begins_here = False
                if self._pieces is None:
                    self._head = data[:following]
            at = following
        if at > end:
            self._skip = at - end
        elif at < end:
            self._short_tail(data, at)
        return UNFINISHED

    def _short_tail(self, data: bytes, at: int) -> None:
        """Keep the start of a header; a whole header may stand for an empty frame."""
        if len(data) - at == HEADER_BYTES and not (data[at] or data[at + 1] or data[at + 2]):
            # Nothing follows this header: the end of a row that filled its frames exactly.
            if not self._continued:
                raise RemoteError("the server sent an empty packet")
            self._continued = False
        else:
            self._carry = data[at:]

    def _column(self) -> int:
        self._columns -= 1
        if self._columns == 0:
            self._part = _ROWS if self._deprecate_eof else _COLUMNS_END
        return self._part

    def _look(self, first: int, data: bytes, at: int, length: int) -> int:
        """Take one of the packets that decide what comes next, and return which part that is."""
        part = self._part
        if first == ERR and part != _OPAQUE:
            self._failed(data, at, length)
        elif part == _ROWS:
            self._ended(first, data, at, length)
        elif part in (_RESULT, _NEXT_RESULT):
            self._result(first, data, at, length)
        elif part == _COLUMNS_END:
            self._note_end(first, data, at, length)
            # A cursor's rows come by STMT_FETCH.
            self._part = _OVER if self.status & _CURSOR else _ROWS
        elif part == _PREPARED:
            self._prepared(data, at, length)
        elif part == _DEFINITIONS:
            if first == EOF and length == _EOF_BYTES:
                settled = self.settled
                self._note_end(first, data, at, length)
                self.settled = settled
            self._columns -= 1
            if self._columns == 0:
                self._part = _OVER
        elif part == _SIMPLE:
            if first not in (OK, EOF):
                raise RemoteError(f"the server answered a command with an unknown packet (0x{first:02X})")
            self._ended(first, data, at, length)
        else:
            self._part = _OVER
        return self._part

    def _failed(self, data: bytes, at: int, length: int) -> None:
        if length < 3:
            raise RemoteError("the server sent an error without a number")
        self.errno = data[at + 5] | data[at + 6] << 8
        self.settled = False
        self._marked = True
        self._part = _OVER

    def _result(self, first: int, data: bytes, at: int, length: int) -> None:
        if first == OK:
            self._ended(first, data, at, length)
        elif first == LOCAL_INFILE:
            if not self._infile:
                raise RemoteError("the server asked for a file of the client's")
            self._asked = True
            self._part = _SIMPLE
        else:
            reader = Reader(data[at + HEADER_BYTES : at + HEADER_BYTES + length])
            self._columns = reader.lenenc_int()
            if reader.remaining or not self._columns:
                raise RemoteError("the server announced a result without saying how many columns it has")
            self._part = _COLUMNS

    def _prepared(self, data: bytes, at: int, length: int) -> None:
        reader = Reader(data[at + HEADER_BYTES : at + HEADER_BYTES + length], 1)
        self.prepared_id = reader.uint(4)
        self.columns, self.parameters = reader.uint(2), reader.uint(2)
        ends = 0 if self._deprecate_eof else bool(self.columns) + bool(self.parameters)
        self._columns = self.columns + self.parameters + ends
        self._part = _DEFINITIONS if self._columns else _OVER

    def _ended(self, first: int, data: bytes, at: int, length: int) -> None:
        self._note_end(first, data, at, length)
        self._part = _NEXT_RESULT if self.status & _MORE_RESULTS else _OVER

    def _note_end(self, first: int, data: bytes, at: int, length: int) -> None:
        """Take what an OK or EOF packet says."""
        self._marked = True
        if length == _EOF_BYTES and first == EOF:
            self.status = data[at + 7] | data[at + 8] << 8
            self.warnings = data[at + 5] | data[at + 6] << 8
            if not self._eof_tells or self.status & _CHANGED:
                self.settled = False
            if self._tracked and self.status & _CHANGED:
                self.status &= ~_CHANGED
                self._replace(data, at, length, data[at + 4 : at + 8] + bytes((self.status >> 8,)))
            return
        payload = data[at + HEADER_BYTES : at + HEADER_BYTES + length]
        reader = Reader(payload, 1)
        self.affected, self.insert_id = reader.lenenc_int(), reader.lenenc_int()
        status_at = reader.position
        self.status, self.warnings = reader.uint(2), reader.uint(2)
        told = bool(self.status & _CHANGED)
        self.settled = self.settled or told or not self._eof_tells
        if told and self._tracked:
            self.status &= ~_CHANGED
            info = self._info(reader)
            status = self.status | _CHANGED if self._shown else self.status
            head = payload[:status_at] + status.to_bytes(2, "little") + payload[status_at + 2 : status_at + 4]
            self._replace(data, at, length, head + info)

    def _info(self, reader: Reader) -> bytes:
        """Take the changes out of an OK packet's end, and return that as the client wishes to see it.

        Servers put the message's length in front of it also without SESSION_TRACK, whatever the manual says
        (tests/proxy/test_trackers.py).
        """
        self._shown = False
        if not reader.remaining:
            return b""
        message, block = reader.lenenc_bytes(), reader.lenenc_bytes()
        changes = parse_state(block)
        self.changes += changes
        wished = b""
        if self._wishes is not None:
            for change in changes:
                if change.kind == VARIABLE:
                    self._wishes.learn(change.name, change.value)
            wished = filter_state(block, self._wishes)
        if wished:
            self._shown = True
            return lenenc_bytes(message) + lenenc_bytes(wished)
        return lenenc_bytes(message) if message else b""

    def _replace(self, data: bytes, at: int, length: int, payload: bytes) -> None:
        """Have another packet written in place of this one."""
        following = at + HEADER_BYTES + length
        if data[at + HEADER_BYTES : following] == payload:
            return
        if self._pieces is None:
            self._pieces = []
        self._pieces.append(data[self._copied : at])
        self._pieces.append(len(payload).to_bytes(3, "little") + data[at + 3 : at + 4] + payload)
        self._copied = following

    def _forget(self) -> None:
        """Let nothing of the last response stand for the next one's."""
        self.warnings = self.errno = self.affected = self.insert_id = 0
        self.changes = []
        self._infile = self._marked = False


def step_over_rows(data: bytes, at: int, end: int) -> int:
    """Return where the first packet stands that is not an ordinary row; it may lie beyond the end."""
    while end - at > HEADER_BYTES and data[at + HEADER_BYTES] < EOF:
        length = data[at] | data[at + 1] << 8 | data[at + 2] << 16
        if length == 0 or length == MAX_FRAME:
            break
        at += length + HEADER_BYTES
    return at


def _is_plain_ok(data: bytes) -> bool:
    """Say whether an OK packet of the shortest length ends a response and has no warnings."""
    return (
        data[0] == _OK_BYTES
        and not (data[1] | data[2] | data[4] | data[9] | data[10])
        and data[3] != 0
        and data[5] < _LONG_NUMBER
        and data[6] < _LONG_NUMBER
        and not data[7] & _MORE_RESULTS
        and not data[8] & _CHANGED_HIGH
    )
