"""I count and never decide."""

from __future__ import annotations

from collections import Counter as Multiset
from collections import defaultdict

from proxy.channel import ClassStats, Count
from proxy.histogram import bucket_of


class Counter:
    """One kind of statement on one branch, since it was last taken.

    For each statement that ends, its duration in nanoseconds is appended to `durations_ns`, and nothing else
    is done at that moment: `fold`, ten times a second, sorts them into buckets.
    """

    __slots__ = ("_buckets", "_busy_us", "_queries", "durations_ns", "errors")

    def __init__(self) -> None:
        self.durations_ns: list[int] = []
        self.errors = 0
        self._queries = 0
        self._busy_us = 0
        self._buckets: Multiset[int] = Multiset()

    def fold(self) -> None:
        """Sort the durations into buckets."""
        if self.durations_ns:
            microseconds = [duration // 1000 for duration in self.durations_ns]
            self.durations_ns.clear()
            self._queries += len(microseconds)
            self._busy_us += sum(microseconds)
            self._buckets.update(map(bucket_of, microseconds))

    def take(self, in_flight: int) -> ClassStats | None:
        """Return what was counted and begin anew; None when there is nothing to tell."""
        self.fold()
        if not self._queries and not in_flight:
            return None
        taken = ClassStats(self._queries, self.errors, in_flight, self._busy_us, list(self._buckets.items()))
        self.errors = self._queries = self._busy_us = 0
        self._buckets.clear()
        return taken


class Counters:
    """The counters of one branch, one for each kind of statement it has seen."""

    __slots__ = ("_counters",)

    def __init__(self) -> None:
        self._counters: dict[str, Counter] = {}

    def of(self, kind: str) -> Counter:
        """Return the counter of a kind."""
        counter = self._counters.get(kind)
        if counter is None:
            counter = self._counters[kind] = Counter()
        return counter

    def fold(self) -> None:
        """Sort all durations into buckets."""
        for counter in self._counters.values():
            counter.fold()

    def take(self, in_flight: Multiset[str]) -> dict[str, ClassStats]:
        """Return what was counted of each kind that did or does anything, and begin anew."""
        for kind in in_flight:
            self.of(kind)
        taken = {str(kind): counter.take(in_flight[kind]) for kind, counter in self._counters.items()}
        return {kind: stats for kind, stats in taken.items() if stats is not None}


class Counts:
    """How often rare things have happened, by name and labels; what happens often has a Counter."""

    def __init__(self) -> None:
        self._increases: defaultdict[tuple[str, tuple[tuple[str, str], ...]], float] = defaultdict(float)

    def add(self, name: str, **labels: str) -> None:
        """Count something that has happened once."""
        self._increases[name, tuple(sorted(labels.items()))] += 1.0

    def add_up(self, name: str, increase: float) -> None:
        """Add to a sum."""
        self._increases[name, ()] += increase

    def take(self) -> list[Count]:
        """Return what was counted and begin anew."""
        if not self._increases:
            return []
        taken = [Count(name, [*labels], increase) for (name, labels), increase in self._increases.items()]
        self._increases.clear()
        return taken
