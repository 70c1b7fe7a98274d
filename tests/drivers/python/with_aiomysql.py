"""I run the scenario with aiomysql."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from typing import Any

import aiomysql
import pymysql
from pymysql.converters import encoders, escape_bytes
from scenario import CA, DATABASE, HOST, PASSWORD, PORT, USER, Result, Scenario
from through_asyncio import AsyncConnection


class Bytes(bytearray):
    """What aiomysql leaves to PyMySQL to write; for bytes it calls a function that PyMySQL no longer has."""


class Connection(AsyncConnection):
    """aiomysql's."""

    def run(self, sql: str, values: Sequence[Any] = ()) -> Result:
        return super().run(sql, [Bytes(value) if isinstance(value, bytes) else value for value in values])


def connect(*, password: str = PASSWORD, tls: bool = False) -> Connection:
    loop = asyncio.new_event_loop()
    connecting = aiomysql.connect(
        host=HOST,
        port=PORT,
        user=USER,
        password=password,
        db=DATABASE,
        charset="utf8mb4",
        autocommit=True,
        ssl=ssl.create_default_context(cafile=CA) if tls else None,
    )
    driver = loop.run_until_complete(connecting)
    assert driver._secure == tls, "it goes on without TLS where the server offers none"
    return Connection(loop, driver)


if __name__ == "__main__":
    encoders[Bytes] = lambda value, _: escape_bytes(bytes(value))
    Scenario(connect, (pymysql.MySQLError,)).run()
