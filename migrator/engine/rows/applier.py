"""I bring keys up to date: what the source has is written to the target, what it no longer has is deleted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from migrator.engine.ground.session import REPEATABLE, Session
from migrator.engine.log.moves import Stretch, outcome
from migrator.engine.rows import followed
from migrator.engine.table import statements
from migrator.engine.table.keys import Key
from migrator.engine.table.pair import Pair
from migrator.engine.table.shape import Index
from migrator.engine.table.statements import STATE
from migrator.errors import DataConflict
from router.database import Connection
from router.errors import ConnectionLost, DatabaseError

log = structlog.get_logger()

SIMPLE_BATCH = 500
REWRITE_BATCH = 2000
ATTEMPTS = 20
STAGE_ROUNDS = 5

DUPLICATE = 1062
KEY_NAME_TAKEN = 1061
# The row does not fit the target: out of range, truncated, wrong for the type or charset, NULL, too long, no
# default, CHECK violated (4025 on MariaDB), no partition, bad JSON, bad generated value, data too long.
UNFIT = frozenset(
    {1048, 1062, 1138, 1263, 1264, 1265, 1292, 1364, 1366, 1367, 1406, 1411, 1416, 1526, 3140, 3156}
    | {3819, 4025, 1690, 1365, 3854, 1918, 3903}
)


@dataclass(slots=True)
class Left:
    """Keys that could not be brought up to date yet.

    `conflicting` ones met another row on a unique index; `vanished` ones must not be deleted before the log
    has told why they are gone.
    """

    conflicting: set[Key] = field(default_factory=set)
    vanished: set[Key] = field(default_factory=set)


class Applier:
    """Writes for one pair of tables. `check` is awaited first in every transaction.

    `frontier` says up to where the source is copied when only the server can tell which keys are beyond;
    None is without bound. With `keeps`, values that only the target has follow rows to other keys.
    """

    def __init__(
        self,
        pair: Pair,
        check: Callable[[Connection], Awaitable[None]],
        frontier: Callable[[], Key | None] = lambda: None,
        *,
        operation: str = "",
        keeps: bool = False,
    ) -> None:
        self.pair = pair
        self.arrived = False
        self.keeps = keeps
        self._check, self._frontier, self._operation = check, frontier, operation

    @property
    def setup(self) -> list[str]:
        """What a session must run before it can apply here."""
        pair, created = self.pair, []
        if not pair.simple:
            created.append(statements.create_stage(pair))
            if pair.kept:
                created.append(statements.create_keep(pair))
        if self.keeps:
            created.append(statements.create_park(pair))
            if not pair.key.ordered:
                created.append(statements.create_alike(pair))
        return created

    async def arrive(self, session: Session) -> None:
        """Give the target the index that keys are found by, unless it has one."""
        if self.pair.helper and not self.arrived:
            try:
                connection = await session.get()
                await connection.execute(f"{self.pair.add_helper} /* {statements.tag(self._operation)} */")
            except DatabaseError as error:
                if error.errno != KEY_NAME_TAKEN:
                    raise
        self.arrived = True

    async def depart(self, connection: Connection) -> None:
        """Take that index away: after the last row is written, before the target becomes the live table."""
        if self.pair.helper:
            self.arrived = False
            await connection.execute(f"{self.pair.drop_helper} /* {statements.tag(self._operation)} */")

    async def apply(
        self,
        session: Session,
        keys: Sequence[Key],
        gone: Collection[Key] | None = None,
    ) -> Left:
        """Bring the keys up to date; returns those that must be tried again with later ones.

        With `gone`, only rows of these keys are deleted: one that vanished later may have moved, which a
        later event will tell.

        Raises DatabaseError with an errno of UNFIT when a row does not fit. Interrupted transactions are
        repeated; nothing here depends on how often.
        """
        left = Left()
        size = SIMPLE_BATCH if self.pair.simple else REWRITE_BATCH
        for start in range(0, len(keys), size):
            await self._apply_batch(session, keys[start : start + size], gone, left)
        if size < len(keys) and left.conflicting:
            # Rows of different batches may have exchanged values: then only all together can be written.
            together, left.conflicting = sorted(left.conflicting), set()
            await self._apply_batch(session, together, gone, left)
        return left

    async def _apply_batch(
        self, session: Session, keys: Sequence[Key], gone: Collection[Key] | None, left: Left
    ) -> None:
        vanished: set[Key] = set()

        async def write(connection: Connection) -> None:
            nonlocal vanished
            vanished = await self.write(connection, keys, gone)

        try:
            await self._repeat(session, write)
        except DatabaseError as error:
            if self.pair.simple or error.errno != DUPLICATE:
                raise
            # Some row met the former value of one that changed since: its key is on its way to us.
            left.conflicting.update(keys)
        else:
            left.vanished |= vanished

    async def write(
        self, connection: Connection, keys: Sequence[Key], gone: Collection[Key] | None = None
    ) -> set[Key]:
        """Bring keys up to date inside the caller's transaction.

        With `gone`, other rows are not deleted; returns the keys of those that should have been.
        """
        left: set[Key] = set()
        if self.pair.simple:
            vanished = await self._keys(connection, statements.vanished(self.pair, keys))
            left = set() if gone is None else {key for key in vanished if key not in gone}
            deleted = [key for key in vanished if key not in left]
            if deleted:
                await connection.execute(statements.delete_keys(self.pair, deleted))
            await connection.execute(statements.upsert(self.pair, keys, self._frontier()))
            return left
        keys = await self._stage(connection, keys)
        if gone is not None:
            vanished = await self._keys(connection, statements.not_staged(self.pair, keys))
            left = await self._leave(connection, {key for key in vanished if key not in gone})
            keys = [key for key in keys if key not in left]
        if keys:
            await self._rewrite(connection, keys)
        return left

    async def _rewrite(self, connection: Connection, keys: Sequence[Key]) -> None:
        for statement in statements.rewrite(self.pair, keys):
            await connection.execute(statement)
        # Not even for no row at all does a server insert where a column has no value and no default.
        if self.pair.kept and await connection.fetch_value(statements.strange(self.pair)):
            await connection.execute(statements.insert_strange(self.pair))

    async def _leave(self, connection: Connection, left: set[Key]) -> set[Key]:
        """Return the rows that must wait when these stay: those that have their values now, and so on.

        The rows that wait are staged no longer.
        """
        fresh = left
        while fresh:
            blocked: set[Key] = set()
            for index in statements.other_uniques(self.pair):
                sql = statements.blocked(self.pair, index, sorted(fresh))
                blocked.update(await self._keys(connection, sql))
            fresh = blocked - left
            if fresh:
                await connection.execute(statements.unstage(self.pair, sorted(fresh)))
            left = left | fresh
        return left

    async def _stage(self, connection: Connection, keys: Sequence[Key]) -> Sequence[Key]:
        """Stage rows, and with them those that stand in their way; returns the keys of all.

        A row of the target that holds a value which now is another's has changed too, and its key is on its
        way to us. Reading it a little early does no harm, and saves all others from waiting for it.
        """
        for _ in range(STAGE_ROUNDS):
            for statement in statements.stage_keys(self.pair, keys, self._frontier()):
                await connection.execute(statement)
            met: set[Key] = set()
            if not self.pair.target_key.at_home:
                # What is one key at home may be written in several ways, which are several keys here.
                met.update(await self._keys(connection, statements.staged_keys(self.pair)))
            for index in statements.other_uniques(self.pair):
                met.update(await self._keys(connection, statements.holders(self.pair, index)))
            if met <= set(keys):
                break
            keys = sorted(met.union(keys))
        return keys

    async def copy(self, connection: Connection, low: Key | None, high: Key | None) -> None:
        """Copy a range inside the caller's transaction, together with rows that stand in its way.

        Nobody else may write to the target meanwhile, but other copies.
        """
        others: set[Key] = set()
        for _ in range(STAGE_ROUNDS):
            for statement in statements.stage_range(self.pair, low, high, sorted(others)):
                await connection.execute(statement)
            met: set[Key] = set()
            for index in statements.other_uniques(self.pair):
                met.update(await self._keys(connection, statements.holders(self.pair, index)))
            if met <= others:
                break
            others |= met
        if not others:
            await connection.execute(statements.insert_staged(self.pair))
            return
        await self._rewrite(connection, sorted(others))

    async def follow_alone(self, session: Session, stretch: Stretch) -> None:
        """Do `follow` in a transaction of its own."""
        if stretch.moves:
            await self._repeat(session, lambda connection: self.follow(connection, stretch))

    async def follow(self, connection: Connection, stretch: Stretch) -> None:
        """Give rows of the target the keys their source rows got in a stretch, in the caller's transaction.

        Whatever else has one of these keys is deleted: it is a row that is gone, or one that was written
        before the log told how it came there. Afterwards all keys of the stretch must be brought up to date.
        """
        if not stretch.moves:
            return
        moves = stretch.moves[await followed.moves_done(connection, self._operation, stretch) :]
        if not moves:
            return
        moved = Stretch(moves).keys
        there = await self._present(connection, sorted(moved))
        same = await self._alike(connection, moved | there)
        places = {same.get(key, key): key for key in there}
        comes = outcome(moves, same)
        deleted = [places[key] for key in comes.left if key in places]
        parked = []
        await connection.execute(f"DELETE FROM {statements.PARK}")
        for now, before in comes.came_from.items():
            if now != before and before in places:
                if await self._fits(connection, statements.park(self.pair, places[before], now)):
                    parked.append(now)
                deleted.append(places[before])
        deleted = list(dict.fromkeys(deleted))
        for start in range(0, len(deleted), SIMPLE_BATCH):
            batch = deleted[start : start + SIMPLE_BATCH]
            await connection.execute(statements.delete_keys(self.pair, batch))
        if parked and not await self._fits(connection, statements.insert_parked(self.pair)):
            for key in parked:
                if not await self._fits(connection, statements.insert_parked(self.pair, key)):
                    log.warning("row.not_followed", table=self.pair.target.name, key=self.pair.key.text(key))
        await followed.record(connection, self._operation, stretch)

    async def _fits(self, connection: Connection, sql: str) -> bool:
        """Run a statement; False when a key itself has no place in the target: writing the row says so."""
        try:
            await connection.execute(sql)
        except DatabaseError as error:
            if error.errno not in UNFIT:
                raise
            return False
        return True

    async def _alike(self, connection: Connection, keys: Collection[Key]) -> dict[Key, Key]:
        """Name one key for all that the server takes for equal, where only it can tell."""
        if self.pair.key.ordered:
            return {}
        listed = sorted(keys)
        await connection.execute(f"DELETE FROM {statements.ALIKE}")
        for start in range(0, len(listed), SIMPLE_BATCH):
            batch = listed[start : start + SIMPLE_BATCH]
            await connection.execute(statements.insert_alike(self.pair, start, batch))
        rows = await connection.fetch_all(statements.alike(self.pair))
        return {listed[int(n)]: listed[int(least)] for n, least in rows}

    async def _present(self, connection: Connection, keys: Sequence[Key]) -> set[Key]:
        found: set[Key] = set()
        for start in range(0, len(keys), SIMPLE_BATCH):
            sql = statements.present(self.pair, keys[start : start + SIMPLE_BATCH])
            found.update(await self._keys(connection, sql))
        return found

    async def vanished(self, session: Session, keys: Sequence[Key]) -> set[Key]:
        """Return those of the keys that the target has and the source has not."""
        found: set[Key] = set()
        for start in range(0, len(keys), SIMPLE_BATCH):
            sql = statements.vanished(self.pair, keys[start : start + SIMPLE_BATCH])
            found.update(await self._keys(await session.get(), sql))
        return found

    async def _keys(self, connection: Connection, sql: str) -> list[Key]:
        return [self.pair.target_key.from_row(row) for row in await connection.fetch_all(sql)]

    async def _apply_one(self, session: Session, key: Key, gone: Collection[Key] | None, left: Left) -> None:
        vanished: set[Key] = set()

        async def write(connection: Connection) -> None:
            nonlocal vanished
            vanished = await self.write(connection, [key], gone)

        await self._repeat(session, write)
        left.vanished |= vanished

    async def one_by_one(
        self, session: Session, keys: Sequence[Key], left: Left, gone: Collection[Key] | None = None
    ) -> dict[Key, DatabaseError]:
        """Bring keys up to date each in its own transaction; returns those whose rows do not fit."""
        unfit: dict[Key, DatabaseError] = {}
        for key in keys:
            try:
                await self._apply_one(session, key, gone, left)
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

    def duplicates_found(self, index: Index, groups: Sequence[str]) -> DataConflict:
        """Say which rows a new unique index does not allow side by side."""
        columns = ", ".join(index.columns)
        name = ", ".join(self.pair.key.names)
        return DataConflict(
            f"rows of {self.pair.source.name} have equal values in ({columns}), which {index.name} makes "
            f"unique: {name} {'; '.join(groups)}",
            keys=tuple(groups),
            hint="remove the duplicates, or the unique key from the change, and deploy again",
        )

    async def _repeat(self, session: Session, work: Callable[[Connection], Awaitable[None]]) -> None:
        for attempt in range(ATTEMPTS):
            try:
                connection = await session.get()
                async with connection.transaction():
                    await self._check(connection)
                    await work(connection)
                return
            except ConnectionLost:
                if attempt == ATTEMPTS - 1:
                    raise
            except DatabaseError as error:
                if error.errno not in REPEATABLE or attempt == ATTEMPTS - 1:
                    raise


async def quarantine(
    connection: Connection, operation: str, pair: Pair, unfit: Mapping[Key, DatabaseError]
) -> None:
    """Record rows that cannot go back, inside the caller's transaction."""
    for key, error in unfit.items():
        text = pair.key.dump(key) or ""
        await connection.execute(
            f"INSERT INTO {STATE}.quarantine (id, digest, row_key, errno, message) "
            "VALUES (%s, UNHEX(SHA2(%s, 256)), %s, %s, %s) "
            "ON DUPLICATE KEY UPDATE errno = VALUES(errno), message = VALUES(message)",
            *(operation, text, text, error.errno, error.message),
        )
