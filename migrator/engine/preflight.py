"""I refuse what cannot be migrated safely, with the reason and the way out, before anything is touched."""

from __future__ import annotations

from migrator.engine.shape import Shape
from migrator.errors import MigratorError, Refused
from router.database import Connection
from router.errors import ConnectionLost, DatabaseError
from router.model import Flavor, Server

VARIABLES = (
    "SHOW GLOBAL VARIABLES WHERE Variable_name IN ('log_bin', 'binlog_format', 'read_only', "
    "'binlog_row_image', 'binlog_order_commits', 'gtid_mode', 'version', 'wsrep_on', 'sync_binlog', "
    "'innodb_flush_log_at_trx_commit', 'performance_schema')"
)
PARENTS = (
    "SELECT TABLE_NAME FROM information_schema.KEY_COLUMN_USAGE "
    "WHERE REFERENCED_TABLE_SCHEMA = %s AND REFERENCED_TABLE_NAME = %s LIMIT 1"
)
CHILDREN = (
    "SELECT CONSTRAINT_NAME FROM information_schema.KEY_COLUMN_USAGE WHERE TABLE_SCHEMA = %s "
    "AND TABLE_NAME = %s AND REFERENCED_TABLE_NAME IS NOT NULL LIMIT 1"
)
TRIGGERS = (
    "SELECT TRIGGER_NAME FROM information_schema.TRIGGERS WHERE EVENT_OBJECT_SCHEMA = %s "
    "AND EVENT_OBJECT_TABLE = %s LIMIT 1"
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
    if settings.get("performance_schema", "OFF") != "ON":
        warnings.append("performance_schema is off: what blocks a cut-over can only be guessed")
    return warnings


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
    if settings.get("binlog_order_commits", "ON") != "ON":
        wrong.append("binlog_order_commits is OFF, it must be ON")
    if settings.get("read_only", "OFF") == "ON":
        wrong.append("it is read only")
    if settings.get("wsrep_on", "OFF") == "ON":
        wrong.append("it is a Galera node, whose table locks do not reach the other nodes")
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
    """Refuse a table that others depend on in ways a swap would break."""
    where = table.schema, table.name
    name = f"{table.schema}.{table.name}"
    if child := await connection.fetch_value(PARENTS, *where):
        raise Refused(
            f"{name} is referenced by a foreign key of table {child!r}, which would stay with the old table",
            hint="drop that foreign key first, or make this change in a maintenance window",
        )
    if (constraint := await connection.fetch_value(CHILDREN, *where)) or "FOREIGN KEY" in _outside(
        target_sql
    ):
        raise Refused(
            f"{name} has a foreign key ({constraint or 'in the new definition'}), which cannot be kept yet",
            hint="drop the foreign key, or make this change in a maintenance window",
        )
    if trigger := await connection.fetch_value(TRIGGERS, *where):
        raise Refused(
            f"{name} has a trigger ({trigger}), which cannot be carried over yet",
            hint="drop the trigger, or make this change in a maintenance window",
        )


async def check_prepared(connection: Connection) -> None:
    """Refuse while XA transactions are prepared: when they commit, nobody says what they changed."""
    try:
        rows = await connection.fetch_all("XA RECOVER")
    except ConnectionLost:
        raise
    except DatabaseError:
        return  # no right to look; a commit of one stops the migration later
    if rows:
        raise MigratorError(
            f"{len(rows)} XA transactions are prepared on the server and not yet committed",
            hint="wait until they are committed or rolled back (XA RECOVER lists them)",
        )


def _outside(sql: str) -> str:
    """Return SQL in upper case without quoted text."""
    parts, quote = [], ""
    for character in sql:
        if quote:
            quote = "" if character == quote else quote
        elif character in "'`\"":
            quote = character
        else:
            parts.append(character)
    return "".join(parts).upper()
