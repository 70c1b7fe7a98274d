"""I am one connection to MySQL: open, log in, pass bytes to and from its client, close."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final, Protocol, TypeVar

from proxy.errors import BackendUnreachable, ProxyError
from proxy.stream import Stream, as_protocol, connect, connect_secured
from proxy.wire.commands import command
from proxy.wire.constants import Capability, Command
from proxy.wire.errors import ServerRefused, WireError
from proxy.wire.framing import frame
from proxy.wire.handshake import ClientHandshake, ClientState
from router.model import Server, TlsMode
from router.tls import client_context, public_key

# Errors of a login that are the client's business: no such database (1049), no right to it (1044), or a
# server that is full (1040, 1203, 1226).
_PASSED_ON: Final = frozenset({1040, 1044, 1049, 1203, 1226})

SHAPES_RESPONSES: Final = (
    Capability.FOUND_ROWS
    | Capability.MULTI_RESULTS
    | Capability.PS_MULTI_RESULTS
    | Capability.SESSION_TRACK
    | Capability.DEPRECATE_EOF
)
"""Capabilities that change what a response says: both ends of a relay must have the same."""


class Owner(Protocol):
    """Who a backend works for."""

    def answered(self, data: bytes) -> None:
        """Take a chunk of a response."""

    def backend_lost(self) -> None:
        """The server closed the connection."""


class Backend(Stream):
    """A connection to a server: first its login, then the bytes of one client's responses."""

    __slots__ = ("_handshake", "_logged_in", "_owner", "data_received", "kills", "server")

    server: Server
    """Where it leads, and with which account."""

    data_received: Callable[[bytes], None]
    """Takes bytes from the server: our login at first, then the owner's responses."""

    def __init__(self, handshake: ClientHandshake) -> None:
        super().__init__()
        self.data_received = self._log_in
        self._owner: Owner | None = None
        self.kills = 0
        """How many connections are about to end what runs here."""
        self._handshake = handshake
        self._logged_in: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def serve(self, owner: Owner) -> None:
        """Work for somebody from now on."""
        self._owner = owner
        self.data_received = owner.answered
        # The event loop keeps the method it calls: it must look again.
        self.transport.set_protocol(as_protocol(self))

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whoever depends on this connection."""
        if not self._logged_in.done():
            self._logged_in.set_exception(ConnectionResetError("the server closed the connection"))
        owner = self._owner
        if owner is not None:
            owner.backend_lost()
        # Who had it last must not live as long as what still knows this connection.
        self._owner = self.other = None
        self.data_received = _ignore

    async def logged_in(self) -> None:
        """Wait until the server let us in. Raises ServerRefused, WireError or OSError."""
        await self._logged_in

    @property
    def capabilities(self) -> Capability:
        """What was agreed on."""
        return self._handshake.capabilities

    @property
    def status(self) -> int:
        """The server status the login ended with."""
        return self._handshake.status

    @property
    def thread_id(self) -> int:
        """The server's number for this connection."""
        return self._handshake.greeting.connection_id

    def leave(self) -> None:
        """Say goodbye and close; only between responses."""
        if not self.transport.is_closing():
            self.write(frame(command(Command.QUIT)))
            self.close()

    def _log_in(self, data: bytes) -> None:
        if self._logged_in.done():
            # A server that speaks to nobody is about to leave.
            self.abort()
            return
        try:
            reply = self._handshake.receive(data)
        except WireError as error:
            self._logged_in.set_exception(error)
            self.abort()
            return
        if reply:
            self.write(reply)
        if self._handshake.state is ClientState.DONE:
            self._logged_in.set_result(None)


def _ignore(data: bytes) -> None:
    """Take bytes that nobody waits for."""


_B = TypeVar("_B", bound=Backend)


async def open_backend(
    server: Server,
    *,
    make: Callable[[ClientHandshake], _B] = Backend,  # type: ignore[assignment]
    database: str,
    capabilities: Capability,
    charset: int,
    attributes: Mapping[str, str],
    timeout_s: float,
) -> _B:
    """Open a connection with exactly these capabilities. Raises ProxyError with what the client may know.

    `make` makes the object that is to be the connection.
    """
    address, account = server.address, server.account
    handshake = ClientHandshake(
        account.user,
        account.password,
        capabilities,
        database,
        charset,
        attributes,
        secure=address.socket is not None,
        tls=server.tls.mode is not TlsMode.DISABLED,
    )
    backend = make(handshake)
    backend.server = server
    connected = False
    try:
        async with asyncio.timeout(timeout_s):
            handshake.public_key = public_key(server.public_key)
            context = client_context(server.tls)
            if context is None:
                await connect(backend, path=address.socket, host=address.host, port=address.port)
            else:
                await connect_secured(
                    backend, handshake, context, path=address.socket, host=address.host, port=address.port
                )
            connected = True
            await backend.logged_in()
        _check(backend, capabilities)
    except BaseException as error:
        if connected:
            backend.abort()
        ours = _ours(error, server)
        if ours is None:
            raise
        raise ours from error
    return backend


def _check(backend: Backend, wanted: Capability) -> None:
    """See that bytes can be passed on unchanged: both connections must have the same capabilities."""
    missing = wanted & SHAPES_RESPONSES & ~backend.capabilities
    if missing:
        raise BackendUnreachable(
            f"the server of this branch cannot do what the client was offered: {missing!r}"
        )


def _ours(error: BaseException, server: Server) -> ProxyError | None:
    match error:
        case ServerRefused(errno=errno) if errno in _PASSED_ON:
            return ProxyError(error.message, errno=errno, sqlstate=error.sqlstate or "08004")
        case ServerRefused() | WireError():
            return BackendUnreachable(f"the server of this branch does not let the proxy in: {error}")
        case TimeoutError():
            return BackendUnreachable(f"the server of this branch at {server.address} does not answer")
        case OSError():
            return BackendUnreachable(
                f"the server of this branch at {server.address} cannot be reached: {error}"
            )
        case ProxyError():
            return error
        case _:
            return None
