"""I say how far an operation is, how long it may still take, and how sure that is; time is passed in.

The server's own estimate of a table's rows may be wrong by half. Where the key is a number, how far the copy
has come in the range of keys corrects it, the more the further it is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

SMOOTHING_S: Final = 300.0
ESTIMATE_WRONG: Final = 0.5
KEYS_UNEVEN: Final = 0.25
TRUST_KEYS_AT: Final = 0.1
VERIFY_COST: Final = 0.4
"""What comparing a row costs beside copying it, until it is known."""
STALLED_S: Final = 30.0
COPYING, VERIFYING = "copying", "verifying"


@dataclass(frozen=True, slots=True)
class Estimate:
    """How far it is. `eta_low_s` and `eta_high_s` are between what and what the time left probably is."""

    rows_total: int
    bytes_done: int
    bytes_total: int
    rows_per_s: float
    eta_s: float | None
    eta_low_s: float | None
    eta_high_s: float | None
    idle_s: float

    @property
    def stalled(self) -> bool:
        """Whether nothing has moved for so long that somebody should be told why."""
        return self.idle_s >= STALLED_S


def stalled(estimate: Estimate, why: str) -> str | None:
    """Return a sentence when nothing has moved for so long that somebody should be told why."""
    return f"stalled for {estimate.idle_s:.0f} s: {why}" if estimate.stalled else None


class _Rate:
    """Rows a second, smoothed over minutes, and how much it varies."""

    def __init__(self) -> None:
        self.per_s = 0.0
        self.spread = 0.0
        self.moved_s = float("-inf")
        self._seen: tuple[float, int] | None = None
        self._weight = 0.0

    def take(self, now_s: float, rows: int) -> None:
        if self._seen is None:
            self._seen, self.moved_s = (now_s, rows), now_s
            return
        at_s, before = self._seen
        step_s = now_s - at_s
        if step_s < 0.2:
            return
        self._seen = now_s, rows
        if rows > before:
            self.moved_s = now_s
        now_per_s = max(rows - before, 0) / step_s
        # Until the first minutes are over, all of them count alike.
        fresh = 1 - math.exp(-step_s / SMOOTHING_S)
        self._weight = self._weight * (1 - fresh) + fresh
        share = fresh / self._weight
        off = abs(now_per_s - self.per_s) / self.per_s if self.per_s else 0.0
        self.per_s += share * (now_per_s - self.per_s)
        self.spread += share * (min(off, 1.0) - self.spread)


class Progress:
    """One operation's copy and verification; `keys` are the lowest and highest of a numeric key's values."""

    def __init__(self, rows_estimate: int, row_bytes: int, keys: tuple[int, int] | None = None) -> None:
        self._estimate, self._row_bytes, self._keys = max(rows_estimate, 0), max(row_bytes, 0), keys
        self._copied, self._verified = _Rate(), _Rate()

    def look(
        self, now_s: float, stage: str, copied: int, verified: int = 0, position: int | None = None
    ) -> Estimate:
        """Return how far it is, with so many rows copied up to a `position` of the key, so many verified."""
        if stage == COPYING:
            self._copied.take(now_s, copied)
        elif stage == VERIFYING:
            self._verified.take(now_s, verified)
        total, wrong = (copied, 0.0) if stage != COPYING else self._total(copied, position)
        rate = self._verified if stage == VERIFYING else self._copied
        eta_s = self._eta_s(stage, total, copied, verified)
        around = min(math.hypot(wrong * total / max(total - copied, 1), rate.spread), 0.9)
        return Estimate(
            rows_total=total,
            bytes_done=copied * self._row_bytes,
            bytes_total=total * self._row_bytes,
            rows_per_s=rate.per_s if stage in (COPYING, VERIFYING) else 0.0,
            eta_s=eta_s,
            eta_low_s=None if eta_s is None else eta_s * (1 - around),
            eta_high_s=None if eta_s is None else eta_s * (1 + around),
            idle_s=max(now_s - rate.moved_s, 0.0) if stage in (COPYING, VERIFYING) else 0.0,
        )

    def _total(self, copied: int, position: int | None) -> tuple[int, float]:
        """Return how many rows there are, and by what share of them that may be wrong."""
        guess = max(self._estimate, copied)
        if self._keys is None or position is None:
            return guess, ESTIMATE_WRONG
        low, high = self._keys
        done = (min(max(position, low), high) - low + 1) / (high - low + 1)
        trust = min(done / TRUST_KEYS_AT, 1.0)
        total = (1 - trust) * guess + trust * copied / max(done, 1e-9)
        wrong = (1 - trust) * ESTIMATE_WRONG + trust * KEYS_UNEVEN * (1 - done)
        return max(round(total), copied), wrong

    def _eta_s(self, stage: str, total: int, copied: int, verified: int) -> float | None:
        if stage == COPYING and self._copied.per_s > 0:
            return (max(total - copied, 0) + VERIFY_COST * total) / self._copied.per_s
        if stage == VERIFYING and self._verified.per_s > 0:
            return max(total - verified, 0) / self._verified.per_s
        return None
