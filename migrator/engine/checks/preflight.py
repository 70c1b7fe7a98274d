"""I refuse what cannot be migrated safely, with the reason and the way out, before anything is touched."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from migrator.engine.checks.rights import (
    FOR_REFERENCES,
    FOR_TRIGGERS,
    ON_CHILDREN,
    ON_PARENTS,
    missing_rights,
)
from migrator.engine.companions.stock import stock_of, take_stock
from migrator.engine.table.shape import Shape, show_create
from migrator.errors import MigratorError, Refused
from migrator.processes import processes
from router.database import Connection
from router.model import Flavor, Server

VARIABLES = (
    "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('log_bin', 'binlog_format', 'read_only', "
    "'binlog_row_image', 'binlog_order_commits', 'gtid_mode', 'version', 'wsrep_on', 'sync_binlog', "
    "'innodb_flush_log_at_trx_commit', 'performance_schema', 'lower_case_table_names', "
    "'innodb_log_writer_threads', "
    "'binlog_expire_logs_seconds', 'expire_logs_days')"
)
SIZE = (
    "SELECT DATA_LENGTH, INDEX_LENGTH FROM information_schema.TABLES "
    "WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s"
)
DDL = re.compile(
    r"\s*(?:ALTER|RENAME|TRUNCATE|DROP|OPTIMIZE|REPAIR|CREATE\s+(?:UNIQUE\s+)?INDEX)\b", re.IGNORECASE
)
_PERIOD = re.compile(r"^\s+PERIOD FOR ", re.MULTILINE)
# Of data and indexes: a fresh copy is seldom larger, and its rows are written to the log once more.
SPACE_RATIO = 1.3
RETENTION_S = 86400.0
PARENTS = (
    "SELECT TABLE_NAME FROM information_schema.KEY_COLUMN_USAGE "
    "WHERE REFERENCED_TABLE_SCHEMA = %s AND REFERENCED_TABLE_NAME = %s LIMIT 1"
)
OLDEST = {
    Flavor.MYSQL: ((8, 0, 30), "the first with every setting that the sessions of a migration need"),
    Flavor.MARIADB: ((10, 6, 1), "the first whose RENAME is atomic"),
}


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("-")[0].split(".")[:3] if part.isdigit())


async def check_server(server: Server) -> list[str]:
    """Check the server's settings; returns warnings, raises Refused naming everything that is wrong."""
    async with await Connection.open(server) as connection:
        settings = {str(name).lower(): str(value) for name, value in await connection.fetch_all(VARIABLES)}
    wrong = _mistakes(server.flavor, settings)
    if wrong:
        raise Refused(
            f"the server cannot be migrated on: {'; '.join(wrong)}",
            hint="change these settings of the server and try again",
        )
    warnings = []
    if settings.get("sync_binlog") != "1" or settings.get("innodb_flush_log_at_trx_commit") != "1":
        warnings.append(
            "sync_binlog and innodb_flush_log_at_trx_commit are not both 1: after a crash of the machine a "
            "running migration must be started again"
        )
    if settings.get("innodb_log_writer_threads") == "OFF":
        warnings.append(
            "innodb_log_writer_threads is OFF: while rows are copied, commits of clients may wait for 100 ms "
            "each; SET PERSIST innodb_log_writer_threads = ON"
        )
    kept_s = retention_s(settings)
    if 0 < kept_s < RETENTION_S:
        warnings.append(
            f"the binary log is kept for {kept_s / 3600:.1f} h only: a deployment that is interrupted for "
            "longer, or falls behind so far, cannot be gone on with"
        )
    if settings.get("performance_schema", "OFF") != "ON":
        warnings.append("performance_schema is off: what blocks a cut-over can only be guessed")
    return warnings


def retention_s(settings: Mapping[str, str]) -> float:
    """Return for how long the binary log is kept at least, 0 when for ever."""
    seconds = float(settings.get("binlog_expire_logs_seconds", 0))
    return seconds or float(settings.get("expire_logs_days", 0)) * 86400


def _mistakes(flavor: Flavor, settings: dict[str, str]) -> list[str]:
    wrong = []
    oldest, reason = OLDEST[flavor]
    if _version(settings.get("version", "")) < oldest:
        wrong.append(
            f"version {settings.get('version')} is older than {'.'.join(map(str, oldest))}, {reason}"
        )
    if settings.get("log_bin", "OFF") != "ON":
        wrong.append("it writes no binary log (log_bin)")
    if settings.get("binlog_format", "ROW") != "ROW":
        wrong.append(f"binlog_format is {settings['binlog_format']}, it must be ROW")
    if settings.get("binlog_order_commits", "ON") != "ON" and settings.get("gtid_mode") != "ON":
        # With GTIDs the server can be asked for what has become visible, in whatever order.
        wrong.append("binlog_order_commits is OFF and gtid_mode is not ON, one of them must be ON")
    if settings.get("read_only", "OFF") == "ON":
        wrong.append("it is read only")
    if settings.get("wsrep_on", "OFF") == "ON":
        wrong.append("it is a Galera node, whose table locks do not reach the other nodes")
    if settings.get("lower_case_table_names") == "2":
        wrong.append("lower_case_table_names is 2: the log's names of tables may differ from the server's")
    return wrong


async def check_row_image(connection: Connection, key_is_primary: bool) -> None:
    """Refuse a server that logs less of a row than the key."""
    image = str((await connection.fetch_all("SHOW GLOBAL VARIABLES LIKE 'binlog_row_image'"))[0][1])
    if image.upper() == "MINIMAL" and not key_is_primary:
        raise Refused(
            "binlog_row_image is MINIMAL, and the only usable key is not the primary key",
            hint="set binlog_row_image=FULL on the server",
        )


async def check_table(connection: Connection, table: Shape, target_sql: str) -> None:
    """Refuse a table that cannot be swapped, or not by this account, on this disk or at this moment."""
    stock = stock_of(await take_stock(connection, table.schema, table.name, target_sql))
    if _PERIOD.search(target_sql) or _PERIOD.search(await show_create(connection, table.schema, table.name)):
        raise Refused(
            f"{table.schema}.{table.name} has an application-time period, which a copy by keys does not know",
            hint="make this change in a maintenance window",
        )
    further = {FOR_TRIGGERS} if stock.triggers else set()
    if stock.before or stock.after or stock.children:
        further.add(FOR_REFERENCES)
    grants = [str(row[0]) for row in await connection.fetch_all("SHOW GRANTS")]
    lacking = missing_rights(grants, table.schema, table.name, further)
    others = {each.table: ON_CHILDREN for each in stock.children}
    others |= {each.parent: ON_PARENTS for each in (*stock.before, *stock.after)}
    for other, rights in others.items():
        if other[0] != table.schema:
            lacking += missing_rights(grants, *other, on_tables=rights)
    if lacking := list(dict.fromkeys(lacking)):
        account = connection.server.account.user
        raise Refused(
            f"account {account!r} may not do all that a change of {table.schema}.{table.name} needs",
            hint="; ".join(f"{grant} TO '{account}'@…" for grant in lacking),
        )
    await check_space(connection, table)
    await check_pending(connection, table)


async def check_space(connection: Connection, table: Shape) -> None:
    """Refuse when a copy would fill the disk; where the server is on another machine, nobody can tell."""
    facts = await connection.fetch_one(SIZE, table.schema, table.name)
    folder = Path(str(await connection.fetch_value("SELECT @@datadir")))
    local = connection.server.address.socket is not None
    if facts is None or not local or not folder.is_dir():
        return
    wanted = int((int(facts[0] or 0) + int(facts[1] or 0)) * SPACE_RATIO) + int(facts[0] or 0)
    free = shutil.disk_usage(folder).free
    if free < wanted:
        raise Refused(
            f"a copy of {table.schema}.{table.name} and its log need about {wanted >> 20} MiB, and the disk "
            f"of the server has {free >> 20} MiB left",
            hint=f"make room where {folder} is",
        )


async def check_pending(connection: Connection, table: Shape) -> None:
    """Refuse while somebody else's change of the table runs or waits: it would come between."""
    named = re.compile(rf"(?<![\w$]){re.escape(table.name)}(?![\w$])")
    for each in await processes(connection, full=True):
        # Another schema may have a table of this name.
        here = each.schema == table.schema or table.schema in each.info
        if here and "headgate:" not in each.info and DDL.match(each.info) and named.search(each.info):
            raise MigratorError(
                f"connection {each.id} of {each.user!r} is changing {table.name}: {each.info[:80]}",
                hint="wait until it is done, or end it, and start again",
            )
