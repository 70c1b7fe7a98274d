"""I swap tables on MariaDB, which renames nothing under LOCK TABLES: another connection waits to do it.

An empty table, the sentry, holds the old name until then, so that a RENAME that gets through early, because
the lock was lost, fails.
"""

from __future__ import annotations

import asyncio
import re

from migrator.engine.ground.failpoints import reach
from migrator.engine.ground.journal import Journal
from migrator.engine.swap.part import SENTRY, Swap, is_sentry
from migrator.engine.table import statements
from migrator.errors import NotNow, OwnershipUnknown
from router.database import Connection

WAITING_MAX_S = 1.5
POLL_S = 0.002
STATE_OF = "SELECT STATE FROM information_schema.PROCESSLIST WHERE ID = %s"
WAITS = "waiting for table metadata lock"
WAITERS = (
    "SELECT ID, USER, INFO FROM information_schema.PROCESSLIST "
    "WHERE STATE = 'Waiting for table metadata lock' AND ID NOT IN (%s, %s) "
    f"AND COALESCE(INFO, '') NOT LIKE '%%{statements.COMPANION} */'"
)
_COMMENT = re.compile(r"\s*(?:/\*(?!M?!).*?\*/|--\s[^\n]*\n|#[^\n]*\n)", re.DOTALL)
# These let a waiting RENAME go first; everything else may be granted the table before it.
_YIELDING = re.compile(r"[\s(]*(?:SELECT|INSERT|UPDATE|DELETE|REPLACE|WITH|VALUES)\b", re.IGNORECASE)


def yields(sql: str | None) -> bool:
    """Whether a statement that waits for a table lets a RENAME go first that began to wait after it."""
    text = sql or ""
    while match := _COMMENT.match(text):
        text = text[match.end() :]
    return bool(_YIELDING.match(text))


async def put_sentry(connection: Connection, swap: Swap, tag: str) -> None:
    """Make the empty table under the old name."""
    if await is_sentry(connection, swap.schema, swap.outgoing):
        return  # of a process that died
    await connection.execute(f"CREATE TABLE {swap.quoted(swap.outgoing)} (id INT) COMMENT = '{SENTRY}' {tag}")


async def remove_sentry(journal: Journal, swap: Swap) -> None:
    """Drop the empty table that guards the old name, if it is there.

    As the owner, because the name may be the old table's a moment later, by somebody else's hand.
    """

    async def remove(owner: Connection) -> None:
        if await is_sentry(owner, swap.schema, swap.outgoing):
            tag = statements.tag(journal.operation)
            await owner.execute(f"DROP TABLE {swap.quoted(swap.outgoing)} /* {tag} */")

    await journal.as_owner(remove)


async def rename_from_outside(
    lock: Connection, second: Connection, swap: Swap, rename: str, tag: str
) -> None:
    """Have the second connection wait for the table with RENAME, and get it before all writers."""
    renaming = asyncio.ensure_future(second.execute(rename))
    try:
        async with asyncio.timeout(WAITING_MAX_S):
            await _until_waiting(lock, second, renaming)
            await _check_waiters(lock, second, swap)
        reach("before-sentry-drop")
        await lock.execute(f"DROP TABLE {swap.quoted(swap.outgoing)} {tag}")
        await lock.execute("UNLOCK TABLES")
        await renaming
    except BaseException:
        # Should the table be let go now, RENAME fails at the sentry.
        if not renaming.done():
            renaming.cancel()
        await asyncio.gather(renaming, return_exceptions=True)
        raise


async def _until_waiting(lock: Connection, second: Connection, renaming: asyncio.Future[int]) -> None:
    while True:
        if renaming.done():
            await renaming  # an error, since the sentry is there
            raise OwnershipUnknown("RENAME went through although the table was locked")
        state = await lock.fetch_value(STATE_OF, second.thread_id)
        # Not "schema metadata lock" or any other: there it would not be the first who gets the table.
        if state is not None and str(state).lower() == WAITS:
            return
        await asyncio.sleep(POLL_S)


async def _check_waiters(lock: Connection, second: Connection, swap: Swap) -> None:
    """See that nobody who waits longer than our RENAME would get the table before it.

    TRUNCATE, ALTER or LOCK TABLES would: what they do to the old table nobody would ever bring to the new.
    """
    for thread, user, sql in await lock.fetch_all(WAITERS, lock.thread_id, second.thread_id):
        if not yields(sql):
            raise NotNow(
                f"connection {thread} of {user!r} waits for a table with a statement that would get "
                f"{swap.live} before the new table is in place"
            )
