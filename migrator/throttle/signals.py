"""I am what the throttle looks at: the latency the proxy sees, and how busy the server says it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ClassSample:
    """One class of statements (reads, writes, …) during the last moment."""

    queries_per_s: float
    p50_ms: float
    p95_ms: float


@dataclass(frozen=True, slots=True)
class TrafficSample:
    """What the proxy saw last; `at_s` is on the clock of `time.monotonic`."""

    at_s: float
    classes: Mapping[str, ClassSample]
    in_flight: int


class TrafficSignal(Protocol):
    """Whoever knows the traffic of the branch that is being changed."""

    def sample(self) -> TrafficSample | None:
        """Return the newest sample, None while no traffic is known."""


@dataclass(frozen=True, slots=True)
class ServerSample:
    """What the server itself says; `threads_running` is without the migrator's own."""

    at_s: float
    threads_running: int
