"""What the workers report, added up over the last second."""

from __future__ import annotations

import pytest

from control.traffic import WINDOW_S, Traffic
from proxy.channel import BranchStats, ClassStats
from proxy.histogram import bucket_of


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def traffic(clock: Clock) -> Traffic:
    return Traffic(clock)


def stats(durations_us: dict[int, int], *, connections: int = 1, in_flight: int = 0) -> BranchStats:
    """A report of SELECT statements, so many of each duration."""
    queries = sum(durations_us.values())
    buckets = [(bucket_of(duration), count) for duration, count in sorted(durations_us.items())]
    one = ClassStats(queries, 0, in_flight, 0, buckets)
    return BranchStats("shop", "main", connections, 0, 0, {"select": one} if queries or in_flight else {})


def test_before_any_report_nothing_is_known(traffic: Traffic) -> None:
    assert traffic.sample("shop", "main") is None
    assert traffic.connections("shop", "main") == 0
    assert traffic.queries("shop", "main") == 0


def test_workers_are_added_and_percentiles_taken_over_all_of_them(traffic: Traffic) -> None:
    traffic.record(1, [stats({1_000: 90}, in_flight=2)])
    traffic.record(2, [stats({100_000: 10}, in_flight=3)])
    sample = traffic.sample("shop", "main")
    assert sample is not None
    select = sample.classes["select"]
    assert select.queries_per_s == 100
    assert select.p50_ms == pytest.approx(1.0, rel=0.07)
    assert select.p95_ms == pytest.approx(100.0, rel=0.07)
    assert sample.in_flight == 5
    assert sample.at_s == 100.0


def test_what_is_older_than_a_second_no_longer_counts(traffic: Traffic, clock: Clock) -> None:
    traffic.record(1, [stats({1_000: 5})])
    clock.now += WINDOW_S / 2
    traffic.record(1, [stats({1_000: 7})])
    clock.now += WINDOW_S / 2 + 0.01
    sample = traffic.sample("shop", "main")
    assert sample is not None
    assert sample.classes["select"].queries_per_s == 7
    clock.now += WINDOW_S
    # Silence is not peace: the last sample stays, and shows its age.
    assert traffic.sample("shop", "main") == sample
    assert traffic.connections("shop", "main") == 0


def test_connections_are_those_of_each_workers_last_report(traffic: Traffic) -> None:
    traffic.record(1, [stats({}, connections=9)])
    traffic.record(1, [stats({}, connections=2)])
    traffic.record(2, [stats({}, connections=3)])
    assert traffic.connections("shop", "main") == 5
    traffic.forget(1)
    assert traffic.connections("shop", "main") == 3


def test_a_branch_without_statements_has_a_sample_without_classes(traffic: Traffic) -> None:
    traffic.record(1, [stats({})])
    sample = traffic.sample("shop", "main")
    assert sample is not None
    assert sample.classes == {}
    assert sample.in_flight == 0


def test_a_statement_under_way_counts_before_it_has_ended(traffic: Traffic) -> None:
    traffic.record(1, [stats({}, in_flight=1)])
    sample = traffic.sample("shop", "main")
    assert sample is not None
    assert sample.in_flight == 1
    assert sample.classes["select"].queries_per_s == 0


def test_all_statements_since_the_start_stay_counted(traffic: Traffic, clock: Clock) -> None:
    for _ in range(3):
        traffic.record(1, [stats({1_000: 5})])
        clock.now += 10
    traffic.forget(1)
    assert traffic.queries("shop", "main") == 15
    assert traffic.queries("shop", "other") == 0
