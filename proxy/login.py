"""I read exact bytes from a fresh socket until the client is who it says, then hand the socket to client.py.

A client may send its request for TLS and the first bytes of TLS in one segment. So nothing is read ahead:
first exactly one packet, then the socket goes to the event loop, with TLS or without.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import structlog

from proxy.branches import Branches
from proxy.channel import Refused
from proxy.client import Client, Doors
from proxy.entrance import Visitor, enter
from proxy.errors import AccessDenied, NoSuchBranch, ProxyError
from proxy.stream import Stream, accept
from proxy.wire.commands import HandshakeResponse
from proxy.wire.constants import Capability
from proxy.wire.errors import RemoteError
from proxy.wire.framing import HEADER_BYTES
from proxy.wire.handshake import LOGIN_PACKET_BYTES_MAX, ServerHandshake, ServerState
from router.errors import UnknownBranch, UnknownUser
from router.model import Branch, Route, Server

log = structlog.get_logger()

OFFERED: Final = (
    Capability.LONG_PASSWORD
    | Capability.FOUND_ROWS
    | Capability.LONG_FLAG
    | Capability.CONNECT_WITH_DB
    | Capability.NO_SCHEMA
    | Capability.ODBC
    | Capability.IGNORE_SPACE
    | Capability.PROTOCOL_41
    | Capability.INTERACTIVE
    | Capability.IGNORE_SIGPIPE
    | Capability.TRANSACTIONS
    | Capability.RESERVED
    | Capability.SECURE_CONNECTION
    | Capability.MULTI_STATEMENTS
    | Capability.MULTI_RESULTS
    | Capability.PS_MULTI_RESULTS
    | Capability.PLUGIN_AUTH
    | Capability.CONNECT_ATTRS
    | Capability.PLUGIN_AUTH_LENENC
    | Capability.EXPIRED_PASSWORDS
    | Capability.SESSION_TRACK
    | Capability.DEPRECATE_EOF
)
"""What clients may ask for. Left out on purpose: compression, and what would put bytes before a statement's
text (query attributes) or a result's column count (optional metadata)."""

# Stands for the verifier of users that do not exist, so that they take as long to refuse.
_NOBODY: Final = secrets.token_bytes(32)


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
    def lost(self) -> bool:
        """Whether the client has left."""
        return self._lost

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


@dataclass(frozen=True, slots=True)
class Desk:
    """What a login needs to know; one for the whole worker."""

    branches: Branches
    tls: ssl.SSLContext | None
    timeout_s: float
    next_connection_id: Callable[[], int]
    locate: Callable[[Branch], Awaitable[Server]]
    report: Callable[[Refused], None]


async def log_in(sock: socket.socket, peer: str, desk: Desk, identified: Callable[[], object]) -> None:
    """Serve a fresh connection up to the point where a Client takes over; the socket is closed otherwise.

    `identified` is called when the client has proved who it is.
    """
    stream: LoginStream | None = None
    try:
        async with asyncio.timeout(desk.timeout_s):
            capabilities = OFFERED | (Capability.SSL if desk.tls else Capability(0))
            handshake = ServerHandshake(
                connection_id=desk.next_connection_id(),
                version=desk.branches.table.greeting,
                capabilities=capabilities,
            )
            stream = LoginStream()
            await _identify(sock, stream, handshake, desk)
        await _enter(stream, handshake, peer, desk, identified)
    except (RemoteError, OSError, TimeoutError) as error:
        # Port scanners and health checks come and go like this.
        log.debug("login.abandoned", peer=peer, reason=str(error) or type(error).__name__)
        _drop(sock, stream)
    except BaseException:
        _drop(sock, stream)
        raise


async def _identify(sock: socket.socket, stream: LoginStream, handshake: ServerHandshake, desk: Desk) -> None:
    """Greet, and go on until the client has given its name and proof."""
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(sock, handshake.greeting())
    header = await _receive_exactly(sock, HEADER_BYTES)
    length = int.from_bytes(header[:3], "little")
    if length > LOGIN_PACKET_BYTES_MAX:
        raise RemoteError(f"a login packet of {length} bytes was announced")
    body = await _receive_exactly(sock, length)
    reply, refusal = b"", b""
    try:
        reply = handshake.receive(header + body)
    except RemoteError as error:
        refusal = handshake.refuse(1043, "08S01", f"Bad handshake: {error}")
    wants_tls = handshake.state is ServerState.TLS_WANTED
    await accept(stream, sock, desk.tls if wants_tls else None, desk.timeout_s)
    if refusal:
        stream.write(refusal)
        stream.close()
        raise RemoteError("bad handshake")
    if wants_tls:
        handshake.tls_started()
    while True:
        if reply:
            stream.write(reply)
        if handshake.state is ServerState.IDENTIFIED:
            return
        reply = handshake.receive(await stream.read())


async def _enter(
    stream: LoginStream,
    handshake: ServerHandshake,
    peer: str,
    desk: Desk,
    identified: Callable[[], object],
) -> None:
    """Check the proof, open the backend, let the client in; or say why not and close."""
    response = handshake.response
    assert response is not None
    client: Client | None = None
    try:
        route = _route(handshake, response, peer, desk)
        identified()
        server = await desk.locate(route.branch)
        served = desk.branches.get(route.branch.database, route.branch.name)
        if served is None:
            raise NoSuchBranch(f"branch {route.branch.name!r} was deleted")
        visitor = Visitor(
            route.user,
            peer,
            handshake.connection_id,
            response.capabilities,
            response.charset,
            response.database,
            response.attributes,
            route.replica,
        )
        client = await enter(served, visitor, server, Doors(desk.report), timeout_s=desk.timeout_s)
        if desk.branches.get(route.branch.database, route.branch.name) is not served:
            raise NoSuchBranch(f"branch {route.branch.name!r} was deleted")
        if stream.lost:
            raise ConnectionResetError("the client left")
    except BaseException as error:
        if client is not None:
            client.connection_lost(None)
        if not isinstance(error, ProxyError):
            raise
        log.info("login.refused", peer=peer, user=response.user, errno=error.errno, reason=error.message)
        stream.write(handshake.refuse(error.errno, error.sqlstate, error.message))
        stream.close()
        return
    client.adopt(stream.transport)
    stream.transport.set_protocol(client)
    client.write(handshake.accept(client.status))
    early = stream.take()
    if early:
        client.data_received(early)


def _route(handshake: ServerHandshake, response: HandshakeResponse, peer: str, desk: Desk) -> Route:
    """Return where the client goes, its password proved first."""
    table = desk.branches.table
    try:
        user, _ = table.find(response.user)
    except UnknownUser:
        user = None
    if not handshake.proof_holds(user.verifier if user else _NOBODY) or user is None:
        used = "YES" if handshake.used_password else "NO"
        raise AccessDenied(f"Access denied for user '{response.user}'@'{peer}' (using password: {used})")
    try:
        return table.route(response.user)
    except UnknownBranch as error:
        raise NoSuchBranch(str(error)) from error


async def _receive_exactly(sock: socket.socket, size: int) -> bytes:
    loop = asyncio.get_running_loop()
    data = b""
    while len(data) < size:
        piece = await loop.sock_recv(sock, size - len(data))
        if not piece:
            raise ConnectionResetError("the client left")
        data += piece
    return data


def _drop(sock: socket.socket, stream: LoginStream | None) -> None:
    if stream is not None and hasattr(stream, "transport"):
        # What was written, an error perhaps, still goes out.
        stream.close()
    else:
        sock.close()
