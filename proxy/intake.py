"""I take what one client sends: cut it into commands, keep what comes too early, end who takes too long."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter_ns
from typing import Final

from proxy import courtesies
from proxy.branches import ServedBranch
from proxy.errors import Draining, NotPassedOn, OutOfOrder, PacketTooLarge, ProxyError
from proxy.stream import INBOX_IS_FULL, Stream
from proxy.wire.constants import MAX_FRAME, Capability
from proxy.wire.framing import HEADER_BYTES, PacketTail
from router.classify import HEAD_BYTES

INBOX_BYTES_MAX: Final = HEAD_BYTES + 1024
"""How much of what comes too early is kept before reading stops."""

# Plain numbers: they are compared for every statement. IDLE: a command may come, and nothing of it has yet.
# DETACHED: the same, without a backend. COLLECTING: a part of a command has come. ASKING: a query is being
# answered. BUSY: another command is. WAITING: a command waits for a backend, or for an answer of ours.
IDLE: Final = 0
DETACHED: Final = 1
COLLECTING: Final = 2
ASKING: Final = 3
BUSY: Final = 4
UPLOADING: Final = 5
HELD: Final = 6
WAITING: Final = 7
SENDING_FILE: Final = 8
LEAVING: Final = 9
CLOSED: Final = 10
SENDING: Final = (UPLOADING, SENDING_FILE)
_HELD_BACK: Final = (HELD, WAITING)
_NO_BYTES: Final = b""
_NOTHING: Final = ProxyError("")
"""Stands for no answer at all to a command that is not passed on."""
_QUIT: Final = b"\1\0\0\0\1"


class FileEnd:
    """Finds the end of a file that a client sends: an empty packet."""

    __slots__ = ("_header", "_left", "over")

    def __init__(self) -> None:
        self.over = False
        self._header = b""
        self._left = 0

    def feed(self, data: bytes) -> int:
        """Take a chunk and return how many of its bytes belong to the file."""
        at, end = 0, len(data)
        while at < end and not self.over:
            if self._left:
                step = min(self._left, end - at)
                at += step
                self._left -= step
                continue
            missing = HEADER_BYTES - len(self._header)
            self._header += data[at : at + missing]
            at = min(at + missing, end)
            if len(self._header) == HEADER_BYTES:
                self._left = int.from_bytes(self._header[:3], "little")
                self.over = not self._left
                self._header = b""
        return at


class Intake(Stream):
    """What one client sends. Somebody else, the Client, knows what is to be done with a command.

    `heard_ns` is when the last command was passed on, `takes_farewell` says that the client expects an error
    though it has asked for nothing.
    """

    __slots__ = (
        "_file",
        "_in_transaction",
        "_inbox",
        "_progress_ns",
        "_refusal",
        "_sent",
        "_state",
        "_stuck_bytes",
        "_stuck_ns",
        "_to_backend",
        "_upload",
        "_uploaded_bytes",
        "capabilities",
        "heard_ns",
        "served",
        "takes_farewell",
    )

    _to_backend: Callable[[bytes], None]

    def __init__(self, served: ServedBranch, capabilities: Capability) -> None:
        super().__init__()
        self.served = served
        self.capabilities = capabilities
        self.takes_farewell = False
        self.heard_ns = self._progress_ns = perf_counter_ns()
        self._state = IDLE
        self._in_transaction = False
        self._inbox: bytearray | None = None
        self._sent = _NO_BYTES
        self._upload: PacketTail | None = None
        self._uploaded_bytes = 0
        self._file: FileEnd | None = None
        self._refusal: ProxyError | None = None
        self._stuck_ns = self._stuck_bytes = 0

    def _serve(self, data: bytes, tail: PacketTail | None) -> None:
        """Take one command: whole, or its first bytes and the tail that says where it ends."""
        raise NotImplementedError

    def _uploaded(self) -> None:
        """All of a long command is here."""
        raise NotImplementedError

    def _file_sent(self) -> None:
        """All of a file that the server asked for is here."""
        raise NotImplementedError

    def _rest_state(self) -> int:
        """Return the state between two commands."""
        return IDLE

    def _queue(self, data: bytes) -> None:
        """Take bytes that are not one whole command at the right time."""
        self._progress_ns = perf_counter_ns()
        if self._upload is not None:
            used = self._upload.feed(data)
            self._pass_upload(data[:used], self._upload)
            data = data[used:]
        elif self._file is not None:
            data = self._pass_file(data, self._file)
        state = self._state
        if state <= DETACHED and len(data) > HEADER_BYTES and packet_length(data) == len(data) - HEADER_BYTES:
            if len(data) - HEADER_BYTES >= self.served.home.limits.max_allowed_packet:
                self._end(PacketTooLarge())
            else:
                self._serve(data, None)
        elif data and state != CLOSED:
            self._keep(data)

    def _keep(self, data: bytes) -> None:
        """Keep bytes until it is their turn."""
        if self._inbox is None:
            self._inbox = bytearray()
        self._inbox += data
        state = self._state
        if state <= COLLECTING:
            self._take_from_inbox()
        elif state == LEAVING:
            self._end(Draining("Server shutdown in progress"))
        elif state in _HELD_BACK and self._inbox == _QUIT:
            self.close()
        elif len(self._inbox) > INBOX_BYTES_MAX:
            self.hold_reading(INBOX_IS_FULL)

    def _take_from_inbox(self) -> None:
        """Serve commands that have come before their turn, or in pieces."""
        inbox = self._inbox
        if inbox is None:
            return
        self._state = self._rest_state()
        longest = self.served.home.limits.max_allowed_packet
        while self._state <= DETACHED and len(inbox) >= HEADER_BYTES:
            length = packet_length(inbox)
            if length > MAX_FRAME:
                self.write(OutOfOrder("Got packets out of order").packet(0))
                self.close()
                return
            if not length:
                del inbox[:HEADER_BYTES]
                self.refuse(NotPassedOn("Unknown command"))
                continue
            if length >= longest:
                self._end(PacketTooLarge())
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
                self._uploaded_bytes = len(head)
                self._serve(head, tail)
            else:
                break
        if inbox and self._state <= DETACHED:
            self._state = COLLECTING
        if len(inbox) <= INBOX_BYTES_MAX:
            self.release_reading(INBOX_IS_FULL)
        if not inbox and self._inbox is inbox:
            self._inbox = None

    def _follow(self, tail: PacketTail) -> None:
        """Go on with the rest of a long command."""
        self._upload = tail
        self._state = UPLOADING
        if self._inbox:
            data, self._inbox = bytes(self._inbox), None
            self.release_reading(INBOX_IS_FULL)
            self._queue(data)

    def _pass_upload(self, data: bytes, tail: PacketTail) -> None:
        self._uploaded_bytes += len(data)
        if self._uploaded_bytes > self.served.home.limits.max_allowed_packet + MAX_FRAME // 1024:
            self._end(PacketTooLarge())
            return
        if self._refusal is None:
            self._to_backend(data)
        if not tail.over:
            return
        self._upload = None
        if self._refusal is not None:
            error, self._refusal = self._refusal, None
            if error is not _NOTHING:
                self.write(error.packet(tail.sequence + 1))
        self._uploaded()

    def _pass_file(self, data: bytes, end: FileEnd) -> bytes:
        """Pass a file on that the server asked for; return what comes behind it."""
        used = end.feed(data)
        self._to_backend(data[:used])
        if end.over:
            self._file = None
            self._file_sent()
        return data[used:]

    def _send_file(self) -> None:
        """The server asks for a file: what the client sends now goes there as it is."""
        self._state = SENDING_FILE
        self._progress_ns = perf_counter_ns()
        self._file = FileEnd()

    # -- what is not passed on ------------------------------------------------------------------------------

    def refuse(self, error: ProxyError, tail: PacketTail | None = None) -> None:
        """Answer a command with an error, once all of it is here; the server does not hear of it."""
        if tail is None:
            self.write(error.packet())
        else:
            self._refusal = error
            self._follow(tail)

    def drop(self, tail: PacketTail | None) -> None:
        """Let a command that has no answer come to nothing, once all of it is here."""
        if tail is not None:
            self._refusal = _NOTHING
            self._follow(tail)

    def _end(self, error: ProxyError | None) -> None:
        if error is not None:
            self.write(error.packet())
        self.close()

    # -- once a second --------------------------------------------------------------------------------------

    def tick(self, now_ns: int) -> None:
        """End what has taken too long; forget what a client that rests does not need."""
        limits = self.served.home.limits
        state = self._state
        silent_s = (now_ns - self.heard_ns) / 1e9
        if self._stuck_ns and self._is_stuck(now_ns, limits.net_write_timeout_s):
            self.abort()
        elif state <= DETACHED:
            self._sent = _NO_BYTES
            longest_s = limits.idle_transaction_timeout_s
            if self._in_transaction and 0 < longest_s < silent_s:
                self._expire(courtesies.idle_transaction())
            elif silent_s > (
                limits.interactive_timeout_s
                if self.capabilities & Capability.INTERACTIVE
                else limits.wait_timeout_s
            ):
                self._expire(courtesies.inactivity())
        elif state == COLLECTING or state in SENDING:
            unheard_s = (now_ns - self._progress_ns) / 1e9
            if unheard_s > limits.net_read_timeout_s and not self._holds:
                self._end(courtesies.read_timeout())

    def _expire(self, error: ProxyError) -> None:
        """End a client that has not asked for anything, with an error if it knows what to do with one."""
        if self.takes_farewell:
            self.write(error.packet(0))
        self.close()

    def _is_stuck(self, now_ns: int, limit_s: float) -> bool:
        """Say whether the client has taken nothing for so long."""
        left_bytes = self.transport.get_write_buffer_size()
        if left_bytes != self._stuck_bytes:
            self._stuck_bytes, self._stuck_ns = left_bytes, now_ns
        return (now_ns - self._stuck_ns) / 1e9 > limit_s

    def pause_writing(self) -> None:
        """The client is slow: watch it, and let the backend wait."""
        self._stuck_ns = perf_counter_ns()
        super().pause_writing()

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._stuck_ns = self._stuck_bytes = 0
        super().resume_writing()


def packet_length(data: bytes | bytearray) -> int:
    """Return a packet's length; more than any packet has when its sequence number is not 0."""
    return data[0] | data[1] << 8 | data[2] << 16 | data[3] << 24
