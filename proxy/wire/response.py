"""I follow a response packet by packet and say when it is over, and the transaction state.

I walk headers and look into the few packets that matter; rows are stepped over without being copied. The
grammar of each command's response is in page_protocol_command_phase.html.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from proxy.wire.constants import EOF, ERR, LOCAL_INFILE, MAX_FRAME, OK, Command, Status
from proxy.wire.errors import RemoteError
from proxy.wire.framing import HEADER_BYTES
from proxy.wire.packets import EofPacket, OkPacket
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

_OVER: Final = int(Part.OVER)
_RESULT: Final = int(Part.RESULT)
_NEXT_RESULT: Final = int(Part.NEXT_RESULT)
_COLUMNS: Final = int(Part.COLUMNS)
_ROWS: Final = int(Part.ROWS)
_MORE_RESULTS: Final = int(Status.MORE_RESULTS)
_CURSOR: Final = int(Status.CURSOR_EXISTS)
_IN_TRANSACTION: Final = int(Status.IN_TRANSACTION | Status.IN_TRANSACTION_READONLY)


class Response:
    """The responses of one connection, one after another.

    `begin` says which command was sent, `feed` takes the server's chunks. `over` is true between responses;
    `errors` counts the ERR packets of the current one; `prepared_id` is what a STMT_PREPARE gave, else None.
    Raises RemoteError for bytes that cannot be part of this response: the connection is then of no use.
    """

    __slots__ = (
        "_carry",
        "_columns",
        "_continued",
        "_deprecate_eof",
        "_part",
        "_skip",
        "errors",
        "prepared_id",
        "status",
    )

    def __init__(self, *, deprecate_eof: bool, status: int = Status.AUTOCOMMIT) -> None:
        self.status = int(status)
        self.errors = 0
        self.prepared_id: int | None = None
        self._deprecate_eof = deprecate_eof
        self._part = _OVER
        self._columns = 0
        self._skip = 0
        self._continued = False
        self._carry = b""

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
        self.errors = 0
        self.prepared_id = None
        return self._part != _OVER

    def begin_query(self) -> None:
        """Expect the response to a query: `begin`, for the command that matters."""
        self._part = _RESULT
        self.errors = 0
        self.prepared_id = None

    def feed(self, data: bytes) -> bool:
        """Take a chunk; true when the response ends with it.

        Bytes after the end raise RemoteError: a server speaks only when asked.
        """
        if self._part == _OVER:
            raise RemoteError("the server spoke without being asked")
        if self._carry:
            data = self._carry + data
            self._carry = b""
        at, end = 0, len(data)
        if self._skip:
            at = self._skip
            if at > end:
                self._skip = at - end
                return False
            self._skip = 0
        while end - at > HEADER_BYTES:
            length = data[at] | data[at + 1] << 8 | data[at + 2] << 16
            first = data[at + 4]
            if (self._part == _ROWS and (first < EOF or length == MAX_FRAME)) or self._continued:
                self._continued = length == MAX_FRAME
            elif self._part == _COLUMNS:
                self._column()
            elif length == 0:
                raise RemoteError("the server sent an empty packet")
            else:
                if at + HEADER_BYTES + length > end:
                    self._carry = data[at:]
                    return False
                self._look(first, data[at + HEADER_BYTES : at + HEADER_BYTES + length])
            at += HEADER_BYTES + length
            if self._part == _OVER and at < end:
                raise RemoteError("the server went on after the end of a response")
        if at > end:
            self._skip = at - end
        elif at < end:
            self._short_tail(data, at)
        return self._part == _OVER

    def _short_tail(self, data: bytes, at: int) -> None:
        """Keep the start of a header; a whole header may stand for an empty frame."""
        if len(data) - at == HEADER_BYTES and not any(data[at : at + 3]):
            # Nothing follows this header: the end of a row that filled its frames exactly.
            if not self._continued:
                raise RemoteError("the server sent an empty packet")
            self._continued = False
        else:
            self._carry = data[at:]

    def _column(self) -> None:
        self._columns -= 1
        if self._columns == 0:
            self._part = _ROWS if self._deprecate_eof else int(Part.COLUMNS_END)

    def _look(self, first: int, payload: bytes) -> None:
        """Take one of the packets that decide what comes next."""
        part = self._part
        if first == ERR and part != Part.OPAQUE:
            self.errors += 1
            self._part = _OVER
        elif part in (_RESULT, _NEXT_RESULT):
            self._result(first, payload)
        elif part == _ROWS:
            self._end_of_rows(payload)
        elif part == Part.COLUMNS_END:
            eof = EofPacket.parse(payload)
            # A cursor's rows come by STMT_FETCH.
            self._part = _OVER if eof.status & _CURSOR else _ROWS
            self.status = eof.status
        elif part == Part.PREPARED:
            self._prepared(payload)
        elif part == Part.DEFINITIONS:
            self._columns -= 1
            if self._columns == 0:
                self._part = _OVER
        elif part == Part.SIMPLE:
            self._simple(first, payload)
        else:
            self._part = _OVER

    def _result(self, first: int, payload: bytes) -> None:
        if first == OK:
            self._ended(OkPacket.parse(payload).status)
        elif first == LOCAL_INFILE:
            raise RemoteError("the server asked for a file of the client's")
        else:
            self._columns = Reader(payload).lenenc_int()
            self._part = _COLUMNS

    def _end_of_rows(self, payload: bytes) -> None:
        if self._deprecate_eof and len(payload) > 5:
            self._ended(OkPacket.parse(payload).status)
        else:
            self._ended(EofPacket.parse(payload).status)

    def _simple(self, first: int, payload: bytes) -> None:
        if first == OK:
            self._ended(OkPacket.parse(payload).status)
        elif first == EOF:
            self._end_of_rows(payload)
        else:
            raise RemoteError(f"the server answered a command with an unknown packet (0x{first:02X})")

    def _prepared(self, payload: bytes) -> None:
        reader = Reader(payload, 1)
        self.prepared_id = reader.uint(4)
        columns, parameters = reader.uint(2), reader.uint(2)
        ends = 0 if self._deprecate_eof else bool(columns) + bool(parameters)
        self._columns = columns + parameters + ends
        self._part = int(Part.DEFINITIONS) if self._columns else _OVER

    def _ended(self, status: int) -> None:
        self.status = status
        self._part = _NEXT_RESULT if status & _MORE_RESULTS else _OVER
