"""I compare the tables of a change again and again while it waits to be cut over."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from migrator.engine.rows.background import Background
from migrator.errors import MigratorError
from router.errors import DatabaseError

log = structlog.get_logger()


class Again:
    """Runs `compare` once in every so many seconds, 0 for never; tells `differs` what it found, and ends."""

    def __init__(
        self,
        every_s: float,
        compare: Callable[[], Awaitable[None]],
        differs: Callable[[MigratorError], Awaitable[None]],
    ) -> None:
        self._every_s, self._compare, self._differs = every_s, compare, differs
        self._background: Background | None = None

    def start(self) -> None:
        """Begin, unless begun."""
        if self._background is None and self._every_s > 0:
            self._background = Background()
            self._background.start("verify again", self._always())

    async def stop(self) -> None:
        """End; nothing is compared any more when this returns."""
        if self._background is not None:
            background, self._background = self._background, None
            await background.stop()

    async def _always(self) -> None:
        while True:
            await asyncio.sleep(self._every_s)
            try:
                await self._compare()
                log.info("verification.repeated")
            except MigratorError as error:
                await self._differs(error)
                return
            except DatabaseError as error:
                log.info("verification.interrupted", reason=str(error))
