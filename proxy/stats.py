"""I count and never decide."""

from __future__ import annotations

from collections import defaultdict

from proxy.channel import ClassStats
from proxy.histogram import bucket_of


class Counter:
    """One kind of statement on one branch, since it was last taken."""

    __slots__ = ("buckets", "busy_us", "errors", "in_flight", "queries")

    def __init__(self) -> None:
        self.in_flight = 0
        self.queries = 0
        self.errors = 0
        self.busy_us = 0
        self.buckets: dict[int, int] = {}

    def record(self, microseconds: int, errors: int) -> None:
        """Count a statement that has ended."""
        self.in_flight -= 1
        self.queries += 1
        self.errors += errors
        self.busy_us += microseconds
        bucket = bucket_of(microseconds)
        buckets = self.buckets
        buckets[bucket] = buckets.get(bucket, 0) + 1

    def take(self) -> ClassStats:
        """Return what was counted and begin anew."""
        taken = ClassStats(
            self.queries, self.errors, self.in_flight, self.busy_us, list(self.buckets.items())
        )
        self.queries = self.errors = self.busy_us = 0
        self.buckets = {}
        return taken


class Counters(defaultdict[str, Counter]):
    """The counters of one branch, one for each kind of statement it has seen."""

    def __init__(self) -> None:
        super().__init__(Counter)

    def take(self) -> dict[str, ClassStats]:
        """Return what was counted of each kind that did or does anything, and begin anew."""
        return {
            str(kind): counter.take()
            for kind, counter in self.items()
            if counter.queries or counter.in_flight
        }
