"""I read a server's binary log in tests, from a place up to where it ends now."""

from __future__ import annotations

import asyncio
import contextlib

from migrator.engine.log.binlog import BinlogStream
from migrator.engine.log.events import EventReader, Position, Watched
from migrator.engine.log.gtid import Gtids
from migrator.engine.rows.beginning import Place, log_place
from migrator.engine.table.keys import KeyColumn
from migrator.engine.table.shape import read_shape
from router.database import Connection
from router.servers.process import LocalServer


async def new_reader(
    connection: Connection, schema: str, *keys: str, table: str = "t", start: Position | None = None
) -> EventReader:
    """Make a reader of a table that begins where the log ends now."""
    shape = await read_shape(connection, schema, table)
    assert shape is not None
    columns = [shape.column(name) for name in keys]
    key: list[KeyColumn] = [each.key_column for each in columns if each and each.key_column]
    watched = Watched(schema, table, key, [each.ordinal for each in columns if each])
    begin = (await log_place(connection)).position if start is None else start
    return EventReader(begin, schema, table, watched.key, watched.positions, ours="headgate:nobody")


async def read_to_end(
    server: LocalServer, reader: EventReader, *, gtids: Gtids | None = None, replica: int = 0xC0000001
) -> Place:
    """Feed a reader with everything up to where the log ends now, which is returned."""
    async with await Connection.open(server.server) as connection:
        end = await log_place(connection)
    done, always = asyncio.Event(), asyncio.Event()
    always.set()

    def progress() -> None:
        if reader.received >= end.position:
            done.set()

    stream = BinlogStream(server.server, reader, progress, always, always, replica=replica, gtids=gtids)
    reading = asyncio.ensure_future(stream.run())
    waiting = asyncio.ensure_future(done.wait())
    try:
        async with asyncio.timeout(120):
            await asyncio.wait({reading, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if reading.done():
            await reading
    finally:
        for task in (reading, waiting):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task
    return end
