"""I add up what the workers report of a branch's traffic, over the last second."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Callable, Sequence

from migrator.throttle.signals import ClassSample, TrafficSample
from proxy.channel import BranchStats
from proxy.histogram import merge, percentile

WINDOW_S = 1.0


class Traffic:
    """What the workers saw, by branch; a worker is any hashable thing that is the same in each report."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._reports: defaultdict[tuple[str, str], dict[int, deque[tuple[float, BranchStats]]]] = (
            defaultdict(dict)
        )
        self._latest: dict[tuple[str, str], TrafficSample] = {}
        self._queries: defaultdict[tuple[str, str], int] = defaultdict(int)

    def record(self, worker: int, branches: Sequence[BranchStats]) -> None:
        """Take one report of a worker."""
        moment = self._clock()
        for stats in branches:
            branch = (stats.database, stats.branch)
            reports = self._reports[branch].setdefault(worker, deque())
            reports.append((moment, stats))
            while reports and reports[0][0] < moment - WINDOW_S:
                reports.popleft()
            self._queries[branch] += sum(one.queries for one in stats.classes.values())

    def forget(self, worker: int) -> None:
        """Drop what a worker reported: it is gone."""
        for workers in self._reports.values():
            workers.pop(worker, None)

    def connections(self, database: str, branch: str) -> int:
        """Return how many clients the branch has now."""
        return sum(stats[-1].connections for stats in self._recent(database, branch))

    def queries(self, database: str, branch: str) -> int:
        """Return how many statements the branch has had since control started."""
        return self._queries[database, branch]

    def sample(self, database: str, branch: str) -> TrafficSample | None:
        """Return the last second of a branch; None when no worker has ever reported on it.

        When all have fallen silent the last sample is returned again, so that its age shows.
        """
        recent = self._recent(database, branch)
        if not recent:
            return self._latest.get((database, branch))
        names = {name for reports in recent for stats in reports for name in stats.classes}
        classes = {}
        for name in names:
            parts = [stats.classes[name] for reports in recent for stats in reports if name in stats.classes]
            histogram = merge(dict(part.buckets) for part in parts)
            queries = sum(part.queries for part in parts)
            classes[name] = ClassSample(
                queries_per_s=queries / WINDOW_S,
                p50_ms=percentile(histogram, 0.50) / 1000,
                p95_ms=percentile(histogram, 0.95) / 1000,
                mean_ms=sum(part.busy_us for part in parts) / max(queries, 1) / 1000,
            )
        in_flight = sum(one.in_flight for reports in recent for one in reports[-1].classes.values())
        pool_wait_ms = max(reports[-1].pool.longest_wait_ms for reports in recent)
        sample = TrafficSample(self._clock(), classes, in_flight, pool_wait_ms)
        self._latest[database, branch] = sample
        return sample

    def _recent(self, database: str, branch: str) -> list[list[BranchStats]]:
        since = self._clock() - WINDOW_S
        workers = self._reports.get((database, branch), {})
        recent = [[stats for at, stats in reports if at >= since] for reports in workers.values()]
        return [reports for reports in recent if reports]
