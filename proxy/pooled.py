"""I am a client that shares backends: I keep one while I need it, and carry my session to the next.

Between two transactions the backend stays linked to me, and a statement goes the same short way as that of a
Client. Only when somebody else has got it meanwhile, or a statement needs something first, `_advance` brings
the command nearer to a server step by step.
"""

from __future__ import annotations

import re
import struct
from time import perf_counter_ns
from typing import Final

from proxy.branches import ServedBranch
from proxy.client import (
    ASKING,
    BUSY,
    CLOSED,
    COLLECTING,
    DETACHED,
    HELD,
    IDLE,
    SEVERAL,
    WAITING,
    Client,
    Doors,
)
from proxy.courtesies import SEVERAL_ON, kill_on_server, ok_packet
from proxy.errors import BackendLost, Interrupted, Malformed, NotPassedOn, ProxyError, UnknownStatement
from proxy.gate import Gate
from proxy.pins import LongText, PinReason, asks_about_last, is_plain, leaves_behind, soils
from proxy.pool import Pool
from proxy.pooled_backend import BackendClass, PooledBackend
from proxy.preparation import Conversation
from proxy.prepared import BackendStatement, ClientStatement, Meaning
from proxy.session import Session
from proxy.stream import PEER_IS_SLOW
from proxy.wire.commands import command
from proxy.wire.constants import Capability, Command, Status
from proxy.wire.errors import RemoteError
from proxy.wire.execute import insert_types, parse_execute, statement_id, with_types
from proxy.wire.framing import HEADER_BYTES, PacketTail
from proxy.wire.packets import ErrPacket
from proxy.wire.response import EDITED, FAILED, FINISHED, NEWS, UNFINISHED, Response
from proxy.wire.session_state import StateChange, StateKind, Wishes
from router.classify import START_BYTES, Kind, classify, verb
from router.model import Flavor, User

LINGER_NS: Final = 1_000_000_000
"""So long after an error or warning a client keeps its backend, so that it can ask about it."""
RETRIES_MAX: Final = 1
RESTED_NS: Final = 1_000_000_000
"""A backend that was not used for so long may be dead without our knowing."""

_QUERY: Final = int(Command.QUERY)
_EXECUTE: Final = int(Command.STMT_EXECUTE)
_PREPARE: Final = int(Command.STMT_PREPARE)
_FETCH: Final = int(Command.STMT_FETCH)
_RESET_STATEMENT: Final = int(Command.STMT_RESET)
_LONG_DATA: Final = int(Command.STMT_SEND_LONG_DATA)
_INIT_DB: Final = int(Command.INIT_DB)
_TEXT: Final = HEADER_BYTES + 1
_ID_END: Final = _TEXT + 4
_OF_STATEMENTS: Final = frozenset({_EXECUTE, _FETCH, _RESET_STATEMENT, _LONG_DATA})
_SHORTEST: Final = {
    _EXECUTE: _ID_END + 5,
    _FETCH: _ID_END + 4,
    _RESET_STATEMENT: _ID_END,
    _LONG_DATA: _ID_END,
}
"""How long a command about a statement is at least, its header included."""
_PLACES: Final = {_FETCH: "mysqld_stmt_fetch", _RESET_STATEMENT: "mysqld_stmt_reset"}
"""What MariaDB says an unknown statement was given to."""
_beginning: Final = struct.Struct(f"<I{1 + START_BYTES}s").unpack_from
_BEGINNING_BYTES: Final = HEADER_BYTES + 1 + START_BYTES

_UNKNOWN_TYPES: Final = b"?"
_MEANING: Final = (
    "sql_mode",
    "character_set_client",
    "character_set_connection",
    "collation_connection",
    "group_concat_max_len",
    "div_precision_increment",
    "lc_time_names",
    "default_week_format",
)
"""The variables on which it depends how a statement is read when it is prepared; MySQL takes the last four
as they were then."""

_RELEASABLE: Final = (IDLE, COLLECTING, HELD)
_GAP: Final = rb"(?:[\s\xa0\x00]|/\*[^*]*+\*/|--[^\n]*+\n|#[^\n]*+\n)*+"
_ABOUT_ROWS: Final = re.compile(rb"(?:row_count|found_rows|lastval)`?" + _GAP + rb"\(")
_ID_WORDS: Final = (b"last_insert_id", b"identity", b"lastval")
_ABOUT_WARNINGS: Final = re.compile(rb"@@[^,;=]{0,16}?(?:warning|error)_count")
_WARNINGS_SHOWN: Final = re.compile(rb"(?:show|\))" + _GAP + rb"(?:warnings|errors)(?![\w$])")

_VERDICTS_MAX: Final = 4096
_VERDICT_BYTES_MAX: Final = 64
_verdicts: dict[tuple[bytes, bool], tuple[PinReason | None, bool]] = {}


def _verdict(kind: Kind, data: bytes, mariadb: bool) -> tuple[PinReason | None, bool]:
    """Say what a query leaves behind, and whether it asks about the one before; short ones are remembered."""
    if len(data) > _VERDICT_BYTES_MAX:
        return leaves_behind(kind, data, _TEXT, mariadb=mariadb), asks_about_last(data, _TEXT)
    known = _verdicts.get((data, mariadb))
    if known is None:
        if len(_verdicts) >= _VERDICTS_MAX:
            _verdicts.clear()
        known = leaves_behind(kind, data, _TEXT, mariadb=mariadb), asks_about_last(data, _TEXT)
        _verdicts[data, mariadb] = known
    return known


class PooledClient(Client):
    """A client of a branch in transaction mode.

    `settling` says that the server is being asked whether the backend just lost has something of this session
    left. `pinned_ns` is when the session's present pins began.
    """

    __slots__ = (
        "_asks",
        "_ended_ns",
        "_foreign",
        "_foreign_id",
        "_has_run",
        "_held",
        "_interrupted",
        "_last_failed",
        "_long_text",
        "_mariadb",
        "_next_statement",
        "_patches",
        "_pool",
        "_prepared",
        "_reason",
        "_rested_ns",
        "_retries",
        "_seen_gate",
        "_wants_ns",
        "_wishes",
        "backend_class",
        "pinned_ns",
        "session",
        "settling",
        "tries",
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
        backend_class: BackendClass,
        session: Session,
    ) -> None:
        canonical = backend_class.canonical
        assert canonical is not None
        self._wishes = Wishes(canonical.values) if capabilities & Capability.SESSION_TRACK else None
        super().__init__(
            served,
            user=user,
            peer=peer,
            connection_id=connection_id,
            capabilities=capabilities,
            doors=doors,
            response=Response(
                deprecate_eof=bool(backend_class.capabilities & Capability.DEPRECATE_EOF),
                tracked=True,
                wishes=self._wishes,
                eof_tells=backend_class.server.flavor is Flavor.MARIADB,
            ),
        )
        self.backend_class = backend_class
        self._mariadb = backend_class.server.flavor is Flavor.MARIADB
        self.session = session
        self.settling = False
        self.tries = 0
        self.pinned_ns = 0
        self._pool: Pool = served.pool
        self._state = DETACHED
        self._asks = False
        self._reason: PinReason | None = None
        self._ended_ns = 0
        self._foreign = self._foreign_id = False
        self._has_run = False
        self._last_failed = False
        self._interrupted = False
        self._held: dict[tuple[int, PinReason], BackendStatement] | None = None
        self._long_text: LongText | None = None
        self._next_statement = 0
        self._patches = False
        self._prepared: dict[int, ClientStatement] | None = None
        self._retries = 0
        self._rested_ns = 0
        self._seen_gate: Gate | None = None
        self._wants_ns = 0

    # -- the short way --------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Take a chunk from the client."""
        size = len(data)
        if self._state == IDLE and size >= _BEGINNING_BYTES:
            header, beginning = _beginning(data)
            if header == size - HEADER_BYTES and self.served.gate is None:
                kind = self._kind_of(beginning)
                if kind is not None:
                    if is_plain(data) and not (self.splits and b";" in data):
                        self.kind = kind
                        self._state = ASKING
                        self._command = _QUERY
                        self._sent = data
                        self._response.begin_query()
                        self.heard_ns = perf_counter_ns()
                        self._to_backend(data)
                        return
                elif data[HEADER_BYTES] == _EXECUTE and self._execute_at_once(data):
                    return
        self._queue(data)

    def _execute_at_once(self, data: bytes) -> bool:
        """Execute a statement that the linked backend knows, if nothing else is to be done for it."""
        statement = self._statement(data)
        if (
            statement is None
            or not statement.plain
            or statement.at_backend is not self._backend
            or statement.at is None
            or statement.at.gone
            or statement.kind in self._rules.refused
            or self._held is not None
            or len(data) <= _ID_END
            or data[_ID_END]
        ):
            return False
        try:
            patched = _patched(data, statement, statement.at, None)
        except RemoteError:
            return False
        self.kind = statement.kind
        self._state = ASKING
        self._command = _EXECUTE
        self._sent = data
        self._response.begin(_EXECUTE)
        self.heard_ns = perf_counter_ns()
        self._to_backend(patched)
        return True

    def answered(self, data: bytes) -> None:
        """Take a chunk from the backend."""
        try:
            outcome = self._response.feed(data)
        except RemoteError as error:
            self._misunderstood(error)
            return
        if self._state != ASKING or (outcome != FINISHED and outcome != UNFINISHED):
            self._answered_rarely(data, outcome)
            return
        self.write(data)
        if outcome:
            self._finish(FINISHED)
        elif self._first_ns < self.heard_ns:
            self._first_ns = perf_counter_ns()

    def _answered_rarely(self, data: bytes, outcome: int) -> None:
        """Take a chunk that must be changed, or that says more than that the answer is over."""
        if outcome & EDITED:
            data = self._response.take_output()
        if self._patches and len(data) >= HEADER_BYTES + 5:
            self._patches = False
            if data[HEADER_BYTES] == 0:
                number = (self._next_statement + 1).to_bytes(4, "little")
                data = data[:_TEXT] + number + data[_ID_END:]
        if data:
            self.write(data)
        over = outcome & (FINISHED | FAILED)
        if over:
            if outcome & NEWS:
                self._learn()
            self._finish(over)
        elif outcome & ~EDITED:
            self._send_file()

    def _learn(self) -> None:
        """Take what the answer told about the session."""
        response = self._response
        if response.changes:
            self._apply(response.changes, self._text_sent())
        if response.insert_id:
            self.session.last_insert_id = response.insert_id
            self._foreign_id = False
        if response.errno or response.warnings:
            self._ended_ns = perf_counter_ns()
            self._last_failed = True

    def _apply(self, changes: list[StateChange], statement: bytes) -> None:
        if self._wishes is not None:
            for change in changes:
                if change.kind == StateKind.VARIABLE and change.name.startswith("session_track_"):
                    self._wishes.learn(change.name, change.value)
        self.session.apply(changes, statement)

    def _text_sent(self) -> bytes:
        if self._command == _QUERY:
            return self._sent[_TEXT:]
        return b"USE" if self._command == _INIT_DB else self.statement_text

    def _finish(self, outcome: int) -> None:
        """The answer is over."""
        session = self.session
        self._foreign = False
        if session.pins or self._reason is not None:
            if outcome == FINISHED:
                session.release(self._text_sent())
            self._reason = None
            if not self.pinned_ns or not session.pins:
                self.pinned_ns = self.heard_ns if session.pins else 0
        if self._last_failed and not (self._response.errno or self._response.warnings):
            self._last_failed = False
            self._ended_ns = 0
        super()._finish(outcome)

    def _finish_rarely(self, state: int, outcome: int) -> None:
        """The answer to something else than a query, or to half of one, is over."""
        number = self._command
        if number == _PREPARE and state == BUSY:
            self._prepared_one(outcome)
        elif number in _OF_STATEMENTS and state == BUSY:
            self._used_statement(number, statement_id(self._sent))
        else:
            super()._finish_rarely(state, outcome)

    def _look_up(self) -> None:
        super()._look_up()
        if self._state == IDLE and self._backend is not None and self.releasable(perf_counter_ns()):
            self._pool.offer(self)

    def _rest_state(self) -> int:
        return DETACHED if self._backend is None else IDLE

    # -- the longer way -------------------------------------------------------------------------------------

    def _send(self, number: int, kind: Kind, data: bytes, tail: PacketTail | None) -> None:
        """Send a command as soon as there is a backend that is ready for it."""
        self._asks = False
        self._reason = None
        self._long_text = None
        if number in (_QUERY, SEVERAL):
            if tail is not None:
                self._long_text = LongText(kind)
                self._long_text.feed(data[_TEXT:])
                self._reason, self._asks = self._long_text.reason, self._long_text.asks
            else:
                self._reason, self._asks = _verdict(kind, data, self._mariadb)
        elif number in _OF_STATEMENTS:
            statement = self._statement(data)
            if statement is None or len(data) < _SHORTEST[number]:
                self._refuse_or_drop(number, self._unknown_statement(number, data), tail)
                return
            if statement.failure is not None and self._has_failed(number, statement, tail):
                return
            if number == _EXECUTE:
                self._reason, self._asks = statement.reason, statement.asks
            elif number != _LONG_DATA and not self._has_at_hand(statement):
                self._without_backend(number, data)
                return
        elif number == Command.PING and self._backend is None and self._pool.reached:
            self.write(ok_packet(self))
            return
        self._waiting = (number, kind, data, tail)
        self._state = WAITING
        self._interrupted = False
        self._seen_gate = self.served.gate
        self.tries = self._retries = 0
        self._wants_ns = 0
        self._advance()

    def _unknown_statement(self, number: int, data: bytes) -> ProxyError:
        """Say what the server says of a statement it does not know, or of a command that is too short."""
        mariadb = self._mariadb
        if len(data) < _SHORTEST[number] and (number == _EXECUTE or not mariadb):
            return Malformed("Malformed communication packet" + ("" if mariadb else "."))
        known = int.from_bytes(data[_TEXT:_ID_END], "little")
        place = _PLACES.get(number, "mysqld_stmt_execute") if mariadb else "mysql_stmt_precheck"
        return UnknownStatement(f"Unknown prepared statement handler ({known}) given to {place}")

    def send_several(self, kind: Kind, data: bytes, parts: list[bytes]) -> None:
        """Send a text of several statements; each may leave something behind."""
        super().send_several(kind, data, parts)
        for part in parts:
            kind_of_part = classify(part)
            reason = leaves_behind(kind_of_part, part, mariadb=self._mariadb)
            if reason is not None:
                self._pin(reason, part)
            if soils(kind_of_part):
                self._soil(kind_of_part)

    def _soil(self, kind: Kind) -> None:
        """Note that nobody can know what a statement leaves behind."""
        self.session.soiled = True
        if kind is Kind.CALL:
            self._pin(PinReason.STATE, b"")

    def _refuse_or_drop(self, number: int, error: ProxyError, tail: PacketTail | None) -> None:
        if number == _LONG_DATA:
            self.drop(tail)
        else:
            self.refuse(error, tail)

    def _has_failed(self, number: int, statement: ClientStatement, tail: PacketTail | None) -> bool:
        """Answer for a statement of which a parameter got lost that was sent ahead: it must not run."""
        failure = statement.failure
        assert failure is not None
        if number == _LONG_DATA:
            self.drop(tail)
            return True
        if number == _FETCH:
            return False
        statement.failure = None
        if number == _EXECUTE:
            self.refuse(failure, tail)
        return number == _EXECUTE

    def _has_at_hand(self, statement: ClientStatement) -> bool:
        return statement.at is not None and statement.at_backend is self._backend and not statement.at.gone

    def _without_backend(self, number: int, data: bytes) -> None:
        """Answer for a statement that has nothing on any backend: no rows to fetch, nothing to reset."""
        if number == _RESET_STATEMENT:
            self.write(ok_packet(self))
        else:
            self.refuse(ProxyError(f"The statement ({statement_id(data)}) has no open cursor.", errno=1421))

    def _advance(self) -> None:
        """Bring the command that waits nearer to the server."""
        if self._waiting is None or self._state == CLOSED:
            return
        number, kind, data, tail = self._waiting
        if self._interrupted:
            self._interrupted = False
            self._give_up(Interrupted("Query execution was interrupted"))
            return
        backend = self._backend
        if backend is None:
            if self.backend_class.stale and not self.settling:
                self._end(BackendLost("the branch has moved to another server: connect again"))
                return
            if not self._wants_ns:
                self._wants_ns = perf_counter_ns()
            if not self.settling:
                self._pool.acquire(self)
            return
        assert isinstance(backend, PooledBackend)
        gate = self.served.gate
        if self._wants_ns and gate is not None and gate is not self._seen_gate:
            # It was shut while the command waited for its backend.
            text = self._statement_of(data).text if number == _EXECUTE else data
            if self._wait_at_gate(text, self._waiting):
                if self.releasable(perf_counter_ns()):
                    self._pool.offer(self)
                return
        steps = self._steps_before(number, data, backend)
        if steps is None:
            return
        if steps:
            self.ask(steps, self._ready)
            return
        self._waiting = None
        waited_ns = perf_counter_ns() - self._wants_ns if self._wants_ns else 0
        if number == SEVERAL:
            self._waiting = (number, kind, data, tail)
            self.ask([SEVERAL_ON], self._several_allowed)
            return
        self._pass(number, kind, data, tail)
        if waited_ns:
            self._waited = (self.heard_ns, 0, waited_ns)

    def _several_allowed(self, told: Conversation) -> None:
        assert self._waiting is not None
        _, kind, data, _ = self._waiting
        self._waiting = None
        self._send_allowed(kind, data)

    def _ready(self, told: Conversation) -> None:
        """What the command needed first is done, or could not be."""
        if told.error is not None:
            self._not_ready(told, told.error)
            return
        backend = self._backend
        if told.prepared and self._waiting is not None and isinstance(backend, PooledBackend):
            statement = self._statement_of(self._waiting[2])
            self._put_at(backend, statement, told.prepared[-1])
        self._advance()
        self._take_what_came_meanwhile()

    def _take_what_came_meanwhile(self) -> None:
        """Go on behind a command that had to wait and has no answer."""
        if self._state <= DETACHED and self._inbox is not None:
            self._take_from_inbox()

    def _not_ready(self, told: Conversation, refused: ErrPacket) -> None:
        """Tell why the command cannot run; the backend is of no use if its state is not ours any more."""
        error = ProxyError(refused.message, errno=refused.errno, sqlstate=refused.sqlstate)
        backend = self._backend
        if isinstance(backend, PooledBackend) and (told.errors > 1 or told.failed[0] != _PREPARE):
            if self._in_transaction or self.session.pins:
                self._end(error)
                return
            self._forget_backend(backend)
            self._pool.close_at_once(backend)
        self._give_up(error)

    def _give_up(self, error: ProxyError) -> None:
        """Answer the command that waits with an error."""
        waiting, self._waiting = self._waiting, None
        self._interrupted = False
        self._state = self._rest_state()
        tail = waiting[3] if waiting is not None else None
        if waiting is not None:
            if waiting[0] == _LONG_DATA:
                statement = self._statement_of(waiting[2])
                statement.failure, statement.at = error, None
            self._refuse_or_drop(waiting[0], error, tail)
        if tail is None:
            self._go_on()

    def _steps_before(self, number: int, data: bytes, backend: PooledBackend) -> list[bytes] | None:
        """Return what must be said to the backend before the command; None when the command has ended."""
        steps: list[bytes] = []
        if self._long_text is not None and self._foreign_id:
            # What it asks for may come with the rest of it.
            steps.append(self._carry_insert_id())
        if self._asks:
            asked = self._steps_before_question(number, data, backend)
            if asked is None:
                return None
            steps += asked
        if number in _OF_STATEMENTS:
            statement = self._statement_of(data)
            at = statement.at if self._has_at_hand(statement) else backend.statements.get(statement.key)
            if at is None or self._is_anothers(statement_id(data), at):
                steps += self._steps_to_prepare(statement)
            else:
                statement.at, statement.at_backend = at, backend
        return steps

    def _is_anothers(self, number: int, at: BackendStatement) -> bool:
        """Say whether a cursor, or parameters sent ahead, of another of our statements depend on this one."""
        held = self._held
        return held is not None and any(at is its and of != number for (of, _), its in held.items())

    def _steps_before_question(self, number: int, data: bytes, backend: PooledBackend) -> list[bytes] | None:
        """Return what makes a question about the last statement be about ours, not about somebody else's."""
        text = (self._statement_of(data).text if number == _EXECUTE else data[_TEXT:]).lower()
        about_rows = _ABOUT_ROWS.search(text) is not None
        about_warnings = _is_about_warnings(text)
        steps: list[bytes] = []
        if (about_rows or about_warnings) and self._foreign:
            if (about_rows and self._has_run) or (about_warnings and self._last_failed):
                self._give_up(
                    ProxyError(
                        "what this asks about ran on another connection to the server: run both "
                        "statements in one transaction"
                    )
                )
                return None
            self._foreign = False
            if not self._in_transaction and not self.session.pins:
                # Else there is something to lose; what is seen then is a ping of ours.
                canonical = self.backend_class.canonical
                assert canonical is not None
                fresh = canonical.fresh(backend.state.schema)
                steps += [*self.backend_class.renewal(), *self.session.steps_from(fresh)]
                backend.statements.clear()
        if about_rows or about_warnings:
            self._pin(PinReason.DIAGNOSTICS, b"")
        # Not otherwise: it would be the last statement itself, which has no rows and no warnings.
        if self._foreign_id and any(word in text for word in _ID_WORDS):
            steps.append(self._carry_insert_id())
        return steps

    def _carry_insert_id(self) -> bytes:
        self._foreign_id = False
        value = str(self.session.last_insert_id).encode()
        return command(Command.QUERY, b"SET @@SESSION.last_insert_id=" + value)

    def _steps_to_prepare(self, statement: ClientStatement) -> list[bytes]:
        """Return what prepares a statement as it was meant when the client prepared it."""
        text, meaning = statement.key
        prepare = command(Command.STMT_PREPARE, text)
        if meaning == self._meaning():
            return [prepare]
        canonical = self.backend_class.canonical
        assert canonical is not None
        then = Session(canonical, meaning.schema)
        then.variables = {
            **{name: value for name, value in self.session.variables.items() if name not in _MEANING},
            **dict(meaning.variables),
        }
        return [
            *then.steps_from(self.session.state),
            prepare,
            *self.session.steps_from(then.state),
        ]

    def _meaning(self) -> Meaning:
        variables = self.session.variables
        return Meaning(
            self.session.schema, tuple((name, variables[name]) for name in _MEANING if name in variables)
        )

    def _pass(self, number: int, kind: Kind, data: bytes, tail: PacketTail | None) -> None:
        """Pass a command on to the backend."""
        if self._reason is not None:
            self._pin(self._reason, self._statement_of(data).text if number == _EXECUTE else data[_TEXT:])
            if self._reason is PinReason.LAST_INSERT_ID:
                self._foreign_id = False
        if soils(kind):
            self._soil(kind)
        original = data
        if number in _OF_STATEMENTS:
            statement = self._statement_of(data)
            at = statement.at
            assert at is not None
            if number == _LONG_DATA:
                self._hold(statement_id(data), PinReason.LONG_DATA, at)
            try:
                data = (
                    self._patched(data, statement, at, tail) if number == _EXECUTE else _renumbered(data, at)
                )
            except NotPassedOn as error:
                self._state = self._rest_state()
                self._refuse_or_drop(number, error, tail)
                return
        elif number == _PREPARE:
            self._patches = True
        self._foreign = False
        self._has_run = True
        super()._pass(number, kind, data, tail)
        self._sent = original

    def _patched(
        self, data: bytes, statement: ClientStatement, at: BackendStatement, tail: PacketTail | None
    ) -> bytes:
        """Return an EXECUTE as the backend knows its statement; what is malformed the server refuses."""
        try:
            return _patched(data, statement, at, tail)
        except RemoteError:
            at.types = _UNKNOWN_TYPES
            return _renumbered(data, at)

    def _pass_upload(self, data: bytes, tail: PacketTail) -> None:
        if self._long_text is not None:
            self._long_text.feed(data)
            if tail.over:
                reason, self._long_text = self._long_text.reason, None
                if reason is not None:
                    self._pin(reason, b"")
        super()._pass_upload(data, tail)

    def _pin(self, reason: PinReason, text: bytes) -> None:
        self.session.pin(reason, text)
        if not self.pinned_ns:
            self.pinned_ns = perf_counter_ns()

    # -- prepared statements --------------------------------------------------------------------------------

    def _statement(self, data: bytes) -> ClientStatement | None:
        return self._prepared.get(statement_id(data)) if self._prepared is not None else None

    def _statement_of(self, data: bytes) -> ClientStatement:
        statement = self._statement(data)
        assert statement is not None
        return statement

    def _prepared_kind(self, data: bytes) -> tuple[Kind, bytes]:
        statement = self._statement(data)
        return (Kind.COMMAND, b"") if statement is None else (statement.kind, b"\0" * _TEXT + statement.text)

    def _too_many_statements(self, tail: PacketTail | None) -> bool:
        return self._exceeds_statements(len(self._prepared) if self._prepared is not None else 0, tail)

    def _prepared_one(self, outcome: int) -> None:
        """The server has answered a PREPARE of the client's."""
        number = self._response.prepared_id
        preparing, self._preparing = self._preparing, None
        self._patches = False
        if outcome == FAILED or number is None or preparing is None:
            return
        backend = self._backend
        assert isinstance(backend, PooledBackend)
        self._next_statement += 1
        statement = ClientStatement(
            preparing[0],
            (self._sent[_TEXT:], self._meaning()),
            self._response.parameters,
            mariadb=self._mariadb,
        )
        if self._prepared is None:
            self._prepared = {}
        self._prepared[self._next_statement] = statement
        if self._uploaded_whole:
            self._put_at(backend, statement, number)
        else:
            # Too long to be kept: it cannot be prepared anywhere else.
            statement.at, statement.at_backend = BackendStatement(number), backend
            self._pin(PinReason.PREPARED, b"")

    @property
    def _uploaded_whole(self) -> bool:
        return int.from_bytes(self._sent[:3], "little") == len(self._sent) - HEADER_BYTES

    def _put_at(self, backend: PooledBackend, statement: ClientStatement, number: int) -> None:
        """Note that a backend has a statement, and close there what is too much."""
        limit = self.served.home.limits.backend_prepared_statements
        statement.at, closing = backend.statements.add(statement.key, number, limit)
        statement.at_backend = backend
        backend.send(closing)

    def closes_statement(self, data: bytes, tail: PacketTail | None) -> None:
        """Forget a statement; the backend keeps it for the next who prepares the same."""
        number = statement_id(data)
        statement = self._prepared.pop(number, None) if self._prepared is not None else None
        if statement is not None and self._held is not None:
            self._let_go_of(number, PinReason.CURSOR)
            if self._let_go_of(number, PinReason.LONG_DATA) or statement.kind is Kind.READ:
                self._drop_at_backend(statement)

    def _drop_at_backend(self, statement: ClientStatement) -> None:
        """Have the backend forget a statement, with what it has been sent for it."""
        backend = self._backend
        if isinstance(backend, PooledBackend) and self._has_at_hand(statement):
            backend.send(backend.statements.drop(statement.key))

    def _hold(self, number: int, reason: PinReason, at: BackendStatement) -> None:
        """Keep the backend for what the client has on it: a cursor, parameters sent ahead."""
        if self._held is None:
            self._held = {}
        if (number, reason) not in self._held:
            self._held[number, reason] = at
            at.held += 1
            self._pin(reason, b"")

    def _let_go_of(self, number: int, reason: PinReason) -> bool:
        if self._held is None:
            return False
        at = self._held.pop((number, reason), None)
        if at is None:
            return False
        at.held -= 1
        if at.displaced and not at.held and isinstance(self._backend, PooledBackend):
            self._backend.send([at.close()])
        if not any(other is reason for _, other in self._held):
            self.session.unpin(reason)
        if not self._held:
            self._held = None
        return True

    def _used_statement(self, number: int, statement: int) -> None:
        """Note what an EXECUTE, FETCH or RESET has opened or ended."""
        status = self._response.status
        if number == _FETCH:
            if status & Status.LAST_ROW_SENT or self._response.errno:
                self._let_go_of(statement, PinReason.CURSOR)
            return
        if self._let_go_of(statement, PinReason.LONG_DATA) and self._response.errno:
            # A server that could not read the execution may still have what was sent ahead.
            self._drop_at_backend(self._statement_of(self._sent))
        self._let_go_of(statement, PinReason.CURSOR)
        if number == _EXECUTE and status & Status.CURSOR_EXISTS and not self._response.errno:
            at = self._statement_of(self._sent).at
            if at is not None:
                self._hold(statement, PinReason.CURSOR, at)

    # -- with and without a backend -------------------------------------------------------------------------

    @property
    def wanted_session(self) -> Session:
        """The session whose state a backend must have to be ours."""
        return self.session

    def receive(self, backend: PooledBackend) -> None:
        """Take a backend that has our state."""
        now = perf_counter_ns()
        if now - backend.used_ns > RESTED_NS:
            self._rested_ns = now
        self._attach(backend)
        self._foreign = self._foreign_id = backend.last_client_id != self.connection_id
        backend.last_client_id = self.connection_id
        if self._state == DETACHED:
            self._state = IDLE
        self._advance()
        self._take_what_came_meanwhile()

    def _attach(self, backend: PooledBackend) -> None:
        self._link(backend)
        backend.client = self
        backend.former = None
        if self._stuck_ns:
            backend.hold_reading(PEER_IS_SLOW)

    def turned_away(self, error: ProxyError) -> None:
        """There is no backend for the command that waits."""
        self._give_up(error)

    def releasable(self, now_ns: int) -> bool:
        """Say whether the backend could be somebody else's now."""
        return (
            self._state in _RELEASABLE
            and not self._in_transaction
            and not self.session.pins
            and self._backend is not None
            and not self._backend.kills
            and now_ns - self._ended_ns > LINGER_NS
        )

    def let_go(self) -> PooledBackend:
        """Part with the backend, between two transactions; it may still owe us what it has not told."""
        backend = self._backend
        assert isinstance(backend, PooledBackend)
        self._detach(backend)
        backend.former = self
        backend.settled = self._response.settled
        self.hand_on(backend)
        if self._state == IDLE:
            self._state = DETACHED
        return backend

    def hand_on(self, backend: PooledBackend) -> None:
        """Tell a backend what it has of our session."""
        backend.state = self.session.state
        backend.dirty = backend.dirty or self.session.soiled
        self.session.soiled = False

    def _detach(self, backend: PooledBackend) -> None:
        self._backend = None
        self.other = None
        backend.client = backend.other = None
        backend.release_reading(PEER_IS_SLOW)
        self.release_reading(PEER_IS_SLOW)

    def still_needs(self, changes: list[StateChange], status: int, question: bytes) -> bool:
        """Take what the server could not tell before; say whether the backend must stay ours for it."""
        self._apply(changes, question)
        self._response.status = status
        self._notice_status()
        return bool(self.session.pins) or self._in_transaction

    def settled(self, backend: PooledBackend | None) -> None:
        """The server has told: the backend is ours again, or somebody else's."""
        self.settling = False
        if backend is not None:
            self._attach(backend)
            self._foreign = True
            if self._state == DETACHED:
                self._state = IDLE
        if self._state == WAITING:
            self._advance()

    def reasons(self) -> set[PinReason]:
        """Why the backend must stay ours."""
        return self.session.pins

    @property
    def between_statements(self) -> bool:
        """Whether nothing is on its way to or from the backend."""
        return self._state in _RELEASABLE

    def backend_lost(self) -> None:
        """The server closed the connection: go on with another one if nothing is lost by that."""
        backend, state = self._backend, self._state
        if state == CLOSED or not isinstance(backend, PooledBackend):
            return
        if self._in_transaction or self.session.pins:
            super().backend_lost()
            return
        if state in _RELEASABLE:
            self._forget_backend(backend)
        elif state == WAITING:
            self._forget_backend(backend)
            if self._waiting is None:
                if self._command == SEVERAL:
                    self._several_over()
                return
            self.tries += 1
            if self.tries > RETRIES_MAX + 1:
                self._give_up(
                    ProxyError("the connection to the server was lost; the statement was not executed")
                )
            else:
                self._advance()
        elif self._may_retry(state):
            self._retries += 1
            self._forget_backend(backend)
            self._waiting = (self._command, self.kind, self._sent, None)
            self._state = WAITING
            self._advance()
        else:
            super().backend_lost()

    def _may_retry(self, state: int) -> bool:
        """Say whether a statement can be run once more: it only reads, and nothing of an answer came.

        What calls functions does not only read: who knows what those do.
        Only on a backend that had not been used for a while, and so may have been dead before: who ends a
        connection on purpose does not want the statement to run again.
        """
        return (
            self.kind is Kind.READ
            and self.heard_ns - self._rested_ns < 2 * RESTED_NS
            and self._command in (_QUERY, _EXECUTE)
            and self._upload is None
            and self._response.untouched
            and self._retries < RETRIES_MAX
            and bool(self._sent)
            and state in (ASKING, BUSY)
            and self._is_plain()
        )

    def _is_plain(self) -> bool:
        if self._command == _EXECUTE:
            statement = self._statement(self._sent)
            return statement is not None and is_plain(statement.text)
        return is_plain(self._sent)

    def _forget_backend(self, backend: PooledBackend) -> None:
        self._detach(backend)
        self.session.soiled = False
        if self._state == IDLE:
            self._state = DETACHED

    def _misunderstood(self, error: RemoteError) -> None:
        if self._response.over and self._backend is not None:
            # It spoke unasked: it is about to leave, and we can do without.
            self._backend.abort()
        else:
            super()._misunderstood(error)

    def tick(self, now_ns: int) -> None:
        """End what has taken too long; notice that the backend rests, or that it leads nowhere any more."""
        if self.backend_class.stale:
            # The session cannot be carried to a server that may be another.
            self.leave_when_idle()
        if self._state == IDLE and now_ns - self.heard_ns > RESTED_NS:
            self._rested_ns = now_ns
        super().tick(now_ns)

    # -- the end --------------------------------------------------------------------------------------------

    def resets(self, data: bytes) -> None:
        """Take a COM_RESET_CONNECTION: the backend is left to the pool, which cleans it if need be."""
        if self.settling:
            # What the server is about to tell belongs to the session that ends here.
            self.settling = False
            self._pool.disown(self)
        if self._backend is not None:
            self._leave_backend()
        if self._in_transaction:
            self._in_transaction = False
            self.served.in_transaction -= 1
        self.session.reset()
        self._status = self._response.status = int(Status.AUTOCOMMIT)
        self._prepared = self._held = None
        self._last_failed = self._has_run = False
        self._ended_ns = self.pinned_ns = 0
        self._tables_locked = False
        self._state = DETACHED
        self.write(ok_packet(self))

    def _stop_waiting(self) -> bool:
        if self._waiting is None:
            return False
        if self._backend is None and not self.settling and self._pool.forget(self):
            return True
        # A backend is on its way to us, or is being asked something for us: that must come to its end.
        self._interrupted = True
        if self._backend is not None:
            kill_on_server(self.served.home, self._backend, True)
        return False

    def _part(self, state: int) -> None:
        """Give the backend back if it is between responses; the pool cleans it if need be."""
        self._pool.forget(self)
        backend = self._backend
        if not isinstance(backend, PooledBackend):
            return
        if self._response.over and state in _RELEASABLE and not backend.talking_ns:
            self._leave_backend()
        else:
            self._detach(backend)
            self._pool.close_at_once(backend)

    def _leave_backend(self) -> None:
        """Give the backend back between two responses, for the pool to clean if need be."""
        assert self._backend is not None
        if self._backend.kills or PinReason.XA in self.session.pins:
            # A KILL is on its way there; a prepared XA transaction outlives a connection, but no reset.
            backend = self._backend
            assert isinstance(backend, PooledBackend)
            self._detach(backend)
            self._pool.close(backend)
            return
        backend = self.let_go()
        # After an error nobody knows whether it left a transaction open.
        open_perhaps = self._in_transaction or bool(self._response.errno)
        backend.dirty = backend.dirty or bool(self.session.pins) or open_perhaps
        self._pool.give_back(backend)

    @property
    def passes_options(self) -> bool:
        """Nobody but us may turn several statements on: the backend is not ours alone."""
        return False

    @property
    def reads_binlog(self) -> bool:
        """The binary log never ends: it is read on a backend of one's own."""
        return False

    @property
    def quoting(self) -> tuple[bool | None, str]:
        """Whether double quotes hold names, and the character set of statements."""
        variables = self.session.variables
        canonical = self.backend_class.canonical
        mode = variables.get("sql_mode", canonical.values.get("sql_mode", "") if canonical else "")
        return "ANSI_QUOTES" in mode, variables["character_set_client"]


def _is_about_warnings(text: bytes) -> bool:
    """Say whether a text in lower case asks for the warnings or errors of the statement before.

    Words are not enough: tables and columns are called so too, and what asks may be refused.
    """
    if _ABOUT_WARNINGS.search(text):
        return True
    if b"diagnostics" in text:
        return verb(text).startswith("GET")
    return _WARNINGS_SHOWN.search(text) is not None and verb(text).startswith("SHOW")


def _renumbered(data: bytes, at: BackendStatement) -> bytes:
    """Return a command about a statement with the backend's number for it."""
    return data[:_TEXT] + at.number + data[_ID_END:]


def _patched(data: bytes, statement: ClientStatement, at: BackendStatement, tail: PacketTail | None) -> bytes:
    """Return an EXECUTE for the statement as a backend knows it. Raises RemoteError when it is malformed.

    The types that the client bound come along when the backend has bound others, or none, since.
    """
    if statement.parameters:
        execute = parse_execute(data, statement.parameters)
        if execute.types is not None:
            statement.types = at.types = execute.types
        elif at.types != statement.types and statement.types:
            at.types = statement.types
            if tail is None:
                data = with_types(data, execute, statement.types)
            else:
                inserted = insert_types(data, execute, statement.types)
                if inserted is None:
                    text = "this execution is too long to do without the types of its parameters"
                    raise NotPassedOn(text, errno=1105, sqlstate="HY000")
                header, types = inserted
                data = header + data[HEADER_BYTES : execute.bound_at] + types + data[execute.bound_at + 1 :]
    return data[:_TEXT] + at.number + data[_ID_END:]
