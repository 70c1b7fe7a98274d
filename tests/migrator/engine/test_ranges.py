"""Whatever order ranges and changes come in, no changed key of a copied row is forgotten."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from migrator.engine.events import Position
from migrator.engine.ranges import Ranges

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
