from __future__ import annotations

from collections import Counter

from proxy.stats import Counters

NOTHING: Counter[str] = Counter()


def test_what_is_taken_is_not_counted_again() -> None:
    counters = Counters()
    counters.of("read").durations_ns += [5_000, 5_999, 100_000]
    counters.of("read").errors += 1
    counters.fold()
    taken = counters.take(NOTHING)["read"]
    assert (taken.queries, taken.errors, taken.busy_us, taken.in_flight) == (3, 1, 110, 0)
    assert dict(taken.buckets)[5] == 2
    assert counters.take(NOTHING) == {}


def test_what_is_under_way_is_shown_until_it_ends() -> None:
    counters = Counters()
    assert counters.take(Counter({"write": 2}))["write"].in_flight == 2
    assert counters.take(Counter({"write": 1}))["write"].in_flight == 1
    assert counters.take(NOTHING) == {}
