"""I stand between a client and a server on TCP, and cut the connection at a chosen statement."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

CHUNK_BYTES = 65536


class Cutter:
    """Passes bytes on; `cut` says which bytes of a client end its connection the next time they come.

    With `after` the server still gets them, and only its answer is lost.
    """

    def __init__(self, server_port: int) -> None:
        self.port = 0
        self.cuts = 0
        self._server_port = server_port
        self._pattern: bytes | None = None
        self._after = False

    def cut(self, pattern: bytes, *, after: bool) -> None:
        """Cut the next connection on which these bytes come from the client."""
        self._pattern, self._after = pattern, after

    def move(self, server_port: int) -> None:
        """Let new connections go to another server."""
        self._server_port = server_port

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection."""
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._server_port)
        except OSError:
            writer.close()
            return
        doomed = asyncio.Event()

        async def up() -> None:
            while data := await reader.read(CHUNK_BYTES):
                if self._pattern is not None and self._pattern in data:
                    self._pattern = None
                    self.cuts += 1
                    doomed.set()
                    if not self._after:
                        return
                back.write(data)

        async def down() -> None:
            while data := await there.read(CHUNK_BYTES):
                if doomed.is_set():
                    return
                writer.write(data)

        tasks = [asyncio.ensure_future(up()), asyncio.ensure_future(down())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for each in (writer, back):
                with contextlib.suppress(OSError):
                    each.close()


@contextlib.asynccontextmanager
async def cutter(server_port: int) -> AsyncIterator[Cutter]:
    """Listen in front of a server."""
    between = Cutter(server_port)
    listener = await asyncio.start_server(between.serve, "127.0.0.1", 0)
    between.port = listener.sockets[0].getsockname()[1]
    try:
        yield between
    finally:
        listener.close()
