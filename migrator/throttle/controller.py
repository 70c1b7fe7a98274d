"""I decide how much of the time copying may take, and in how long steps, from what clients feel.

A zone law, not a regulator: the signals are noisy, late, and useless while the server is saturated. Well
below the allowed rise the share grows by a step, near it nothing moves, above it the share shrinks, far above
copying stops for a moment. Time is passed in; nothing here waits.
"""

from __future__ import annotations

from dataclasses import dataclass

from migrator.throttle.signals import TrafficSample
from migrator.throttle.usual import QUERIES_MIN, Usual

# Small chunks a tenth of the time are hardly felt, and a migration always advances.
FLOOR = 0.10
SHARE_AT_FIRST = 0.2
GROWTH = 1.2
UP_EVERY_S = 2.0
DOWN_EVERY_S = 0.5
STOP_S = 1.0
SLOW_START_S = 0.5
# Now and then copying stops to see what latency is without it: sooner when copying is at its least and
# latency still high, or when it is lower than usual, since then something else is the cause. Samples look
# back a second, so the first ones are left out.
PROBE_S = 1.6
PROBE_SETTLE_S = 0.9
PROBE_EVERY_S = 60.0
PROBE_EVERY_AT_FLOOR_S = 8.0
STALE_S = 3.0
# Between these parts of the allowed rise the share stays: statements rise together, so what is a tenth for
# the mean of them is a quarter for the slowest transactions.
QUIET = 0.4
NEAR = 0.8
# At the same share clients feel chunks of 3 ms as little as those of 14 ms, but each has its own round trips
# and its commit, more than a millisecond of them: shorter ones only copy less.
TARGET_MIN_S = 0.010

LATENCY, PROBE, PROXY = "latency", "probe", "proxy"
"""What may hold copying back here, as `signal` names it."""


@dataclass(frozen=True, slots=True)
class Permit:
    """What the next chunk may cost: its time, and the share of the time that chunks may take in all."""

    target_s: float
    share: float


class Controller:
    """Takes samples, answers permits. `latency_rise` is how many times longer statements may take."""

    def __init__(self, latency_rise: float, idle_target_s: float) -> None:
        self._rise = max(latency_rise, 1.05)
        self._idle_target_s = idle_target_s
        self._share = SHARE_AT_FIRST
        self._usual = Usual()
        self._traffic: TrafficSample | None = None
        self._idle = False
        self._moved_s = float("-inf")
        self._copied_s = float("-inf")
        self._stopped_until_s = float("-inf")
        self._probe_until_s = float("-inf")
        self._probed_s = float("-inf")
        self._ratio = 1.0
        self.signal: str | None = None
        self.reason: str | None = None

    @property
    def share(self) -> float:
        """The share that clients leave now."""
        return self._share

    @property
    def ratio(self) -> float:
        """How many times longer than usual statements took when last looked at."""
        return self._ratio

    def take_traffic(self, sample: TrafficSample | None) -> None:
        """Take the newest sample of the proxy; None when no traffic is known."""
        if sample is None:
            self._traffic = None
            return
        if self._traffic is not None and sample.at_s <= self._traffic.at_s:
            return
        self._traffic = sample
        self._usual.take(sample, resting=sample.at_s - self._copied_s >= PROBE_SETTLE_S)

    def copied(self, now_s: float) -> None:
        """Take that something was copied at this moment."""
        self._copied_s = max(self._copied_s, now_s)

    def collided(self, now_s: float) -> None:
        """Take that a lock of ours met a client's: halve the share."""
        if now_s - self._moved_s >= DOWN_EVERY_S:
            self._share, self._moved_s = max(FLOOR, self._share * 0.5), now_s

    def decide(self, now_s: float) -> Permit | None:
        """Return a permit, or None while nothing may be copied; `signal` and `reason` then say why."""
        traffic = self._traffic
        if traffic is None or sum(each.queries_per_s for each in traffic.classes.values()) < QUERIES_MIN:
            return self._decide_idle(now_s)
        if self._idle:
            self._idle, self._share, self._moved_s = False, SHARE_AT_FIRST, now_s
        if now_s - traffic.at_s > STALE_S:
            self._hold(PROXY, "the proxy's measurements have stopped coming: copying at the least pace")
            return Permit(TARGET_MIN_S, FLOOR)
        if self._probing(now_s):
            self._moved_s = now_s
            self._hold(PROBE, "measuring the application's own latency")
            return None
        if now_s < self._stopped_until_s:
            return None
        return self._zone(now_s)

    def _hold(self, signal: str | None, reason: str | None) -> None:
        self.signal, self.reason = signal, reason

    def _decide_idle(self, now_s: float) -> Permit:
        """Nobody is there to be disturbed: double the share until it is all."""
        self._hold(None, None)
        self._ratio = 1.0
        if not self._idle:
            self._idle, self._share, self._moved_s = True, SHARE_AT_FIRST, now_s
        elif now_s - self._moved_s >= SLOW_START_S:
            self._share, self._moved_s = min(1.0, 2 * self._share), now_s
        return Permit(self._idle_target_s, self._share)

    def _probing(self, now_s: float) -> bool:
        soon = self._share <= FLOOR or self._usual.outdated
        every_s = PROBE_EVERY_AT_FLOOR_S if soon else PROBE_EVERY_S
        if now_s - self._probed_s > every_s:
            self._probed_s = now_s
            # Before the first chunk it is known already, if somebody listened while nothing was copied.
            rested = now_s - self._copied_s >= PROBE_SETTLE_S and self._usual.known
            self._probe_until_s = now_s if rested else now_s + PROBE_S
            self._moved_s = max(self._moved_s, now_s)
        return now_s < self._probe_until_s

    def _zone(self, now_s: float) -> Permit:
        rise = self._usual.rise()
        ratio = self._ratio = rise.ratio
        quiet, near = 1 + QUIET * (self._rise - 1), 1 + NEAR * (self._rise - 1)
        far = max(2.0, self._rise * 1.5)
        since_s = now_s - self._moved_s
        if ratio < quiet:
            if since_s >= UP_EVERY_S and not self._usual.outdated:
                self._share, self._moved_s = min(1.0, GROWTH * self._share), now_s
        elif ratio >= near and since_s >= DOWN_EVERY_S:
            if ratio >= far and self._share > FLOOR:
                self._stopped_until_s = now_s + STOP_S
            self._share = max(FLOOR, self._share * (0.5 if ratio >= far else 0.8))
            self._moved_s = now_s
        if ratio >= quiet:
            self._hold(LATENCY, rise.reason)
        else:
            self._hold(None, None)
        return Permit(self._target_s(), self._share)

    def _target_s(self) -> float:
        """Return a chunk's time: no longer than half of what the slower statements take anyway."""
        return min(max(self._usual.p95_ms / 2000, TARGET_MIN_S), self._idle_target_s)
