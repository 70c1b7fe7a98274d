"""I hold a client's command back: at the gate, or until a backend or somebody else has answered us."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter_ns
from typing import Final

from proxy import courtesies
from proxy.backend import Backend
from proxy.branches import ServedBranch
from proxy.errors import Interrupted, ProxyError
from proxy.intake import BUSY, CLOSED, HELD, WAITING, Intake
from proxy.preparation import Conversation
from proxy.wire.constants import Capability, Command
from proxy.wire.framing import HEADER_BYTES, PacketTail
from proxy.wire.response import Response
from router.classify import HEAD_BYTES, Kind, verb

SEVERAL: Final = -1
"""Stands for a query of several statements, where a command's number is kept."""
Waiting = tuple[int, Kind, bytes, PacketTail | None]
"""A command that is not sent yet: its number, its kind, its bytes or the first of them, where they end."""

_QUERY: Final = int(Command.QUERY)
_TEXT: Final = HEADER_BYTES + 1


class Waiter(Intake):
    """A client one command of which may have to wait; what comes behind it waits in the inbox."""

    __slots__ = ("_backend", "_command", "_response", "_tables_locked", "_waited", "_waiting")

    def __init__(
        self, served: ServedBranch, capabilities: Capability, backend: Backend | None, response: Response
    ) -> None:
        super().__init__(served, capabilities)
        self._backend = backend
        self._command = 0
        self._response = response
        self._tables_locked = False
        self._waited: tuple[int, int, int] | None = None
        self._waiting: Waiting | None = None

    def _send(self, number: int, kind: Kind, data: bytes, tail: PacketTail | None) -> None:
        """Pass a command on as soon as the backend is ready for it."""
        raise NotImplementedError

    def _pass(self, number: int, kind: Kind, data: bytes, tail: PacketTail | None) -> None:
        """Pass a command on to the backend."""
        raise NotImplementedError

    def _go_on(self) -> None:
        """Take the next command, if it is here."""
        raise NotImplementedError

    def backend_lost(self) -> None:
        """The server closed the connection."""
        raise NotImplementedError

    def answered(self, data: bytes) -> None:
        """Take a chunk from the backend."""
        raise NotImplementedError

    # -- at the gate ----------------------------------------------------------------------------------------

    def _wait_at_gate(self, text: bytes, waiting: Waiting) -> bool:
        """Hold a command that would begin a transaction on a table that is being swapped."""
        gate = self.served.gate
        if gate is None or self._in_transaction or self._tables_locked or not gate.concerns(text):
            return False
        if not gate.hold(self, len(waiting[2])):
            return False
        self._state = HELD
        self._waiting = waiting
        self._progress_ns = perf_counter_ns()
        return True

    def released(self) -> None:
        """Go on with the command that was held."""
        if self._waiting is not None and self._state == HELD:
            number, kind, data, tail = self._waiting
            self._waiting = None
            held_ns = perf_counter_ns() - self._progress_ns
            self._send(number, kind, data, tail)
            self._waited = (self.heard_ns, held_ns, 0)

    def _notice_lock(self, data: bytes) -> None:
        """Remember LOCK TABLES: who holds a table's lock must not wait for somebody who wants it."""
        words = verb(data[_TEXT : _TEXT + HEAD_BYTES])
        if words.startswith(("LOCK", "UNLOCK")):
            self._tables_locked = words.startswith("LOCK")

    # -- for an answer --------------------------------------------------------------------------------------

    def ask(self, commands: list[bytes], done: Callable[[Conversation], None]) -> None:
        """Say something of ours to the backend while the client waits."""
        backend = self._backend
        assert backend is not None
        self._state = WAITING

        def told(conversation: Conversation) -> None:
            if self._state == CLOSED:
                return
            if conversation.lost:
                self.backend_lost()
                return
            backend.serve(self)
            done(conversation)

        Conversation(backend, commands, told).begin()

    def wait(self) -> None:
        """Take no further command until `answer` is called."""
        self._state = WAITING

    def answer(self, packet: bytes) -> None:
        """End the wait of a command with this answer, and go on."""
        self.answer_at_once(packet)
        self._go_on()

    def answer_at_once(self, packet: bytes) -> None:
        """End the wait of a command while it is being taken: who takes it goes on by itself."""
        self._waiting = None
        self._state = self._rest_state()
        self.write(packet)

    # -- several statements at once -------------------------------------------------------------------------

    def send_several(self, kind: Kind, data: bytes, parts: list[bytes]) -> None:
        """Send a text of several statements, which the server takes only when it is told so."""
        if self.served.gate is None or not self._wait_at_gate(data, (SEVERAL, kind, data, None)):
            self._send(SEVERAL, kind, data, None)

    def _send_allowed(self, kind: Kind, data: bytes) -> None:
        self._pass(_QUERY, kind, data, None)
        self._state = BUSY
        self._command = SEVERAL

    def _several_over(self) -> None:
        """Go on after several statements: the server takes only one again."""
        self._command = 0
        self.answer(b"")

    # -- in vain --------------------------------------------------------------------------------------------

    def kill(self, query_only: bool) -> None:
        """End the statement that is under way, if there is one, or everything."""
        state = self._state
        if state == HELD or (state == WAITING and self._stop_waiting()):
            if self.served.gate is not None:
                self.served.gate.forget(self)
            self._state = WAITING
            self._give_up(Interrupted("Query execution was interrupted"))
        elif not self._response.over and self._backend is not None:
            courtesies.kill_on_server(self.served.home, self._backend, query_only)
        if not query_only and self._state != CLOSED:
            self._end(None)

    def _stop_waiting(self) -> bool:
        """Give up what the command waits for, if that can be given up."""
        return False

    def _give_up(self, error: ProxyError) -> None:
        """Answer the command that waits with an error, once all of it is here."""
        waiting, self._waiting = self._waiting, None
        self._state = self._rest_state()
        tail = waiting[3] if waiting is not None else None
        self.refuse(error, tail)
        if tail is None:
            self._go_on()
