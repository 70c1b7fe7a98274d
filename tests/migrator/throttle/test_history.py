"""The throttle's last hour by the second, the rest of its day thinner."""

from __future__ import annotations

import pytest

from migrator.throttle.history import COARSE_POINTS, FINE_POINTS, History, Point


def point(at_s: float, share: float = 0.5, signal: str | None = None) -> Point:
    return Point(at_s, share, 1.0, 100.0, signal, f"because of {signal}" if signal else None)


def test_points_of_the_same_second_are_one() -> None:
    history = History()
    for tick in range(20):
        history.add(point(tick / 10))
    assert len(history.since(-1, 100)) == 2


def test_an_hour_is_kept_whole_and_a_day_in_minutes() -> None:
    history = History()
    seconds = 30 * 3600
    for second in range(seconds):
        history.add(point(float(second), share=0.0 if second % 2 else 1.0))
    everything = history.since(-1, 10**6)
    assert len(everything) <= FINE_POINTS + COARSE_POINTS
    assert everything[0].at_s < seconds - 23 * 3600
    assert everything[0].share == pytest.approx(0.5, abs=0.02)
    assert [each.at_s for each in everything] == sorted(each.at_s for each in everything)
    assert len(history.since(seconds - 60.5, 1000)) == 60


def test_thinning_keeps_the_means_and_what_held_longest() -> None:
    history = History()
    for second in range(100):
        history.add(point(float(second), share=0.0, signal="lag" if second % 10 else "probe"))
    thinned = history.since(-1, 10)
    assert len(thinned) == 10
    assert {each.signal for each in thinned} == {"lag"}
    assert thinned[-1].at_s == 99.0
