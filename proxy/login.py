"""I read exact bytes from a fresh socket until the client is who it says, then hand the socket to client.py.

A client may send its request for TLS and the first bytes of TLS in one segment. So nothing is read ahead:
first what such a request is long at most, then the socket goes to the event loop, with TLS or without.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

import structlog

from proxy.admission import destination, replica
from proxy.branches import Branches, ServedBranch
from proxy.client import Client, Doors
from proxy.compression import CompressedTransport, switch_on
from proxy.credentials import Candidate, Credentials
from proxy.entrance import Visitor, enter
from proxy.errors import (
    AccessDenied,
    BadHandshake,
    ClientUnsupported,
    Draining,
    HostBlocked,
    NoSuchBranch,
    ProxyError,
)
from proxy.failures import Failures
from proxy.listener import Identified, turn_away
from proxy.login_stream import LoginStream
from proxy.stream import accept, as_protocol
from proxy.tls import TlsDoor
from proxy.wire.commands import SSL_REQUEST_BYTES, ClientTooOld
from proxy.wire.compression import COMPRESSION
from proxy.wire.constants import CHARSET_UTF8MB4, NATIVE_PASSWORD, Capability
from proxy.wire.errors import RemoteError
from proxy.wire.framing import HEADER_BYTES
from proxy.wire.handshake import LOGIN_PACKET_BYTES_MAX, ServerHandshake, ServerState
from proxy.wire.proxy_header import ProxyHeaderReader
from router.model import Branch, Route, Server, User
from router.networks import contains

log = structlog.get_logger()

OFFERED: Final = (
    Capability.LONG_PASSWORD
    | Capability.FOUND_ROWS
    | Capability.LONG_FLAG
    | Capability.CONNECT_WITH_DB
    | Capability.NO_SCHEMA
    | Capability.ODBC
    | Capability.LOCAL_FILES
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
    | COMPRESSION
)
"""What clients may ask for. Left out on purpose is what would put bytes before a statement's text (query
attributes) or a result's column count (optional metadata), and proofs of several factors."""

_OFFERED_WITH_TLS: Final = OFFERED | Capability.SSL
_COMPRESSION: Final = int(COMPRESSION)
_BEGINNING_BYTES: Final = HEADER_BYTES + SSL_REQUEST_BYTES


class Desk:
    """What logins need to know and do; one for the whole worker."""

    def __init__(
        self,
        branches: Branches,
        *,
        tls: TlsDoor,
        credentials: Credentials,
        doors: Doors,
        next_connection_id: Callable[[], int],
        locate: Callable[[Branch], Awaitable[Server]],
    ) -> None:
        self.branches = branches
        self.tls = tls
        self.credentials = credentials
        self.doors = replace(doors, change_user=self.change_user)
        self.failures = Failures()
        self.next_connection_id = next_connection_id
        self.locate = locate
        self._tasks: set[asyncio.Task[None]] = set()

    def change_user(self, client: Client, packet: bytes) -> None:
        """Make another client of the one that sent this COM_CHANGE_USER.

        The client as it was is over at once with all its session had; a login that fails ends the connection.
        """
        stream, transport = LoginStream(), client.transport
        early = client.vacate()
        stream.adopt(transport)
        transport.set_protocol(as_protocol(stream))
        client.release_reading(~0)
        stream.data_received(early)
        task = asyncio.get_running_loop().create_task(_change_user(client, packet, stream, self))
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("login.failed", exc_info=error)


class _Visit:
    """One client's way from its first byte, or its COM_CHANGE_USER, to its Client.

    `source` is the address that failures are counted for; empty when it is a load balancer's.
    """

    __slots__ = ("desk", "handshake", "peer", "source", "stream")

    def __init__(
        self, desk: Desk, handshake: ServerHandshake, stream: LoginStream, peer: str, source: str
    ) -> None:
        self.desk = desk
        self.handshake = handshake
        self.stream = stream
        self.peer = peer
        self.source = source

    async def begin(self, sock: socket.socket) -> None:
        """Greet, and give the socket to the stream, inside TLS if the client wants that."""
        handshake, stream = self.handshake, self.stream
        sock.send(handshake.greeting())
        handshake.receive(await _beginning(sock))
        if handshake.state is not ServerState.TLS_WANTED:
            await accept(stream, sock, None, 0.0)
            return
        counts, began_s = self.desk.branches.counts, time.monotonic()
        await accept(stream, sock, self.desk.tls.context, self.desk.branches.limits.connect_timeout_s)
        counts.add_up("tls_handshake_seconds_sum", time.monotonic() - began_s)
        counts.add("tls_handshake_seconds_count")
        handshake.tls_started()

    async def prove(self) -> User:
        """Have the client prove who it is. Raises AccessDenied, RemoteError or OSError."""
        desk, handshake = self.desk, self.handshake
        await self._exchange(b"", ServerState.NAMED)
        response = handshake.response
        assert response is not None
        candidate = desk.credentials.candidate(desk.branches.table, response.user)
        await self._exchange(handshake.choose(candidate.plugin(response.plugin)), ServerState.IDENTIFIED)
        holds = handshake.proof_holds(candidate.verifier_of(handshake.plugin))
        if not holds and candidate.slow_hash and handshake.used_password:
            holds = handshake.plugin != NATIVE_PASSWORD and await self._password_holds(candidate)
        objection = candidate.objection(self.peer, time.time(), proved=holds)
        if candidate.user is None or objection:
            desk.failures.add(self.source, time.monotonic())
            used = "YES" if handshake.used_password else "NO"
            raise AccessDenied(
                f"Access denied for user '{response.user}'@'{self.peer}' (using password: {used})",
                reason=objection,
            )
        return candidate.user

    async def _password_holds(self, candidate: Candidate) -> bool:
        await self._exchange(self.handshake.ask_password(), ServerState.PASSWORD_GIVEN)
        return await self.desk.credentials.password_holds(candidate, self.handshake.password)

    async def _exchange(self, reply: bytes, wanted: ServerState) -> None:
        """Send and receive until the handshake is in the wanted state."""
        while True:
            if reply:
                self.stream.write(reply)
            if self.handshake.state is wanted:
                return
            reply = self.handshake.receive(await self.stream.read())

    async def enter(self, user: User) -> None:
        """Let the client in. Raises ProxyError, or ConnectionResetError when it has left meanwhile."""
        desk, handshake, stream = self.desk, self.handshake, self.stream
        response = handshake.response
        assert response is not None
        self._check_unchanged(user)
        wish = response.user, response.database
        route = destination(desk.branches, user, *wish, tls=handshake.tls)
        server = await desk.locate(route.branch)
        served = self._served(route)
        if route.replica:
            server = replica(served.branch, server, handshake.connection_id)
        visitor = Visitor(
            user,
            self.peer,
            handshake.connection_id,
            response.capabilities,
            response.charset,
            response.database,
            response.attributes,
            route.replica,
        )
        timeout_s = desk.branches.limits.connect_timeout_s
        client = await enter(served, visitor, server, desk.doors, timeout_s=timeout_s)
        try:
            if self._served(route) is not served:
                raise NoSuchBranch(f"branch {route.branch.name!r} was deleted")
            if stream.lost:
                raise ConnectionResetError("the client left")
        except BaseException:
            client.connection_lost(None)
            raise
        transport = stream.transport
        client.adopt(transport)
        transport.set_protocol(as_protocol(client))
        client.write(handshake.accept(client.status))
        entrance = as_protocol(client)
        if int(response.capabilities) & _COMPRESSION and not isinstance(transport, CompressedTransport):
            entrance = switch_on(transport, client, response.capabilities, response.zstd_level)
        early = stream.take()
        if early:
            entrance.data_received(early)

    def _served(self, route: Route) -> ServedBranch:
        """Return the branch as it is now, if it is still there and the user is still who it was."""
        self._check_unchanged(route.user)
        served = self.desk.branches.get(route.branch.database, route.branch.name)
        if served is None:
            raise NoSuchBranch(f"branch {route.branch.name!r} was deleted")
        return served

    def _check_unchanged(self, user: User) -> None:
        """Raise ProxyError when the user has changed, or the worker is about to end, since the proof."""
        branches = self.desk.branches
        if branches.draining:
            raise Draining("Server shutdown in progress")
        now = branches.table.users.get(user.name)
        if now is not user and now != user:
            raise AccessDenied(
                f"Access denied for user '{user.name}'@'{self.peer}' (using password: YES)",
                reason="the user was changed or deleted meanwhile",
            )

    def refuse(self, error: ProxyError, sock: socket.socket | None) -> None:
        """Say why not, and close."""
        self._count("denied" if isinstance(error, AccessDenied) else "refused")
        response = self.handshake.response
        reason = error.reason if isinstance(error, AccessDenied) else error.message
        log.info(
            "login.refused",
            peer=self.peer,
            user=response.user if response else "",
            errno=error.errno,
            reason=reason,
        )
        data = self.handshake.refuse(error.errno, error.sqlstate, error.message)
        if self.stream.started:
            self.stream.write(data)
            self.stream.close()
        elif sock is not None:
            turn_away(sock, data)

    def _count(self, result: str) -> None:
        handshake = self.handshake
        proof = "native" if handshake.plugin == NATIVE_PASSWORD else "full" if handshake.full else "fast"
        tls = "yes" if handshake.tls else "no"
        self.desk.branches.counts.add("auth_total", result=result, plugin=proof, tls=tls)

    async def run(self, sock: socket.socket | None, identified: Identified) -> None:
        """Go all the way; every other end than a Client is the end of the connection."""
        try:
            async with asyncio.timeout(self.desk.branches.limits.connect_timeout_s):
                if sock is not None:
                    await self.begin(sock)
                user = await self.prove()
            identified()
            await self.enter(user)
            self._count("ok")
        except ProxyError as error:
            self.refuse(error, sock)
        except RemoteError as error:
            kind = "too_old" if isinstance(error, ClientTooOld) else "malformed"
            self.desk.branches.counts.add("protocol_errors_total", where="login", kind=kind)
            self.desk.failures.add(self.source, time.monotonic())
            self.refuse(_bad_handshake(error), sock)


async def log_in(sock: socket.socket, peer: str, desk: Desk, identified: Identified) -> None:
    """Serve a fresh connection up to the point where a Client takes over; the socket is closed otherwise.

    `identified` is called when the client has proved who it is.
    """
    stream = LoginStream()
    try:
        limits, source = desk.branches.limits, peer
        if limits.proxy_protocol_networks and contains(limits.proxy_protocol_networks, peer):
            async with asyncio.timeout(limits.connect_timeout_s):
                source = await _announced(sock)
            peer = source or peer
        if desk.failures.blocked(source, time.monotonic(), limits.max_connect_errors):
            turn_away(sock, _blocked(peer))
            return
        handshake = ServerHandshake(
            connection_id=desk.next_connection_id(),
            version=desk.branches.table.greeting,
            capabilities=_OFFERED_WITH_TLS if desk.tls.context else OFFERED,
            key=desk.credentials.key,
        )
        await _Visit(desk, handshake, stream, peer, source).run(sock, identified)
    except (RemoteError, OSError, TimeoutError) as error:
        # Port scanners and health checks come and go like this.
        log.debug("login.abandoned", peer=peer, reason=str(error) or type(error).__name__)
        _drop(sock, stream)
    except BaseException:
        _drop(sock, stream)
        raise


async def _change_user(client: Client, packet: bytes, stream: LoginStream, desk: Desk) -> None:
    """Go on with the transport of a client that is no more."""
    networks, peer = desk.branches.limits.proxy_protocol_networks, client.peer
    try:
        handshake = ServerHandshake.of_change_user(
            packet[HEADER_BYTES:],
            client.capabilities,
            connection_id=client.connection_id,
            charset=CHARSET_UTF8MB4,
            tls=stream.transport.get_extra_info("sslcontext") is not None,
            key=desk.credentials.key,
        )
        source = "" if contains(networks, peer) else peer
        await _Visit(desk, handshake, stream, peer, source).run(None, lambda: None)
    except RemoteError as error:
        stream.write(_bad_handshake(error).packet())
        stream.close()
    except (OSError, TimeoutError) as error:
        log.debug("login.abandoned", peer=peer, reason=str(error) or type(error).__name__)
        stream.close()
    except BaseException:
        stream.abort()
        raise


async def _announced(sock: socket.socket) -> str:
    """Read the header that a load balancer begins with, and return whom it speaks for: empty for itself."""
    loop, reader = asyncio.get_running_loop(), ProxyHeaderReader()
    while reader.header is None:
        data = await loop.sock_recv(sock, reader.missing)
        if not data:
            raise ConnectionResetError("the load balancer left")
        reader.feed(data)
    return reader.header.source


async def _beginning(sock: socket.socket) -> bytes:
    """Read the start of the client's answer: all of a request for TLS, and nothing of what may follow one."""
    loop, data = asyncio.get_running_loop(), b""
    while piece := await loop.sock_recv(sock, _BEGINNING_BYTES - len(data)):
        data += piece
        if len(data) < HEADER_BYTES:
            continue
        length = int.from_bytes(data[:3], "little")
        if length > LOGIN_PACKET_BYTES_MAX or data[3] != 1:
            raise RemoteError("this is not the answer to a greeting")
        if length > SSL_REQUEST_BYTES and len(data) == _BEGINNING_BYTES:
            return data + _available(sock)
        if len(data) >= HEADER_BYTES + length:
            return data
    raise ConnectionResetError("the client left")


def _available(sock: socket.socket) -> bytes:
    """Return what has come already of a packet that is no request for TLS."""
    try:
        return sock.recv(LOGIN_PACKET_BYTES_MAX)
    except BlockingIOError:
        return b""


def _bad_handshake(error: RemoteError) -> ProxyError:
    if isinstance(error, ClientTooOld):
        return ClientUnsupported(
            "Client does not support authentication protocol requested by server; consider upgrading it"
        )
    return BadHandshake(f"Bad handshake: {error}")


def _blocked(peer: str) -> bytes:
    error = HostBlocked(
        f"Host '{peer}' is blocked because of many connection errors; try again in some minutes"
    )
    return error.unsolicited()


def _drop(sock: socket.socket, stream: LoginStream) -> None:
    if stream.started:
        # What was written, an error perhaps, still goes out.
        stream.close()
    else:
        sock.close()
