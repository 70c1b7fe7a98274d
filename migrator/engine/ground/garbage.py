"""I keep tables that nobody needs any more for a while, then drop them, one at a time and under nobody.

A table gets here when its operation is over, in the transaction that says so. Until its time has come it can
be had back by RENAME: I drop no name but those recorded here, and no table but the one that was recorded.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog

from migrator.engine.ground.blockers import find_holders
from migrator.engine.ground.journal import read_server_identity
from migrator.engine.table import statements
from migrator.engine.table.identity import identity_of
from migrator.engine.table.statements import STATE
from migrator.throttle.throttler import Throttle
from router.database import Connection, quote_name
from router.errors import ConnectionLost, DatabaseError
from router.model import Flavor, Server

log = structlog.get_logger()

LOOK_S = 5.0
# Our own names only, whatever the record says.
NAME = re.compile(r".*__hg\d+_(new|old)\Z", re.DOTALL)
# Dropping a table of more than this many bytes makes everybody wait where pages are looked for one by one:
# such a table is emptied first, in pieces of so many rows.
LARGE_BYTES = 1 << 30
PIECE_ROWS = 2000
LISTED = (
    "SELECT table_schema, table_name, id, original, since, drop_after, identity, "
    f"drop_after <= UTC_TIMESTAMP() FROM {STATE}.garbage ORDER BY drop_after"
)
FROM_ELSEWHERE = f"SELECT table_schema, table_name FROM {STATE}.garbage WHERE server NOT IN ('', %s)"
# Whoever wants a table back gets the whole time once more.
ADOPTED = (
    f"UPDATE {STATE}.garbage SET identity = %s, server = %s, "
    "drop_after = UTC_TIMESTAMP() + INTERVAL TIMESTAMPDIFF(SECOND, since, drop_after) SECOND, "
    "since = CURRENT_TIMESTAMP WHERE table_schema = %s AND table_name = %s"
)
REFERENCED = (
    "SELECT TABLE_NAME FROM information_schema.KEY_COLUMN_USAGE "
    "WHERE REFERENCED_TABLE_SCHEMA = %s AND REFERENCED_TABLE_NAME = %s LIMIT 1"
)
TRIGGERS = (
    "SELECT TRIGGER_NAME FROM information_schema.TRIGGERS "
    "WHERE EVENT_OBJECT_SCHEMA = %s AND EVENT_OBJECT_TABLE = %s"
)
NEEDED = (
    f"SELECT 1 FROM {STATE}.operation "
    "WHERE table_schema = %s AND (shadow = %s OR old = %s) AND id <> %s LIMIT 1"
)
SIZE = (
    "SELECT DATA_LENGTH + INDEX_LENGTH FROM information_schema.TABLES "
    "WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s"
)


@dataclass(frozen=True, slots=True)
class Garbage:
    """A table that waits to be dropped; `original` is whose it was, and `due` that its time has come."""

    schema: str
    table: str
    operation: str
    original: str
    since: datetime
    drop_after: datetime
    identity: str
    due: bool

    @property
    def quoted(self) -> str:
        """The qualified name for SQL text."""
        return f"{quote_name(self.schema)}.{quote_name(self.table)}"


async def discard(
    connection: Connection, operation: str, schema: str, original: str, tables: Sequence[str], hold_s: float
) -> None:
    """Record tables as garbage, inside the caller's transaction."""
    server = await read_server_identity(connection)
    for table in tables:
        identity = await identity_of(connection, schema, table)
        await connection.execute(
            f"INSERT INTO {STATE}.garbage "
            "(table_schema, table_name, id, original, identity, server, drop_after) "
            "VALUES (%s, %s, %s, %s, %s, %s, UTC_TIMESTAMP() + INTERVAL %s SECOND) "
            "ON DUPLICATE KEY UPDATE id = VALUES(id), original = VALUES(original), "
            "identity = VALUES(identity), server = VALUES(server), since = CURRENT_TIMESTAMP, "
            "drop_after = VALUES(drop_after)",
            *(schema, table, operation, original, identity, server, int(hold_s)),
        )


async def waiting(connection: Connection) -> list[Garbage]:
    """List what waits to be dropped, the next first."""
    return [_garbage(row) for row in await connection.fetch_all(LISTED)]


def _garbage(row: tuple[Any, ...]) -> Garbage:
    schema, table, operation, original, since, drop_after, identity, due = row
    return Garbage(schema, table, operation, original, since, drop_after, identity, bool(due))


class Collector:
    """Drops what is due, on one server."""

    def __init__(self, server: Server, throttle: Throttle) -> None:
        self._server, self._throttle = server, throttle

    async def run(self) -> None:
        """Look again and again until cancelled."""
        while True:
            try:
                await self.collect()
            except DatabaseError as error:
                log.info("garbage.delayed", reason=str(error))
            await asyncio.sleep(LOOK_S)

    async def collect(self, operation: str | None = None) -> int:
        """Drop what is due, of one operation or of all; returns how many tables are gone."""
        setup = [*statements.session(self._server.flavor), "SET SESSION lock_wait_timeout = 1"]
        gone = 0
        # A table that a foreign key refers to is not dropped.
        async with await Connection.open(
            self._server, setup=[*setup, "SET SESSION foreign_key_checks = 1"]
        ) as link:
            await self._adopt(link)
            for each in await waiting(link):
                if each.due and operation in (None, each.operation):
                    gone += await self._drop(link, each)
        return gone

    async def _adopt(self, link: Connection) -> None:
        """After a fail-over, take the numbers that the tables have on this server.

        Who has replayed the former's RENAME has the same table by that name.
        """
        server = await read_server_identity(link)
        for schema, table in await link.fetch_all(FROM_ELSEWHERE, server):
            if await link.fetch_value(SIZE, schema, table) is not None:
                identity = await identity_of(link, schema, table)
                await link.execute(ADOPTED, identity, server, schema, table)
                log.info("garbage.adopted", table=table, server=server)

    async def _drop(self, link: Connection, garbage: Garbage) -> bool:
        """Drop a table unless somebody uses it; forget a name that is not the recorded table's any more."""
        there = await link.fetch_value(SIZE, garbage.schema, garbage.table)
        if not NAME.match(garbage.table) or there is None or not await self._is_same(link, garbage):
            await self._forget(link, garbage)
            return False
        if holders := await find_holders(link, [(garbage.schema, garbage.table)]):
            log.info("garbage.in_use", table=garbage.table, holder=str(holders[0]))
            return False
        try:
            if child := await link.fetch_value(REFERENCED, garbage.schema, garbage.table):
                # DELETE would cascade to its rows.
                log.info("garbage.delayed", table=garbage.table, reason=f"{child} refers to it")
                return False
            if int(there) > LARGE_BYTES and await self._stalls(link):
                for (name,) in await link.fetch_all(TRIGGERS, garbage.schema, garbage.table):
                    trigger = f"{quote_name(garbage.schema)}.{quote_name(name)}"
                    await link.execute(f"DROP TRIGGER {trigger} /* {statements.tag(garbage.operation)} */")
                await self._empty(link, garbage)
            await link.execute(f"DROP TABLE {garbage.quoted} /* {statements.tag(garbage.operation)} */")
        except ConnectionLost:
            raise
        except DatabaseError as error:
            log.info("garbage.delayed", table=garbage.table, reason=str(error))
            return False
        await self._forget(link, garbage)
        log.info("garbage.dropped", table=garbage.table, operation=garbage.operation)
        return True

    async def _is_same(self, link: Connection, garbage: Garbage) -> bool:
        if await link.fetch_value(NEEDED, garbage.schema, garbage.table, garbage.table, garbage.operation):
            return False
        found = await identity_of(link, garbage.schema, garbage.table)
        return not garbage.identity or found == garbage.identity

    async def _stalls(self, link: Connection) -> bool:
        if self._server.flavor is Flavor.MARIADB:
            return True
        return bool(await link.fetch_value("SELECT @@innodb_adaptive_hash_index"))

    async def _empty(self, link: Connection, garbage: Garbage) -> None:
        """Delete all rows, a few at a time and as the throttle permits."""
        while True:
            await self._throttle.permit()
            deleted = await link.execute(
                f"DELETE FROM {garbage.quoted} LIMIT {PIECE_ROWS} /* {statements.tag(garbage.operation)} */"
            )
            if not deleted:
                return

    async def _forget(self, link: Connection, garbage: Garbage) -> None:
        await link.execute(
            f"DELETE FROM {STATE}.garbage WHERE table_schema = %s AND table_name = %s AND id = %s",
            *(garbage.schema, garbage.table, garbage.operation),
        )
