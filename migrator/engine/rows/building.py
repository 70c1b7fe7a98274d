"""I make the indexes that were left out while rows were copied, beside those who write to the table."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from migrator.engine.ground.failpoints import reach
from migrator.engine.ground.session import REPEATABLE, end_thread
from migrator.engine.table import deferred, statements
from router.database import Connection
from router.errors import ConnectionLost, DatabaseError
from router.model import Server

log = structlog.get_logger()

# Changes during the statement outgrew innodb_online_alter_log_max_size; another process has just made it.
OUTGROWN, THERE_ALREADY = 1799, 1061
ATTEMPTS: Final = 20
PAUSE_S: Final = 0.5


async def build_indexes(server: Server, operation: str, schema: str, table: str, create: str) -> None:
    """Make what the table lacks of its definition's ordinary indexes; returns at once when it lacks none.

    Nothing is recorded: what is missing is asked from the server each time. A statement that a process left
    behind ends by itself, and its index is then there. When cancelled, the statement is ended.
    """
    for attempt in range(ATTEMPTS):
        async with await Connection.open(server, setup=statements.session(server.flavor)) as link:
            indexes = await deferred.missing(link, schema, table, create)
            if not indexes:
                return
            reach("before-indexes")
            try:
                await link.execute(deferred.build(operation, schema, table, indexes))
            except ConnectionLost:
                raise
            except DatabaseError as error:
                passing = error.errno in REPEATABLE or error.errno in (OUTGROWN, THERE_ALREADY)
                if not passing or attempt == ATTEMPTS - 1:
                    raise
                log.info("indexes.again", operation=operation, reason=str(error))
                await asyncio.sleep(PAUSE_S)
            except asyncio.CancelledError:
                # The server would go on with it, and keep the table from being dropped.
                async with await Connection.open(server) as second:
                    await end_thread(second, link.thread_id)
                raise
