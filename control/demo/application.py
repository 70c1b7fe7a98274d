"""I am one session of an application or a developer: an ordinary driver's connection to the proxy."""

from __future__ import annotations

from typing import Any

import aiomysql


class Application:
    """A logged-in session through the proxy."""

    def __init__(self, raw: aiomysql.Connection) -> None:
        self._raw = raw

    @property
    def local_port(self) -> int:
        """Our end's TCP port, by which the connection can be told from others."""
        return int(self._raw._writer.get_extra_info("sockname")[1])

    async def run(self, sql: str) -> None:
        """Run a statement."""
        async with self._raw.cursor() as cursor:
            await cursor.execute(sql)

    async def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Run a statement and return its rows."""
        async with self._raw.cursor() as cursor:
            await cursor.execute(sql)
            return list(await cursor.fetchall())

    async def error_of(self, sql: str) -> tuple[int, str]:
        """Run a statement that is to be refused and return the error; (0, '') when it was not."""
        try:
            await self.run(sql)
        except aiomysql.Error as error:
            return int(error.args[0]), str(error.args[1])
        return 0, ""

    async def answers(self) -> bool:
        """Whether the session is still alive."""
        try:
            return await self.rows("SELECT 1") == [(1,)]
        except (aiomysql.Error, OSError, EOFError, RuntimeError, AttributeError):
            return False

    def abort(self) -> None:
        """Drop the connection."""
        self._raw.close()

    async def __aenter__(self) -> Application:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._raw.ensure_closed()


async def login(host: str, port: int, user: str, password: str) -> Application:
    """Log in to the proxy."""
    return Application(
        await aiomysql.connect(
            host=host, port=port, user=user, password=password, db="shop", autocommit=True, charset="utf8mb4"
        )
    )
