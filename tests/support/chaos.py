"""I am a network that misbehaves on command: a relay that stalls, cuts, resets, splits, counts and lies."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator, Callable
from enum import StrEnum
from pathlib import Path

from router.model import Address

CHUNK_BYTES = 65536


class Way(StrEnum):
    """Which direction bytes go."""

    TO_SERVER = "to server"
    TO_CLIENT = "to client"


class Link:
    """One connection through the chaos: the side of the client, and the side of the server."""

    def __init__(
        self,
        chaos: Chaos,
        client: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        server: tuple[asyncio.StreamReader, asyncio.StreamWriter],
    ) -> None:
        self._chaos = chaos
        self._readers = {Way.TO_SERVER: client[0], Way.TO_CLIENT: server[0]}
        self._writers = {Way.TO_SERVER: server[1], Way.TO_CLIENT: client[1]}

    def inject(self, way: Way, data: bytes) -> None:
        """Send bytes that the other side never sent."""
        self._writers[way].write(data)

    def cut(self) -> None:
        """Close both sides in order."""
        for writer in self._writers.values():
            writer.close()

    def reset(self) -> None:
        """Let both sides see a reset (of a Unix socket: a close)."""
        for writer in self._writers.values():
            sock: socket.socket = writer.get_extra_info("socket")
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    async def carry(self) -> None:
        """Pass bytes on until both sides have ended."""
        async with asyncio.TaskGroup() as tasks:
            for way in Way:
                tasks.create_task(self._carry(way))

    async def _carry(self, way: Way) -> None:
        chaos, reader, writer = self._chaos, self._readers[way], self._writers[way]
        try:
            while data := await reader.read(CHUNK_BYTES):
                chaos.passed[way] += len(data)
                await chaos.may_pass(way).wait()
                data = chaos.edits[way](data)
                size = chaos.piece_bytes or len(data) or 1
                for at in range(0, len(data), size):
                    writer.write(data[at : at + size])
                    await writer.drain()
                    if chaos.piece_bytes:
                        # The next piece is a segment of its own.
                        await asyncio.sleep(0)
            await chaos.may_pass(way).wait()
            if writer.can_write_eof() and not writer.is_closing():
                writer.write_eof()
        except (OSError, asyncio.CancelledError):
            self.cut()


class Chaos:
    """A relay in front of one server; what it is told holds for its connections of now and later."""

    def __init__(self, server: Address) -> None:
        self._server = server
        self.address = Address()
        self.links: list[Link] = []
        self.passed: Counter[Way] = Counter()
        self.edits: dict[Way, Callable[[bytes], bytes]] = dict.fromkeys(Way, lambda data: data)
        self.piece_bytes = 0
        self.refuses = False
        self._may_pass = {way: asyncio.Event() for way in Way}
        self.resume()

    def may_pass(self, way: Way) -> asyncio.Event:
        """Set while bytes may go this way."""
        return self._may_pass[way]

    def stall(self, *ways: Way) -> None:
        """Let nothing pass, in both directions unless named; connections stay open."""
        for way in ways or Way:
            self._may_pass[way].clear()

    def resume(self) -> None:
        """Let everything pass again."""
        for event in self._may_pass.values():
            event.set()

    def split(self, piece_bytes: int) -> None:
        """Pass bytes on in pieces of this size; 0: as they come."""
        self.piece_bytes = piece_bytes

    def edit(self, way: Way, change: Callable[[bytes], bytes]) -> None:
        """Change what goes this way."""
        self.edits[way] = change

    def inject(self, way: Way, data: bytes) -> None:
        """Send bytes of our own on every connection."""
        for link in self.links:
            link.inject(way, data)

    def cut(self) -> None:
        """Close every connection."""
        for link in self.links:
            link.cut()

    def reset(self) -> None:
        """Reset every connection."""
        for link in self.links:
            link.reset()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection."""
        if self.refuses:
            writer.transport.abort()
            return
        try:
            if self._server.socket:
                there = await asyncio.open_unix_connection(self._server.socket)
            else:
                there = await asyncio.open_connection(self._server.host, self._server.port)
        except OSError:
            writer.close()
            return
        link = Link(self, (reader, writer), there)
        self.links.append(link)
        try:
            await link.carry()
        finally:
            self.links.remove(link)
            link.cut()


@contextlib.asynccontextmanager
async def chaos(server: Address, folder: Path) -> AsyncIterator[Chaos]:
    """Listen in front of a server, on the same kind of socket as it does."""
    between = Chaos(server)
    tasks: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(between.serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    if server.socket:
        path = str(folder / "chaos.sock")
        listener = await asyncio.start_unix_server(connected, path)
        between.address = Address(socket=path)
    else:
        listener = await asyncio.start_server(connected, "127.0.0.1", 0)
        between.address = Address(port=listener.sockets[0].getsockname()[1])
    try:
        yield between
    finally:
        listener.close()
        between.resume()
        between.reset()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
