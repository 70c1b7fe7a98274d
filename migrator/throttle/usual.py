"""I know how long statements take while nothing is copied, and compare what they take now with that."""

from __future__ import annotations

import math
import statistics
from collections import deque
from dataclasses import dataclass
from typing import Final

from migrator.throttle.signals import TrafficSample

SMOOTHING: Final = 0.3
REST_SAMPLES: Final = 6
REST_EVERY_S: Final = 0.6
# A class of statements with fewer queries says nothing about latency.
QUERIES_MIN: Final = 10.0
# Differences this small are the noise of a machine that does anything at all.
NOISE_MS: Final = 2.0
MIX_NOISE_MS: Final = 0.02


@dataclass(frozen=True, slots=True)
class _Mix:
    """What all statements of a second take together, now and as they usually do, in ms, and what is noise."""

    rate: float
    now_ms: float
    usual_ms: float
    noise_ms: float


@dataclass(frozen=True, slots=True)
class Rise:
    """How many times longer statements take than usual, those whose latency rose most, and a sentence."""

    ratio: float
    reason: str


class Usual:
    """Takes samples of the last second each; those of times at rest make what is usual."""

    def __init__(self) -> None:
        self._now: dict[str, tuple[float, float]] = {}
        self._rests: dict[str, deque[tuple[float, float]]] = {}
        self._rates: dict[str, float] = {}
        self._rested_s = float("-inf")

    @property
    def known(self) -> bool:
        """Whether enough was measured at rest to go by."""
        return any(len(rests) >= REST_SAMPLES / 2 for rests in self._rests.values())

    @property
    def p95_ms(self) -> float:
        """The 95th percentile of the slowest class as it usually is; 0 when not known."""
        return max((self._base(name)[0] for name in self._rests), default=0.0)

    @property
    def outdated(self) -> bool:
        """Whether statements take less than usual: copying makes none faster, so it was something else."""
        mix = self._mix()
        return mix.usual_ms - mix.now_ms > mix.noise_ms

    def take(self, sample: TrafficSample, *, resting: bool) -> None:
        """Take what the proxy saw in a second; `resting` when nothing was copied in it."""
        keep = resting and sample.at_s - self._rested_s >= REST_EVERY_S
        if keep:
            self._rested_s = sample.at_s
        self._rates = {name: each.queries_per_s for name, each in sample.classes.items()}
        for name, each in sample.classes.items():
            if each.queries_per_s < QUERIES_MIN:
                continue
            p95_ms, mean_ms = self._now.get(name, (each.p95_ms, each.mean_ms))
            self._now[name] = (
                p95_ms + SMOOTHING * (each.p95_ms - p95_ms),
                mean_ms + SMOOTHING * (each.mean_ms - mean_ms),
            )
            if keep:
                rests = self._rests.setdefault(name, deque(maxlen=REST_SAMPLES))
                rests.append((each.p95_ms, each.mean_ms))

    def rise(self) -> Rise:
        """Return how much longer statements take than usual.

        The worst class counts by its 95th percentile; all together count by their mean, in which many small
        delays add up as they do in a transaction.
        """
        worst = _rise_of(self._mix())
        for name in self._rests:
            base_ms, _ = self._base(name)
            now_ms, _ = self._now.get(name, (base_ms, 0.0))
            ratio = now_ms / max(base_ms, 0.001) if now_ms - base_ms > NOISE_MS else 1.0
            if ratio > worst.ratio:
                worst = Rise(
                    ratio,
                    f"{name} statements take {now_ms:.1f} ms (95th percentile), {ratio:.1f} times their "
                    f"usual {base_ms:.1f} ms",
                )
        return worst

    def _mix(self) -> _Mix:
        now_ms = base_ms = rate = spread = 0.0
        for name in self._rests:
            per_s = self._rates.get(name, 0.0)
            if per_s >= QUERIES_MIN:
                base_p95_ms, base_mean_ms = self._base(name)
                now_ms += per_s * self._now[name][1]
                base_ms += per_s * base_mean_ms
                rate += per_s
                spread += per_s * base_p95_ms**2
        # The mean of few statements says little: three standard errors, with a third of p95 as deviation.
        return _Mix(rate, now_ms, base_ms, rate * MIX_NOISE_MS + math.sqrt(spread))

    def _base(self, name: str) -> tuple[float, float]:
        rests = self._rests[name]
        return (
            statistics.median(p95_ms for p95_ms, _ in rests),
            statistics.median(mean_ms for _, mean_ms in rests),
        )


def _rise_of(mix: _Mix) -> Rise:
    if not mix.rate or mix.now_ms - mix.usual_ms <= mix.noise_ms:
        return Rise(1.0, "")
    ratio = mix.now_ms / max(mix.usual_ms, 0.001)
    return Rise(
        ratio,
        f"statements take {mix.now_ms / mix.rate:.2f} ms on average, {ratio:.2f} times their usual "
        f"{mix.usual_ms / mix.rate:.2f} ms",
    )
