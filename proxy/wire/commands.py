"""I parse and build what a client sends: its answer to the greeting, and commands."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

from proxy.wire.constants import Capability, Command
from proxy.wire.errors import RemoteError
from proxy.wire.primitives import Reader, lenenc_bytes, lenenc_map, null_terminated

SSL_REQUEST_BYTES = 32
"""An answer to the greeting of this length asks for TLS and will be repeated inside it."""

NAME_BYTES_MAX = 256
"""Names of users and databases that are longer are none of ours."""

# Plain numbers: at each login they are compared several times, and an enum's operators are ten times slower.
_PROTOCOL_41 = int(Capability.PROTOCOL_41)
_NEEDED = int(Capability.PROTOCOL_41 | Capability.SECURE_CONNECTION | Capability.PLUGIN_AUTH)
_LENENC_AUTH = int(Capability.PLUGIN_AUTH_LENENC)
_WITH_DB = int(Capability.CONNECT_WITH_DB)
_PLUGIN_AUTH = int(Capability.PLUGIN_AUTH)
_ATTRS = int(Capability.CONNECT_ATTRS)
_ZSTD = int(Capability.ZSTD)

_fixed_part = struct.Struct("<IIB").unpack_from


class ClientTooOld(RemoteError):
    """The client cannot name an authentication plugin (it is of before MySQL 5.5)."""


@dataclass(frozen=True, slots=True)
class SslRequest:
    """A client asks for TLS (..._packets_protocol_ssl_request.html)."""

    capabilities: Capability
    max_packet: int
    charset: int

    def build(self) -> bytes:
        """Return the packet's payload."""
        return _head(self.capabilities, self.max_packet, self.charset)

    @classmethod
    def parse(cls, payload: bytes) -> SslRequest:
        """Read the request."""
        reader = Reader(payload)
        return cls(Capability(reader.uint(4)), reader.uint(4), reader.uint(1))


@dataclass(frozen=True, slots=True)
class HandshakeResponse:
    """A client says who it is (..._packets_protocol_handshake_response.html)."""

    capabilities: Capability
    max_packet: int
    charset: int
    user: str
    auth: bytes = field(repr=False)
    database: str = ""
    plugin: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    zstd_level: int = 0

    def build(self) -> bytes:
        """Return the packet's payload, its optional parts as the capabilities say."""
        parts = [
            _head(self.capabilities, self.max_packet, self.charset),
            null_terminated(self.user.encode()),
            lenenc_bytes(self.auth),
        ]
        capabilities = int(self.capabilities)
        if capabilities & _WITH_DB:
            parts.append(null_terminated(self.database.encode()))
        if capabilities & _PLUGIN_AUTH:
            parts.append(null_terminated(self.plugin.encode()))
        if capabilities & _ATTRS:
            pairs = [(key.encode(), value.encode()) for key, value in self.attributes.items()]
            parts.append(lenenc_map(pairs))
        if capabilities & _ZSTD:
            parts.append(bytes((self.zstd_level,)))
        return b"".join(parts)

    @classmethod
    def parse(cls, payload: bytes, offered: Capability) -> HandshakeResponse:
        """Read the answer as a client would write it that was offered these capabilities.

        Raises RemoteError when it contradicts itself, ClientTooOld for clients of before MySQL 5.5. The last
        four of the reserved bytes are MariaDB's further capabilities, which we do not offer.
        """
        claimed, max_packet, charset = (
            _fixed_part(payload) if len(payload) >= SSL_REQUEST_BYTES else (0, 0, 0)
        )
        if not claimed & _PROTOCOL_41:
            raise RemoteError("the client does not speak the protocol of MySQL 4.1")
        if claimed & _NEEDED != _NEEDED:
            raise ClientTooOld("the client is too old: it must know authentication plugins (MySQL 5.5)")
        capabilities = claimed & int(offered)
        reader = Reader(payload, SSL_REQUEST_BYTES)
        user = _text(reader.null_terminated(), "user name")
        auth = reader.lenenc_bytes() if capabilities & _LENENC_AUTH else reader.take(reader.uint(1))
        database = plugin = ""
        if capabilities & _WITH_DB and reader.remaining:
            database = _text(reader.null_terminated(), "database name")
        if reader.remaining:
            # Some clients leave out the NUL when nothing follows.
            plugin = _text(_until_null_or_end(reader), "plugin name")
        attributes = _attributes(reader) if capabilities & _ATTRS else {}
        level = reader.uint(1) if capabilities & _ZSTD and reader.remaining else 0
        agreed = Capability(capabilities)
        return cls(agreed, max_packet, charset, user, auth, database, plugin, attributes, level)


@dataclass(frozen=True, slots=True)
class ChangeUser:
    """A client wants to be somebody else on the same connection (page_protocol_com_change_user.html).

    `charset` is 0 and `plugin` empty when the client left them out; then what it said at login holds.
    """

    user: str
    auth: bytes = field(repr=False)
    database: str = ""
    charset: int = 0
    plugin: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)

    def build(self, capabilities: Capability) -> bytes:
        """Return the packet's payload as a client with these capabilities writes it."""
        parts = [
            bytes((Command.CHANGE_USER,)),
            null_terminated(self.user.encode()),
            bytes((len(self.auth),)) + self.auth,
            null_terminated(self.database.encode()),
            self.charset.to_bytes(2, "little"),
        ]
        if capabilities & Capability.PLUGIN_AUTH:
            parts.append(null_terminated(self.plugin.encode()))
        if capabilities & Capability.CONNECT_ATTRS:
            pairs = ((key.encode(), value.encode()) for key, value in self.attributes.items())
            parts.append(lenenc_map(pairs))
        return b"".join(parts)

    @classmethod
    def parse(cls, payload: bytes, capabilities: Capability) -> ChangeUser:
        """Read the command, its first byte included, of a client with these capabilities."""
        reader = Reader(payload, 1)
        user = _text(reader.null_terminated(), "user name")
        auth = reader.take(reader.uint(1))
        database = _text(_until_null_or_end(reader), "database name")
        charset = reader.uint(2) if reader.remaining else 0
        plugin = ""
        if capabilities & Capability.PLUGIN_AUTH and reader.remaining:
            plugin = _text(_until_null_or_end(reader), "plugin name")
        attributes = _attributes(reader) if capabilities & Capability.CONNECT_ATTRS else {}
        return cls(user, auth, database, charset, plugin, attributes)


def command(number: Command, argument: bytes = b"") -> bytes:
    """Build a command's payload."""
    return bytes((number,)) + argument


def command_name(number: int) -> str:
    """Name a command for people, known or not."""
    try:
        return f"COM_{Command(number).name}"
    except ValueError:
        return f"command 0x{number:02X}"


def _head(capabilities: Capability, max_packet: int, charset: int) -> bytes:
    head = int(capabilities).to_bytes(4, "little") + max_packet.to_bytes(4, "little")
    return head + bytes((charset & 0xFF,)) + bytes(23)


def _attributes(reader: Reader) -> dict[str, str]:
    attributes: dict[str, str] = {}
    if reader.remaining:
        pairs = Reader(reader.lenenc_bytes())
        while pairs.remaining:
            key = pairs.lenenc_bytes().decode("utf-8", "replace")
            attributes[key] = pairs.lenenc_bytes().decode("utf-8", "replace")
    return attributes


def _until_null_or_end(reader: Reader) -> bytes:
    try:
        return reader.null_terminated()
    except RemoteError:
        return reader.rest()


def _text(raw: bytes, what: str) -> str:
    if len(raw) > NAME_BYTES_MAX:
        raise RemoteError(f"the client's {what} is longer than {NAME_BYTES_MAX} bytes")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise RemoteError(f"the client's {what} is not UTF-8") from None
