"""I name whoever would make a lock on a table wait: who, for how long, doing what."""

from __future__ import annotations

from router.database import Connection
from router.errors import ConnectionLost, DatabaseError

# A statement or transaction younger than this will most likely be over before it matters.
OLD_S = 1.0

HOLDERS = (
    "SELECT t.PROCESSLIST_ID, t.PROCESSLIST_USER, "
    "COALESCE(TIMESTAMPDIFF(MICROSECOND, x.trx_started, NOW(6)) / 1000000, t.PROCESSLIST_TIME) AS age, "
    "t.PROCESSLIST_INFO "
    "FROM performance_schema.metadata_locks l "
    "JOIN performance_schema.threads t ON t.THREAD_ID = l.OWNER_THREAD_ID "
    "LEFT JOIN information_schema.INNODB_TRX x ON x.trx_mysql_thread_id = t.PROCESSLIST_ID "
    "WHERE l.OBJECT_TYPE = 'TABLE' AND l.OBJECT_SCHEMA = %s AND l.OBJECT_NAME = %s "
    "AND l.LOCK_STATUS = 'GRANTED' AND t.PROCESSLIST_ID NOT IN (%s, CONNECTION_ID()) "
    "ORDER BY age DESC LIMIT 1"
)


async def find_blocker(connection: Connection, schema: str, table: str, ours: int) -> str | None:
    """Return a sentence about the oldest holder of the table, None when nobody holds it for long.

    Without performance_schema nobody is found; then the attempt to lock tells, after its short wait.
    """
    try:
        row = await connection.fetch_one(HOLDERS, schema, table, ours)
    except ConnectionLost:
        raise
    except DatabaseError:
        return None
    if row is None or row[2] is None or float(row[2]) < OLD_S:
        return None
    thread, user, age_s, sql = row
    doing = "idle" if sql is None else "running a statement"
    return (
        f"connection {thread} of {user!r} has held {table} in a transaction for {float(age_s):.0f} s, {doing}"
    )
