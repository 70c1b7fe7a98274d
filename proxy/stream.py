"""I am the only file that touches a transport: bytes in by callback, bytes out, pause and resume, TLS.

A Stream is one end of a relay. What its own peer does not take fast enough is told to `other`, which stops
reading until the backlog is written.
"""

from __future__ import annotations

import asyncio
import socket
import ssl as tls
from collections.abc import Callable
from typing import Any, Final, cast

from proxy.wire.errors import RemoteError
from proxy.wire.framing import HEADER_BYTES
from proxy.wire.handshake import LOGIN_PACKET_BYTES_MAX, ClientHandshake, ClientState

BACKLOG_BYTES: Final = 0
"""How much may wait to be written before the other side stops reading.

With 0, uvloop writes to the socket at once instead of queueing until the end of its round, and hardly
anything is ever kept: what one socket does not take stays in the other's.
"""
TLS_BACKLOG_BYTES: Final = 256 * 1024
"""The same inside TLS, where uvloop would stop for ever at 0."""
TLS_GOODBYE_S: Final = 1.0
"""How long a client may take to end TLS in order: one that says nothing must not hold a worker that ends."""

# Why a stream does not read: each reason is held and let go by itself.
PEER_IS_SLOW: Final = 1
INBOX_IS_FULL: Final = 2


class Stream:
    """One socket, driven by its event loop's callbacks: an asyncio.Protocol in all but its base class.

    Who has a base class of Python's own cannot be compiled.
    """

    __slots__ = ("_holds", "other", "transport", "write")

    transport: asyncio.Transport
    write: Callable[[bytes], None]

    def __init__(self) -> None:
        self.other: Stream | None = None
        self._holds = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport the loop made (uvloop's are not registered as asyncio's)."""
        self.adopt(cast("asyncio.Transport", transport))

    def adopt(self, transport: asyncio.Transport) -> None:
        """Go on with a transport that may have served another protocol before."""
        self.transport = transport
        self.write = transport.write
        encrypted = transport.get_extra_info("sslcontext") is not None
        transport.set_write_buffer_limits(TLS_BACKLOG_BYTES if encrypted else BACKLOG_BYTES)

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is closed."""
        raise NotImplementedError

    def eof_received(self) -> None:
        """Our peer will say nothing more: the transport closes."""

    def pause_writing(self) -> None:
        """Our peer is slow: the other side must not send us more."""
        if self.other is not None:
            self.other.hold_reading(PEER_IS_SLOW)

    def resume_writing(self) -> None:
        """Our peer has caught up."""
        if self.other is not None:
            self.other.release_reading(PEER_IS_SLOW)

    def hold_reading(self, reason: int) -> None:
        """Stop reading from the socket until the reason is gone."""
        if not self._holds and not self.transport.is_closing():
            self.transport.pause_reading()
        self._holds |= reason

    def release_reading(self, reason: int) -> None:
        """Take a reason back; read on when it was the last one."""
        if self._holds & reason:
            self._holds &= ~reason
            if not self._holds and not self.transport.is_closing():
                self.transport.resume_reading()

    def close(self) -> None:
        """Send what is still to be sent, then close."""
        if not self.transport.is_closing():
            self.transport.close()

    def abort(self) -> None:
        """Close at once; what is still to be sent is lost."""
        self.transport.abort()


def as_protocol(stream: Stream) -> asyncio.Protocol:
    """Call a stream what event loops expect."""
    return cast("asyncio.Protocol", stream)


async def accept(
    protocol: Stream, sock: socket.socket, context: tls.SSLContext | None, timeout_s: float
) -> None:
    """Give an accepted socket to a stream, inside TLS when a context is given. Raises OSError."""
    loop = asyncio.get_running_loop()
    await loop.connect_accepted_socket(
        lambda: as_protocol(protocol),
        sock,
        ssl=context,
        ssl_handshake_timeout=timeout_s if context else None,
        ssl_shutdown_timeout=TLS_GOODBYE_S if context else None,
    )


async def connect(protocol: Stream, *, path: str | None, host: str, port: int) -> None:
    """Connect a stream to a Unix socket, or to a TCP port when there is no path. Raises OSError."""
    loop = asyncio.get_running_loop()
    if path:
        await loop.create_unix_connection(lambda: as_protocol(protocol), path)
    else:
        await loop.create_connection(lambda: as_protocol(protocol), host, port)


async def connect_secured(
    protocol: Stream,
    handshake: ClientHandshake,
    context: tls.SSLContext,
    *,
    path: str | None,
    host: str,
    port: int,
) -> None:
    """Connect as `connect` does, but have the handshake ask for TLS, and give the stream what is inside.

    Of what comes outside of TLS just the greeting is read, and nothing is sent there but the request for TLS.
    Raises WireError or OSError.
    """
    loop = asyncio.get_running_loop()
    sock = await _dial(path, host, port)
    try:
        header = await receive_exactly(sock, HEADER_BYTES)
        length = min(int.from_bytes(header[:3], "little"), LOGIN_PACKET_BYTES_MAX)
        request = handshake.receive(header + await receive_exactly(sock, length))
        if handshake.state is not ClientState.TLS_WANTED:
            raise RemoteError("the server did not agree to TLS")
        await loop.sock_sendall(sock, request)
        create = loop.create_unix_connection if path else loop.create_connection
        await create(
            lambda: as_protocol(protocol),
            sock=sock,
            ssl=context,
            server_hostname=host if not path else "",
            ssl_shutdown_timeout=TLS_GOODBYE_S,
        )
    except BaseException:
        sock.close()
        raise
    protocol.write(handshake.tls_started())


async def receive_exactly(sock: socket.socket, size: int) -> bytes:
    """Read so many bytes from a socket and none behind them. Raises ConnectionResetError at its end."""
    loop = asyncio.get_running_loop()
    data = b""
    while len(data) < size:
        piece = await loop.sock_recv(sock, size - len(data))
        if not piece:
            raise ConnectionResetError("the connection was closed")
        data += piece
    return data


async def _dial(path: str | None, host: str, port: int) -> socket.socket:
    loop = asyncio.get_running_loop()
    if path:
        return await _dialled(socket.AF_UNIX, path)
    failure: OSError | None = None
    for family, _, _, _, address in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        try:
            sock = await _dialled(family, address)
        except OSError as error:
            failure = error
        else:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return sock
    raise failure or OSError(f"{host} has no address")


async def _dialled(family: int, address: Any) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, address)
    except BaseException:
        sock.close()
        raise
    return sock
