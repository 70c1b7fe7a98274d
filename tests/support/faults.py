"""I am a network between the engine and its server that delays, resets, swallows and cuts at a statement."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import socket
import struct
from collections.abc import AsyncIterator, Callable

from router.model import Address, Server
from router.servers.process import LocalServer

CHUNK_BYTES = 65536


@dataclasses.dataclass
class Trap:
    """What happens to the connection on which these bytes come from the client.

    `answered`: the server still gets them, and only its answer is lost; else it never gets them.
    """

    pattern: bytes
    answered: bool
    then: Callable[[], None] | None = None


class Faults:
    """A relay on TCP; what it is told holds for its connections of now and later."""

    def __init__(self, server_port: int) -> None:
        self.port = 0
        self.delay_s = 0.0
        self.cuts = 0
        self.connections = 0
        self.refuses = False
        self._server_port = server_port
        self._trap: Trap | None = None
        self._may_pass = asyncio.Event()
        self._may_pass.set()
        self._writers: set[asyncio.StreamWriter] = set()

    def cut_at(self, pattern: bytes, *, answered: bool, then: Callable[[], None] | None = None) -> None:
        """End the next connection on which these bytes come, and do something at that moment."""
        self._trap = Trap(pattern, answered, then)

    def swallow(self) -> None:
        """Let nothing through in either direction, without a word, like a firewall that drops."""
        self._may_pass.clear()

    @property
    def swallows(self) -> bool:
        """Whether nothing passes now."""
        return not self._may_pass.is_set()

    def heal(self) -> None:
        """Let everything pass again, and at once; what was swallowed meanwhile arrives late."""
        self.delay_s = 0.0
        self.refuses = False
        self._may_pass.set()

    def reset(self) -> None:
        """Reset every connection."""
        for writer in list(self._writers):
            _reset(writer)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection."""
        if self.refuses:
            _reset(writer)
            return
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._server_port)
        except OSError:
            writer.close()
            return
        self.connections += 1
        self._writers |= {writer, back}
        trapped = asyncio.Event()
        tasks = [
            asyncio.ensure_future(self._up(reader, back, trapped)),
            asyncio.ensure_future(self._down(there, writer, trapped)),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._writers -= {writer, back}
            for each in (writer, back):
                each.close()

    async def _up(
        self, reader: asyncio.StreamReader, back: asyncio.StreamWriter, trapped: asyncio.Event
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK_BYTES):
                await self._weather()
                trap = self._trap
                if trap is not None and trap.pattern in data:
                    self._trap = None
                    self.cuts += 1
                    trapped.set()
                    if not trap.answered:
                        if trap.then is not None:
                            trap.then()
                        return
                    back.write(data)
                    if trap.then is not None:
                        trap.then()
                    continue
                back.write(data)
                await back.drain()

    async def _down(
        self, there: asyncio.StreamReader, writer: asyncio.StreamWriter, trapped: asyncio.Event
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await there.read(CHUNK_BYTES):
                if trapped.is_set():
                    return
                await self._weather()
                writer.write(data)
                await writer.drain()

    async def _weather(self) -> None:
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        await self._may_pass.wait()


def _reset(writer: asyncio.StreamWriter) -> None:
    sock: socket.socket = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@contextlib.asynccontextmanager
async def faults(local: LocalServer) -> AsyncIterator[tuple[Faults, Server]]:
    """Stand in front of a server; yields the relay and the server as seen through it."""
    between = Faults(local.server.address.port)
    tasks: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(between.serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    listener = await asyncio.start_server(connected, "127.0.0.1", 0)
    between.port = listener.sockets[0].getsockname()[1]
    try:
        yield between, dataclasses.replace(local.server, address=Address("127.0.0.1", between.port))
    finally:
        listener.close()
        between.heal()
        between.reset()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
