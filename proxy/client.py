"""I am one client's life after login: take commands in order, have them answered, say goodbye.

The spine: start reading here. A statement takes this way, all of it in two callbacks of the event loop:

1. `data_received`: one chunk from the client, which almost always is one whole command.
2. `_serve`: name the kind of statement, refuse it or hold it at the gate, or
3. `_send`: pass the same bytes on to the backend and start the clock.
   (`data_received` does both by itself for statements that nobody could want to refuse or hold.)
4. `answered`: each chunk of the backend's answer is passed on as it is, while `Response` walks its packets.
5. `_finish`: the answer is over: count it, take the next command.

Below me, `intake.py` keeps what is not one whole command at the right time until it is, and `waiting.py` has
the commands that must wait. A Client has a backend to itself; `pooled.py` has those that share.
`courtesies.py` serves what is rarely asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter_ns
from typing import Final

import structlog

from proxy import courtesies
from proxy.backend import Backend
from proxy.branches import ServedBranch
from proxy.channel import DefinitionChanged, Refused
from proxy.courtesies import ASKS_FOR_ID_BYTES_MAX
from proxy.errors import BackendLost, ProxyError
from proxy.intake import (
    ASKING,
    BUSY,
    CLOSED,
    DETACHED,
    HELD,
    IDLE,
    LEAVING,
    SENDING,
    UPLOADING,
    WAITING,
    packet_length,
)
from proxy.waiting import SEVERAL, Waiter
from proxy.wire.constants import Capability, Command
from proxy.wire.errors import RemoteError
from proxy.wire.execute import statement_id
from proxy.wire.framing import HEADER_BYTES, PacketTail
from proxy.wire.response import FAILED, FINISHED, Response
from router.classify import HEAD_BYTES, START_BYTES, Kind, classify, digest, is_load_local, verb
from router.model import Role, User
from router.policy import is_exempt, is_guarded, refusal, refusal_code

log = structlog.get_logger()

FAREWELL_S: Final = 0.02
"""How long a client that is to leave may still send a command, to be told that the worker ends."""

PREPARED_BYTES_MAX: Final = 8 << 20
"""How long the texts of a client's prepared statements may be together, as far as they are kept."""

_QUERY: Final = int(Command.QUERY)
_EXECUTE: Final = int(Command.STMT_EXECUTE)
_PREPARE: Final = int(Command.STMT_PREPARE)
_SESSION: Final = Kind.SESSION
_DDL: Final = Kind.DDL
_DYNAMIC: Final = Kind.DYNAMIC
_SEMICOLON: Final = ord(";")
_TEXT: Final = HEADER_BYTES + 1
_NO_BYTES: Final = b""
_NO_STATEMENT: Final = (Kind.COMMAND, b"")
_CO: Final = (b"CO", b"co", b"Co")
_NO_BACKSLASH: Final = 1 << 9
"""SERVER_STATUS_NO_BACKSLASH_ESCAPES (mysql__com_8h.html)."""

_BEGINNING_BYTES: Final = HEADER_BYTES + 1 + START_BYTES
"""A query's header, command byte and first letters."""

_PASSED_ON: Final = frozenset(
    {Command.FIELD_LIST, Command.STATISTICS, Command.PING, Command.STMT_RESET, Command.STMT_FETCH}
)


@dataclass(frozen=True, slots=True)
class Doors:
    """What the worker does for a client.

    `report` tells control of a refusal or a changed definition. `change_user` takes the transport and the
    packet of a COM_CHANGE_USER and makes a new client of them. `kill` ends the client with a connection id,
    or only its statement, in whatever worker it is, and calls back with None or the error.
    """

    report: Callable[[Refused | DefinitionChanged], None]
    change_user: Callable[[Client, bytes], None] | None = None
    kill: Callable[[Client, int, bool, Callable[[ProxyError | None], None]], None] | None = None


class Client(Waiter):
    """A client that has logged in, and the backend it has to itself."""

    __slots__ = (
        "_first_ns",
        "_kinds",
        "_prepared_bytes",
        "_preparing",
        "_rules",
        "_statements",
        "_status",
        "connection_id",
        "doors",
        "gone",
        "kind",
        "may_send_files",
        "peer",
        "role",
        "splits",
        "unsplit",
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
        backend: Backend | None = None,
        response: Response | None = None,
    ) -> None:
        if response is None:
            response = _response(backend)
        super().__init__(served, capabilities, backend, response)
        self.user = user
        self.role = user.role
        self.peer = peer
        self.connection_id = connection_id
        self.doors = doors
        self.gone = False
        self._status = response.status
        self._first_ns = 0
        self.kind = Kind.COMMAND
        self._statements: dict[int, tuple[Kind, bytes]] | None = None
        self._prepared_bytes = 0
        self._preparing: tuple[Kind, bytes] | None = None
        self.splits = bool(capabilities & Capability.MULTI_STATEMENTS)
        self.unsplit = False
        self.may_send_files = bool(capabilities & Capability.LOCAL_FILES)
        if backend is not None:
            self._link(backend)
        self.follow_rules()
        served.clients.add(self)

    def _link(self, backend: Backend) -> None:
        """Use a backend from now on."""
        self._backend = backend
        self._to_backend = backend.write
        self.other = backend
        backend.other = self
        backend.serve(self)

    def act_as(self, role: Role) -> None:
        """Be held to the rules of another role than the user's."""
        self.role = role
        self.follow_rules()

    def follow_rules(self) -> None:
        """Learn from the branch which statements need no second look."""
        self._rules = self.served.rules(self.role)
        self._kinds = self._rules.kinds

    # -- from the client ------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Take a chunk from the client."""
        size = len(data)
        if self._state == IDLE and size >= _BEGINNING_BYTES:
            kind = self._kinds.get(data[HEADER_BYTES:_BEGINNING_BYTES])
            if (
                kind is not None
                and packet_length(data) == size - HEADER_BYTES
                and self.served.gate is None
                and not (self.splits and _SEMICOLON in data)
                and not (size <= ASKS_FOR_ID_BYTES_MAX and _may_ask_for_id(data))
            ):
                self.kind = kind
                self._state = ASKING
                self._command = _QUERY
                self._sent = data
                self._response.begin_query()
                self.heard_ns = perf_counter_ns()
                self._to_backend(data)
                return
        self._queue(data)

    def _serve(self, data: bytes, tail: PacketTail | None) -> None:
        """Take one command: whole, or its first bytes and the tail that says where it ends."""
        number = data[HEADER_BYTES]
        text = data
        if number == _QUERY:
            if self.splits and tail is None and _SEMICOLON in data and courtesies.serve_several(self, data):
                return
            kind = classify(data, _TEXT)
            if kind is Kind.KILL and tail is None and courtesies.serve_kill(self, data):
                return
            if kind is _SESSION and tail is None:
                data = courtesies.translated_use(self.served.branch, data)
            elif kind is Kind.READ:
                data = courtesies.translated_question(self, data)
        elif number == _EXECUTE:
            kind, text = self._prepared_kind(data)
        elif number == _PREPARE:
            kind = classify(data, _TEXT)
            if self._too_many_statements(len(data), tail):
                return
            data = courtesies.translated_question(self, data)
            self._preparing = (kind, data[:HEAD_BYTES])
        elif number in _PASSED_ON:
            kind = Kind.COMMAND
        else:
            courtesies.serve_rarely(self, number, data, tail)
            return
        self.take(number, kind, data, tail, text)

    def take(self, number: int, kind: Kind, data: bytes, tail: PacketTail | None, text: bytes) -> None:
        """Send a command that is understood, unless it is refused or held; `text` is what it will run."""
        if self.refuses(kind, text[_TEXT:]):
            self.refuse_statement(kind, data, tail)
        elif self.served.gate is None or not self._wait_at_gate(text, (number, kind, data, tail)):
            self._send(number, kind, data, tail)

    def _send(self, number: int, kind: Kind, data: bytes, tail: PacketTail | None) -> None:
        """Pass a command on as soon as the backend is ready for it."""
        if number == SEVERAL:
            self.ask([courtesies.SEVERAL_ON], lambda _: self._send_allowed(kind, data))
        else:
            self._pass(number, kind, data, tail)

    def _pass(self, number: int, kind: Kind, data: bytes, tail: PacketTail | None) -> None:
        """Pass a command on to the backend."""
        self.kind = kind
        self.heard_ns = perf_counter_ns()
        self._command = number
        self._sent = data
        if number == _QUERY:
            self._state = ASKING
            if self.may_send_files and kind is Kind.WRITE and is_load_local(data[_TEXT:]):
                self._response.begin(number, infile=True)
            else:
                self._response.begin_query()
        else:
            self._state = BUSY
            if number == Command.BINLOG_DUMP or number == Command.BINLOG_DUMP_GTID:
                self._response.begin_endless()
            elif not self._response.begin(number):
                self._state = self._rest_state()
        self._to_backend(data)
        if kind is _SESSION and number == _QUERY:
            self._notice_lock(data)
        if tail is not None:
            self._follow(tail)

    def _prepared_kind(self, data: bytes) -> tuple[Kind, bytes]:
        """Return the kind and text of the statement that an EXECUTE runs; the server refuses unknown ones."""
        statements = self._statements or {}
        return statements.get(statement_id(data), _NO_STATEMENT)

    def _too_many_statements(self, size: int, tail: PacketTail | None) -> bool:
        """Refuse to prepare more statements than a client may have; `size` is what is kept of this one."""
        count = len(self._statements) if self._statements is not None else 0
        return self._exceeds_statements(count, size, tail)

    def _exceeds_statements(self, count: int, size: int, tail: PacketTail | None) -> bool:
        limit = self.served.home.limits.max_prepared_statements
        if count >= limit:
            text = f"Can't create more than max_prepared_stmt_count statements (current value: {limit})"
        elif self._prepared_bytes + size > PREPARED_BYTES_MAX:
            text = f"Can't prepare more statements: together their texts exceed {PREPARED_BYTES_MAX} bytes"
        else:
            return False
        self.refuse(ProxyError(text, errno=1461, sqlstate="42000"), tail)
        return True

    def closes_statement(self, data: bytes, tail: PacketTail | None) -> None:
        """Take a COM_STMT_CLOSE, which has no answer."""
        if self._statements is not None:
            _, text = self._statements.pop(statement_id(data), _NO_STATEMENT)
            self._prepared_bytes -= len(text)
        self._send(int(Command.STMT_CLOSE), Kind.COMMAND, data, tail)

    def sends_long_data(self, data: bytes, tail: PacketTail | None) -> None:
        """Take a COM_STMT_SEND_LONG_DATA, which has no answer."""
        self._send(int(Command.STMT_SEND_LONG_DATA), Kind.COMMAND, data, tail)

    def resets(self, data: bytes) -> None:
        """Take a COM_RESET_CONNECTION."""
        self._send(int(Command.RESET_CONNECTION), Kind.COMMAND, data, None)

    # -- refusing, holding, answering by ourselves ----------------------------------------------------------

    def refuses(self, kind: Kind, text: bytes) -> bool:
        """Say whether the branch refuses a statement to this client's role."""
        return kind in self._rules.refused and not is_exempt(self.role, kind, text)

    def refuse_statement(self, kind: Kind, data: bytes, tail: PacketTail | None) -> None:
        """Refuse a statement that the branch does not take, and tell control."""
        served, text = self.served, data[_TEXT : _TEXT + HEAD_BYTES]
        branch, words = served.branch, verb(text)
        served.refused_count += 1
        self._preparing = None
        errno, sqlstate = refusal_code(branch, kind)
        message = refusal(branch, kind, words, self.role)
        self.refuse(ProxyError(message, errno=errno, sqlstate=sqlstate), tail)
        served.home.counts.add("ddl_blocked_total", branch=branch.name, verb=words)
        self.doors.report(
            Refused(self.user.name, self.peer, branch.database, branch.name, words, digest(text))
        )

    # -- from the backend -----------------------------------------------------------------------------------

    def answered(self, data: bytes) -> None:
        """Take a chunk from the backend."""
        try:
            outcome = self._response.feed(data)
        except RemoteError as error:
            self._misunderstood(error)
            return
        self.write(data)
        if outcome == FINISHED or outcome == FAILED:  # noqa: SIM109 (twice as fast)
            self._finish(outcome)
        elif outcome:
            self._send_file()
        elif self._first_ns < self.heard_ns:
            self._first_ns = perf_counter_ns()

    def _misunderstood(self, error: RemoteError) -> None:
        """The server sent what cannot be part of its answer."""
        if not self._response.over:
            log.error("backend.misunderstood", branch=self.served.branch.name, reason=str(error))
            self.served.home.counts.add("protocol_errors_total", where="backend", kind="response")
        self.abort()

    def _finish(self, outcome: int) -> None:
        """The answer is over."""
        served, kind = self.served, self.kind
        counter = served.counters.of(kind)
        duration_ns = perf_counter_ns() - self.heard_ns
        counter.durations_ns.append(duration_ns)
        if outcome == FAILED:
            counter.errors += 1
        if self._response.status != self._status:
            self._notice_status()
        if duration_ns > served.slow_ns or self._waited is not None:
            courtesies.log_if_slow(self, duration_ns)
        state = self._state
        self._state = IDLE
        if state != ASKING:
            self._finish_rarely(state, outcome)
        elif self._command == _QUERY:
            if self.unsplit and self._sent.find(b";") >= 0:
                courtesies.watch_several(self, self._sent, outcome == FAILED)
                kind = Kind.EMPTY
            elif served.watched:
                served.watch.saw(self, self._sent, kind, outcome == FAILED)
        if (kind is _DDL or kind is _DYNAMIC) and outcome != FAILED:
            self._notice_definition()
        if self._inbox is not None or served.attention:
            self._go_on()

    def _finish_rarely(self, state: int, outcome: int) -> None:
        """The answer to something else than a query, or to half of one, is over."""
        if state in SENDING:
            # The server answered without having read the whole command: it will not read the rest either.
            self._state = UPLOADING
            self._end(None)
        elif self._command == _PREPARE:
            if self._response.prepared_id is not None and self._preparing is not None:
                if self._statements is None:
                    self._statements = {}
                self._statements[self._response.prepared_id] = self._preparing
                self._prepared_bytes += len(self._preparing[1])
                if self.served.watched:
                    self.served.watch.prepared(self, self._preparing[1][_TEXT:])
            self._preparing = None
        elif self._command == _EXECUTE:
            text = self._prepared_kind(self._sent)[1]
            if text and self.served.watched:
                self.served.watch.saw(self, text, self.kind, outcome == FAILED)
        elif self._command == Command.RESET_CONNECTION and outcome != FAILED:
            self._statements = None
            self._prepared_bytes = 0
            self._tables_locked = False
        elif self._command == SEVERAL:
            courtesies.watch_several(self, self._sent, outcome == FAILED)
            self.ask([courtesies.SEVERAL_OFF], lambda _: self._several_over())

    def _uploaded(self) -> None:
        """All of a long command has been passed on: wait for its answer, unless it has none."""
        if self._response.over:
            self._state = self._rest_state()
        else:
            self._state = ASKING if self._command == _QUERY else BUSY

    def _file_sent(self) -> None:
        """The server has all of the file: the answer goes on."""
        self._state = ASKING

    def _go_on(self) -> None:
        """Take the next command, if it is here; look up when somebody wants something of us."""
        if self._inbox is not None:
            self._take_from_inbox()
        elif self.served.attention:
            self._look_up()

    def _look_up(self) -> None:
        if self.served.draining:
            self.leave_when_idle()

    def _notice_definition(self) -> None:
        """Tell that definitions have changed; what was only prepared has changed nothing yet."""
        if self._command == _QUERY or self._command == _EXECUTE:
            self.served.watch.defined(self, self.statement_text)

    def _notice_status(self) -> None:
        """Keep count of open transactions."""
        self._status = self._response.status
        in_transaction = self._response.in_transaction
        if in_transaction != self._in_transaction:
            self._in_transaction = in_transaction
            self.served.in_transaction += 1 if in_transaction else -1

    def backend_lost(self) -> None:
        """The server closed the connection: say so if a command waits for an answer."""
        if self._state == CLOSED:
            return
        if self._state == HELD or self._state == WAITING:
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

    def leave_when_idle(self) -> None:
        """Close between two transactions: soon, or when the present one ends."""
        if self._state <= DETACHED and not self._in_transaction:
            self._state = LEAVING
            asyncio.get_running_loop().call_later(FAREWELL_S, self._leave)

    def _leave(self) -> None:
        if self._state == LEAVING:
            self.close()

    def vacate(self) -> bytes:
        """Leave the transport to somebody else, with the bytes that came too early."""
        rest = bytes(self._inbox or b"")
        self.connection_lost(None)
        return rest

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave nothing behind: no place at the gate, no count, no backend."""
        state, self._state = self._state, CLOSED
        if state == CLOSED:
            return
        self.gone = True
        served = self.served
        served.clients.discard(self)
        if self._in_transaction:
            served.in_transaction -= 1
        if state == HELD and served.gate is not None:
            served.gate.forget(self)
        self._part(state)
        self._inbox = self._statements = self._waiting = None
        self._sent = _NO_BYTES
        self.other = None

    def _part(self, state: int) -> None:
        """Part with the backend."""
        if self._backend is None:
            return
        if not self._response.over or state in (UPLOADING, WAITING) or self._backend.kills:
            self._backend.abort()
        else:
            self._backend.leave()

    # -- what courtesies ask --------------------------------------------------------------------------------

    @property
    def reads_binlog(self) -> bool:
        """Whether the client may follow the binary log: by its role, on a backend of its own."""
        return self.role is Role.REPLICATION

    @property
    def passes_options(self) -> bool:
        """Whether the server itself decides about several statements at once: nobody looks at them."""
        return not is_guarded(self.served.branch, self.role)

    @property
    def no_backslash(self) -> bool:
        """Whether a backslash means itself in string literals, as the server said last."""
        return bool(self._status & _NO_BACKSLASH)

    @property
    def quoting(self) -> tuple[bool | None, str]:
        """Whether double quotes hold names (None: not known), and the character set of statements."""
        return None, ""

    @property
    def statement_text(self) -> bytes:
        """The text of the statement that ran last."""
        if self._command == _EXECUTE:
            return self._prepared_kind(self._sent)[1][_TEXT:]
        return self._sent[_TEXT:]

    @property
    def last_errno(self) -> int:
        """The error the last statement ended with; 0: none."""
        return self._response.errno

    def first_byte_ns(self, server_ns: int) -> int:
        """Return when the answer began, if it came in several pieces."""
        return self._first_ns - self.heard_ns if self._first_ns > self.heard_ns else server_ns

    def take_waits(self) -> tuple[int, int]:
        """Return how long the last statement waited at the gate and for a backend."""
        waited, self._waited = self._waited, None
        return (waited[1], waited[2]) if waited is not None and waited[0] == self.heard_ns else (0, 0)


def _response(backend: Backend | None) -> Response:
    """Follow what a backend of the client's own answers."""
    assert backend is not None
    deprecate_eof = bool(backend.capabilities & Capability.DEPRECATE_EOF)
    return Response(deprecate_eof=deprecate_eof, status=backend.status)


def _may_ask_for_id(data: bytes) -> bool:
    """Say whether a SELECT goes on with CO: the cheap question whether it may be for the connection's id."""
    return data[_BEGINNING_BYTES : _BEGINNING_BYTES + 2] in _CO
