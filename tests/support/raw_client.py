"""I am a client that can be rude: it sends any bytes, and shows every packet of the answer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping

from proxy.wire.constants import CHARSET_UTF8MB4, Capability, Command
from proxy.wire.framing import Packet, PacketReader, frame
from proxy.wire.handshake import ClientHandshake, ClientState
from proxy.wire.packets import ErrPacket, text_row
from proxy.wire.response import Response
from tests.support.proxy import PASSWORD, public_key_pem

USUAL = (
    Capability.LONG_PASSWORD
    | Capability.TRANSACTIONS
    | Capability.CONNECT_WITH_DB
    | Capability.MULTI_RESULTS
    | Capability.PS_MULTI_RESULTS
    | Capability.MULTI_STATEMENTS
    | Capability.CONNECT_ATTRS
)


class RawClient:
    """A logged-in connection, one packet at a time."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, handshake: ClientHandshake
    ) -> None:
        self.reader = reader
        self.writer = writer
        self.handshake = handshake
        self.response = Response(
            deprecate_eof=bool(handshake.capabilities & Capability.DEPRECATE_EOF), status=handshake.status
        )

    @classmethod
    async def connect(
        cls,
        port: int,
        *,
        user: str = "app",
        password: str = PASSWORD,
        database: str = "",
        capabilities: Capability = USUAL | Capability.DEPRECATE_EOF,
        charset: int = CHARSET_UTF8MB4,
        attributes: Mapping[str, str] | None = None,
    ) -> RawClient:
        """Log in, or raise what the server said."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        handshake = ClientHandshake(
            user,
            password,
            capabilities,
            database,
            charset,
            attributes={"program_name": "raw"} if attributes is None else attributes,
            public_key=public_key_pem(),
        )
        try:
            while handshake.state is not ClientState.DONE:
                data = await reader.read(65536)
                if not data:
                    raise ConnectionResetError
                writer.write(handshake.receive(data))
        except BaseException:
            writer.close()
            raise
        return cls(reader, writer, handshake)

    def send(self, number: Command | int, argument: bytes = b"") -> None:
        """Send a command without waiting for its answer."""
        self.writer.write(frame(bytes((number,)) + argument))

    async def answer(self, number: Command | int) -> list[bytes]:
        """Wait for the whole answer to a command and return its packets' payloads."""
        reader, packets = PacketReader(), list[Packet]()
        self.response.begin(number)
        while True:
            data = await self.reader.read(65536)
            if not data:
                raise ConnectionResetError
            over = self.response.feed(data)
            packets += reader.feed(data)
            if over:
                return [payload for _, payload in packets]

    async def run(self, number: Command | int, argument: bytes = b"") -> list[bytes]:
        """Send a command and return the packets of its answer."""
        self.send(number, argument)
        return await self.answer(number)

    async def query(self, sql: str) -> list[list[bytes | None]]:
        """Run a statement and return its rows; raises AssertionError with the server's error."""
        packets = await self.run(Command.QUERY, sql.encode())
        assert packets[0][0] != 0xFF, ErrPacket.parse(packets[0])
        if packets[0][0] == 0:
            return []
        columns = packets[0][0]
        first = 1 + columns + (0 if self.handshake.capabilities & Capability.DEPRECATE_EOF else 1)
        return [text_row(packet) for packet in packets[first:-1]]

    async def error(self, number: Command | int, argument: bytes = b"") -> ErrPacket:
        """Send a command that must fail, and return its error."""
        packets = await self.run(number, argument)
        assert packets[-1][0] == 0xFF, packets
        return ErrPacket.parse(packets[-1])

    async def prepare(self, sql: str) -> int:
        """Prepare a statement and return its number."""
        packets = await self.run(Command.STMT_PREPARE, sql.encode())
        assert packets[0][0] == 0, ErrPacket.parse(packets[0])
        return int.from_bytes(packets[0][1:5], "little")

    async def execute(self, statement: int, parameters: bytes = b"", *, cursor: bool = False) -> list[bytes]:
        """Execute a prepared statement; `parameters` is all that follows the iteration count."""
        argument = statement.to_bytes(4, "little") + bytes((cursor,)) + (1).to_bytes(4, "little") + parameters
        return await self.run(Command.STMT_EXECUTE, argument)

    async def gone(self) -> bool:
        """Wait until the peer has closed the connection; what it still sends is skipped."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(65536):
                pass
        return True

    def close(self) -> None:
        """Hang up without a word."""
        self.writer.close()


@contextlib.asynccontextmanager
async def raw_client(port: int, **options: object) -> AsyncIterator[RawClient]:
    """A raw client that is hung up at the end."""
    client = await RawClient.connect(port, **options)  # type: ignore[arg-type]
    try:
        yield client
    finally:
        client.close()
