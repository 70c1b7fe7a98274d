"""A copy that reads before it can see everything forgets nothing, whenever the process dies."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from migrator.engine.ground.session import Session
from migrator.engine.log.place import Position
from migrator.engine.rows import fence as fences
from migrator.engine.rows.fence import Fence, Moment
from migrator.engine.rows.ranges import Ranges, Region, ServerRanges
from migrator.engine.table.keys import Key

KEYS = 5


class Server:
    """A log of keys that changed, of which readers see only the beginning; a copy, and what is recorded."""

    def __init__(self) -> None:
        self.log: list[int] = []
        self.visible = 0
        self.target: dict[int, int] = {}
        self.done: list[tuple[int | None, int | None]] = []
        self.saved = 0

    def value(self, key: int) -> int:
        """What a read shows: the number of the key's last change that can be seen."""
        return max((n for n, each in enumerate(self.log[: self.visible], 1) if each == key), default=0)

    def commit(self) -> None:
        """Acknowledge a write: all that is in the log before it can be seen now."""
        self.visible = len(self.log)


class Engine:
    """One life of a process: what it has received, and what it would do, without a socket."""

    unordered = False

    def __init__(self, server: Server, *, ordered: bool) -> None:
        self.server, self.start, self.received = server, server.saved, 0
        done = [(low, high) for low, high in server.done]
        self.ranges = Ranges(sorted(done, key=lambda each: each[0] or 0)) if ordered else ServerRanges(done)
        self.ordered = ordered
        self.fence = Fence(Session.__new__(Session), "op", self)
        self.open: list[tuple[Region, Moment, dict[int, int]]] = []
        self.savable = self.start

    @property
    def boundary(self) -> Position:
        return Position(1, self.start + self.received)

    def gtids_received(self) -> str | None:
        return None

    def receive(self, count: int) -> None:
        for key in self.server.log[self.start + self.received :][:count]:
            self.received += 1
            self.ranges.changed([key])
            if not self.ranges.complete:
                self.fence.remember([key])

    def cross(self) -> None:
        begun = self.fence.now
        self.server.commit()
        self.fence.committed(begun)

    def begin(self, rows: int) -> None:
        """Open the next range and read it; the write comes with the commit."""
        gap = self.ranges.gap()
        if gap is None or (self.open and not self.ordered):
            return
        low, bound = gap
        high: int | None = (0 if low is None else low) + rows
        if high is not None and high >= (KEYS if bound is None else bound):
            high = bound
        unseen = self.fence.unseen()
        region = self.ranges.open(low, high, self.fence.seen_up_to(), unseen or ())
        if unseen is None:
            self.cross()
        begun = self.fence.now
        keys = [key for key in range(1, KEYS + 1) if region.holds(key)]
        self.open.append((region, begun, {key: self.server.value(key) for key in keys}))

    def commit(self, which: int) -> None:
        if self.open:
            region, begun, read = self.open.pop(which % len(self.open))
            self.server.commit()
            self.server.target |= read
            self.server.done.append((region.low, region.high))
            self.fence.committed(begun)
            self.ranges.close(region)

    def flush(self, *, dies: bool) -> None:
        if self.open and not self.ordered:
            return
        complete = self.ranges.complete
        position = self.ranges.safe_position(self.boundary if complete else self.fence.seen_up_to())
        frontier: Key = self.ranges.frontier
        keys = self.ranges.take_dirty()
        if dies:
            return
        if keys:
            self.cross()
            for key in keys:
                if frontier is None or key <= frontier:
                    self.server.target[key] = self.server.value(key)
        assert position.offset >= self.savable, "a place to go on from may be forgotten once there is a later"
        self.savable = position.offset

    def save(self) -> None:
        self.server.saved = self.savable


# The copy of the second range does not see the key's change, which was received only just before.
UNSEEN = [("begin", 1), ("commit", 1), ("write", 3), ("receive", 1), ("begin", 3)]
SAVED_BEFORE = [*UNSEEN[:4], ("flush", 1), ("save", 1), UNSEEN[4], ("commit", 1), ("die", 1)]
SAVED_MEANWHILE = [*UNSEEN, ("cross", 1), ("flush", 1), ("save", 1), ("commit", 1), ("die", 1)]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["write", "write", "receive", "see", "begin", "commit", "flush", "save", "cross", "die"]
        ),
        st.integers(1, KEYS),
    ),
    max_size=80,
)


@pytest.mark.parametrize("ordered", [True, False], ids=["ordered keys", "keys of the server's class"])
@given(steps=STEPS, remembered=st.sampled_from([0, 2, 100]))
@example(steps=UNSEEN, remembered=100)
@example(steps=SAVED_BEFORE, remembered=100)
@example(steps=SAVED_MEANWHILE, remembered=100)
@settings(max_examples=300, deadline=None)
def test_nothing_is_forgotten_whatever_can_be_seen_and_whenever_the_process_dies(
    ordered: bool, steps: Sequence[tuple[str, int]], remembered: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fences, "UNSEEN_MAX", remembered)
        _live(ordered, steps)


def _live(ordered: bool, steps: Sequence[tuple[str, int]]) -> None:
    server = Server()
    engine = Engine(server, ordered=ordered)
    for step, number in steps:
        match step:
            case "write":
                server.log.append(number)
            case "receive":
                engine.receive(number)
            case "see":
                server.visible = min(len(server.log), server.visible + number)
            case "begin":
                engine.begin(number)
            case "commit":
                engine.commit(number)
            case "flush":
                engine.flush(dies=False)
            case "save":
                engine.save()
            case "cross":
                engine.cross()
            case _:
                engine.flush(dies=True)
                engine = Engine(server, ordered=ordered)
    while engine.open:
        engine.commit(0)
    while engine.ranges.gap() is not None:
        engine.begin(KEYS)
        engine.commit(0)
    engine.receive(len(server.log))
    engine.flush(dies=False)
    assert engine.ranges.complete
    server.commit()
    assert server.target == {key: server.value(key) for key in range(1, KEYS + 1)}
