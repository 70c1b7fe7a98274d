"""I am one table's share of a cut-over, and what its names say about whether that happened."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum

from migrator.engine.companions.companions import Companion
from migrator.engine.ground.journal import Journal
from migrator.engine.ground.operation import Phase
from migrator.engine.rows.follow import Follower
from migrator.engine.table.identity import identity_of
from migrator.engine.table.keys import Key
from migrator.engine.table.shadow import exists
from migrator.errors import OwnershipUnknown
from router.database import Connection, quote_name

SENTRY = "headgate sentry"
COMMENT_OF = "SELECT TABLE_COMMENT FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s"


class Way(Enum):
    """The ways a table can be swapped: the phase before, while it may be happening, and after."""

    FORTH = (Phase.READY, Phase.CUTTING, Phase.REVERTIBLE)
    BACK = (Phase.REVERTIBLE, Phase.REVERTING, Phase.REVERTED)
    AGAIN = (Phase.REVERTED, Phase.REDOING, Phase.REVERTIBLE)

    def __init__(self, before: Phase, ahead: Phase, done: Phase) -> None:
        self.before, self.ahead, self.done = before, ahead, done

    @property
    def forward(self) -> bool:
        """Whether the new table comes and the old one goes."""
        return self is not Way.BACK

    @classmethod
    def of(cls, phase: Phase) -> Way | None:
        """Return the way on which an operation may have been interrupted, None when it was on none."""
        return next((way for way in cls if way.ahead is phase), None)


@dataclass(frozen=True, slots=True)
class Swap:
    """`live` gives its name to `incoming` and takes that of `outgoing`; all in one schema."""

    schema: str
    live: str
    incoming: str
    outgoing: str

    def quoted(self, table: str) -> str:
        """Return a table's qualified name for SQL text."""
        return f"{quote_name(self.schema)}.{quote_name(table)}"

    @property
    def renames(self) -> tuple[tuple[str, str], ...]:
        """What gets which name, in order."""
        return (self.live, self.outgoing), (self.incoming, self.live)


@dataclass(frozen=True, slots=True)
class Part:
    """What one operation does in a cut-over.

    `renames` happen together with those of all other parts. With a `follower`, the rows of `swap.incoming`
    are completed under the lock first; `definition` is the fingerprint the live table must still have, and
    `identity` its number. Of rows in quarantine only those that the part `loses` are given up.
    """

    journal: Journal
    way: Way
    schema: str
    live: str
    renames: tuple[tuple[str, str], ...]
    follower: Follower | None = None
    swap: Swap | None = None
    zone: str = ""
    definition: str = ""
    identity: str = ""
    companions: Sequence[Companion] = ()
    loses: Collection[Key] = ()

    @property
    def tables(self) -> list[tuple[str, str]]:
        """Every table, as (schema, name), that must be locked."""
        there = list(dict.fromkeys(before for before, _ in self.renames))
        further = [table for companion in self.companions for table in companion.tables()]
        return [*((self.schema, name) for name in there), *further]


async def is_sentry(connection: Connection, schema: str, table: str) -> bool:
    """Whether there is a table of that name, and it is the empty one that guards the name."""
    return bool(await connection.fetch_value(COMMENT_OF, schema, table) == SENTRY)


async def has_happened(connection: Connection, swap: Swap, identity: str = "") -> bool:
    """Tell from the names whether the swap happened; nobody may be able to do it any more.

    `identity` is what the live table had before. Raises OwnershipUnknown when the names do not fit.
    """
    found = {
        name
        for name in (swap.live, swap.incoming, swap.outgoing)
        if await exists(connection, swap.schema, name)
    }
    if swap.outgoing in found and await is_sentry(connection, swap.schema, swap.outgoing):
        found.discard(swap.outgoing)
    if found == {swap.live, swap.incoming}:
        return False
    if found == {swap.live, swap.outgoing}:
        seen = await identity_of(connection, swap.schema, swap.outgoing) if identity else ""
        if seen and seen != identity:
            raise OwnershipUnknown(
                f"{swap.schema}.{swap.outgoing} is not the table it was: it was emptied or made anew",
                hint="find out who did, and compare the rows of the tables before you do anything else",
            )
        return True
    raise OwnershipUnknown(
        f"of the tables {swap.live}, {swap.incoming} and {swap.outgoing} in {swap.schema!r} only "
        f"{', '.join(sorted(found)) or 'none'} exist",
        hint="somebody renamed or dropped one of them; compare their rows before you do anything else",
    )
