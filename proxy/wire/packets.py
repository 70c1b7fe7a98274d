"""I parse and build what a server sends: greeting, OK, ERR, EOF, auth, columns.

Everything here is a payload; `framing.frame` puts the header in front.
"""

from __future__ import annotations

from dataclasses import dataclass

from proxy.wire.constants import (
    AUTH_MORE_DATA,
    AUTH_SWITCH,
    EOF,
    ERR,
    OK,
    PROTOCOL_VERSION,
    Capability,
)
from proxy.wire.errors import RemoteError, ServerRefused
from proxy.wire.primitives import Reader, lenenc_bytes, lenenc_int, null_terminated

MESSAGE_BYTES_MAX = 512
"""MYSQL_ERRMSG_SIZE: clients keep no more of an error's text."""


@dataclass(frozen=True, slots=True)
class Greeting:
    """The server's first packet (page_protocol_connection_phase_packets_protocol_handshake_v10.html)."""

    version: str
    connection_id: int
    nonce: bytes
    capabilities: Capability
    charset: int
    status: int
    plugin: str

    def build(self) -> bytes:
        """Return the packet's payload."""
        capabilities = int(self.capabilities)
        return b"".join(
            (
                bytes((PROTOCOL_VERSION,)),
                null_terminated(self.version.encode()),
                self.connection_id.to_bytes(4, "little"),
                self.nonce[:8] + b"\0",
                (capabilities & 0xFFFF).to_bytes(2, "little"),
                bytes((self.charset & 0xFF,)),
                self.status.to_bytes(2, "little"),
                (capabilities >> 16).to_bytes(2, "little"),
                bytes((len(self.nonce) + 1,)),
                bytes(10),
                self.nonce[8:] + b"\0",
                null_terminated(self.plugin.encode()),
            )
        )

    @classmethod
    def parse(cls, payload: bytes) -> Greeting:
        """Read the packet; an ERR in its place raises ServerRefused."""
        raise_if_err(payload)
        reader = Reader(payload)
        protocol = reader.uint(1)
        if protocol != PROTOCOL_VERSION:
            raise RemoteError(f"the server speaks protocol {protocol}, not {PROTOCOL_VERSION}")
        version = reader.null_terminated().decode("latin1")
        connection_id = reader.uint(4)
        nonce = reader.take(8)
        reader.take(1)
        capabilities = reader.uint(2)
        charset, status = reader.uint(1), reader.uint(2)
        capabilities |= reader.uint(2) << 16
        nonce_bytes = reader.uint(1)
        reader.take(10)
        nonce += reader.take(max(13, nonce_bytes - 8))[:12]
        plugin = ""
        if capabilities & Capability.PLUGIN_AUTH:
            # Old servers forgot the NUL at the very end.
            plugin = reader.rest().partition(b"\0")[0].decode("latin1")
        return cls(version, connection_id, nonce, Capability(capabilities), charset, status, plugin)


@dataclass(frozen=True, slots=True)
class OkPacket:
    """A statement went well (page_protocol_basic_ok_packet.html); `info` may hold session trackers."""

    affected_rows: int = 0
    last_insert_id: int = 0
    status: int = 0
    warnings: int = 0
    info: bytes = b""

    def build(self, header: int = OK) -> bytes:
        """Return the packet's payload."""
        return b"".join(
            (
                bytes((header,)),
                lenenc_int(self.affected_rows),
                lenenc_int(self.last_insert_id),
                self.status.to_bytes(2, "little"),
                self.warnings.to_bytes(2, "little"),
                self.info,
            )
        )

    @classmethod
    def parse(cls, payload: bytes) -> OkPacket:
        """Read an OK packet, or the one with an EOF's first byte that ends a result."""
        reader = Reader(payload, 1)
        return cls(reader.lenenc_int(), reader.lenenc_int(), reader.uint(2), reader.uint(2), reader.rest())


@dataclass(frozen=True, slots=True)
class ErrPacket:
    """A statement failed (page_protocol_basic_err_packet.html)."""

    errno: int
    sqlstate: str
    message: str

    def build(self) -> bytes:
        """Return the packet's payload; a long message is cut where clients would cut it."""
        text = self.message.encode()[:MESSAGE_BYTES_MAX].decode("utf-8", "ignore").encode()
        state = b"#" + self.sqlstate.encode("ascii") if self.sqlstate else b""
        return b"\xff" + self.errno.to_bytes(2, "little") + state + text

    @classmethod
    def parse(cls, payload: bytes) -> ErrPacket:
        """Read an ERR packet; before the handshake it has no SQLSTATE."""
        reader = Reader(payload, 1)
        errno = reader.uint(2)
        text = reader.rest()
        sqlstate = ""
        if text[:1] == b"#" and len(text) >= 6:
            sqlstate, text = text[1:6].decode("latin1"), text[6:]
        return cls(errno, sqlstate, text.decode("utf-8", "replace"))


@dataclass(frozen=True, slots=True)
class EofPacket:
    """A part of a result ends here (page_protocol_basic_eof_packet.html)."""

    warnings: int = 0
    status: int = 0

    def build(self) -> bytes:
        """Return the packet's payload."""
        return bytes((EOF,)) + self.warnings.to_bytes(2, "little") + self.status.to_bytes(2, "little")

    @classmethod
    def parse(cls, payload: bytes) -> EofPacket:
        """Read an EOF packet."""
        reader = Reader(payload, 1)
        return cls(reader.uint(2), reader.uint(2))


@dataclass(frozen=True, slots=True)
class AuthSwitch:
    """The server wants another authentication plugin (..._protocol_auth_switch_request.html)."""

    plugin: str
    nonce: bytes

    def build(self) -> bytes:
        """Return the packet's payload."""
        return bytes((AUTH_SWITCH,)) + null_terminated(self.plugin.encode()) + self.nonce + b"\0"

    @classmethod
    def parse(cls, payload: bytes) -> AuthSwitch:
        """Read the request; one without a plugin name is the pre-4.1 kind, which we never use."""
        if len(payload) == 1:
            raise RemoteError("the server wants the password in the form of before MySQL 4.1")
        reader = Reader(payload, 1)
        plugin = reader.null_terminated().decode("latin1")
        return cls(plugin, reader.rest().rstrip(b"\0"))


def auth_more_data(data: bytes) -> bytes:
    """Build a plugin's further message to the client."""
    return bytes((AUTH_MORE_DATA,)) + data


@dataclass(frozen=True, slots=True)
class Column:
    """The parts of a column definition we ever need (page_protocol_com_query_response.html)."""

    name: str
    charset: int = 45
    length: int = 1024
    type: int = 0xFD
    flags: int = 0
    decimals: int = 0

    def build(self) -> bytes:
        """Return the packet's payload."""
        name = lenenc_bytes(self.name.encode())
        return b"".join(
            (
                lenenc_bytes(b"def"),
                lenenc_bytes(b"") * 3,
                name,
                name,
                lenenc_int(0x0C),
                self.charset.to_bytes(2, "little"),
                self.length.to_bytes(4, "little"),
                bytes((self.type,)),
                self.flags.to_bytes(2, "little"),
                bytes((self.decimals,)),
                bytes(2),
            )
        )

    @classmethod
    def parse(cls, payload: bytes) -> Column:
        """Read a column definition."""
        reader = Reader(payload)
        for _ in range(4):
            reader.lenenc_bytes()
        name = reader.lenenc_bytes().decode("utf-8", "replace")
        reader.lenenc_bytes()
        reader.lenenc_int()
        return cls(name, reader.uint(2), reader.uint(4), reader.uint(1), reader.uint(2), reader.uint(1))


def text_row(payload: bytes) -> list[bytes | None]:
    """Read a row of the text protocol."""
    reader = Reader(payload)
    row: list[bytes | None] = []
    while reader.remaining:
        if payload[len(payload) - reader.remaining] == 0xFB:
            reader.take(1)
            row.append(None)
        else:
            row.append(reader.lenenc_bytes())
    return row


def raise_if_err(payload: bytes) -> None:
    """Raise ServerRefused when the payload is an ERR packet, RemoteError when it is empty."""
    if not payload:
        raise RemoteError("the server sent an empty packet")
    if payload[0] == ERR:
        err = ErrPacket.parse(payload)
        raise ServerRefused(err.errno, err.sqlstate, err.message)
