"""I bring keys up to date: what the source has is written to the target, what it no longer has is deleted."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence

from migrator.engine import statements
from migrator.engine.keys import Key
from migrator.engine.pair import Pair
from migrator.engine.session import REPEATABLE, Session
from migrator.engine.shape import UniqueIndex
from migrator.engine.statements import STATE
from migrator.errors import DataConflict
from router.database import Connection
from router.errors import ConnectionLost, DatabaseError

SIMPLE_BATCH = 500
REWRITE_BATCH = 5000
ATTEMPTS = 20

DUPLICATE = 1062
# The row does not fit the target: out of range, truncated, wrong for the type or charset, NULL, too long, no
# default, CHECK violated (4025 on MariaDB), no partition, bad JSON, bad generated value, data too long.
UNFIT = frozenset(
    {1048, 1062, 1138, 1263, 1264, 1265, 1292, 1364, 1366, 1367, 1406, 1411, 1416, 1526, 3140, 3156}
    | {3819, 4025, 1690, 1365, 3854, 1918, 3903}
)


class Applier:
    """Writes for one pair of tables. `check` is awaited first in every transaction."""

    def __init__(self, pair: Pair, check: Callable[[Connection], Awaitable[None]]) -> None:
        self.pair = pair
        self._check = check

    @property
    def setup(self) -> list[str]:
        """What a session must run before it can apply here."""
        if self.pair.simple:
            return []
        created = [statements.create_stage(self.pair)]
        return [*created, statements.create_keep(self.pair)] if self.pair.kept else created

    async def apply(self, session: Session, keys: Sequence[Key], moves: Mapping[Key, Key]) -> set[Key]:
        """Bring the keys up to date; returns those that must be tried again with later ones.

        Raises DatabaseError with an errno of UNFIT when a row does not fit. Interrupted transactions are
        repeated; nothing here depends on how often.
        """
        again: list[Key] = []
        size = SIMPLE_BATCH if self.pair.simple else REWRITE_BATCH
        for start in range(0, len(keys), size):
            batch = keys[start : start + size]
            if not await self._applied(session, batch, moves):
                again += batch
        # Rows of different batches may have exchanged values: then only all of them together can be written.
        if size < len(keys) and again and await self._applied(session, again, moves):
            again = []
        return set(again)

    async def _applied(self, session: Session, keys: Sequence[Key], moves: Mapping[Key, Key]) -> bool:
        try:
            await self._repeat(session, keys, moves)
        except DatabaseError as error:
            if self.pair.simple or error.errno != DUPLICATE:
                raise
            # Some row met the former value of one that changed since: its key is on its way to us.
            return False
        return True

    async def write(self, connection: Connection, keys: Sequence[Key], moves: Mapping[Key, Key]) -> None:
        """Bring keys up to date inside the caller's transaction."""
        await self._follow_moves(connection, keys, moves)
        if not self.pair.simple:
            for statement in statements.rewrite(self.pair, keys):
                await connection.execute(statement)
            return
        gone = await connection.fetch_all(statements.vanished(self.pair, keys))
        if gone:
            vanished = [self.pair.key.from_row(row) for row in gone]
            await connection.execute(statements.delete_keys(self.pair, vanished))
        await connection.execute(statements.upsert(self.pair, keys))

    async def one_by_one(
        self, session: Session, keys: Sequence[Key], moves: Mapping[Key, Key]
    ) -> dict[Key, DatabaseError]:
        """Bring keys up to date each in its own transaction; returns those whose rows do not fit."""
        unfit: dict[Key, DatabaseError] = {}
        for key in keys:
            try:
                await self._repeat(session, [key], moves)
            except DatabaseError as error:
                if error.errno not in UNFIT:
                    raise
                unfit[key] = error
        return unfit

    def conflict(self, unfit: Mapping[Key, DatabaseError]) -> DataConflict:
        """Say which rows do not fit the target."""
        texts = [self.pair.key.text(key) for key in unfit]
        error = next(iter(unfit.values()))
        shown = ", ".join(texts[:5]) + (f" and {len(texts) - 5} more" if len(texts) > 5 else "")
        return DataConflict(
            f"rows of {self.pair.source.name} do not fit the new definition: {error.message} ({shown})",
            keys=tuple(texts),
            hint="correct the rows, or the change, and deploy again",
        )

    def duplicates_found(self, index: UniqueIndex, groups: Sequence[str]) -> DataConflict:
        """Say which rows a new unique index does not allow side by side."""
        columns = ", ".join(index.columns)
        name = ", ".join(self.pair.key.names)
        return DataConflict(
            f"rows of {self.pair.source.name} have equal values in ({columns}), which {index.name} makes "
            f"unique: {name} {'; '.join(groups)}",
            keys=tuple(groups),
            hint="remove the duplicates, or the unique key from the change, and deploy again",
        )

    async def _repeat(self, session: Session, keys: Sequence[Key], moves: Mapping[Key, Key]) -> None:
        for attempt in range(ATTEMPTS):
            try:
                connection = await session.get()
                async with connection.transaction():
                    await self._check(connection)
                    await self.write(connection, keys, moves)
                return
            except ConnectionLost:
                if attempt == ATTEMPTS - 1:
                    raise
            except DatabaseError as error:
                if error.errno not in REPEATABLE or attempt == ATTEMPTS - 1:
                    raise

    async def _follow_moves(
        self, connection: Connection, keys: Sequence[Key], moves: Mapping[Key, Key]
    ) -> None:
        """Let values that only the target has follow a row whose key was changed."""
        if not self.pair.kept or not moves:
            return
        wanted = [key for key in keys if key in moves]
        if not wanted:
            return
        target = self.pair.target.quoted
        for key in wanted:
            before = moves[key]
            gone = await connection.fetch_all(statements.vanished(self.pair, [before]))
            taken = await connection.fetch_value(
                f"SELECT 1 FROM {target} WHERE {self.pair.key.is_one_of(target, [key])}"
            )
            if gone and not taken:
                await connection.execute(statements.move_key(self.pair, before, key))


async def quarantine(
    connection: Connection, operation: str, pair: Pair, unfit: Mapping[Key, DatabaseError]
) -> None:
    """Record rows that cannot go back, inside the caller's transaction."""
    for key, error in unfit.items():
        text = pair.key.dump(key) or ""
        await connection.execute(
            f"INSERT INTO {STATE}.quarantine (id, digest, row_key, errno, message) "
            "VALUES (%s, %s, %s, %s, %s) "
            "ON DUPLICATE KEY UPDATE errno = VALUES(errno), message = VALUES(message)",
            *(operation, hashlib.sha256(text.encode()).digest(), text, error.errno, error.message),
        )
