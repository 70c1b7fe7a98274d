"""I am a client that shares backends: I keep one while I need it, and carry my session to the next.

Between two transactions the backend stays linked to me, and a statement goes the same short way as that of a
Client. Only when somebody else has got it meanwhile, or a statement needs something first, `_advance` brings
the command nearer to a server step by step. `borrower.py` is how I get a backend and part with it,
`statements.py` what I have prepared.
"""

from __future__ import annotations

from time import perf_counter_ns
from typing import Final

from proxy.client import Client
from proxy.courtesies import SEVERAL_ON, ok_packet
from proxy.errors import BackendLost, Interrupted, NotPassedOn, ProxyError
from proxy.gate import Gate
from proxy.intake import ASKING, CLOSED, DETACHED, IDLE, WAITING, packet_length
from proxy.pins import LongText, PinReason, is_plain, leaves_behind, soils
from proxy.pooled_backend import PooledBackend
from proxy.preparation import Conversation
from proxy.prepared import patched, renumbered
from proxy.questions import is_about_id, is_about_rows, is_about_warnings, verdict
from proxy.statements import OF_STATEMENTS, SHORTEST, Statements
from proxy.waiting import SEVERAL
from proxy.wire.commands import command
from proxy.wire.constants import Command, Status
from proxy.wire.errors import RemoteError
from proxy.wire.execute import statement_id
from proxy.wire.framing import HEADER_BYTES, PacketTail
from proxy.wire.packets import ErrPacket
from proxy.wire.response import EDITED, FAILED, FINISHED, NEWS, UNFINISHED
from router.classify import START_BYTES, Kind, classify

_QUERY: Final = int(Command.QUERY)
_EXECUTE: Final = int(Command.STMT_EXECUTE)
_PREPARE: Final = int(Command.STMT_PREPARE)
_FETCH: Final = int(Command.STMT_FETCH)
_RESET_STATEMENT: Final = int(Command.STMT_RESET)
_LONG_DATA: Final = int(Command.STMT_SEND_LONG_DATA)
_INIT_DB: Final = int(Command.INIT_DB)
_TEXT: Final = HEADER_BYTES + 1
_SEMICOLON: Final = ord(";")
_ID_END: Final = _TEXT + 4
_BEGINNING_BYTES: Final = HEADER_BYTES + 1 + START_BYTES


class PooledClient(Statements):
    """A client of a branch in transaction mode."""

    __slots__ = (
        "_asks",
        "_has_run",
        "_last_failed",
        "_long_text",
        "_reason",
        "_seen_gate",
        "_wants_ns",
    )

    def _begin(self) -> None:
        super()._begin()
        self._asks = False
        self._reason: PinReason | None = None
        self._has_run = False
        self._last_failed = False
        self._long_text: LongText | None = None
        self._seen_gate: Gate | None = None
        self._wants_ns = 0

    # -- the short way --------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Take a chunk from the client."""
        size = len(data)
        if (
            self._state == IDLE
            and size >= _BEGINNING_BYTES
            and packet_length(data) == size - HEADER_BYTES
            and self.served.gate is None
        ):
            kind = self._kinds.get(data[HEADER_BYTES:_BEGINNING_BYTES])
            if kind is not None:
                if is_plain(data) and not (self.splits and _SEMICOLON in data):
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
            packet = patched(data, statement, statement.at, None)
        except RemoteError:
            return False
        self.kind = statement.kind
        if self.served.watched:
            self._note_run(statement)
        self._state = ASKING
        self._command = _EXECUTE
        self._sent = data
        self._response.begin(_EXECUTE)
        self.heard_ns = perf_counter_ns()
        self._to_backend(packet)
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
        if outcome == FAILED and self._command == _EXECUTE:
            self._note_failure()
        if self._last_failed and not (self._response.errno or self._response.warnings):
            self._last_failed = False
            self._ended_ns = 0
        # By name: super() costs more with each class between.
        Client._finish(self, outcome)

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
                self._reason, self._asks = verdict(kind, data, _TEXT, self._mariadb)
        elif number in OF_STATEMENTS:
            statement = self._statement(data)
            if statement is None or len(data) < SHORTEST[number]:
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
        if number in OF_STATEMENTS:
            statement = self._statement_of(data)
            at = statement.at if self._has_at_hand(statement) else backend.statements.get(statement.key)
            if at is None or self._is_anothers(statement_id(data), at):
                steps += self._steps_to_prepare(statement)
            else:
                statement.at, statement.at_backend = at, backend
        return steps

    def _steps_before_question(self, number: int, data: bytes, backend: PooledBackend) -> list[bytes] | None:
        """Return what makes a question about the last statement be about ours, not about somebody else's."""
        text = (self._statement_of(data).text if number == _EXECUTE else data[_TEXT:]).lower()
        about_rows = is_about_rows(text)
        about_warnings = is_about_warnings(text)
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
        if self._foreign_id and is_about_id(text):
            steps.append(self._carry_insert_id())
        return steps

    def _carry_insert_id(self) -> bytes:
        self._foreign_id = False
        value = str(self.session.last_insert_id).encode()
        return command(Command.QUERY, b"SET @@SESSION.last_insert_id=" + value)

    def _pass(self, number: int, kind: Kind, data: bytes, tail: PacketTail | None) -> None:
        """Pass a command on to the backend."""
        if self._reason is not None:
            self._pin(self._reason, self._statement_of(data).text if number == _EXECUTE else data[_TEXT:])
            if self._reason is PinReason.LAST_INSERT_ID:
                self._foreign_id = False
        if soils(kind):
            self._soil(kind)
        original = data
        if number in OF_STATEMENTS:
            statement = self._statement_of(data)
            at = statement.at
            assert at is not None
            if number == _LONG_DATA:
                self._hold(statement_id(data), PinReason.LONG_DATA, at)
            elif number == _EXECUTE and self.served.watched:
                self._note_run(statement)
            try:
                data = (
                    self._patched(data, statement, at, tail) if number == _EXECUTE else renumbered(data, at)
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

    def _pass_upload(self, data: bytes, tail: PacketTail) -> None:
        if self._long_text is not None:
            self._long_text.feed(data)
            if tail.over:
                reason, self._long_text = self._long_text.reason, None
                if reason is not None:
                    self._pin(reason, b"")
        super()._pass_upload(data, tail)

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
        self._prepared_bytes = 0
        self._last_failed = self._has_run = False
        self._ended_ns = self.pinned_ns = 0
        self._tables_locked = False
        self._state = DETACHED
        self.write(ok_packet(self))
