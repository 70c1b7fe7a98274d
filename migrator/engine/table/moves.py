"""I remember where a row was before its key was changed, so that values only one table has can follow it."""

from __future__ import annotations

from collections.abc import Iterator

from migrator.engine.table.keys import Key


class Moves:
    """The moves of one stretch of the log: the keys under which a row that now has a key was before.

    A row that began in the stretch, under a key whose former row was deleted, was nowhere. All stations are
    kept, not only the first: after a restart the target may be at any of them.
    """

    def __init__(self) -> None:
        self._stations: dict[Key, tuple[Key, ...] | None] = {}

    def __iter__(self) -> Iterator[tuple[tuple[Key, ...], Key]]:
        """The rows that were somewhere else: (keys before, the latest first; key now)."""
        return ((before[::-1], now) for now, before in self._stations.items() if before)

    def moved(self, before: Key, after: Key) -> None:
        """A row's key was changed."""
        stations = self._stations.pop(before, ())
        self._stations[after] = None if stations is None else (*stations, before)

    def deleted(self, key: Key) -> None:
        """A row was deleted; another that gets its key later is a new one."""
        self._stations[key] = None

    def then(self, later: Moves) -> Moves:
        """Return the moves of this stretch and the one right after it together."""
        both = Moves()
        left = {key for stations in later._stations.values() if stations for key in stations}
        both._stations = {now: before for now, before in self._stations.items() if now not in left}
        for now, stations in later._stations.items():
            former = self._stations.get(stations[0], ()) if stations else None
            both._stations[now] = None if former is None or stations is None else (*former, *stations)
        return both
