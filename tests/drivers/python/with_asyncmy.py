"""I run the scenario with asyncmy: its prepared statements use the binary protocol."""

from __future__ import annotations

import asyncio
import ssl

import asyncmy
from asyncmy.errors import MySQLError
from scenario import CA, DATABASE, HOST, PASSWORD, PORT, USER, Scenario
from through_asyncio import AsyncConnection


def connect(*, password: str = PASSWORD, tls: bool = False) -> AsyncConnection:
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

    return AsyncConnection(loop, loop.run_until_complete(opened()))


if __name__ == "__main__":
    # It drops values whose rows need more than one packet.
    Scenario(connect, (MySQLError,), longest=1 << 23).run()
