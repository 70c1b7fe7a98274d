"""I say where rows went whose keys changed, so that values only one table has can follow them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from migrator.engine.log.place import SOMEWHERE, Position
from migrator.engine.table.keys import Key


class Move(NamedTuple):
    """The log gave a row another key, or none any more."""

    before: Key
    after: Key | None


@dataclass(frozen=True, slots=True)
class Stretch:
    """The moves of one stretch of the log in their order, and where it ends: by GTIDs, too, if there are any.

    It ends with a transaction, and holds all moves since the end of the stretch before it. `tried` are
    beginnings of it that may have been done already, since nobody heard how it went: where they end, and how
    many of its moves they are.
    """

    moves: tuple[Move, ...] = ()
    end: Position = SOMEWHERE
    gtids: str | None = None
    tried: tuple[tuple[Position, int], ...] = ()

    @property
    def keys(self) -> set[Key]:
        """Every key that a row had or got."""
        return {key for move in self.moves for key in move if key is not None}

    def then(self, later: Stretch) -> Stretch:
        """Return this stretch and the one right after it together."""
        if not later.moves:
            return self
        return Stretch(self.moves + later.moves, later.end, later.gtids, self.tried)

    def again(self, moves: tuple[Move, ...], end: Position, gtids: str | None) -> Stretch:
        """Return this stretch, which may have been done, and what came after it together."""
        tried = (*self.tried, (self.end, len(self.moves))) if self.moves else ()
        return Stretch(self.moves + moves, end, gtids, tried)

    def done_up_to(self, end: Position) -> int:
        """Return how many of the moves are done when it was recorded that those up to `end` are."""
        return dict((*self.tried, (self.end, len(self.moves)))).get(end, 0)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a stretch comes to.

    `came_from` says for keys which key their row had before the stretch; `left` are keys whose rows from
    before it are nowhere any more. A row that came into being meanwhile is in neither.
    """

    came_from: Mapping[Key, Key]
    left: frozenset[Key]


def outcome(moves: Iterable[Move], same: Mapping[Key, Key]) -> Outcome:
    """Follow rows through a stretch; `same` names one key for several that are equal on the server."""
    origin: dict[Key, Key | None] = {}
    for before, after in moves:
        here = same.get(before, before)
        row = origin.get(here, here)
        # Whoever has this key later, it is another row.
        origin[here] = None
        if after is not None:
            origin[same.get(after, after)] = row
    came_from = {now: was for now, was in origin.items() if was is not None}
    return Outcome(came_from, frozenset(origin.keys() - came_from.values()))
