"""I read from a server how often its tables and indexes were used, where it counts that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from migrator.schema.recommend.watch import Observation
from router.database import Connection
from router.model import Flavor, Server

INSTRUMENT = (
    "SELECT @@performance_schema = 1 AND EXISTS (SELECT 1 FROM performance_schema.setup_instruments "
    "WHERE NAME = 'wait/io/table/sql/handler' AND ENABLED = 'YES')"
)
BY_INDEX = (
    "SELECT OBJECT_NAME, COALESCE(INDEX_NAME, ''), COUNT_READ, COUNT_STAR "
    "FROM performance_schema.table_io_waits_summary_by_index_usage WHERE OBJECT_SCHEMA = %s"
)
TABLE_STATISTICS = (
    "SELECT TABLE_NAME, ROWS_READ + ROWS_CHANGED FROM information_schema.TABLE_STATISTICS "
    "WHERE TABLE_SCHEMA = %s"
)
INDEX_STATISTICS = (
    "SELECT TABLE_NAME, INDEX_NAME, ROWS_READ FROM information_schema.INDEX_STATISTICS "
    "WHERE TABLE_SCHEMA = %s"
)
INDEXES = "SELECT DISTINCT TABLE_NAME, INDEX_NAME FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = %s"


@dataclass(frozen=True, slots=True)
class Counted:
    """What one server has counted: reads by table and index, any use by table, and who counted."""

    reads: Mapping[tuple[str, str], int]
    uses: Mapping[str, int]
    since: datetime
    source: str


async def read_counters(server: Server, schema: str, now: datetime) -> Counted | None:
    """Return what a server has counted since it was started, None when it does not count.

    Raises DatabaseError when it cannot be asked.
    """
    async with await Connection.open(server, timeout_s=5) as link:
        status = await link.fetch_one("SHOW GLOBAL STATUS LIKE 'Uptime'")
        since = now - timedelta(seconds=int(status[1]) if status else 0)
        if await link.fetch_value(INSTRUMENT):
            return await _performance_schema(link, schema, since)
        if server.flavor is Flavor.MARIADB and await link.fetch_value("SELECT @@userstat"):
            return await _userstat(link, schema, since)
    return None


async def _performance_schema(link: Connection, schema: str, since: datetime) -> Counted:
    reads: dict[tuple[str, str], int] = {}
    uses: dict[str, int] = {}
    for table, index, read, every in await link.fetch_all(BY_INDEX, schema):
        uses[str(table)] = uses.get(str(table), 0) + int(every)
        if index:
            reads[str(table), str(index).lower()] = int(read)
    return Counted(reads, uses, since, "counted by the performance schema")


async def _userstat(link: Connection, schema: str, since: datetime) -> Counted:
    """MariaDB's own statistics list only what was used; the rest was not."""
    listed = await link.fetch_all(INDEXES, schema)
    reads = {(str(table), str(index).lower()): 0 for table, index in listed}
    uses = {str(table): 0 for table, _ in listed}
    for table, index, read in await link.fetch_all(INDEX_STATISTICS, schema):
        reads[str(table), str(index).lower()] = int(read)
    for table, rows in await link.fetch_all(TABLE_STATISTICS, schema):
        uses[str(table)] = int(rows)
    return Counted(reads, uses, since, "counted by userstat")


def observations(counted: Counted, server: str, now: datetime) -> list[Observation]:
    """Return what was counted as observations made now."""
    seen = [
        Observation(server, table, index, counted.since, now, count)
        for (table, index), count in counted.reads.items()
    ]
    return seen + [
        Observation(server, table, "", counted.since, now, count) for table, count in counted.uses.items()
    ]
