"""I am a client's prepared statements: known by numbers of ours, made on a backend when it needs them."""

from __future__ import annotations

from typing import Final

from proxy.borrower import Borrower
from proxy.courtesies import ok_packet
from proxy.errors import Malformed, ProxyError, UnknownStatement
from proxy.intake import BUSY
from proxy.pins import PinReason
from proxy.pooled_backend import PooledBackend
from proxy.prepared import BackendStatement, ClientStatement, Meaning, patched, renumbered
from proxy.session import Session
from proxy.wire.commands import command
from proxy.wire.constants import Command, Status
from proxy.wire.errors import RemoteError
from proxy.wire.execute import statement_id
from proxy.wire.framing import HEADER_BYTES, PacketTail
from proxy.wire.response import FAILED
from router.classify import Kind

_EXECUTE: Final = int(Command.STMT_EXECUTE)
_PREPARE: Final = int(Command.STMT_PREPARE)
_FETCH: Final = int(Command.STMT_FETCH)
_RESET_STATEMENT: Final = int(Command.STMT_RESET)
_LONG_DATA: Final = int(Command.STMT_SEND_LONG_DATA)
_TEXT: Final = HEADER_BYTES + 1
_ID_END: Final = _TEXT + 4
OF_STATEMENTS: Final = frozenset({_EXECUTE, _FETCH, _RESET_STATEMENT, _LONG_DATA})
SHORTEST: Final = {
    _EXECUTE: _ID_END + 5,
    _FETCH: _ID_END + 4,
    _RESET_STATEMENT: _ID_END,
    _LONG_DATA: _ID_END,
}
"""How long a command about a statement is at least, its header included."""
_PLACES: Final = {_FETCH: "mysqld_stmt_fetch", _RESET_STATEMENT: "mysqld_stmt_reset"}
"""What MariaDB says an unknown statement was given to."""

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


class Statements(Borrower):
    """A client's prepared statements; the client itself says when a command is about one of them.

    `_held` is what of its statements keeps it on its backend: open cursors, parameters sent ahead.
    """

    __slots__ = ("_held", "_next_statement", "_patches", "_prepared")

    def _begin(self) -> None:
        self._held: dict[tuple[int, PinReason], BackendStatement] | None = None
        self._next_statement = 0
        self._patches = False
        self._prepared: dict[int, ClientStatement] | None = None

    def _statement(self, data: bytes) -> ClientStatement | None:
        return self._prepared.get(statement_id(data)) if self._prepared is not None else None

    def _statement_of(self, data: bytes) -> ClientStatement:
        statement = self._statement(data)
        assert statement is not None
        return statement

    def _prepared_kind(self, data: bytes) -> tuple[Kind, bytes]:
        statement = self._statement(data)
        return (Kind.COMMAND, b"") if statement is None else (statement.kind, b"\0" * _TEXT + statement.text)

    def _too_many_statements(self, size: int, tail: PacketTail | None) -> bool:
        return self._exceeds_statements(len(self._prepared) if self._prepared is not None else 0, size, tail)

    def _unknown_statement(self, number: int, data: bytes) -> ProxyError:
        """Say what the server says of a statement it does not know, or of a command that is too short."""
        mariadb = self._mariadb
        if len(data) < SHORTEST[number] and (number == _EXECUTE or not mariadb):
            return Malformed("Malformed communication packet" + ("" if mariadb else "."))
        known = int.from_bytes(data[_TEXT:_ID_END], "little")
        place = _PLACES.get(number, "mysqld_stmt_execute") if mariadb else "mysql_stmt_precheck"
        return UnknownStatement(f"Unknown prepared statement handler ({known}) given to {place}")

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

    def _without_backend(self, number: int, data: bytes) -> None:
        """Answer for a statement that has nothing on any backend: no rows to fetch, nothing to reset."""
        if number == _RESET_STATEMENT:
            self.write(ok_packet(self))
        else:
            self.refuse(ProxyError(f"The statement ({statement_id(data)}) has no open cursor.", errno=1421))

    # -- where they are -------------------------------------------------------------------------------------

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
        self._prepared_bytes += len(statement.text)
        if self.served.watched:
            statement.quoting = self.served.watch.prepared(self, statement.text)
        if self._uploaded_whole:
            self._put_at(backend, statement, number)
        else:
            # Too long to be kept: it cannot be prepared anywhere else.
            statement.at, statement.at_backend = BackendStatement(number), backend
            self._pin(PinReason.PREPARED, b"")

    @property
    def _uploaded_whole(self) -> bool:
        return int.from_bytes(self._sent[:3], "little") == len(self._sent) - HEADER_BYTES

    def _meaning(self) -> Meaning:
        variables = self.session.variables
        return Meaning(
            self.session.schema, tuple((name, variables[name]) for name in _MEANING if name in variables)
        )

    def _put_at(self, backend: PooledBackend, statement: ClientStatement, number: int) -> None:
        """Note that a backend has a statement, and close there what is too much."""
        limit = self.served.home.limits.backend_prepared_statements
        statement.at, closing = backend.statements.add(statement.key, number, limit)
        statement.at_backend = backend
        backend.send(closing)

    def _has_at_hand(self, statement: ClientStatement) -> bool:
        return statement.at is not None and statement.at_backend is self._backend and not statement.at.gone

    def _is_anothers(self, number: int, at: BackendStatement) -> bool:
        """Say whether a cursor, or parameters sent ahead, of another of our statements depend on this one."""
        held = self._held
        return held is not None and any(at is its and of != number for (of, _), its in held.items())

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

    def _patched(
        self, data: bytes, statement: ClientStatement, at: BackendStatement, tail: PacketTail | None
    ) -> bytes:
        """Return an EXECUTE as the backend knows its statement; what is malformed the server refuses."""
        try:
            return patched(data, statement, at, tail)
        except RemoteError:
            at.types = _UNKNOWN_TYPES
            return renumbered(data, at)

    def _note_run(self, statement: ClientStatement) -> None:
        """Count an execution."""
        if not statement.runs:
            self.served.watch.ran.append((statement, self.user.name))
        statement.runs += 1

    def _note_failure(self) -> None:
        """Count that an execution has failed."""
        statement = self._statement(self._sent)
        if statement is not None:
            statement.failures += 1

    # -- what they leave open -------------------------------------------------------------------------------

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

    def closes_statement(self, data: bytes, tail: PacketTail | None) -> None:
        """Forget a statement; the backend keeps it for the next who prepares the same."""
        number = statement_id(data)
        statement = self._prepared.pop(number, None) if self._prepared is not None else None
        if statement is not None:
            self._prepared_bytes -= len(statement.text)
        if statement is not None and self._held is not None:
            self._let_go_of(number, PinReason.CURSOR)
            if self._let_go_of(number, PinReason.LONG_DATA) or statement.kind is Kind.READ:
                self._drop_at_backend(statement)

    def _drop_at_backend(self, statement: ClientStatement) -> None:
        """Have the backend forget a statement, with what it has been sent for it."""
        backend = self._backend
        if isinstance(backend, PooledBackend) and self._has_at_hand(statement):
            backend.send(backend.statements.drop(statement.key))

    def _finish_rarely(self, state: int, outcome: int) -> None:
        """The answer to something else than a query, or to half of one, is over."""
        number = self._command
        if number == _PREPARE and state == BUSY:
            self._prepared_one(outcome)
        elif number in OF_STATEMENTS and state == BUSY:
            self._used_statement(number, statement_id(self._sent))
        else:
            super()._finish_rarely(state, outcome)
