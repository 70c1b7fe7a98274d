"""I add up what workers report since control started, and tell it in Prometheus' format."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    SummaryMetricFamily,
)
from prometheus_client.registry import Collector

from proxy.channel import BranchStats, GateOpened, Hello, PinnedClient, PoolStats, Stats
from proxy.histogram import upper_bound_us

PREFIX: Final = "headgate_"
BOUNDS_S: Final = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
)  # fmt: skip
"""Upper bounds of the buckets we tell; those of the reports are finer."""

# What workers count by name: see proxy.stats.Counts. A name that is not here is told all the same.
MEANINGS: Final[dict[str, str]] = {
    "auth_total": "Logins, by how they ended.",
    "ddl_blocked_total": "Statements refused on branches with safe migrations.",
    "guard_slow_path_total": "Statements that the guard had to look at twice.",
    "killed_total": "Connections and statements ended by KILL.",
    "protocol_errors_total": "Connections ended because somebody did not keep to the protocol.",
    "hold_overflow_total": "Statements that a shut gate had no room for.",
    "tls_handshake_seconds": "Time that TLS handshakes with clients took.",
}

BranchKey = tuple[str, str]
Labelled = Mapping[tuple[tuple[str, str], ...], float]
"""Values by their labels."""


class _Durations:
    """A histogram that only grows."""

    __slots__ = ("counts", "sum_s")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS_S) + 1)
        self.sum_s = 0.0

    def add(self, buckets: Iterable[tuple[int, int]]) -> None:
        for bucket, count in buckets:
            seconds = upper_bound_us(bucket) / 1e6
            self.counts[bisect_left(BOUNDS_S, seconds)] += count
            self.sum_s += seconds * count

    def cumulative(self) -> list[tuple[str, float]]:
        """Return the buckets as Prometheus wants them, each with all that are below it."""
        total, told = 0, []
        for bound, count in zip((*map(str, BOUNDS_S), "+Inf"), self.counts, strict=True):
            total += count
            told.append((bound, float(total)))
        return told


class Metrics(Collector):
    """Everything that is told at `/metrics`; a worker is any number that is the same in each report."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        self._now: dict[int, tuple[int, Stats]] = {}
        self._pinned: dict[int, dict[BranchKey, list[PinnedClient]]] = defaultdict(dict)
        self._counters: defaultdict[str, defaultdict[tuple[tuple[str, str], ...], float]] = defaultdict(
            lambda: defaultdict(float)
        )
        self._queries: defaultdict[tuple[str, ...], _Durations] = defaultdict(_Durations)
        self._waits: defaultdict[tuple[str, ...], _Durations] = defaultdict(_Durations)
        self._boots: dict[int, set[str]] = defaultdict(set)
        self.others: list[Callable[[], Iterator[Metric]]] = []
        """What others measure, told along with what workers report."""

    def joined(self, hello: Hello) -> None:
        """Take note of a worker that has connected."""
        self._boots[hello.worker].add(hello.boot)

    def record(self, worker: int, number: int, stats: Stats) -> None:
        """Take one report of a worker."""
        self._now[worker] = number, stats
        for branch in stats.branches:
            self._add_branch(worker, branch)
        for count in stats.counts:
            self._add(count.name, count.labels, count.increase)

    def gate_opened(self, report: GateOpened) -> None:
        """Take note of what a gate has held."""
        self._add("held_statements_total", (), report.held)
        if report.overflowed:
            self._add("hold_overflow_total", (), report.overflowed)

    def forget(self, worker: int) -> None:
        """Drop what a worker that is gone has now; what it did stays counted."""
        self._now.pop(worker, None)
        self._pinned.pop(worker, None)

    def text(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self._registry)

    def pools(self, database: str, branch: str) -> dict[int, PoolStats]:
        """Return the pool of a branch in each worker, by the worker's number."""
        return {
            number: one.pool
            for number, stats in self._now.values()
            for one in stats.branches
            if (one.database, one.branch) == (database, branch)
        }

    def pinned(self, database: str, branch: str) -> list[PinnedClient]:
        """Return the clients of a branch that keep their backends, longest first."""
        found = [one for known in self._pinned.values() for one in known.get((database, branch), ())]
        return sorted(found, key=lambda one: one.since_s)

    def collect(self) -> Iterator[Metric]:
        """Yield every metric with its values."""
        yield from self._gauges()
        for name, values in sorted(self._counters.items()):
            if name.endswith("_seconds_sum"):
                yield _summary(name.removesuffix("_sum"), values, self._counters)
            elif not name.endswith("_seconds_count"):
                yield _counter(name, values)
        labels = ["database", "branch", "class"]
        yield _histogram("query_seconds", "Time from statement to end of result.", labels, self._queries)
        yield _histogram(
            "pool_wait_seconds",
            "Time that statements waited for a connection to the server.",
            labels[:2],
            self._waits,
        )
        for measured in self.others:
            yield from measured()

    def _add(self, name: str, labels: Sequence[tuple[str, str]], increase: float) -> None:
        self._counters[name][tuple(sorted(labels))] += increase

    def _add_branch(self, worker: int, stats: BranchStats) -> None:
        key = (stats.database, stats.branch)
        where = (("branch", stats.branch), ("database", stats.database))
        for name, one in stats.classes.items():
            self._queries[*key, name].add(one.buckets)
            self._add("queries_total", (*where, ("class", name)), one.queries)
            self._add("query_errors_total", (*where, ("class", name)), one.errors)
        if stats.refused:
            self._add("statements_refused_total", where, stats.refused)
        pool = stats.pool
        self._waits[key].add(pool.wait_buckets)
        for kind, count in pool.steals.items():
            self._add("pool_steals_total", (*where, ("kind", kind)), count)
        self._add("backends_opened_total", where, pool.opened)
        self._add("backends_closed_total", where, pool.closed)
        if stats.pinned is not None:
            self._pinned[worker][key] = stats.pinned

    def _gauges(self) -> Iterator[Metric]:
        where = ["database", "branch"]
        clients = GaugeMetricFamily(
            f"{PREFIX}client_connections", "Clients that are logged in.", labels=where
        )
        busy = GaugeMetricFamily(f"{PREFIX}clients_in_transaction", "Clients in a transaction.", labels=where)
        flight = GaugeMetricFamily(f"{PREFIX}inflight", "Statements under way.", labels=where)
        backends = GaugeMetricFamily(
            f"{PREFIX}backend_connections", "Connections to the server.", labels=[*where, "state"]
        )
        pinned = GaugeMetricFamily(
            f"{PREFIX}pinned_connections", "Clients that keep their connection.", labels=[*where, "reason"]
        )
        waiting = GaugeMetricFamily(
            f"{PREFIX}pool_waiting", "Statements that wait for a connection.", labels=where
        )
        for key, reports in self._by_branch().items():
            clients.add_metric(key, sum(one.connections for one in reports))
            busy.add_metric(key, sum(one.in_transaction for one in reports))
            flight.add_metric(key, sum(kind.in_flight for one in reports for kind in one.classes.values()))
            waiting.add_metric(key, sum(one.pool.waiting for one in reports))
            for state in ("active", "linked", "idle", "opening"):
                total = sum(getattr(one.pool, state) for one in reports)
                backends.add_metric((*key, state), total)
            for reason in sorted({reason for one in reports for reason in one.pool.pinned}):
                pinned.add_metric((*key, reason), sum(one.pool.pinned.get(reason, 0) for one in reports))
        yield from (clients, busy, flight, backends, pinned, waiting)
        yield from self._worker_gauges()

    def _worker_gauges(self) -> Iterator[Metric]:
        lag = GaugeMetricFamily(
            f"{PREFIX}loop_lag_seconds", "How late a worker's event loop came last.", labels=["worker"]
        )
        for number, stats in self._now.values():
            lag.add_metric([str(number)], stats.loop_lag_ms / 1000)
        restarts = CounterMetricFamily(
            f"{PREFIX}worker_restarts", "Times that a worker was started again.", labels=["worker"]
        )
        for number, boots in sorted(self._boots.items()):
            restarts.add_metric([str(number)], len(boots) - 1)
        yield lag
        yield restarts

    def _by_branch(self) -> Mapping[BranchKey, list[BranchStats]]:
        found: defaultdict[BranchKey, list[BranchStats]] = defaultdict(list)
        for _, stats in self._now.values():
            for one in stats.branches:
                found[one.database, one.branch].append(one)
        return found


def _counter(name: str, values: Labelled) -> Metric:
    labels = [label for label, _ in next(iter(values))]
    meaning = MEANINGS.get(name, name.removesuffix("_total").replace("_", " ").capitalize() + ".")
    family = CounterMetricFamily(PREFIX + name.removesuffix("_total"), meaning, labels=labels)
    for key, value in values.items():
        family.add_metric([text for _, text in key], value)
    return family


def _summary(name: str, sums: Labelled, counters: Mapping[str, Labelled]) -> Metric:
    """Return what workers count as a sum of seconds and a number of times."""
    labels = [label for label, _ in next(iter(sums))]
    family = SummaryMetricFamily(PREFIX + name, MEANINGS.get(name, ""), labels=labels)
    for key, seconds in sums.items():
        count = counters.get(f"{name}_count", {}).get(key, 0.0)
        family.add_metric([text for _, text in key], count_value=int(count), sum_value=seconds)
    return family


def _histogram(
    name: str, meaning: str, labels: list[str], values: Mapping[tuple[str, ...], _Durations]
) -> Metric:
    family = HistogramMetricFamily(PREFIX + name, meaning, labels=labels)
    for key, durations in values.items():
        family.add_metric(key, durations.cumulative(), sum_value=durations.sum_s)
    return family
