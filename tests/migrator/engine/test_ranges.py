"""Whatever order ranges and changes come in, no changed key of a copied row is forgotten."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from migrator.engine.log.events import Position
from migrator.engine.rows.ranges import Ranges, ServerRanges

START = Position.of("log.1", 4)


def test_a_change_waits_for_the_copy_of_its_range_and_is_dirty_then() -> None:
    ranges = Ranges()
    region = ranges.open(None, 10, START)
    ranges.changed([5, 10, 11])
    assert ranges.dirty == set()
    ranges.close(region)
    assert ranges.dirty == {5, 10}


def test_a_restart_may_not_skip_what_waits_for_a_copy_under_way() -> None:
    ranges = Ranges()
    first = ranges.open(None, 10, START)
    later = Position.of("log.1", 100)
    ranges.open(10, 20, Position.of("log.1", 50))
    assert ranges.safe_position(later) == START
    ranges.close(first)
    assert ranges.safe_position(later).offset == 50


def test_islands_copied_before_a_restart_are_kept_and_gaps_are_found() -> None:
    ranges = Ranges([(None, 10), (20, 30), (30, 40)])
    assert ranges.gap() == (10, 20)
    ranges.changed([5, 15, 25, 45])
    assert ranges.dirty == {5, 25}
    ranges.close(ranges.open(10, 20, START))
    assert ranges.gap() == (40, None)
    ranges.close(ranges.open(40, None, START))
    assert ranges.complete
    assert ranges.gap() is None


@given(st.data())
def test_every_change_after_a_ranges_opening_becomes_dirty(data: st.DataObject) -> None:
    """A model of the whole protocol: keys 0 to 30, any interleaving of opening, closing and changes."""
    ranges = Ranges()
    bounds = [*range(0, 30, 5), None]
    next_bound, low = 0, None
    open_regions = []
    must: set[int] = set()
    opened: list[tuple[int | None, int | None]] = []
    for _ in range(data.draw(st.integers(1, 40))):
        action = data.draw(st.sampled_from(["open", "close", "change"]))
        if action == "open" and next_bound < len(bounds):
            assert ranges.gap() == (low, None)
            high = bounds[next_bound]
            open_regions.append(ranges.open(low, high, START))
            opened.append((low, high))
            low, next_bound = high, next_bound + 1
        elif action == "close" and open_regions:
            ranges.close(open_regions.pop(data.draw(st.integers(0, len(open_regions) - 1))))
        else:
            key = data.draw(st.integers(-2, 31))
            ranges.changed([key])
            if any((a is None or a < key) and (b is None or key <= b) for a, b in opened):
                must.add(key)
    for region in open_regions:
        ranges.close(region)
    assert ranges.take_dirty() == must


class Server:
    """A table and its copy, whose keys are equal when they differ in case only; Python is not told."""

    def __init__(self, names: set[str]) -> None:
        self.source = {name.lower(): (name, 0) for name in names}
        self.target: dict[str, tuple[str, int]] = {}
        self.log: list[str] = []

    def write(self, name: str, value: int) -> None:
        former = self.source.pop(name.lower(), None)
        self.log += [former[0]] if former else []
        if value:
            self.source[name.lower()] = (name, value)
            self.log.append(name)

    def copy(self, low: str | None, high: str | None) -> None:
        for key, row in self.source.items():
            if (low is None or key > low.lower()) and (high is None or key <= high.lower()):
                assert key not in self.target, "a row is copied twice"
                self.target[key] = row

    def flush(self, names: set[str], frontier: str | None) -> None:
        for key in {name.lower() for name in names}:
            if key in self.target and key not in self.source:
                del self.target[key]
            if key in self.source and (frontier is None or key <= frontier.lower()):
                self.target[key] = self.source[key]


NAMES = st.sampled_from(["a", "A", "b", "B", "c", "C", "d", "D"])


@given(
    st.sets(NAMES),
    st.lists(st.tuples(st.sampled_from(["write", "read", "flush", "copy"]), NAMES, st.integers(0, 3))),
)
def test_a_copy_is_exact_although_only_the_server_can_compare_keys(
    names: set[str], steps: list[tuple[str, str, int]]
) -> None:
    server, ranges, read = Server(names), ServerRanges(), 0

    def receive() -> None:
        nonlocal read
        ranges.changed(server.log[read:])
        read = len(server.log)

    def copy(high: str | None, meanwhile: list[tuple[str, int]]) -> None:
        gap = ranges.gap()
        if gap is None or (high is not None and gap[0] is not None and high.lower() <= gap[0].lower()):
            return
        region = ranges.open(gap[0], high, START)
        server.copy(gap[0], high)
        for name, value in meanwhile:
            server.write(name, value)
        receive()
        ranges.close(region)

    for step, name, value in steps:
        if step == "write":
            server.write(name, value)
        elif step == "read":
            receive()
        elif step == "flush":
            server.flush(ranges.take_dirty(), ranges.frontier)
        else:
            copy(name, [(name, value)])
    copy(None, [])
    receive()
    server.flush(ranges.take_dirty(), ranges.frontier)
    assert ranges.complete
    assert server.target == server.source


def test_a_text_keys_copy_goes_on_behind_the_ranges_that_follow_each_other() -> None:
    ranges = ServerRanges([(b"m", b"p"), (None, b"k"), (b"k", b"m"), (b"x", b"z")])
    assert ranges.gap() == (b"p", None)
    assert ranges.frontier == b"p"
    assert ServerRanges([(None, b"k"), (b"k", None)]).complete
