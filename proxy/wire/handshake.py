"""I am both sides of login as state machines; a refusal is my last state.

Source: page_protocol_connection_phase.html. Neither side touches a socket: bytes go in, the answer comes out.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from proxy.wire.auth import (
    PasswordKey,
    native_proof,
    native_proof_holds,
    new_nonce,
    rsa_encrypt_password,
    sha2_proof,
    sha2_proof_holds,
)
from proxy.wire.commands import SSL_REQUEST_BYTES, ChangeUser, HandshakeResponse, SslRequest
from proxy.wire.constants import (
    AUTH_MORE_DATA,
    AUTH_SWITCH,
    CACHING_SHA2_PASSWORD,
    CHARSET_UTF8MB4,
    FAST_AUTH_OK,
    FULL_AUTH_WANTED,
    NATIVE_PASSWORD,
    OK,
    PUBLIC_KEY_REQUEST,
    Capability,
    Status,
)
from proxy.wire.errors import LocalError, RemoteError
from proxy.wire.framing import PacketReader, frame
from proxy.wire.packets import AuthSwitch, ErrPacket, Greeting, OkPacket, auth_more_data, raise_if_err

# Plain numbers and bytes: an enum's operators are ten times slower.
_SSL: Final = int(Capability.SSL)
_WITH_DB: Final = int(Capability.CONNECT_WITH_DB)
_NEEDED: Final = int(Capability.PROTOCOL_41 | Capability.SECURE_CONNECTION | Capability.PLUGIN_AUTH)
_FAST_AUTH: Final = auth_more_data(bytes((FAST_AUTH_OK,)))

LOGIN_PACKET_BYTES_MAX: Final = 80 * 1024
"""No packet of a login is longer: 64 KiB of connection attributes and the rest."""


class ServerState(Enum):
    """Where the server's side of a login is."""

    GREETED = auto()
    """The greeting is out; the client's answer is awaited."""
    TLS_WANTED = auto()
    """The client asked for TLS: start it, and feed what comes out of it."""
    NAMED = auto()
    """The client has said who it is: choose how it must prove that."""
    SWITCHING = auto()
    """The client was asked to use another plugin; its proof is awaited."""
    IDENTIFIED = auto()
    """Name and proof are here: check them, then accept, refuse or ask for the password itself."""
    PASSWORD_AWAITED = auto()
    PASSWORD_GIVEN = auto()
    """The password itself is here: check it, then accept or refuse."""
    ACCEPTED = auto()
    REFUSED = auto()


class ServerHandshake:
    """The server's side: greets, learns who the client is, accepts or refuses.

    The caller sends `greeting()`, feeds what arrives to `receive` and sends what that returns, until `state`
    is NAMED; then it calls `choose` and goes on until IDENTIFIED, and asks whether the proof holds. It may
    then ask for the password itself and go on until PASSWORD_GIVEN. It ends with `accept` or `refuse`.
    With a `key` clients can hide the password where there is no TLS. RemoteError means that the client broke
    the protocol.
    """

    def __init__(
        self,
        *,
        connection_id: int,
        version: str,
        capabilities: Capability,
        charset: int = CHARSET_UTF8MB4,
        nonce: bytes | None = None,
        key: PasswordKey | None = None,
    ) -> None:
        self.state = ServerState.GREETED
        self.capabilities = capabilities
        self.connection_id = connection_id
        self.response: HandshakeResponse | None = None
        self.plugin = CACHING_SHA2_PASSWORD
        self.tls = False
        self.full = False
        self._version = version
        self._charset = charset
        self._nonce = nonce or new_nonce()
        self._key = key
        self._key_sent = False
        self._proof = b""
        self._reader = PacketReader(LOGIN_PACKET_BYTES_MAX)
        self._sequence = 0
        self._tls_head: SslRequest | None = None

    @classmethod
    def of_change_user(
        cls,
        payload: bytes,
        capabilities: Capability,
        *,
        connection_id: int,
        charset: int,
        tls: bool,
        key: PasswordKey | None = None,
    ) -> ServerHandshake:
        """Begin with the COM_CHANGE_USER of a client that has logged in with these capabilities, at NAMED.

        The proof in it was made with a nonce that was used before, so it is thrown away and `choose` asks for
        another. `charset` holds when the packet names none.
        """
        asked = ChangeUser.parse(payload, capabilities)
        handshake = cls(connection_id=connection_id, version="", capabilities=capabilities, key=key)
        handshake.response = HandshakeResponse(
            capabilities,
            0,
            asked.charset or charset,
            asked.user,
            b"",
            asked.database,
            asked.plugin,
            asked.attributes,
        )
        handshake.tls = tls
        handshake.state = ServerState.NAMED
        handshake._sequence = 1
        return handshake

    def greeting(self) -> bytes:
        """Return the first bytes of the connection."""
        first, last = _greeting_parts(self._version, self.capabilities, self._charset)
        number, nonce = self.connection_id.to_bytes(4, "little"), self._nonce
        return self._send(b"".join((first[0], number, nonce[:8], first[1], nonce[8:], last)))

    def receive(self, data: bytes) -> bytes:
        """Take bytes from the client and return what to send back."""
        reply = b""
        for sequence, payload in self._reader.feed(data):
            if sequence != self._sequence & 0xFF:
                raise RemoteError("the client's packets are out of order")
            self._sequence += 1
            reply += self._packet(payload)
        if self.state not in _LISTENING and self._reader.pending:
            raise RemoteError("the client sent more than its login")
        return reply

    def tls_started(self) -> None:
        """Say that TLS is on; the client's answer now comes through it."""
        if self.state is not ServerState.TLS_WANTED:
            raise LocalError("the client did not ask for TLS")
        self.tls = True
        self.state = ServerState.GREETED

    def choose(self, plugin: str) -> bytes:
        """Say by which plugin the client must prove itself, and return what to send for that.

        What it sent already counts when it was made for this plugin. Otherwise it is asked for a proof with a
        fresh nonce: none is ever used twice.
        """
        if self.state is not ServerState.NAMED or self.response is None:
            raise LocalError("the client has not said who it is")
        self.plugin = plugin
        if plugin == CACHING_SHA2_PASSWORD == self.response.plugin and self.response.auth:
            self._proof = self.response.auth
            self.state = ServerState.IDENTIFIED
            return b""
        self._nonce = new_nonce()
        self.state = ServerState.SWITCHING
        return self._send(AuthSwitch(plugin, self._nonce).build())

    def proof_holds(self, verifier: bytes) -> bool:
        """Say whether the client knows the password behind `verifier`, which must be one of `plugin`."""
        if self.plugin == NATIVE_PASSWORD:
            return native_proof_holds(self._proof, verifier, self._nonce)
        return sha2_proof_holds(self._proof, verifier, self._nonce)

    @property
    def used_password(self) -> bool:
        """Whether the client sent any proof at all, as error 1045 tells."""
        return bool(self._proof)

    def ask_password(self) -> bytes:
        """Ask for the password itself: inside TLS as it is, otherwise hidden by our key."""
        if self.state is not ServerState.IDENTIFIED or self.plugin != CACHING_SHA2_PASSWORD:
            raise LocalError("only caching_sha2_password can be asked for the password")
        self.full = True
        self.state = ServerState.PASSWORD_AWAITED
        return self._send(auth_more_data(bytes((FULL_AUTH_WANTED,))))

    def password(self) -> bytes:
        """Return the password that was given; empty when it cannot be read. Without TLS it takes 1 ms."""
        if self.state is not ServerState.PASSWORD_GIVEN:
            raise LocalError("no password was given")
        if self.tls:
            return self._proof[:-1] if self._proof.endswith(b"\0") else b""
        return self._key.open(self._proof, self._nonce) if self._key else b""

    def accept(self, status: int = Status.AUTOCOMMIT) -> bytes:
        """Let the client in."""
        self.state = ServerState.ACCEPTED
        word = b""
        if self.plugin == CACHING_SHA2_PASSWORD and not self.full and not self._misreads_words:
            # Drivers that were switched to the plugin insist on its own word before the OK.
            word = self._send(_FAST_AUTH)
        return word + self._send(OkPacket(status=status).build())

    @property
    def _misreads_words(self) -> bool:
        """Whether the client cannot read a plugin's words, but takes an OK without them.

        Connector/J does not look for their first byte at servers before 5.5.16, and MariaDB 10 tells 5.5.5.
        Seen in the matrix of drivers.
        """
        name = self.response.attributes.get("_client_name") if self.response else None
        return name == "MySQL Connector/J" and self._version.startswith("5.5.5-")

    def refuse(self, errno: int, sqlstate: str, message: str) -> bytes:
        """Turn the client away, at any point; the connection must be closed after these bytes."""
        self.state = ServerState.REFUSED
        return self._send(ErrPacket(errno, sqlstate, message).build())

    def _packet(self, payload: bytes) -> bytes:
        if self.state is ServerState.GREETED:
            self._answer(payload)
        elif self.state is ServerState.SWITCHING:
            self._proof = payload
            self.state = ServerState.IDENTIFIED
        elif self.state is ServerState.PASSWORD_AWAITED:
            return self._password_packet(payload)
        else:
            raise RemoteError("the client sent more than its login")
        return b""

    def _answer(self, payload: bytes) -> None:
        wants_tls = len(payload) == SSL_REQUEST_BYTES and payload[1] & _SSL >> 8
        if wants_tls and not self.tls:
            if not int(self.capabilities) & _SSL:
                raise RemoteError("the client asked for TLS, which was not offered")
            self._tls_head = SslRequest.parse(payload)
            self.state = ServerState.TLS_WANTED
            return
        response = HandshakeResponse.parse(payload, self.capabilities)
        if self._tls_head and self._tls_head.capabilities & self.capabilities != response.capabilities:
            raise RemoteError("the client's capabilities changed with TLS")
        self.response = response
        self.state = ServerState.NAMED

    def _password_packet(self, payload: bytes) -> bytes:
        if not self.tls and payload == bytes((PUBLIC_KEY_REQUEST,)) and self._key and not self._key_sent:
            self._key_sent = True
            return self._send(auth_more_data(self._key.public_pem))
        self._proof = payload
        self.state = ServerState.PASSWORD_GIVEN
        return b""

    def _send(self, payload: bytes) -> bytes:
        data = frame(payload, self._sequence & 0xFF)
        self._sequence += 1
        return data


@functools.lru_cache(maxsize=16)
def _greeting_parts(
    version: str, capabilities: Capability, charset: int
) -> tuple[tuple[bytes, bytes], bytes]:
    """Return a greeting without the connection's number and nonce: what comes before, between and after."""
    nonce = bytes(range(1, 21))
    whole = Greeting(
        version, 0, nonce, capabilities, charset, Status.AUTOCOMMIT, CACHING_SHA2_PASSWORD
    ).build()
    before, between = whole.split(bytes(4) + nonce[:8], 1)
    between, after = between.split(nonce[8:], 1)
    return (before, between), after


_LISTENING: Final = frozenset({ServerState.GREETED, ServerState.SWITCHING, ServerState.PASSWORD_AWAITED})


class ClientState(Enum):
    """Where the client's side of a login is."""

    CONNECTED = auto()
    """The server's greeting is awaited."""
    TLS_WANTED = auto()
    """The server agreed to TLS: start it, then call `tls_started`."""
    AUTHENTICATING = auto()
    DONE = auto()


@dataclass(slots=True)
class ClientHandshake:
    """The client's side: answers the greeting and proves the password by whatever means the server asks.

    Feed what arrives to `receive` and send what it returns, until `state` is DONE. `wanted` are the
    capabilities to ask for; those the server has too are in `capabilities` afterwards. `secure` says that
    nobody can listen (a Unix socket, or TLS), so the password itself may be sent; `tls` asks for TLS first.
    Where somebody may listen the password is sent only hidden by `public_key`, the server's RSA key (PEM):
    one that comes by the same network could be anybody's. Raises ServerRefused with the server's own error,
    RemoteError when it breaks the protocol or does not offer the wanted TLS.
    """

    user: str
    password: str = field(repr=False)
    wanted: Capability
    database: str = ""
    charset: int = CHARSET_UTF8MB4
    attributes: Mapping[str, str] = field(default_factory=dict)
    secure: bool = False
    tls: bool = False
    public_key: bytes = b""

    state: ClientState = field(default=ClientState.CONNECTED, init=False)
    capabilities: Capability = field(default=Capability(0), init=False)
    status: int = field(default=0, init=False)
    _greeting: Greeting | None = field(default=None, init=False)
    _plugin: str = field(default="", init=False)
    _nonce: bytes = field(default=b"", init=False, repr=False)
    _sequence: int = field(default=0, init=False)
    _switches: int = field(default=0, init=False)
    _reader: PacketReader = field(
        default_factory=lambda: PacketReader(LOGIN_PACKET_BYTES_MAX), init=False, repr=False
    )

    @property
    def greeting(self) -> Greeting:
        """What the server said first; only once it has."""
        if self._greeting is None:
            raise LocalError("the server has not greeted yet")
        return self._greeting

    def receive(self, data: bytes) -> bytes:
        """Take bytes from the server and return what to send back."""
        reply = b""
        for sequence, payload in self._reader.feed(data):
            if self.state is ClientState.DONE:
                raise RemoteError("the server went on after the login")
            self._sequence = sequence + 1
            reply += self._packet(payload)
        if self.state is ClientState.DONE and self._reader.pending:
            raise RemoteError("the server went on after the login")
        return reply

    def tls_started(self) -> bytes:
        """Return what to send as the first bytes inside TLS."""
        if self.state is not ClientState.TLS_WANTED:
            raise LocalError("TLS was not agreed on")
        self.secure = True
        return self._respond()

    def _packet(self, payload: bytes) -> bytes:
        if self.state is ClientState.CONNECTED:
            return self._greeted(Greeting.parse(payload))
        raise_if_err(payload)
        first = payload[0]
        if first == OK and self.state is ClientState.AUTHENTICATING:
            self.status = OkPacket.parse(payload).status
            self.state = ClientState.DONE
            return b""
        if first == AUTH_SWITCH:
            return self._switch(AuthSwitch.parse(payload))
        if first == AUTH_MORE_DATA and self._plugin == CACHING_SHA2_PASSWORD:
            return self._more_data(payload[1:])
        raise RemoteError(f"the server's login went on with an unknown packet (0x{first:02X})")

    def _greeted(self, greeting: Greeting) -> bytes:
        self._greeting = greeting
        needed = _NEEDED | _SSL if self.tls else _NEEDED
        offered = int(greeting.capabilities)
        if needed & ~offered:
            missing = Capability(needed & ~offered)
            raise RemoteError(f"the server cannot do what a safe login needs: {missing!r}")
        agreed = (int(self.wanted) & ~_SSL | needed) & offered
        self.capabilities = Capability(agreed if self.database else agreed & ~_WITH_DB)
        self._plugin, self._nonce = greeting.plugin, greeting.nonce
        if self.tls:
            self.state = ClientState.TLS_WANTED
            return self._send(SslRequest(self.capabilities, 1 << 30, self.charset).build())
        return self._respond()

    def _respond(self) -> bytes:
        self.state = ClientState.AUTHENTICATING
        if self._plugin not in (CACHING_SHA2_PASSWORD, NATIVE_PASSWORD):
            # The server's default is not ours to speak: offer one, and let it switch to what the account has.
            self._plugin = NATIVE_PASSWORD
        return self._send(
            HandshakeResponse(
                self.capabilities,
                1 << 30,
                self.charset,
                self.user,
                self._proof(),
                self.database,
                self._plugin,
                self.attributes,
            ).build()
        )

    def _proof(self) -> bytes:
        if self._plugin == CACHING_SHA2_PASSWORD:
            return sha2_proof(self.password, self._nonce)
        return native_proof(self.password, self._nonce)

    def _switch(self, switch: AuthSwitch) -> bytes:
        self._switches += 1
        if self._switches > 3:
            raise RemoteError("the server keeps changing its authentication plugin")
        if switch.plugin not in (CACHING_SHA2_PASSWORD, NATIVE_PASSWORD):
            raise RemoteError(
                f"the server wants authentication plugin {switch.plugin!r} for {self.user!r}: give the "
                f"account {CACHING_SHA2_PASSWORD} or, on MariaDB, {NATIVE_PASSWORD}"
            )
        self._plugin, self._nonce = switch.plugin, switch.nonce
        return self._send(self._proof())

    def _more_data(self, data: bytes) -> bytes:
        if data == bytes((FAST_AUTH_OK,)):
            return b""
        if data != bytes((FULL_AUTH_WANTED,)):
            raise RemoteError("the server's login went on with unknown data")
        if self.secure:
            return self._send(self.password.encode() + b"\0")
        if not self.public_key:
            raise RemoteError(
                f"the server wants the password of {self.user!r} itself, and somebody could listen: set "
                "production.tls, or production.public_key to a file with the server's RSA key"
            )
        return self._send(rsa_encrypt_password(self.password, self._nonce, self.public_key))

    def _send(self, payload: bytes) -> bytes:
        data = frame(payload, self._sequence)
        self._sequence += 1
        return data
