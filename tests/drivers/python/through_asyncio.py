"""I fit asyncio drivers to the scenario: each connection has an event loop of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from scenario import Result
from through_dbapi import TextStatement, result_of


class AsyncConnection:
    """A connection of aiomysql or asyncmy, whose cursors are alike."""

    def __init__(self, loop: asyncio.AbstractEventLoop, driver: Any) -> None:
        self.loop = loop
        self.driver = driver

    @property
    def id(self) -> int:
        return int(self.driver.thread_id())

    def run(self, sql: str, values: Sequence[Any] = ()) -> Result:
        return self.loop.run_until_complete(self._run(sql, values))[0]

    def run_all(self, sql: str) -> list[Result]:
        return self.loop.run_until_complete(self._run(sql, ()))

    async def _run(self, sql: str, values: Sequence[Any]) -> list[Result]:
        async with self.driver.cursor() as cursor:
            await cursor.execute(sql, tuple(values) or None)
            results = [result_of(_Fetched(cursor, await cursor.fetchall()))]
            while await cursor.nextset():
                results.append(result_of(_Fetched(cursor, await cursor.fetchall())))
            return results

    def prepare(self, sql: str) -> Any:
        return TextStatement(self, sql)

    def begin(self) -> None:
        self.loop.run_until_complete(self.driver.begin())

    def commit(self) -> None:
        self.loop.run_until_complete(self.driver.commit())

    def rollback(self) -> None:
        self.loop.run_until_complete(self.driver.rollback())

    def change_database(self, name: str) -> None:
        self.loop.run_until_complete(self.driver.select_db(name))

    def close(self) -> None:
        try:
            self.loop.run_until_complete(self.driver.ensure_closed())
        finally:
            self.loop.close()


class _Fetched:
    """A cursor whose rows have come."""

    def __init__(self, cursor: Any, rows: Any) -> None:
        self.description, self.rowcount, self.lastrowid = (
            cursor.description,
            cursor.rowcount,
            cursor.lastrowid,
        )
        self._rows = rows

    def fetchall(self) -> Any:
        return self._rows
