"""I name whoever would make a lock on a table wait: who, from where, for how long, doing what."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass

import structlog

from migrator.errors import NotNow
from migrator.processes import ask_transactions, processes
from router.database import Connection
from router.errors import ConnectionLost, DatabaseError

log = structlog.get_logger()

# A statement or transaction younger than this will most likely be over before it matters.
OLD_S = 1.0
# Undoing more than this many changed rows and locks takes longer than waiting for the end.
WEIGHT_MAX = 1_000_000
VANISH_S = 5.0
POLL_S = 0.02
DIGEST_MAX = 200
SHOWN_MAX = 3

# What readers and writers of rows hold; everything else is LOCK TABLES, DDL or a backup.
ROW_LOCKS = frozenset({"SHARED_READ", "SHARED_WRITE", "SHARED_WRITE_LOW_PRIO", "SHARED_HIGH_PRIO", "SHARED"})
BACKUPS = tuple(
    f"BACKUP_{stage}"
    for stage in ("START", "FLUSH", "WAIT_FLUSH", "WAIT_DDL", "WAIT_COMMIT", "FTWRL1", "FTWRL2")
)
REPLICATION = frozenset(
    {"Slave_SQL", "Slave_worker", "Slave_IO", "Binlog Dump", "Binlog Dump GTID", "Daemon"}
)

_HOLDERS = (
    "SELECT t.PROCESSLIST_ID, t.PROCESSLIST_USER, t.PROCESSLIST_HOST, "
    "COALESCE(TIMESTAMPDIFF(MICROSECOND, x.trx_started, NOW(6)) / 1000000, t.PROCESSLIST_TIME), "
    "t.PROCESSLIST_COMMAND, "
    # Who sits idle outside of a transaction has locked the table by LOCK TABLES, whatever MariaDB calls it.
    "IF(t.PROCESSLIST_COMMAND = 'Sleep' AND x.trx_id IS NULL, 'LOCK TABLES', l.LOCK_TYPE), "
    "l.OBJECT_TYPE, l.OBJECT_NAME, COALESCE(x.trx_weight, 0), "
    "(SELECT e.DIGEST_TEXT FROM performance_schema.events_statements_current e "
    "WHERE e.THREAD_ID = t.THREAD_ID ORDER BY e.EVENT_ID DESC LIMIT 1) "
    "FROM performance_schema.metadata_locks l "
    "JOIN performance_schema.threads t ON t.THREAD_ID = l.OWNER_THREAD_ID "
    "LEFT JOIN information_schema.INNODB_TRX x ON x.trx_mysql_thread_id = t.PROCESSLIST_ID "
    "WHERE l.LOCK_STATUS = 'GRANTED' AND t.PROCESSLIST_ID <> CONNECTION_ID() AND ("
)
_BACKUPS = (
    "l.OBJECT_TYPE IN ('GLOBAL', 'BACKUP LOCK') AND l.LOCK_TYPE = 'SHARED' "
    f"OR l.LOCK_TYPE IN ({', '.join(repr(name) for name in BACKUPS)})"
)
# A transaction that was prepared and whose client is gone belongs to no thread.
PREPARED = "SELECT 1 FROM information_schema.INNODB_TRX WHERE trx_mysql_thread_id = 0 LIMIT 1"

WATCHED = "SELECT ENABLED FROM performance_schema.setup_instruments WHERE NAME = 'wait/lock/metadata/sql/mdl'"
OPEN = (
    "SELECT trx_mysql_thread_id, TIMESTAMPDIFF(SECOND, trx_started, NOW()) AS age "
    f"FROM information_schema.INNODB_TRX WHERE trx_started < NOW() - INTERVAL {OLD_S:.0f} SECOND "
    "AND trx_mysql_thread_id <> CONNECTION_ID() ORDER BY age DESC"
)


@dataclass(frozen=True, slots=True)
class Blocker:
    """A connection that holds a table, or all of them; `digest` is its statement without values."""

    thread: int
    user: str
    host: str
    age_s: float
    command: str
    lock: str
    table: str
    weight: int
    digest: str | None

    @property
    def spared(self) -> str | None:
        """Why nobody may end it for a cut-over, None when somebody who is told to may."""
        if not self.table:
            return "it is a backup or holds a lock on everything"
        if self.command in REPLICATION or self.user == "system user":
            return "it is replication"
        if self.lock not in ROW_LOCKS:
            return "it has locked the table on purpose"
        if self.weight > WEIGHT_MAX:
            return "undoing it would take longer than waiting"
        return None

    def __str__(self) -> str:
        what = (
            f"held {self.table} in a transaction" if self.table else "locked all tables or their definitions"
        )
        if self.table and self.lock not in ROW_LOCKS:
            what = f"locked {self.table}"
        doing = "idle" if self.command == "Sleep" else "running a statement"
        last = f", {self.digest[:DIGEST_MAX]}" if self.digest else ""
        return (
            f"connection {self.thread} of {self.user!r} from {self.host or 'here'} has {what} "
            f"for {self.age_s:.0f} s, {doing}{last}"
        )


def told(blockers: Sequence[Blocker]) -> str:
    """Say in a sentence who they are."""
    more = f" and {len(blockers) - SHOWN_MAX} more" if len(blockers) > SHOWN_MAX else ""
    return "; ".join(str(each) for each in blockers[:SHOWN_MAX]) + more


async def find_blockers(
    connection: Connection,
    tables: Sequence[tuple[str, str]],
    ours: Collection[int],
    *,
    old_s: float = OLD_S,
) -> list[Blocker]:
    """Return who has held one of the tables for long, the oldest first.

    Without performance_schema nobody is found; then the attempt to lock tells, after its short wait.
    """
    named = " OR ".join(["l.OBJECT_SCHEMA = %s AND l.OBJECT_NAME = %s"] * len(tables))
    sql = f"{_HOLDERS}l.OBJECT_TYPE = 'TABLE' AND ({named}) OR {_BACKUPS}) ORDER BY 4 DESC"
    try:
        rows = await ask_transactions(connection, sql, *(part for table in tables for part in table))
    except ConnectionLost:
        raise
    except DatabaseError:
        return []
    found: dict[int, Blocker] = {}
    for thread, user, host, age, command, lock, kind, table, weight, digest in rows:
        held = str(table) if kind == "TABLE" else ""
        if int(thread) in ours or age is None or (float(age) < old_s and held):
            continue
        blocker = Blocker(
            *(int(thread), str(user or ""), str(host or ""), float(age), str(command or "")),
            *(str(lock), held, int(weight), str(digest) if digest else None),
        )
        former = found.get(blocker.thread)
        # Of several locks the one counts for which it is spared.
        if former is None or (former.spared is None and blocker.spared is not None):
            found[blocker.thread] = blocker
    return list(found.values())


async def find_holders(connection: Connection, tables: Sequence[tuple[str, str]]) -> list[Blocker]:
    """Return who uses a table, however short; without performance_schema whose statement says so."""
    found = await find_blockers(connection, tables, (), old_s=0.0)
    if found or await connection.fetch_value("SELECT @@performance_schema"):
        return found
    others = [each for each in await processes(connection, full=True) if each.id != connection.thread_id]
    return [
        Blocker(each.id, each.user, each.host, float(each.age_s), each.command, "SHARED", table, 0, None)
        for _, table in tables
        for each in others
        if table in each.info
    ]


async def find_suspects(connection: Connection) -> str | None:
    """Say whose transactions have been open for long when the server does not tell who holds which table."""
    try:
        if await connection.fetch_value(WATCHED) == "YES":
            return None
        rows = await ask_transactions(connection, OPEN)
        users = {each.id: each.user for each in await processes(connection)}
    except ConnectionLost:
        raise
    except DatabaseError:
        return None
    known = [(int(thread), age) for thread, age in rows if int(thread) in users]
    names = ", ".join(
        f"connection {thread} of {users[thread]!r} for {float(age):.0f} s"
        for thread, age in known[:SHOWN_MAX]
    )
    return (
        f"transactions are open, of which the server does not tell what they hold: {names}" if known else None
    )


async def find_prepared(connection: Connection) -> str | None:
    """Say which XA transactions are prepared without a connection: nobody can end them but their manager."""
    try:
        if not await ask_transactions(connection, PREPARED):
            return None
        with suppress(DatabaseError):
            rows = await connection.fetch_all("XA RECOVER")
            if names := ", ".join(repr(str(row[3])) for row in rows):
                return f"a prepared XA transaction may hold it: {names}; end it with XA COMMIT or XA ROLLBACK"
    except ConnectionLost:
        raise
    except DatabaseError:
        return None
    return "a prepared XA transaction may hold it: see XA RECOVER, and end it with XA COMMIT or XA ROLLBACK"


async def clear_way(
    connection: Connection,
    tables: Sequence[tuple[str, str]],
    ours: Collection[int],
    *,
    end_for: str | None = None,
) -> None:
    """Raise NotNow, naming who would make a lock on the tables wait.

    With `end_for`, an operation that is forced, those who may be killed are killed first.
    """
    blockers = await find_blockers(connection, tables, ours)
    if blockers and end_for is not None:
        await end_blockers(connection, blockers, operation=end_for)
        blockers = await find_blockers(connection, tables, ours)
    if blockers:
        spared = f" (not killed: {blockers[0].spared})" if end_for and blockers[0].spared else ""
        raise NotNow(told(blockers) + spared)


async def end_blockers(
    connection: Connection, blockers: Sequence[Blocker], *, operation: str
) -> list[Blocker]:
    """Kill those who may be killed, and wait until they have vanished; returns whom that was."""
    ended = [blocker for blocker in blockers if blocker.spared is None]
    for blocker in ended:
        log.warning(
            "blocker.killed",
            operation=operation,
            thread=blocker.thread,
            user=blocker.user,
            client=blocker.host,
            age_s=round(blocker.age_s, 1),
            table=blocker.table,
            digest=blocker.digest,
        )
        with suppress(DatabaseError):
            await connection.execute(f"KILL {blocker.thread}")
    threads = {blocker.thread for blocker in ended}
    until = time.monotonic() + VANISH_S
    while threads and time.monotonic() < until:
        if threads.isdisjoint(each.id for each in await processes(connection)):
            break
        await asyncio.sleep(POLL_S)
    return ended
