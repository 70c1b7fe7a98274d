"""I stand between a client and its socket, so that a compressed connection looks to it like any other."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Final, cast

import structlog

from proxy.stream import Stream
from proxy.wire.compression import ZSTD_LEVEL_DEFAULT, FrameCodec, Scheme, scheme_of
from proxy.wire.constants import Capability
from proxy.wire.errors import RemoteError

log = structlog.get_logger()

PIECE_BYTES: Final = 64 * 1024
"""About how much is unpacked at once."""
ROUND_BYTES: Final = 1024 * 1024
"""How much is unpacked before others get their turn: a chunk of a few KiB can hold many MiB."""
OUTBOX_BYTES: Final = 64 * 1024
"""How much is collected in one round of the event loop before it is packed and sent."""


def switch_on(
    transport: asyncio.Transport, client: Stream, capabilities: Capability, level: int = ZSTD_LEVEL_DEFAULT
) -> asyncio.Protocol:
    """Compress what a client sends and is sent from now on, if that is what was agreed on at login.

    Called behind the last uncompressed byte, the OK of the login. Returns who takes the bytes of the socket
    then; those that are there already must be given to it.
    """
    scheme = scheme_of(capabilities)
    if scheme is None:
        return cast("asyncio.Protocol", client)
    compressed = CompressedTransport(transport, cast("asyncio.Protocol", client), scheme, level)
    transport.set_protocol(compressed)
    client.adopt(compressed)
    return compressed


class CompressedTransport(asyncio.Transport, asyncio.Protocol):
    """A client's transport and its socket's protocol at once.

    What is written in one round of the event loop goes into one frame. What is read is unpacked as far as
    the client wants to read, and no further.
    """

    __slots__ = (
        "_client",
        "_codec",
        "_continuing",
        "_held",
        "_loop",
        "_outbox",
        "_outbox_bytes",
        "_reading",
        "_transport",
    )

    def __init__(
        self,
        transport: asyncio.Transport,
        client: asyncio.Protocol,
        scheme: Scheme,
        level: int = ZSTD_LEVEL_DEFAULT,
    ) -> None:
        super().__init__()
        self._transport = transport
        self._client = client
        self._codec = FrameCodec(scheme, level)
        self._loop = asyncio.get_running_loop()
        self._outbox: list[bytes] = []
        self._outbox_bytes = 0
        self._held = False
        self._reading = True
        self._continuing: asyncio.Handle | None = None

    # -- the socket's protocol ------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Unpack a chunk for the client."""
        self._codec.feed(data)
        if self._continuing is None:
            self._deliver()

    def _deliver(self) -> None:
        """Give the client what there is, until it has enough or others want their turn."""
        self._continuing = None
        left = ROUND_BYTES
        while not self._held and not self._transport.is_closing():
            if left <= 0:
                self._stop_reading()
                self._continuing = self._loop.call_soon(self._deliver)
                return
            try:
                piece = self._codec.take(PIECE_BYTES)
            except RemoteError as error:
                log.info("client.misunderstood", reason=str(error))
                self.abort()
                return
            if not piece:
                if not self._reading:
                    self._reading = True
                    self._transport.resume_reading()
                return
            left -= len(piece)
            self._client.data_received(piece)

    def eof_received(self) -> bool | None:
        """Nothing more comes."""
        return self._client.eof_received()

    def pause_writing(self) -> None:
        """The socket is slow."""
        self._client.pause_writing()

    def resume_writing(self) -> None:
        """The socket has caught up."""
        self._client.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is closed."""
        if self._continuing is not None:
            self._continuing.cancel()
        self._client.connection_lost(exc)

    # -- the client's transport -----------------------------------------------------------------------------

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        """Send bytes, packed, at the end of this round of the event loop."""
        if not self._outbox:
            self._loop.call_soon(self._flush)
        self._outbox.append(bytes(data))
        self._outbox_bytes += len(data)
        if self._outbox_bytes >= OUTBOX_BYTES:
            self._flush()

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview[Any]]) -> None:
        """Send several pieces."""
        for data in list_of_data:
            self.write(data)

    def _flush(self) -> None:
        if self._outbox and not self._transport.is_closing():
            data = self._outbox[0] if len(self._outbox) == 1 else b"".join(self._outbox)
            frames = self._codec.wrap(data)
            if frames:
                self._transport.write(frames)
        self._outbox.clear()
        self._outbox_bytes = 0

    def close(self) -> None:
        """Send what is still to be sent, then close."""
        self._flush()
        if not self._transport.is_closing() and (frames := self._codec.flush()):
            self._transport.write(frames)
        self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()

    def is_closing(self) -> bool:
        """Whether the connection is about to end."""
        return self._transport.is_closing()

    def pause_reading(self) -> None:
        """Give the client nothing more for now."""
        self._held = True
        self._stop_reading()

    def resume_reading(self) -> None:
        """Go on with what has been unpacked, or is still packed, or in the socket."""
        self._held = False
        if self._continuing is None:
            # Not at once: the client may be in the middle of taking a piece.
            self._continuing = self._loop.call_soon(self._deliver)

    def _stop_reading(self) -> None:
        if self._reading:
            self._reading = False
            self._transport.pause_reading()

    def is_reading(self) -> bool:
        """Whether the client takes what comes."""
        return not self._held and not self.is_closing()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Serve another client from now on."""
        self._client = cast("asyncio.Protocol", protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return whom we serve."""
        return self._client

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what the socket's transport knows."""
        return self._transport.get_extra_info(name, default)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Say how much may wait to be written, packed, before the client is told to pause."""
        self._transport.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        """Return how much waits to be written."""
        return self._transport.get_write_buffer_size() + self._outbox_bytes

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Return the limits."""
        return self._transport.get_write_buffer_limits()

    def can_write_eof(self) -> bool:
        """Whether only one direction could be closed: there is no use for it."""
        return False
