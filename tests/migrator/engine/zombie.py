"""I am a connection that reads the binary log and is never closed by its owner."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from migrator.engine.log import binlog
from migrator.engine.log.place import Position
from proxy.wire.commands import command
from proxy.wire.constants import Command
from router.servers.process import LocalServer


@contextlib.asynccontextmanager
async def abandoned_dump(server: LocalServer, start: Position, *, replica: int) -> AsyncIterator[int]:
    """Begin to read as a replica and let the connection lie; gives the server's thread."""
    link = await binlog._Link.open(server.server)
    try:
        await link.ask(*binlog._setup(server.server.flavor, None))
        place = start.offset.to_bytes(4, "little") + bytes(2) + replica.to_bytes(4, "little")
        link.send(command(Command.BINLOG_DUMP, place + start.file.encode()))
        await link.packets(10.0)
        yield link.thread_id
    finally:
        link.close()
