"""How far an operation is, how long it may take, and how sure that is, with the clock passed in."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator.engine.ground.progress import (
    COPYING,
    ESTIMATE_WRONG,
    STALLED_S,
    VERIFY_COST,
    VERIFYING,
    Estimate,
    Progress,
)


def copy(progress: Progress, seconds: int, per_s: int, *, position: bool = False) -> Estimate:
    """Copy steadily, looked at once a second."""
    for second in range(seconds):
        done = second * per_s
        estimate = progress.look(float(second), COPYING, done, position=done if position else None)
    return estimate


def test_a_steady_copy_is_told_with_its_verification() -> None:
    estimate = copy(Progress(100_000, 200), 11, 1000)
    assert estimate.rows_per_s == pytest.approx(1000)
    assert estimate.eta_s == pytest.approx((90_000 + VERIFY_COST * 100_000) / 1000)
    assert (estimate.bytes_done, estimate.bytes_total) == (2_000_000, 20_000_000)
    assert not estimate.stalled


def test_the_servers_estimate_may_be_wrong_by_half() -> None:
    estimate = copy(Progress(100_000, 200), 2, 1000)
    assert estimate.eta_s is not None
    assert estimate.eta_low_s == pytest.approx(estimate.eta_s * (1 - ESTIMATE_WRONG), rel=0.1)
    assert estimate.eta_high_s == pytest.approx(estimate.eta_s * (1 + ESTIMATE_WRONG), rel=0.1)


def test_the_position_in_a_numeric_key_corrects_the_servers_estimate() -> None:
    estimate = copy(Progress(50_000, 200, (0, 199_999)), 51, 1000, position=True)
    assert estimate.rows_total == pytest.approx(200_000, rel=0.01)
    surer = copy(Progress(50_000, 200, (0, 199_999)), 181, 1000, position=True)
    assert surer.eta_s is not None
    assert estimate.eta_s is not None
    assert surer.eta_high_s is not None
    assert surer.eta_low_s is not None
    assert surer.eta_low_s <= surer.eta_s <= surer.eta_high_s


def test_a_table_that_grows_while_it_is_copied_is_never_more_than_whole() -> None:
    estimate = copy(Progress(1000, 200), 11, 1000)
    assert estimate.rows_total == 10_000


def test_verification_has_a_pace_of_its_own() -> None:
    progress = Progress(10_000, 200)
    copy(progress, 11, 1000)
    for second in range(3):
        estimate = progress.look(20.0 + second, VERIFYING, 10_000, 2500 * second)
    assert estimate.rows_per_s == pytest.approx(2500)
    assert estimate.eta_s == pytest.approx(2.0)


def test_a_pace_that_changes_is_followed_and_makes_it_less_sure() -> None:
    progress = Progress(10_000_000, 200)
    steady = copy(progress, 60, 1000)
    rows = 59_000
    for second in range(60, 660):
        rows += 100
        slow = progress.look(float(second), COPYING, rows)
    assert 100 < slow.rows_per_s < 400
    assert steady.rows_per_s == pytest.approx(1000)


def test_nothing_moving_for_long_is_a_stall() -> None:
    progress = Progress(100_000, 200)
    copy(progress, 11, 1000)
    assert not progress.look(10.0 + STALLED_S - 1, COPYING, 10_000).stalled
    stalled = progress.look(10.0 + STALLED_S, COPYING, 10_000)
    assert stalled.stalled
    assert stalled.idle_s == STALLED_S


def test_between_copying_and_verifying_nothing_stalls() -> None:
    progress = Progress(100_000, 200)
    copy(progress, 11, 1000)
    estimate = progress.look(1000.0, "catching up", 10_000)
    assert not estimate.stalled
    assert estimate.eta_s is None


@given(
    st.integers(0, 10**9),
    st.integers(0, 10**12),
    st.lists(st.tuples(st.floats(0.0, 100.0), st.integers(0, 10**6)), max_size=50),
)
def test_what_is_told_is_in_order_whatever_happens(
    guess: int, width: int, steps: list[tuple[float, int]]
) -> None:
    progress = Progress(guess, 100, (-5, width))
    now_s, rows = 0.0, 0
    for step_s, more in steps:
        now_s, rows = now_s + step_s, rows + more
        estimate = progress.look(now_s, COPYING, rows, position=rows)
        assert estimate.rows_total >= rows
        assert estimate.rows_per_s >= 0
        if estimate.eta_s is not None and estimate.eta_low_s is not None and estimate.eta_high_s is not None:
            assert 0 <= estimate.eta_low_s <= estimate.eta_s <= estimate.eta_high_s
