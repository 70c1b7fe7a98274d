"""I remember how the throttle was, second by second for an hour, then thinner for a day, for pictures."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

FINE_S: Final = 1.0
FINE_POINTS: Final = 3600
COARSE_S: Final = 60.0
COARSE_POINTS: Final = 1380


@dataclass(frozen=True, slots=True)
class Point:
    """One moment; `at_s` is time.time(). `share` is 0 while copying stands still; `signal` is what holds it.

    `latency_ratio` is how many times longer than usual statements take.
    """

    at_s: float
    share: float
    latency_ratio: float
    rows_per_s: float
    signal: str | None
    reason: str | None


class History:
    """Points of the last hour at one second, and of the rest of the last day at one minute."""

    def __init__(self) -> None:
        self._fine: deque[Point] = deque()
        self._coarse: deque[Point] = deque(maxlen=COARSE_POINTS)
        self._pending: list[Point] = []

    def add(self, point: Point) -> None:
        """Take a point, unless the last one is less than a second old."""
        if self._fine and point.at_s - self._fine[-1].at_s < FINE_S * 0.95:
            return
        self._fine.append(point)
        while len(self._fine) > FINE_POINTS or self._fine[0].at_s < point.at_s - FINE_POINTS * FINE_S:
            self._thin(self._fine.popleft())

    def since(self, at_s: float, points: int) -> Sequence[Point]:
        """Return the points after a moment, as many at most, evenly thinned."""
        found = [point for point in (*self._coarse, *self._fine) if point.at_s > at_s]
        if len(found) <= points:
            return found
        step = len(found) / points
        return [_mean(found[int(n * step) : int((n + 1) * step)]) for n in range(points)]

    def _thin(self, point: Point) -> None:
        if self._pending and point.at_s - self._pending[0].at_s >= COARSE_S:
            self._coarse.append(_mean(self._pending))
            self._pending = []
        self._pending.append(point)


def _mean(points: Sequence[Point]) -> Point:
    """Return the points as one: the means, and what held copying longest."""
    count = len(points)
    held = [point for point in points if point.signal is not None]
    longest: Point | None = None
    if held:
        signals = [point.signal for point in held]
        longest = max(held, key=lambda point: signals.count(point.signal))
    return Point(
        points[-1].at_s,
        sum(point.share for point in points) / count,
        sum(point.latency_ratio for point in points) / count,
        sum(point.rows_per_s for point in points) / count,
        longest.signal if longest else None,
        longest.reason if longest else None,
    )
