"""I am a client's socket until its login is over: bytes are read by whoever waits for them."""

from __future__ import annotations

import asyncio

from proxy.stream import Stream
from proxy.wire.handshake import LOGIN_PACKET_BYTES_MAX


class LoginStream(Stream):
    """A client's socket until the login is over: bytes are read by whoever waits for them."""

    __slots__ = ("_buffer", "_lost", "_waiter")

    def __init__(self) -> None:
        super().__init__()
        self._buffer = bytearray()
        self._waiter: asyncio.Future[None] | None = None
        self._lost = False

    def data_received(self, data: bytes) -> None:
        """Keep the bytes for `read`."""
        self._buffer += data
        if len(self._buffer) > LOGIN_PACKET_BYTES_MAX:
            self.abort()
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        """End the wait."""
        self._lost = True
        self._wake()

    async def read(self) -> bytes:
        """Wait for bytes and return them. Raises ConnectionResetError when the client has left."""
        if not self._buffer and not self._lost:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        if not self._buffer:
            raise ConnectionResetError("the client left")
        return self.take()

    def take(self) -> bytes:
        """Return the bytes that are there."""
        data = bytes(self._buffer)
        self._buffer.clear()
        return data

    @property
    def started(self) -> bool:
        """Whether the socket was given to this stream."""
        return hasattr(self, "transport")

    @property
    def lost(self) -> bool:
        """Whether the client has left."""
        return self._lost

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
