"""I decide how much of the time copying may take, and in how long steps, from what clients feel.

A zone law, not a regulator: the signals are noisy, late, and useless while the server is saturated. Well
below the allowed rise the share grows by a step, near it nothing moves, above it the share shrinks, far above
copying stops for a moment. Time is passed in; nothing here waits.
"""

from __future__ import annotations

from dataclasses import dataclass

from migrator.throttle.signals import ServerSample, TrafficSample

# Small chunks a tenth of the time are hardly felt, and a migration always advances.
FLOOR = 0.10
SHARE_AT_FIRST = 0.25
STEP = 0.05
UP_EVERY_S = 2.0
DOWN_EVERY_S = 0.5
STOP_S = 1.0
# Now and then copying stops to see what latency is without it: sooner when copying is at its least and
# latency still high, since then something else may be the cause. Samples look back a second, so the first
# ones are left out.
PROBE_S = 1.6
PROBE_SETTLE_S = 0.9
PROBE_EVERY_S = 60.0
PROBE_EVERY_AT_FLOOR_S = 8.0
STALE_S = 3.0
SMOOTHING = 0.3
BASE_SMOOTHING = 0.4
# A class of statements with fewer queries says nothing about latency; with fewer in all, the server is idle.
QUERIES_MIN = 10.0
# Differences this small are the noise of a machine that does anything at all.
NOISE_MS = 3.0
TARGET_MIN_S = 0.002
COMMIT_MAX_S = 0.1
THREADS_RISE = 3.0


@dataclass(frozen=True, slots=True)
class Permit:
    """What the next chunk may cost: its time, and the share of the time that chunks may take in all."""

    target_s: float
    share: float


class Controller:
    """Takes samples and costs, answers permits. `latency_rise` is the rise of the 95th percentile allowed."""

    def __init__(self, latency_rise: float, idle_target_s: float, cores: int) -> None:
        self._rise = max(latency_rise, 1.05)
        self._idle_target_s = idle_target_s
        self._threads_max = 2 * cores
        self._share = SHARE_AT_FIRST
        self._now: dict[str, float] = {}
        self._base: dict[str, float] = {}
        self._traffic: TrafficSample | None = None
        self._threads_base: float | None = None
        self._threads = 0
        self._commit_s = 0.0
        self._moved_s = float("-inf")
        self._stopped_until_s = float("-inf")
        self._probe_until_s = float("-inf")
        self._probed_s = float("-inf")
        self._reason: str | None = None

    def take_traffic(self, sample: TrafficSample | None) -> None:
        """Take the newest sample of the proxy; None when no traffic is known."""
        if sample is None:
            self._traffic = None
            return
        if self._traffic is not None and sample.at_s <= self._traffic.at_s:
            return
        self._traffic = sample
        probing = self._probed_s + PROBE_SETTLE_S <= sample.at_s < self._probe_until_s
        for name, each in sample.classes.items():
            if each.queries_per_s < QUERIES_MIN:
                continue
            former = self._now.get(name, each.p95_ms)
            self._now[name] = former + SMOOTHING * (each.p95_ms - former)
            if probing:
                base = self._base.get(name, each.p95_ms)
                self._base[name] = base + BASE_SMOOTHING * (each.p95_ms - base)

    def take_server(self, sample: ServerSample) -> None:
        """Take what the server says of itself."""
        self._threads = sample.threads_running
        base = self._threads_base if self._threads_base is not None else float(sample.threads_running)
        self._threads_base = base + 0.05 * (sample.threads_running - base)

    def took(self, commit_s: float) -> None:
        """Take how long a commit of ours lasted."""
        self._commit_s += SMOOTHING * (commit_s - self._commit_s)

    def decide(self, now_s: float) -> Permit | None:
        """Return a permit, or None while nothing may be copied; `reason` then says why."""
        traffic = self._traffic
        if traffic is None or sum(each.queries_per_s for each in traffic.classes.values()) < QUERIES_MIN:
            return self._decide_idle(now_s)
        if now_s - traffic.at_s > STALE_S:
            self._reason = "the proxy's measurements have stopped coming: copying at the least pace"
            return Permit(TARGET_MIN_S, FLOOR)
        every_s = PROBE_EVERY_S if self._share > FLOOR else PROBE_EVERY_AT_FLOOR_S
        if now_s - self._probed_s > every_s:
            self._probed_s = now_s
            self._probe_until_s = now_s + PROBE_S
            self._moved_s = max(self._moved_s, self._probe_until_s)
        if now_s < self._probe_until_s:
            self._moved_s = now_s
            self._reason = "measuring the application's own latency"
            return None
        if now_s < self._stopped_until_s:
            return None
        if (gate := self._gate()) is not None:
            self._reason = gate
            return Permit(self._target_s(), FLOOR)
        return self._zone(now_s)

    @property
    def reason(self) -> str | None:
        """What holds copying back, None when nothing does."""
        return self._reason

    def _decide_idle(self, now_s: float) -> Permit:
        self._reason = self._gate()
        if self._reason is not None:
            return Permit(self._idle_target_s / 4, FLOOR)
        self._moved_s = now_s
        self._share = SHARE_AT_FIRST
        return Permit(self._idle_target_s, 1.0)

    def _gate(self) -> str | None:
        limit = max(self._threads_max, THREADS_RISE * (self._threads_base or 0.0))
        if self._threads > limit:
            return f"{self._threads} threads are running on the server, more than {limit:.0f}"
        if self._commit_s > COMMIT_MAX_S:
            return f"commits take {self._commit_s * 1000:.0f} ms on the server"
        return None

    def _zone(self, now_s: float) -> Permit:
        worst, ratio = self._worst()
        quiet = 1 + (self._rise - 1) / 2
        far = max(2.0, self._rise * 1.5)
        since_s = now_s - self._moved_s
        if ratio < quiet:
            if since_s >= UP_EVERY_S:
                self._share, self._moved_s = min(1.0, self._share + STEP), now_s
        elif ratio >= self._rise and since_s >= DOWN_EVERY_S:
            if ratio >= far and self._share > FLOOR:
                self._stopped_until_s = now_s + STOP_S
            self._share = max(FLOOR, self._share * (0.5 if ratio >= far else 0.8))
            self._moved_s = now_s
        self._reason = None
        if ratio >= quiet:
            self._reason = (
                f"{worst} statements take {self._now[worst]:.1f} ms (95th percentile), "
                f"{ratio:.1f} times their usual {self._base[worst]:.1f} ms"
            )
        return Permit(self._target_s(), self._share)

    def _worst(self) -> tuple[str, float]:
        """Return the class whose latency rose most, and how many times."""
        worst, highest = "", 0.0
        for name, base in self._base.items():
            now = self._now.get(name, base)
            ratio = now / max(base, 0.001) if now - base > NOISE_MS else 1.0
            if ratio > highest:
                worst, highest = name, ratio
        return worst, highest

    def _target_s(self) -> float:
        """Return a chunk's time: no longer than half of what the slower statements take anyway."""
        p95_ms = max(self._base.values(), default=0.0)
        return min(max(p95_ms / 2000, TARGET_MIN_S), self._idle_target_s)
