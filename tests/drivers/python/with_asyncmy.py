"""I run the scenario with asyncmy: its prepared statements use the binary protocol."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any

import asyncmy
from asyncmy.errors import MySQLError
from scenario import CA, DATABASE, HOST, PASSWORD, PORT, USER, Result, Scenario
from through_asyncio import AsyncConnection


class Statement:
    """asyncmy's, which remembers the columns of its first result."""

    def __init__(self, loop: asyncio.AbstractEventLoop, prepared: Any) -> None:
        self._loop = loop
        self._prepared = prepared

    def run(self, *values: Any) -> Result:
        result = self._loop.run_until_complete(self._prepared.execute(values))
        if result.description is None:
            return Result(affected=result.affected_rows, insert_id=result.insert_id)
        return Result(columns=list(result.description), rows=list(result.rows))


class Connection(AsyncConnection):
    """asyncmy's."""

    def prepare(self, sql: str) -> Statement:
        return Statement(self.loop, self.loop.run_until_complete(self.driver.prepare(sql)))


def connect(*, password: str = PASSWORD, tls: bool = False) -> Connection:
    loop = asyncio.new_event_loop()
    connecting = asyncmy.connect(
        host=HOST,
        port=PORT,
        user=USER,
        password=password,
        db=DATABASE,
        charset="utf8mb4",
        autocommit=True,
        ssl=ssl.create_default_context(cafile=CA) if tls else None,
    )

    async def opened() -> asyncmy.Connection:
        return await connecting

    return Connection(loop, loop.run_until_complete(opened()))


if __name__ == "__main__":
    # It drops values whose rows need more than one packet.
    Scenario(connect, (MySQLError,), longest=1 << 23).run()
