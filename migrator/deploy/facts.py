"""I read on production what lint rules may know besides its definitions."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

import structlog

from migrator.deploy.sizes import FRESH, read_status
from migrator.schema.lint.facts import Facts, TableFacts
from router.clock import now
from router.database import Connection, Row, quote_name
from router.errors import ConnectionLost, DatabaseError
from router.model import Flavor, Server

log = structlog.get_logger()

INDEX_READS = (
    "SELECT OBJECT_NAME, INDEX_NAME, COUNT_FETCH "
    "FROM performance_schema.table_io_waits_summary_by_index_usage "
    "WHERE OBJECT_SCHEMA = %s AND INDEX_NAME IS NOT NULL"
)
ROW_VERSIONS = (
    "SELECT SUBSTRING_INDEX(NAME, '/', -1), TOTAL_ROW_VERSIONS FROM information_schema.INNODB_TABLES "
    "WHERE TOTAL_ROW_VERSIONS > 0 AND NAME LIKE %s"
)
VARIABLES = (
    "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('innodb_adaptive_hash_index', "
    "'innodb_buffer_pool_size', 'innodb_native_foreign_keys', 'lower_case_table_names', "
    "'restrict_fk_on_non_standard_key', 'sql_mode', 'version')"
)
ACCOUNTS = "SELECT User, Host FROM mysql.user"
_VIEW_BROKEN = frozenset({1054, 1146, 1305, 1356, 1449, 1052, 1060})
_PLAIN = re.compile(r"[\w$]+", re.ASCII)


async def read_facts(server: Server, schema: str, tables: Collection[str] | None = None) -> Facts:
    """Read what is known of these tables, of all when None; what the account may not see stays unknown."""
    async with await Connection.open(server, setup=FRESH[server.flavor]) as link:
        wanted = None if tables is None else sorted(tables)
        found = await _tables(link, schema, wanted)
        variables = {str(name).lower(): str(value) for name, value in await link.fetch_all(VARIABLES)}
        accounts = await _perhaps(link, ACCOUNTS)
    return Facts(
        now=now(),
        tables=found,
        variables=variables,
        accounts=frozenset(f"{user}@{host}" for user, host in accounts) if accounts else None,
    )


async def _tables(link: Connection, schema: str, wanted: list[str] | None) -> dict[str, TableFacts]:
    statuses = await read_status(link, schema, wanted)
    if not statuses:
        return {}
    reads: dict[str, dict[str, int]] = {}
    for table, index, count in await _perhaps(link, INDEX_READS, schema):
        reads.setdefault(str(table), {})[str(index).lower()] = int(count)
    versions = {str(name): int(count) for name, count in await _row_versions(link, schema)}
    return {
        name: TableFacts(
            rows=status.rows,
            bytes=status.bytes,
            auto_increment=status.auto_increment,
            row_versions=versions.get(name, 0) if link.server.flavor is Flavor.MYSQL else None,
            # Where nothing is counted, nothing is known.
            index_reads=reads.get(name),
        )
        for name, status in statuses.items()
    }


async def _row_versions(link: Connection, schema: str) -> list[Row]:
    # The server writes other names than these in a code of its own; their limit is told by the engine.
    if link.server.flavor is not Flavor.MYSQL or not _PLAIN.fullmatch(schema):
        return []
    return await _perhaps(link, ROW_VERSIONS, schema.replace("_", r"\_") + "/%")


async def _perhaps(link: Connection, sql: str, *values: object) -> list[Row]:
    """Ask what not every account may, and not every server knows."""
    try:
        return list(await link.fetch_all(sql, *values))
    except ConnectionLost:
        raise
    except DatabaseError as error:
        log.debug("facts.left_out", reason=str(error))
        return []


async def failing_views(link: Connection, schema: str, names: Collection[str]) -> Mapping[str, str]:
    """Return the views that do not work, with the server's words; nothing is read from them."""
    failing: dict[str, str] = {}
    await link.execute(f"USE {quote_name(schema)}")
    for name in sorted(names):
        try:
            await link.fetch_all(f"SELECT 1 FROM {quote_name(name)} LIMIT 0")
        except ConnectionLost:
            raise
        except DatabaseError as error:
            if error.errno in _VIEW_BROKEN:
                failing[name] = error.message
    return failing
