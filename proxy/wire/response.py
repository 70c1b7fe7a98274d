"""I follow a response packet by packet and say when it is over, and the transaction state.

I walk headers and look into the few packets that matter; rows are stepped over without being copied. The
grammar of each command's response is in page_protocol_command_phase.html.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Final

from proxy.wire.constants import EOF, ERR, LOCAL_INFILE, MAX_FRAME, OK, Command, Status
from proxy.wire.errors import RemoteError
from proxy.wire.framing import HEADER_BYTES
from proxy.wire.packets import OkPacket
from proxy.wire.primitives import Reader


class Part(IntEnum):
    """Which packet of the response is expected next."""

    OVER = 0
    RESULT = 1
    """OK, ERR, or a column count."""
    COLUMNS = 2
    COLUMNS_END = 3
    ROWS = 4
    """Rows up to an EOF, the OK in its place, or an ERR."""
    SIMPLE = 5
    """One OK, ERR or EOF."""
    PREPARED = 6
    DEFINITIONS = 7
    """Column definitions of a prepared statement, with an EOF after each kind unless those are deprecated."""
    OPAQUE = 8
    """One packet of any kind."""
    NEXT_RESULT = 9
    """As RESULT, after another one."""


_FIRST_PART: Final = {
    Command.QUERY: Part.RESULT,
    Command.STMT_EXECUTE: Part.RESULT,
    Command.FIELD_LIST: Part.ROWS,
    Command.STMT_FETCH: Part.ROWS,
    Command.STMT_PREPARE: Part.PREPARED,
    Command.STATISTICS: Part.OPAQUE,
    Command.STMT_SEND_LONG_DATA: Part.OVER,
    Command.STMT_CLOSE: Part.OVER,
    Command.QUIT: Part.OVER,
}

_FIRST_PACKETS: Final = frozenset({Part.RESULT, Part.SIMPLE, Part.PREPARED, Part.OPAQUE})

UNFINISHED: Final = 0
FINISHED: Final = 1
FAILED: Final = 2

# Plain numbers: they are compared for every packet.
_OVER: Final = int(Part.OVER)
_RESULT: Final = int(Part.RESULT)
_NEXT_RESULT: Final = int(Part.NEXT_RESULT)
_COLUMNS: Final = int(Part.COLUMNS)
_COLUMNS_END: Final = int(Part.COLUMNS_END)
_ROWS: Final = int(Part.ROWS)
_MORE_RESULTS: Final = int(Status.MORE_RESULTS)
_CURSOR: Final = int(Status.CURSOR_EXISTS)
_IN_TRANSACTION: Final = int(Status.IN_TRANSACTION | Status.IN_TRANSACTION_READONLY)

# A header and the first byte behind it; the sequence number is the highest byte of the first value.
_header: Final = struct.Struct("<IB").unpack_from
_NO_HEAD: Final = b"?" * 5


class Response:
    """The responses of one connection, one after another.

    `begin` says which command was sent, `feed` takes the server's chunks. `over` is true between responses;
    `prepared_id` is what the last STMT_PREPARE gave, else None. Raises RemoteError for bytes that cannot be
    part of this response: the connection is then of no use.

    A client repeats its statements, so a result often begins with the very bytes of the last one: number and
    definitions of its columns. This head is remembered, and stepped over at once when it comes again.
    """

    __slots__ = (
        "_carry",
        "_columns",
        "_continued",
        "_deprecate_eof",
        "_head",
        "_part",
        "_skip",
        "prepared_id",
        "status",
    )

    def __init__(self, *, deprecate_eof: bool, status: int = Status.AUTOCOMMIT) -> None:
        self.status = int(status)
        self.prepared_id: int | None = None
        self._deprecate_eof = deprecate_eof
        self._part = _OVER
        self._columns = 0
        self._skip = 0
        self._continued = False
        self._carry = b""
        self._head = _NO_HEAD

    @property
    def over(self) -> bool:
        """Whether no byte is outstanding."""
        return self._part == _OVER

    @property
    def untouched(self) -> bool:
        """Whether nothing has come yet of an expected response, so that an error may take its place."""
        return self._part in _FIRST_PACKETS and not self._carry

    @property
    def in_transaction(self) -> bool:
        """Whether the server said last that a transaction is open."""
        return bool(self.status & _IN_TRANSACTION)

    def begin(self, command: int) -> bool:
        """Expect the response to a command; false when there will be none."""
        self._part = int(_FIRST_PART.get(command, Part.SIMPLE))  # type: ignore[call-overload]
        self.prepared_id = None
        return self._part != _OVER

    def begin_query(self) -> None:
        """Expect the response to a query: `begin`, for the command that matters."""
        self._part = _RESULT

    def feed(self, data: bytes) -> int:
        """Take a chunk; say UNFINISHED, or that the response ends with it: FINISHED, or FAILED by an ERR.

        Bytes after the end raise RemoteError: a server speaks only when asked.
        """
        head = self._head
        if self._part != _RESULT or not data.startswith(head) or self._carry:
            return self._feed_slowly(data)
        at, end = len(head), len(data)
        while end - at > HEADER_BYTES:
            length, first = _header(data, at)
            length &= MAX_FRAME
            if first < EOF and length != MAX_FRAME:
                at += length + HEADER_BYTES
            elif length == 5 and first == EOF and end - at == 9 and not data[at + 7] & _MORE_RESULTS:
                self._part = _OVER
                self.status = data[at + 7] | data[at + 8] << 8
                return FINISHED
            else:
                break
        self._part = _ROWS
        return self._walk(data, at)

    def _feed_slowly(self, data: bytes) -> int:
        """Take a chunk that does not begin as the last result did."""
        if self._part == _OVER:
            raise RemoteError("the server spoke without being asked")
        if self._carry:
            data = self._carry + data
            self._carry = b""
        at, self._skip = self._skip, 0
        if at > len(data):
            self._skip = at - len(data)
            return UNFINISHED
        return self._walk(data, at)

    def _walk(self, data: bytes, at: int) -> int:
        """Go from header to header, stepping over what does not matter."""
        part, end = self._part, len(data)
        begins_here = at == 0 and part == _RESULT
        while end - at > HEADER_BYTES:
            length, first = _header(data, at)
            length &= MAX_FRAME
            following = at + HEADER_BYTES + length
            if part == _ROWS and first < EOF and length != MAX_FRAME and not self._continued:
                pass
            elif self._continued or (part == _ROWS and length == MAX_FRAME):
                self._continued = length == MAX_FRAME
            elif part == _COLUMNS:
                part = self._column()
            elif length == 0:
                raise RemoteError("the server sent an empty packet")
            elif following > end:
                self._carry = data[at:]
                return UNFINISHED
            else:
                part = self._look(first, data, at, length)
                if part == _OVER:
                    if following < end:
                        raise RemoteError("the server went on after the end of a response")
                    return FAILED if first == ERR else FINISHED
            if begins_here and part == _ROWS and following <= end:
                self._head = data[:following]
                begins_here = False
            at = following
        if at > end:
            self._skip = at - end
        elif at < end:
            self._short_tail(data, at)
        return UNFINISHED

    def _short_tail(self, data: bytes, at: int) -> None:
        """Keep the start of a header; a whole header may stand for an empty frame."""
        if len(data) - at == HEADER_BYTES and not any(data[at : at + 3]):
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
        if first == ERR and part != Part.OPAQUE:
            self._part = _OVER
        elif part == _ROWS:
            self._ended(_status(data, at, length))
        elif part in (_RESULT, _NEXT_RESULT):
            self._result(first, data, at, length)
        elif part == _COLUMNS_END:
            self.status = _status(data, at, length)
            # A cursor's rows come by STMT_FETCH.
            self._part = _OVER if self.status & _CURSOR else _ROWS
        elif part == Part.PREPARED:
            self._prepared(data, at, length)
        elif part == Part.DEFINITIONS:
            self._columns -= 1
            if self._columns == 0:
                self._part = _OVER
        elif part == Part.SIMPLE:
            if first not in (OK, EOF):
                raise RemoteError(f"the server answered a command with an unknown packet (0x{first:02X})")
            self._ended(_status(data, at, length))
        else:
            self._part = _OVER
        return self._part

    def _result(self, first: int, data: bytes, at: int, length: int) -> None:
        if first == OK:
            self._ended(_status(data, at, length))
        elif first == LOCAL_INFILE:
            raise RemoteError("the server asked for a file of the client's")
        else:
            self._columns = Reader(data[at + HEADER_BYTES : at + HEADER_BYTES + length]).lenenc_int()
            self._part = _COLUMNS

    def _prepared(self, data: bytes, at: int, length: int) -> None:
        reader = Reader(data[at + HEADER_BYTES : at + HEADER_BYTES + length], 1)
        self.prepared_id = reader.uint(4)
        columns, parameters = reader.uint(2), reader.uint(2)
        ends = 0 if self._deprecate_eof else bool(columns) + bool(parameters)
        self._columns = columns + parameters + ends
        self._part = int(Part.DEFINITIONS) if self._columns else _OVER

    def _ended(self, status: int) -> None:
        self.status = status
        self._part = _NEXT_RESULT if status & _MORE_RESULTS else _OVER


def _status(data: bytes, at: int, length: int) -> int:
    """Return the status of the OK or EOF packet at this place.

    Both have it in the same two bytes as long as the OK packet's two numbers are small.
    """
    if length == 5 or (length >= 7 and data[at + 5] < 0xFB and data[at + 6] < 0xFB):
        return data[at + 7] | data[at + 8] << 8
    return OkPacket.parse(data[at + HEADER_BYTES : at + HEADER_BYTES + length]).status
