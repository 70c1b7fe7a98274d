"""I ask a server who is connected and what runs, whatever letters are in the statements of its clients.

MySQL cannot read information_schema's PROCESSLIST or INNODB_TRX, of whatever columns, while a statement that
is being executed has a letter of four bytes in it: error 3854. SHOW PROCESSLIST can; for transactions there
is nothing else, and such a statement is mostly over in a moment.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final, NamedTuple

from router.database import Connection
from router.errors import DatabaseError

NO_SUCH_LETTER: Final = 3854
# MySQL answers from what it has read before, its errors too, as long as it is asked again within 0.1 s.
PAUSE_S: Final = 0.15
PATIENCE_S: Final = 1.0


class Process(NamedTuple):
    """One connection; `info` is the statement it executes, its beginning only unless all was asked for."""

    id: int
    user: str
    host: str
    schema: str
    command: str
    age_s: int
    state: str
    info: str


async def processes(connection: Connection, *, full: bool = False) -> list[Process]:
    """Return all connections, this one too; `full` for whole statements."""
    rows = await connection.fetch_all("SHOW FULL PROCESSLIST" if full else "SHOW PROCESSLIST")
    return [
        Process(
            *(int(row[0]), str(row[1] or ""), str(row[2] or ""), str(row[3] or ""), str(row[4] or "")),
            *(int(row[5] or 0), str(row[6] or ""), str(row[7] or "")),
        )
        for row in rows
    ]


async def ask_transactions(connection: Connection, sql: str, *args: object) -> list[tuple[Any, ...]]:
    """Read something of INNODB_TRX; raises DatabaseError when a statement is in the way for too long."""
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            return await connection.fetch_all(sql, *args)
        except DatabaseError as error:
            if error.errno != NO_SUCH_LETTER or time.monotonic() > until:
                raise
            await asyncio.sleep(PAUSE_S)
