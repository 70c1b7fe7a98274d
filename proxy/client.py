"""I am one client's life after login: take commands in order, have them answered, say goodbye.

The spine: start reading here. A statement takes this way, all of it in two callbacks of the event loop:

1. `data_received`: one chunk from the client, which almost always is one whole command.
2. `_serve`: name the kind of statement, refuse it or hold it at the gate, or
3. `_send`: pass the same bytes on to the backend and start the clock.
   (`data_received` does both by itself for statements that nobody could want to refuse or hold.)
4. `answered`: each chunk of the backend's answer is passed on as it is, while `Response` walks its packets.
5. `_finish`: the answer is over: count it, take the next command.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter_ns
from typing import Final

import structlog

from proxy.backend import Backend
from proxy.branches import ServedBranch
from proxy.channel import Refused
from proxy.errors import BackendLost, Malformed, NotPassedOn, ProxyError
from proxy.stream import INBOX_IS_FULL, Stream
from proxy.wire.commands import command_name
from proxy.wire.constants import MAX_FRAME, Capability, Command
from proxy.wire.errors import RemoteError
from proxy.wire.framing import HEADER_BYTES, PacketTail
from proxy.wire.response import FAILED, Response
from router.classify import HEAD_BYTES, KIND_OF_START, START_BYTES, Kind, classify, digest, verb
from router.model import User
from router.policy import refusal

log = structlog.get_logger()

INBOX_BYTES_MAX: Final = HEAD_BYTES + 1024
"""How much of what comes too early is kept before reading stops."""

# Plain numbers: they are compared for every statement. IDLE: a command may come, and nothing of it has yet.
# COLLECTING: a part of one has. ASKING: a query is being answered. BUSY: another command is.
_IDLE, _COLLECTING, _ASKING, _BUSY, _UPLOADING, _HELD, _CLOSED = range(7)
_QUERY: Final = int(Command.QUERY)
_SESSION: Final = Kind.SESSION
_TEXT: Final = HEADER_BYTES + 1

# Length and sequence number of a packet as one number (which is the length, as the sequence number must be
# 0), and what it begins with: a query's command byte and first letters.
_beginning: Final = struct.Struct(f"<I{1 + START_BYTES}s").unpack_from
_BEGINNING_BYTES: Final = HEADER_BYTES + 1 + START_BYTES
_kind_of: Final = {bytes((_QUERY,)) + start: kind for start, kind in KIND_OF_START.items()}.get

_SILENT: Final = frozenset({Command.STMT_CLOSE, Command.STMT_SEND_LONG_DATA})
_PASSED_ON: Final = frozenset(
    {
        Command.INIT_DB,
        Command.FIELD_LIST,
        Command.STATISTICS,
        Command.PING,
        Command.STMT_RESET,
        Command.STMT_FETCH,
        Command.RESET_CONNECTION,
    }
)
_DDL_COMMANDS: Final = frozenset({Command.CREATE_DB, Command.DROP_DB})


@dataclass(frozen=True, slots=True)
class Doors:
    """What the worker does for a client.

    `report` tells control of a refusal. `change_user` takes the transport and the packet of a COM_CHANGE_USER
    and makes a new client of them. `kill` ends the client with a connection id, or only its statement, in
    whatever worker it is, and calls back with None or the error.
    """

    report: Callable[[Refused], None]
    change_user: Callable[[Client, bytes], None] | None = None
    kill: Callable[[Client, int, bool, Callable[[ProxyError | None], None]], None] | None = None


class Client(Stream):
    """A client that has logged in, and the backend it has to itself."""

    __slots__ = (
        "_backend",
        "_command",
        "_doors",
        "_in_transaction",
        "_inbox",
        "_preparing",
        "_refusal",
        "_response",
        "_served",
        "_started_ns",
        "_state",
        "_statements",
        "_status",
        "_tables_locked",
        "_to_backend",
        "_upload",
        "_waiting",
        "capabilities",
        "connection_id",
        "kind",
        "peer",
        "user",
    )

    def __init__(
        self,
        served: ServedBranch,
        *,
        user: User,
        peer: str,
        connection_id: int,
        capabilities: Capability,
        doors: Doors,
        backend: Backend,
    ) -> None:
        super().__init__()
        response = Response(
            deprecate_eof=bool(backend.capabilities & Capability.DEPRECATE_EOF), status=backend.status
        )
        self.user = user
        self.peer = peer
        self.connection_id = connection_id
        self.capabilities = capabilities
        self._served = served
        self._backend = backend
        self._response = response
        self._doors = doors
        self._state = _IDLE
        self._command = 0
        self._status = response.status
        self._to_backend = backend.write
        self._started_ns = perf_counter_ns()
        self.kind = Kind.COMMAND
        self._in_transaction = False
        self._tables_locked = False
        self._inbox = bytearray()
        self._upload: PacketTail | None = None
        self._refusal: ProxyError | None = None
        self._waiting: tuple[int, Kind, bytes, PacketTail | None] | None = None
        self._statements: dict[int, tuple[Kind, bytes]] = {}
        self._preparing: tuple[Kind, bytes] | None = None
        self.other = backend
        backend.other = self
        backend.serve(self)
        served.clients.add(self)

    # -- from the client ------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Take a chunk from the client."""
        size = len(data)
        if self._state == _IDLE and size >= _BEGINNING_BYTES:
            header, beginning = _beginning(data)
            kind = _kind_of(beginning)
            if kind is not None and header == size - HEADER_BYTES and self._served.gate is None:
                self.kind = kind
                self._state = _ASKING
                self._response.begin_query()
                self._started_ns = perf_counter_ns()
                self._to_backend(data)
                return
        self._queue(data)

    def _serve(self, data: bytes, tail: PacketTail | None) -> None:
        """Take one command: whole, or its first bytes and the tail that says where it ends."""
        number = data[HEADER_BYTES]
        text = data
        if number == _QUERY:
            kind = classify(data, _TEXT)
        elif number == Command.STMT_EXECUTE:
            kind, text = self._statements.get(_statement_id(data), (Kind.COMMAND, b""))
        elif number == Command.STMT_PREPARE:
            kind = classify(data, _TEXT)
            self._preparing = (kind, data[:HEAD_BYTES])
        elif number in _PASSED_ON:
            kind = Kind.COMMAND
        else:
            self._serve_rarely(number, data, tail)
            return
        served = self._served
        if kind in served.refused:
            self._refuse_statement(kind, data, tail)
        elif served.gate is None or not self._wait_at_gate(text, (number, kind, data, tail)):
            self._send(number, kind, data, tail)

    def _send(self, number: int, kind: Kind, data: bytes, tail: PacketTail | None) -> None:
        """Pass a command on to the backend."""
        self.kind = kind
        self._started_ns = perf_counter_ns()
        self._command = number
        if number == _QUERY:
            self._state = _ASKING
            self._response.begin_query()
        else:
            self._state = _BUSY
            self._response.begin(number)
        self._to_backend(data)
        if kind is _SESSION:
            self._notice_lock(data)
        if tail is not None:
            self._follow(tail)

    def _serve_rarely(self, number: int, data: bytes, tail: PacketTail | None) -> None:
        """Take a command that has no answer, ends the connection, or is not for the server."""
        if number == Command.QUIT:
            self.close()
        elif number in _SILENT:
            if number == Command.STMT_CLOSE:
                self._statements.pop(_statement_id(data), None)
            self._to_backend(data)
            if tail is not None:
                self._follow(tail)
        elif number in _DDL_COMMANDS and Kind.DDL in self._served.refused:
            self._refuse(ProxyError(refusal(self._served.branch, Kind.DDL, command_name(number))), tail)
        else:
            self._refuse(NotPassedOn(f"{command_name(number)} is not passed on to the server"), tail)

    def _queue(self, data: bytes) -> None:
        """Take bytes that are not one whole command at the right time."""
        if self._upload is not None:
            used = self._upload.feed(data)
            self._pass_upload(data[:used], self._upload)
            data = data[used:]
        if self._state == _IDLE and len(data) > HEADER_BYTES and _length(data) == len(data) - HEADER_BYTES:
            self._serve(data, None)
        elif data and self._state != _CLOSED:
            self._inbox += data
            if self._state in (_IDLE, _COLLECTING):
                self._take_from_inbox()
            elif len(self._inbox) > INBOX_BYTES_MAX:
                self.hold_reading(INBOX_IS_FULL)

    def _take_from_inbox(self) -> None:
        """Serve commands that have come before their turn, or in pieces."""
        inbox = self._inbox
        self._state = _IDLE
        while self._state == _IDLE and len(inbox) >= HEADER_BYTES:
            length = _length(inbox)
            if not 0 < length <= MAX_FRAME:
                self._end(Malformed("this is not a command: its packet is empty or out of order"))
                return
            if len(inbox) >= HEADER_BYTES + length:
                packet = bytes(inbox[: HEADER_BYTES + length])
                del inbox[: HEADER_BYTES + length]
                self._serve(packet, None)
            elif len(inbox) >= INBOX_BYTES_MAX:
                # Too long to wait for: decide by its beginning, pass the rest on as it comes.
                tail = PacketTail()
                head = bytes(inbox)
                del inbox[: tail.feed(head)]
                self._serve(head, tail)
            else:
                break
        if inbox and self._state == _IDLE:
            self._state = _COLLECTING
        if len(inbox) <= INBOX_BYTES_MAX:
            self.release_reading(INBOX_IS_FULL)

    def _follow(self, tail: PacketTail) -> None:
        """Go on with the rest of a long command."""
        self._upload = tail
        self._state = _UPLOADING
        if self._inbox:
            data = bytes(self._inbox)
            self._inbox.clear()
            self.release_reading(INBOX_IS_FULL)
            self._queue(data)

    def _pass_upload(self, data: bytes, tail: PacketTail) -> None:
        if self._refusal is None:
            self._to_backend(data)
        if not tail.over:
            return
        self._upload = None
        if self._refusal is not None:
            error, self._refusal = self._refusal, None
            self.write(error.packet(tail.sequence + 1))
        if self._response.over:
            self._state = _IDLE
        else:
            self._state = _ASKING if self._command == _QUERY else _BUSY

    # -- refusing and holding -------------------------------------------------------------------------------

    def _refuse_statement(self, kind: Kind, data: bytes, tail: PacketTail | None) -> None:
        served, text = self._served, data[_TEXT : _TEXT + HEAD_BYTES]
        branch, words = served.branch, verb(text)
        served.refused_count += 1
        self._preparing = None
        self._refuse(ProxyError(refusal(branch, kind, words)), tail)
        self._doors.report(
            Refused(self.user.name, self.peer, branch.database, branch.name, words, digest(text))
        )

    def _refuse(self, error: ProxyError, tail: PacketTail | None) -> None:
        """Answer a command with an error, once all of it is here; the server does not hear of it."""
        if tail is None:
            self.write(error.packet())
        else:
            self._refusal = error
            self._follow(tail)

    def _wait_at_gate(self, text: bytes, command: tuple[int, Kind, bytes, PacketTail | None]) -> bool:
        """Hold a command that would begin a transaction on a table that is being swapped."""
        gate = self._served.gate
        if gate is None or self._in_transaction or self._tables_locked or not gate.concerns(text):
            return False
        if not gate.hold(self, len(command[2])):
            return False
        self._state = _HELD
        self._waiting = command
        return True

    def released(self) -> None:
        """Go on with the command that was held."""
        if self._waiting is not None and self._state == _HELD:
            number, kind, data, tail = self._waiting
            self._waiting = None
            self._send(number, kind, data, tail)

    def _notice_lock(self, data: bytes) -> None:
        """Remember LOCK TABLES: who holds a table's lock must not wait for somebody who wants it."""
        words = verb(data[_TEXT : _TEXT + HEAD_BYTES])
        if words.startswith(("LOCK", "UNLOCK")):
            self._tables_locked = words.startswith("LOCK")

    # -- from the backend -----------------------------------------------------------------------------------

    def answered(self, data: bytes) -> None:
        """Take a chunk from the backend."""
        try:
            outcome = self._response.feed(data)
        except RemoteError as error:
            if not self._response.over:
                log.error("backend.misunderstood", branch=self._served.branch.name, reason=str(error))
            self.abort()
            return
        self.write(data)
        if outcome:
            self._finish(outcome)

    def _finish(self, outcome: int) -> None:
        """The answer is over."""
        served = self._served
        counter = served.counters[self.kind]
        counter.durations_ns.append(perf_counter_ns() - self._started_ns)
        if outcome == FAILED:
            counter.errors += 1
        if self._response.status != self._status:
            self._notice_status()
        state = self._state
        self._state = _IDLE
        if state != _ASKING:
            self._finish_rarely(state, outcome)
        if self._inbox:
            self._take_from_inbox()
        elif served.draining:
            self.leave_when_idle()

    def _finish_rarely(self, state: int, outcome: int) -> None:
        """The answer to something else than a query, or to half of one, is over."""
        if state == _UPLOADING:
            # The server answered without having read the whole command: it will not read the rest either.
            self._state = _UPLOADING
            self._end(None)
        elif self._command == Command.STMT_PREPARE:
            if self._response.prepared_id is not None and self._preparing is not None:
                self._statements[self._response.prepared_id] = self._preparing
            self._preparing = None
        elif self._command == Command.RESET_CONNECTION and outcome != FAILED:
            self._statements.clear()
            self._tables_locked = False

    def _notice_status(self) -> None:
        """Keep count of open transactions."""
        self._status = self._response.status
        in_transaction = self._response.in_transaction
        if in_transaction != self._in_transaction:
            self._in_transaction = in_transaction
            self._served.in_transaction += 1 if in_transaction else -1

    def backend_lost(self) -> None:
        """The server closed the connection: say so if a command waits for an answer."""
        if self._state == _CLOSED:
            return
        if self._state == _HELD:
            self._end(BackendLost("the connection to the server was lost; the statement was not executed"))
        elif self._response.untouched:
            lost = "the connection to the server was lost during the statement; it may or may not have run"
            self._end(BackendLost(lost))
        else:
            self._end(None)

    # -- the end --------------------------------------------------------------------------------------------

    @property
    def status(self) -> int:
        """The server status of the session, as the login ends with."""
        return self._status

    @property
    def waits_for_server(self) -> bool:
        """Whether a statement is under way on the server."""
        return not self._response.over

    @property
    def busy(self) -> bool:
        """Whether a statement or a transaction is under way."""
        return self._in_transaction or not self._response.over

    def idle_s(self) -> float:
        """How long ago the last command came; 0 while one is being served."""
        return (perf_counter_ns() - self._started_ns) / 1e9 if self._response.over else 0.0

    def leave_when_idle(self) -> None:
        """Close between two transactions: now, or when the present one ends."""
        if self._state == _IDLE and not self._in_transaction:
            self.close()

    def _end(self, error: ProxyError | None) -> None:
        if error is not None:
            self.write(error.packet())
        self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave nothing behind: no place at the gate, no count, no backend."""
        state, self._state = self._state, _CLOSED
        served = self._served
        served.clients.discard(self)
        if self._in_transaction:
            served.in_transaction -= 1
        if state == _HELD and served.gate is not None:
            served.gate.forget(self)
        if not self._response.over or state == _UPLOADING:
            self._backend.abort()
        else:
            self._backend.leave()
        self._inbox.clear()
        self._statements.clear()


def _length(data: bytes | bytearray) -> int:
    """Return a packet's length; more than any packet has when its sequence number is not 0."""
    return int.from_bytes(data[:HEADER_BYTES], "little")


def _statement_id(data: bytes) -> int:
    """Return which prepared statement a packet is about; what is too short the server will refuse."""
    return int.from_bytes(data[HEADER_BYTES + 1 : HEADER_BYTES + 5], "little")
