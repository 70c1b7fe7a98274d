from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from proxy.histogram import bucket_of, merge, percentile, upper_bound_us


@given(st.integers(0, 1 << 40))
def test_a_duration_is_within_its_bucket(duration: int) -> None:
    bucket = bucket_of(duration)
    assert upper_bound_us(bucket) >= duration
    assert bucket == 0 or upper_bound_us(bucket - 1) < duration


@given(st.integers(1, 1 << 40))
def test_a_bucket_is_narrow(duration: int) -> None:
    assert upper_bound_us(bucket_of(duration)) <= duration * 1.0625


@given(st.lists(st.integers(0, 10_000_000), min_size=1), st.floats(0.01, 1))
def test_a_percentile_is_near_the_true_one(durations: list[int], share: float) -> None:
    histogram = merge({bucket_of(duration): 1} for duration in durations)
    true = sorted(durations)[max(0, -(-int(share * len(durations) * 1e9) // 10**9) - 1)]
    assert percentile(histogram, share) >= true * 0.99
    assert percentile(histogram, 1.0) <= max(durations) * 1.0625


def test_nothing_has_no_percentile() -> None:
    assert percentile({}, 0.5) == 0


def test_merging_adds_up() -> None:
    assert merge([{1: 2, 3: 4}, {3: 1}]) == {1: 2, 3: 5}
