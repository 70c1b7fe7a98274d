"""I am a client as the pool sees it: I borrow a backend, may have to keep it, and part with it.

What I do with it is in `statements.py` and `pooled.py`.
"""

from __future__ import annotations

from time import perf_counter_ns
from typing import Final

from proxy.branches import ServedBranch
from proxy.client import Client, Doors
from proxy.courtesies import kill_on_server
from proxy.errors import ProxyError
from proxy.intake import ASKING, BUSY, CLOSED, COLLECTING, DETACHED, HELD, IDLE, WAITING
from proxy.pins import PinReason, is_plain
from proxy.pool import Pool
from proxy.pooled_backend import BackendClass, PooledBackend
from proxy.session import Session
from proxy.stream import PEER_IS_SLOW
from proxy.waiting import SEVERAL
from proxy.wire.constants import Capability, Command
from proxy.wire.errors import RemoteError
from proxy.wire.response import Response
from proxy.wire.session_state import StateChange, StateKind, Wishes
from router.classify import Kind
from router.model import Flavor, User

LINGER_NS: Final = 100_000_000
"""So long after an error or warning a client keeps its backend, so that it can ask about it."""
RETRIES_MAX: Final = 1
RESTED_NS: Final = 1_000_000_000
"""A backend that was not used for so long may be dead without our knowing."""
_RELEASABLE: Final = (IDLE, COLLECTING, HELD)
_QUERY: Final = int(Command.QUERY)
_EXECUTE: Final = int(Command.STMT_EXECUTE)


class Borrower(Client):
    """A client that has a backend only for a while.

    `settling` says that the server is being asked whether the backend just lost has something of this session
    left. `pinned_ns` is when the session's present pins began.
    """

    __slots__ = (
        "_ended_ns",
        "_foreign",
        "_foreign_id",
        "_interrupted",
        "_mariadb",
        "_pool",
        "_rested_ns",
        "_retries",
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
        self._ended_ns = 0
        self._foreign = self._foreign_id = False
        self._interrupted = False
        self._retries = 0
        self._rested_ns = 0
        self._begin()

    def _begin(self) -> None:
        """Have nothing of one's own yet, for those built on this."""

    def _advance(self) -> None:
        """Bring the command that waits nearer to the server."""
        raise NotImplementedError

    # -- with and without a backend -------------------------------------------------------------------------

    def _look_up(self) -> None:
        super()._look_up()
        if self._state == IDLE and self._backend is not None and self.releasable(perf_counter_ns()):
            self._pool.offer(self)

    def _rest_state(self) -> int:
        return DETACHED if self._backend is None else IDLE

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

    def _apply(self, changes: list[StateChange], statement: bytes) -> None:
        if self._wishes is not None:
            for change in changes:
                if change.kind == StateKind.VARIABLE and change.name.startswith("session_track_"):
                    self._wishes.learn(change.name, change.value)
        self.session.apply(changes, statement)

    def _take_what_came_meanwhile(self) -> None:
        """Go on behind a command that had to wait and has no answer."""
        if self._state <= DETACHED and self._inbox is not None:
            self._take_from_inbox()

    # -- why it must stay ours ------------------------------------------------------------------------------

    def _pin(self, reason: PinReason, text: bytes) -> None:
        self.session.pin(reason, text)
        if not self.pinned_ns:
            self.pinned_ns = perf_counter_ns()

    def reasons(self) -> set[PinReason]:
        """Why the backend must stay ours."""
        return self.session.pins

    @property
    def between_statements(self) -> bool:
        """Whether nothing is on its way to or from the backend."""
        return self._state in _RELEASABLE

    # -- when it is lost ------------------------------------------------------------------------------------

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
        return is_plain(self.statement_text)

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

    # -- parting with it ------------------------------------------------------------------------------------

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

    # -- what courtesies ask --------------------------------------------------------------------------------

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
