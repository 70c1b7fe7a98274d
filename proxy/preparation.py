"""I am a short conversation of ours with a backend, between the statements of its clients."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from proxy.errors import BackendLost
from proxy.wire.constants import ERR, Capability
from proxy.wire.errors import RemoteError
from proxy.wire.framing import PacketReader, frame
from proxy.wire.packets import ErrPacket
from proxy.wire.response import Response
from proxy.wire.session_state import StateChange

ANSWER_BYTES_MAX: Final = 1 << 20
"""No answer to a question of ours is longer."""


class Line(Protocol):
    """The backend, of which little is needed here."""

    @property
    def capabilities(self) -> Capability:
        """What was agreed on with the server."""

    def serve(self, owner: Conversation, /) -> None:
        """Let a conversation have the answers from now on."""

    def write(self, data: bytes, /) -> object:
        """Send bytes."""

    def abort(self) -> None:
        """Give the connection up."""


class Conversation:
    """Commands that are sent at once; `done` is called once their answers are here, or will never be.

    `commands` are payloads. Afterwards: `error` is the first ERR among the answers, `failed` the command it
    answers and `errors` how many there were, `lost` says that the connection is gone or of no use, `changes`
    and `status` are what the answers told, `prepared` the ids that STMT_PREPAREs gave, `packets` all payloads
    of the answers.
    """

    __slots__ = (
        "_at",
        "_backend",
        "_commands",
        "_done",
        "_reader",
        "_response",
        "changes",
        "error",
        "errors",
        "failed",
        "lost",
        "packets",
        "prepared",
        "status",
    )

    def __init__(
        self, backend: Line, commands: Sequence[bytes], done: Callable[[Conversation], None]
    ) -> None:
        self._backend = backend
        self._commands = commands
        self._done = done
        self._at = -1
        self._reader = PacketReader(ANSWER_BYTES_MAX)
        self._response = Response(
            deprecate_eof=bool(backend.capabilities & Capability.DEPRECATE_EOF),
            tracked=bool(backend.capabilities & Capability.SESSION_TRACK),
        )
        self.changes: list[StateChange] = []
        self.error: ErrPacket | None = None
        self.errors = 0
        self.failed = b""
        self.lost = False
        self.packets: list[bytes] = []
        self.prepared: list[int] = []
        self.status = 0

    def begin(self) -> None:
        """Send the commands."""
        self._backend.serve(self)
        self._next()
        self._backend.write(b"".join(map(frame, self._commands)))
        if self._at == len(self._commands):
            self._tell()

    def answered(self, data: bytes) -> None:
        """Take a chunk from the backend."""
        try:
            over = False
            for sequence, payload in self._reader.feed(data):
                over = self._take(sequence, payload)
        except RemoteError:
            self._backend.abort()
            return
        if over:
            self._tell()

    def backend_lost(self) -> None:
        """The connection is gone."""
        self.lost = True
        self._tell()

    def _tell(self) -> None:
        """Tell once how it went, and keep nobody who was told: they keep us, and we the backend."""
        done, self._done = self._done, _nobody
        done(self)

    def _take(self, sequence: int, payload: bytes) -> bool:
        """Take one packet; say whether it was the last of all."""
        self.packets.append(payload)
        response = self._response
        if not response.feed(frame(payload, sequence)):
            return False
        if response.over:
            self.changes += response.changes
            self.status = response.status
            if payload[0] == ERR:
                self.errors += 1
                if self.error is None:
                    self.error = ErrPacket.parse(payload)
                    self.failed = self._commands[self._at]
            elif response.prepared_id is not None:
                self.prepared.append(response.prepared_id)
            self._next()
        return self._at == len(self._commands)

    def _next(self) -> None:
        """Expect the next answer; some commands have none."""
        self._at += 1
        while self._at < len(self._commands) and not self._response.begin(self._commands[self._at][0]):
            self._at += 1


def _nobody(_: Conversation) -> None:
    """Stand for who has been told already."""


async def converse(backend: Line, commands: Sequence[bytes]) -> Conversation:
    """Send commands and wait for their answers. Raises BackendLost."""
    over: asyncio.Future[Conversation] = asyncio.get_running_loop().create_future()

    def done(conversation: Conversation) -> None:
        if not over.done():
            over.set_result(conversation)

    Conversation(backend, commands, done).begin()
    conversation = await over
    if conversation.lost:
        raise BackendLost("the server closed a connection that was being prepared")
    return conversation
