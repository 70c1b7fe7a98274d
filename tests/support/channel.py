"""I am control's end of the channel, as tests drive it: send orders, wait for what workers report."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TypeVar

from proxy import channel

M = TypeVar("M", bound=channel.Message)


class Control:
    """Listens where workers connect; `routes` is sent to each as its first message."""

    def __init__(self, routes: channel.Routes) -> None:
        self.routes = routes
        self.received: list[channel.ToControl] = []
        self.wake: Callable[[channel.WakeRequest], channel.WakeAnswer] | None = None
        self._writers: list[asyncio.StreamWriter] = []
        self._changed = asyncio.Condition()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Talk with one worker until it goes."""
        decoder = channel.ControlSide()
        self._writers.append(writer)
        writer.write(channel.encode(self.routes))
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                async with self._changed:
                    for message in decoder.feed(data):
                        self.received.append(message)
                        if isinstance(message, channel.WakeRequest) and self.wake:
                            writer.write(channel.encode(self.wake(message)))
                    self._changed.notify_all()
        self._writers.remove(writer)
        writer.close()

    def send(self, message: channel.ToWorker) -> None:
        """Send an order to every worker."""
        for writer in self._writers:
            writer.write(channel.encode(message))

    def hang_up(self) -> None:
        """Close the connections to all workers; they will come again."""
        for writer in self._writers:
            writer.close()

    def all(self, kind: type[M]) -> list[M]:
        """Return what came of one kind so far."""
        return [message for message in self.received if isinstance(message, kind)]

    async def wait_for(
        self, kind: type[M], matches: Callable[[M], bool] = lambda _: True, timeout_s: float = 120.0
    ) -> M:
        """Wait for a message, which may have come already."""
        async with asyncio.timeout(timeout_s), self._changed:
            while True:
                for message in self.all(kind):
                    if matches(message):
                        return message
                await self._changed.wait()


@contextlib.asynccontextmanager
async def listening(path: Path, routes: channel.Routes) -> AsyncIterator[Control]:
    """Be control on a Unix socket for a while."""
    control = Control(routes)
    server = await asyncio.start_unix_server(control.serve, str(path))
    try:
        yield control
    finally:
        server.close()
        control.hang_up()
        path.unlink(missing_ok=True)
