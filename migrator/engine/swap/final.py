"""I do what is left to do for rows when nobody can write any more: under the lock of a cut-over."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from migrator.engine.log.moves import Stretch
from migrator.engine.rows.applier import UNFIT
from migrator.engine.rows.follow import Follower
from migrator.engine.swap.part import Part, Way
from migrator.engine.table import statements
from migrator.engine.table.identity import identity_of
from migrator.engine.table.keys import Key
from migrator.engine.table.shape import counter_of, fingerprint, show_create
from migrator.errors import DataConflict, SourceChanged
from router.database import Connection
from router.errors import DatabaseError

HINT = "cancel this deployment and start a new one"
SHOWN = 5


async def check_source(reader: Connection, part: Part) -> int:
    """See that a part's live table is the one that was copied.

    Returns what the AUTO_INCREMENT of the incoming table must be raised to, 0 when it is high enough.
    """
    swap = part.swap
    if swap is None:
        return 0
    created = await show_create(reader, swap.schema, swap.live)
    if fingerprint(created) != part.definition:
        raise SourceChanged(
            f"the definition of {swap.schema}.{swap.live} changed during the deployment", hint=HINT
        )
    if part.identity and part.identity != await identity_of(reader, swap.schema, swap.live):
        raise SourceChanged(
            f"{swap.schema}.{swap.live} is another table now: somebody emptied it, or made it anew",
            hint=HINT,
        )
    wanted = counter_of(created)
    if wanted <= 1:
        return 0
    incoming = await show_create(reader, swap.schema, swap.incoming)
    return wanted if "AUTO_INCREMENT" in incoming and wanted > counter_of(incoming) else 0


def check_misfits(follower: Follower, way: Way, spared: Collection[Key] = ()) -> None:
    """Raise DataConflict when rows, other than those spared, do not fit the table they should go to."""
    left = [key for key in follower.quarantined if key not in spared]
    if left:
        hint = "correct these rows, or leave the tables as they are"
        raise DataConflict(told_misfits(follower, way, left), hint=hint)


def told_misfits(follower: Follower, way: Way, keys: Sequence[Key]) -> str:
    """Say in a sentence which rows have no place on that way."""
    shown = ", ".join(follower.pair.key.text(key) for key in keys[:SHOWN])
    more = ", …" if len(keys) > SHOWN else ""
    said = (
        "rows written since do not fit the new definition:"
        if way.forward
        else "rows written since do not fit the old definition:"
    )
    return f"{len(keys)} {said} {shown}{more} ({follower.quarantined[keys[0]].message})"


class LastRows:
    """The rows of all parts that changed since the last flush, written on the connection with the lock."""

    def __init__(self, lock: Connection, parts: Sequence[Part]) -> None:
        self._lock = lock
        self._following = [(part, part.follower) for part in parts if part.follower is not None]
        self._ready_for: Follower | None = None
        self._taken: list[tuple[Part, Follower, set[Key], Stretch]] = []

    @property
    def count(self) -> int:
        """How many they are."""
        return sum(len(keys) for _, _, keys, _ in self._taken)

    async def prepare(self) -> None:
        """Make ready before the lock what can be: for one part."""
        if self._following:
            await self._set_up(*self._following[0])

    def take(self) -> None:
        """Take what is dirty; writing is paused."""
        self._taken = [(part, follower, *follower.take()) for part, follower in self._following]

    def give_back(self) -> None:
        """Take none of it: it could not be written."""
        for _, follower, keys, stretch in self._taken:
            follower.give_back(keys, stretch)
        self._taken = []

    def check(self) -> None:
        """Raise DataConflict when rows that do not fit would stay behind without being given up."""
        for part, follower, keys, _ in self._taken:
            check_misfits(follower, part.way, {*keys, *part.loses})

    async def write(self) -> None:
        """Write them, in one transaction that the caller commits."""
        for part, follower, keys, stretch in self._taken:
            if not keys:
                continue
            if self._ready_for is not follower:
                await self._set_up(part, follower)
            if follower.keeps:
                await follower.applier.follow(self._lock, stretch)
            stuck = keys.intersection(follower.quarantined, part.loses)
            if keys - stuck:
                await follower.applier.write(self._lock, sorted(keys - stuck))
            for key in sorted(stuck):
                await self._try(follower, key)

    async def _try(self, follower: Follower, key: Key) -> None:
        """Write a row that did not fit before; it stays as it was last when it still does not."""
        await self._lock.execute("SAVEPOINT before_row")
        try:
            await follower.applier.write(self._lock, [key])
        except DatabaseError as error:
            if error.errno not in UNFIT:
                raise
            await self._lock.execute("ROLLBACK TO SAVEPOINT before_row")

    async def _set_up(self, part: Part, follower: Follower) -> None:
        """Make the session one that can write a part's rows; temporary tables need no lock."""
        if self._ready_for is not None:
            for name in statements.TEMPORARY:
                await self._lock.execute(f"DROP TEMPORARY TABLE IF EXISTS {name}")
        await self._lock.execute(f"SET SESSION time_zone = '{part.zone}'")
        for statement in follower.applier.setup:
            await self._lock.execute(statement)
        self._ready_for = follower
