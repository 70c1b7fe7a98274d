"""I am what the throttle looks at: the latency the proxy sees, and what the server says of itself."""

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
    mean_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class TrafficSample:
    """What the proxy saw last; `at_s` is on the clock of `time.monotonic`.

    `pool_wait_ms` is how long a client has been waiting for a connection to the server.
    """

    at_s: float
    classes: Mapping[str, ClassSample]
    in_flight: int
    pool_wait_ms: float = 0.0


class TrafficSignal(Protocol):
    """Whoever knows the traffic of the branch that is being changed."""

    def sample(self) -> TrafficSample | None:
        """Return the newest sample, None while no traffic is known."""
