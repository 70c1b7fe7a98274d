from __future__ import annotations

from proxy.stats import Counters


def test_what_is_taken_is_not_counted_again() -> None:
    counters = Counters()
    for microseconds, errors in ((5, 0), (5, 1), (100, 0)):
        counters["read"].in_flight += 1
        counters["read"].record(microseconds, errors)
    taken = counters.take()["read"]
    assert (taken.queries, taken.errors, taken.busy_us, taken.in_flight) == (3, 1, 110, 0)
    assert dict(taken.buckets)[5] == 2
    assert counters.take() == {}


def test_what_is_under_way_is_shown_until_it_ends() -> None:
    counters = Counters()
    counters["write"].in_flight += 1
    assert counters.take()["write"].in_flight == 1
    assert counters.take()["write"].in_flight == 1
