"""I remember where a row was before its key was changed, so that values only one table has can follow it."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.engine.keys import Key


class Moves:
    """The moves of one stretch of the log: where the row that now has a key was when the stretch began.

    A row that began in the stretch, under a key whose former row was deleted, was nowhere.
    """

    def __init__(self) -> None:
        self._origins: dict[Key, Key | None] = {}

    def __iter__(self) -> Iterator[tuple[Key, Key]]:
        """The rows that were somewhere else: (key before, key now)."""
        return ((before, now) for now, before in self._origins.items() if before is not None)

    def moved(self, before: Key, after: Key) -> None:
        """A row's key was changed."""
        self._origins[after] = self._origins.pop(before, before)

    def deleted(self, key: Key) -> None:
        """A row was deleted; another that gets its key later is a new one."""
        self._origins[key] = None

    def then(self, later: Moves) -> Moves:
        """Return the moves of this stretch and the one right after it together."""
        both = Moves()
        left = set(later._origins.values())
        both._origins = {now: before for now, before in self._origins.items() if now not in left}
        for now, before in later._origins.items():
            both._origins[now] = None if before is None else self._origins.get(before, before)
        return both
