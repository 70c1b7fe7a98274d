"""I know which key ranges are copied, which are under way, and which keys must be written again.

The rule that makes copying beside writers exact: a key that changes in a range under way waits until that
range's copy is committed; one in a copied range is dirty at once; one in a range that nobody has begun needs
nothing, because the copy that begins later sees the change. What it may not see, since it was received only
just before, is told when the range is opened, and waits as if it had changed then.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from migrator.engine.log.events import Position
from migrator.engine.table.keys import Key, KeySpec


@dataclass(slots=True, eq=False)
class Region:
    """The keys in (low, high]; None is without bound.

    `mark` is how far the log could be seen at its opening: a restart reads all that may be missing again.
    """

    low: Key | None
    high: Key | None
    mark: Position | None = None
    pending: set[Key] = field(default_factory=set)

    @property
    def open(self) -> bool:
        """Whether a copy of these keys is under way."""
        return self.mark is not None

    def holds(self, key: Key) -> bool:
        """Whether the key is in the region."""
        return (self.low is None or self.low < key) and (self.high is None or key <= self.high)


class Ranges:
    """The whole key space of one table. `done` are the ranges that were copied before a restart."""

    def __init__(self, done: Iterable[tuple[Key | None, Key | None]] = ()) -> None:
        self.dirty: set[Key] = set()
        self._regions: list[Region] = []
        for low, high in done:
            self._insert(Region(low, high))
        self._merge()

    @classmethod
    def copied(cls) -> Ranges:
        """Return a key space that is copied entirely."""
        return Ranges([(None, None)])

    @property
    def complete(self) -> bool:
        """Whether every range is copied."""
        return len(self._regions) == 1 and self._is_everything(self._regions[0])

    def changed(self, keys: Sequence[Key]) -> None:
        """Take keys that changed, in the order of the log."""
        if self.complete:
            self.dirty.update(keys)
            return
        for key in keys:
            for region in self._regions:
                if region.holds(key):
                    (region.pending if region.open else self.dirty).add(key)
                    break

    def gap(self) -> tuple[Key | None, Key | None] | None:
        """Return the first range that nobody has begun, None when there is none left."""
        low: Key | None = None
        for region in self._regions:
            if region.low is not None and region.low != low:
                return low, region.low
            if region.high is None:
                return None
            low = region.high
        return low, None

    def open(self, low: Key | None, high: Key | None, mark: Position, unseen: Iterable[Key] = ()) -> Region:
        """Begin a range: from now on its changes wait, as do those that its copy may not see.

        The range must lie in a gap.
        """
        region = Region(low, high, mark)
        region.pending.update(key for key in unseen if region.holds(key))
        self._insert(region)
        return region

    def close(self, region: Region) -> None:
        """A range's copy is committed: what changed meanwhile is dirty now."""
        self.dirty |= region.pending
        region.pending = set()
        region.mark = None
        self._merge()

    def take_dirty(self) -> set[Key]:
        """Hand out the dirty keys; keys that change from now on belong to the next call."""
        taken, self.dirty = self.dirty, set()
        return taken

    def safe_position(self, boundary: Position) -> Position:
        """Return where a restart may begin to read once every key that is dirty now has been written."""
        return min([boundary, *(region.mark for region in self._regions if region.mark is not None)])

    @property
    def pending_count(self) -> int:
        """How many keys wait to be written."""
        return len(self.dirty) + sum(len(region.pending) for region in self._regions)

    def _insert(self, region: Region) -> None:
        at = 0
        for at, other in enumerate(self._regions):  # noqa: B007 - where the loop stopped is the answer
            if region.low is None or (other.low is not None and region.low < other.low):
                break
        else:
            at = len(self._regions)
        self._regions.insert(at, region)

    def _merge(self) -> None:
        merged: list[Region] = []
        for region in self._regions:
            last = merged[-1] if merged else None
            if (
                last
                and not last.open
                and not region.open
                and last.high is not None
                and last.high == region.low
            ):
                last.high = region.high
            else:
                merged.append(region)
        self._regions = merged

    @property
    def frontier(self) -> Key | None:
        """Beyond which key nothing may be written yet; None when Python tells that by itself."""
        return None

    @staticmethod
    def _is_everything(region: Region) -> bool:
        return region.low is None and region.high is None and not region.open


class ServerRanges(Ranges):
    """The key space of a table whose keys only the server can compare: one range after the other is copied.

    Copying and writing must alternate: nobody writes while a range is open. Every key that changes once the
    first range is open becomes dirty, and the statements that write carry `frontier` as a condition, so that
    the server itself leaves out the keys beyond it, in the column's own collation. They may be forgotten:
    writing begins behind a fence, so the changes they stand for are visible by then, and the copy of their
    range, which begins later, reads them. A key up to the frontier is read again as any other. Two keys that
    Python takes for two and the server for one only name the same row twice.
    """

    def __init__(self, done: Iterable[tuple[Key | None, Key | None]] = ()) -> None:
        super().__init__()
        self._frontier: Key | None = None
        self._begun = False
        self._complete = False
        self._open: Region | None = None
        reached = dict(done)
        while not self._complete and self._frontier in reached:
            self._begun = True
            self._frontier = reached[self._frontier]
            self._complete = self._frontier is None

    @property
    def complete(self) -> bool:
        """Whether every range is copied."""
        return self._complete

    @property
    def frontier(self) -> Key | None:
        """Beyond which key nothing may be written yet."""
        return self._frontier

    def changed(self, keys: Sequence[Key]) -> None:
        """Take keys that changed, in the order of the log."""
        if self._begun:
            self.dirty.update(keys)

    def gap(self) -> tuple[Key | None, Key | None] | None:
        """Return what comes behind the frontier, None when there is nothing left."""
        return None if self._complete else (self._frontier, None)

    def open(self, low: Key | None, high: Key | None, mark: Position, unseen: Iterable[Key] = ()) -> Region:
        """Begin the next range; nothing is written until it is closed."""
        assert self._open is None
        self._begun = True
        self.dirty.update(unseen)
        self._open = Region(low, high, mark)
        return self._open

    def close(self, region: Region) -> None:
        """The range's copy is committed: the frontier moves on."""
        self._open = None
        region.mark = None
        self._frontier = region.high
        self._complete = region.high is None

    def take_dirty(self) -> set[Key]:
        """Hand out the dirty keys; until the first range is copied they wait for it."""
        return set() if self._frontier is None and not self._complete else super().take_dirty()

    def safe_position(self, boundary: Position) -> Position:
        """Return where a restart may begin to read once every key that is dirty now has been written."""
        return boundary if self._open is None or self._open.mark is None else min(boundary, self._open.mark)

    @property
    def pending_count(self) -> int:
        """How many keys wait to be written."""
        return len(self.dirty)


def ranges_of(key: KeySpec, done: Iterable[tuple[Key | None, Key | None]] = ()) -> Ranges:
    """Return the key space of a table, with the ranges that were copied before a restart."""
    if not key.ordered:
        return ServerRanges(done)
    return Ranges(sorted(done, key=lambda bounds: (bounds[0] is not None, bounds[0])))
