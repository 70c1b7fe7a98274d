"""I am a client of MySQL for benchmarks: what I send and read is mine, not the code under test's.

Logging in is the sans-io handshake's; answers are told apart here by their packets' first bytes alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from dataclasses import dataclass
from typing import Final

from bench.peers import ACCOUNT, SCHEMA
from proxy.wire.constants import Capability, Command
from proxy.wire.handshake import ClientHandshake, ClientState

READ_BYTES: Final = 1 << 16
FRAME_MAX: Final = 0xFFFFFF
CAPABILITIES: Final = (
    Capability.LONG_PASSWORD | Capability.TRANSACTIONS | Capability.CONNECT_WITH_DB | Capability.DEPRECATE_EOF
)
VAR_STRING: Final = 0xFD

Row = tuple[str | None, ...]


class ServerError(Exception):
    """The answer was an error."""

    def __init__(self, errno: int, message: str) -> None:
        super().__init__(f"{errno}: {message}")
        self.errno = errno


class Gone(Exception):
    """The connection was lost."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A prepared statement: its number and how many parameters it takes."""

    id: int
    parameters: int


class Client:
    """One connection. Methods raise ServerError, or Gone when the connection is lost."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def connect(cls, port: int, *, tls: ssl.SSLContext | None = None) -> Client:
        """Log in."""
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
        except OSError as error:
            raise Gone(f"connecting failed: {error}") from error
        client = cls(reader, writer)
        handshake = ClientHandshake(ACCOUNT.user, ACCOUNT.password, CAPABILITIES, SCHEMA, tls=tls is not None)
        try:
            while handshake.state is not ClientState.DONE:
                number, payload = await client._frame()
                if payload[:1] == b"\xff":
                    raise _error(payload)
                writer.write(handshake.receive(_framed(payload, number)))
                if handshake.state is ClientState.TLS_WANTED:
                    await writer.start_tls(tls)
                    writer.write(handshake.tls_started())
        except OSError as error:
            client.abort()
            raise Gone(str(error)) from error
        except BaseException:
            client.abort()
            raise
        return client

    async def query(self, sql: str | bytes) -> list[Row]:
        """Run a statement and return its rows."""
        text = sql.encode() if isinstance(sql, str) else sql
        self._send(bytes((Command.QUERY,)) + text)
        return [_text_row(row) for row in await self._result()]

    async def discard(self, sql: str) -> int:
        """Run a statement, look at none of its rows and return how many there were."""
        self._send(bytes((Command.QUERY,)) + sql.encode())
        return len(await self._result())

    async def prepare(self, sql: str) -> Prepared:
        """Prepare a statement."""
        self._send(bytes((Command.STMT_PREPARE,)) + sql.encode())
        first = await self._packet()
        if first[0] == 0xFF:
            raise _error(first)
        columns, parameters = (int.from_bytes(first[at : at + 2], "little") for at in (5, 7))
        for _ in range(columns + parameters):
            await self._packet()
        return Prepared(int.from_bytes(first[1:5], "little"), parameters)

    async def execute(self, statement: Prepared, *values: str) -> list[Row]:
        """Execute a prepared statement with strings; columns that come back must be strings too."""
        body = bytes((Command.STMT_EXECUTE,)) + statement.id.to_bytes(4, "little") + b"\0\1\0\0\0"
        if statement.parameters:
            body += bytes((statement.parameters + 7) // 8) + b"\1"
            body += bytes((VAR_STRING, 0)) * statement.parameters
            for value in values:
                body += _length_encoded(value.encode())
        self._send(body)
        return [_binary_row(row) for row in await self._result()]

    async def ping(self) -> None:
        """Ask whether anybody is there."""
        self._send(bytes((Command.PING,)))
        answer = await self._packet()
        if answer[0] == 0xFF:
            raise _error(answer)

    async def quit(self) -> None:
        """Say goodbye and wait until the other side has closed."""
        with contextlib.suppress(OSError):
            self._send(bytes((Command.QUIT,)))
            await self._reader.read()
        self.abort()

    def start(self, sql: str) -> None:
        """Send a statement without ever reading its answer: for clients that are to vanish."""
        self._send(bytes((Command.QUERY,)) + sql.encode())

    def abort(self) -> None:
        """Vanish."""
        self._writer.transport.abort()

    def _send(self, payload: bytes) -> None:
        self._writer.write(_framed(payload, 0))

    async def _result(self) -> list[bytes]:
        """Read one result: its rows, or none after an OK."""
        first = await self._packet()
        if first[0] == 0xFF:
            raise _error(first)
        if first[0] == 0:
            return []
        for _ in range(first[0]):
            await self._packet()
        rows: list[bytes] = []
        while True:
            packet = await self._packet()
            if packet[0] == 0xFE and len(packet) < FRAME_MAX:
                return rows
            if packet[0] == 0xFF:
                raise _error(packet)
            rows.append(packet)

    async def _packet(self) -> bytes:
        _, payload = await self._frame()
        piece = payload
        while len(piece) == FRAME_MAX:
            _, piece = await self._frame()
            payload += piece
        return payload

    async def _frame(self) -> tuple[int, bytes]:
        try:
            header = await self._reader.readexactly(4)
            payload = await self._reader.readexactly(int.from_bytes(header[:3], "little"))
        except (OSError, asyncio.IncompleteReadError) as error:
            raise Gone(str(error)) from error
        return header[3], payload


def _framed(payload: bytes, sequence: int) -> bytes:
    """Return a payload as packets, split where it is too long for one."""
    data = b""
    for start in range(0, len(payload) + 1, FRAME_MAX):
        piece = payload[start : start + FRAME_MAX]
        data += len(piece).to_bytes(3, "little") + bytes((sequence & 0xFF,)) + piece
        sequence += 1
    return data


def _error(packet: bytes) -> ServerError:
    message = packet[9:] if packet[3:4] == b"#" else packet[3:]
    return ServerError(int.from_bytes(packet[1:3], "little"), message.decode(errors="replace"))


def _length_encoded(value: bytes) -> bytes:
    size = len(value)
    if size < 251:
        return bytes((size,)) + value
    if size < 1 << 16:
        return b"\xfc" + size.to_bytes(2, "little") + value
    if size < 1 << 24:
        return b"\xfd" + size.to_bytes(3, "little") + value
    return b"\xfe" + size.to_bytes(8, "little") + value


def _values(packet: bytes, at: int) -> list[str | None]:
    values: list[str | None] = []
    while at < len(packet):
        first = packet[at]
        at += 1
        if first == 0xFB:
            values.append(None)
            continue
        width = {0xFC: 2, 0xFD: 3, 0xFE: 8}.get(first, 0)
        size = int.from_bytes(packet[at : at + width], "little") if width else first
        at += width
        values.append(packet[at : at + size].decode(errors="replace"))
        at += size
    return values


def _text_row(packet: bytes) -> Row:
    return tuple(_values(packet, 0))


def _binary_row(packet: bytes) -> Row:
    """Return a row of strings; a header byte and the bitmap of NULLs come first, of at most six columns."""
    return tuple(_values(packet, 2))
