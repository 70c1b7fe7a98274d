"""I measure how fast a real server's log is read: the keys of one table, and what is none of its business.

A server writes sysbench's kind of rows, one in each transaction, as applications do; what it sends to a
replica is kept and fed to the reader again and again, without a socket. `keys_per_s` counts changed rows with
all that comes with them, `skip_per_s` events when the table is another one.
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from migrator.engine.log.binlog import BinlogStream
from migrator.engine.log.events import EventReader, Position
from migrator.engine.rows.beginning import log_place
from migrator.engine.table.keys import key_column
from router.database import Connection
from router.model import Flavor
from tests.support.servers import running_server, session_folder

ROWS: Final = 4000
ROUNDS: Final = 7
REPEATS: Final = 5
SETUP: Final = (
    "CREATE DATABASE bench_stream",
    "USE bench_stream",
    "CREATE TABLE t (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, k INT NOT NULL, c CHAR(120) NOT NULL, "
    "pad CHAR(60) NOT NULL, KEY k (k)) ENGINE=InnoDB",
    "CREATE PROCEDURE fill(IN n INT) BEGIN WHILE n > 0 DO "
    "INSERT INTO t (k, c, pad) VALUES (n, REPEAT('x', 119), REPEAT('y', 59)); "
    "UPDATE t SET k = k + 1, c = REPEAT('z', 119) WHERE id = LAST_INSERT_ID(); "
    "IF n % 4 = 0 THEN DELETE FROM t WHERE id = LAST_INSERT_ID(); END IF; "
    "SET n = n - 1; END WHILE; END",
)


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a server sent from a position on, and how many rows that changed."""

    start: Position
    events: list[bytes]
    rows: int


class _Recorder(EventReader):
    def __init__(self, start: Position) -> None:
        super().__init__(start, "", "", (), (), ours="")
        self.events: list[bytes] = []

    def feed(self, event: bytes) -> None:
        self.events.append(event)
        super().feed(event)


async def record(folder: Path) -> Recorded:
    """Let a server write, and keep what it sends."""
    async with running_server(Flavor.MYSQL, folder / "stream") as local:
        async with await Connection.open(local.server) as connection:
            for statement in SETUP:
                await connection.execute(statement)
            start = (await log_place(connection)).position
            await connection.execute(f"CALL fill({ROWS})")
            end = (await log_place(connection)).position
        recorder, done, always = _Recorder(start), asyncio.Event(), asyncio.Event()
        always.set()

        def progress() -> None:
            if recorder.received >= end:
                done.set()

        stream = BinlogStream(local.server, recorder, progress, always, always, replica=0xC0000001)
        reading = asyncio.ensure_future(stream.run())
        try:
            async with asyncio.timeout(60):
                await done.wait()
        finally:
            reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await reading
    return Recorded(start, recorder.events, ROWS * 2 + ROWS // 4)


def measure() -> dict[str, float]:
    """Record and measure; it runs an event loop of its own, so call it in a thread where one runs already."""
    with session_folder() as folder:
        recorded = asyncio.run(record(folder))
    keys, skip = [], []
    for _ in range(ROUNDS):
        keys.append(recorded.rows / _feed(recorded, "t", recorded.rows))
        skip.append(len(recorded.events) / _feed(recorded, "another", 0))
    return {"keys_per_s": round(statistics.median(keys)), "skip_per_s": round(statistics.median(skip))}


def _feed(recorded: Recorded, table: str, rows: int) -> float:
    """Return how much of a processor's time it takes to read everything once."""
    column = key_column("id", "int", "int")
    assert column is not None
    readers = [
        EventReader(recorded.start, "bench_stream", table, [column], [0], ours="headgate:bench")
        for _ in range(REPEATS)
    ]
    started = time.process_time()
    for reader in readers:
        for event in recorded.events:
            reader.feed(event)
    spent_s = time.process_time() - started
    assert [len(reader.changes) for reader in readers] == [rows] * REPEATS
    return spent_s / REPEATS


if __name__ == "__main__":
    print(measure())
