"""I say before a copy begins how long it will probably take, from how fast the last one was."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

ENOUGH_ROWS: Final = 10_000
"""A smaller copy takes as long as its preparations: it tells nothing about larger ones."""
SMALL_S: Final = 5.0
"""What preparations and the last steps take, however small a table is."""
WITHIN: Final = 2.0
"""By which factor the truth may differ: rows are wider or narrower, and traffic is never the same."""


@dataclass(frozen=True, slots=True)
class CopySpeed:
    """How fast tables were copied, caught up with and verified, traffic and throttle included."""

    rows: int
    data_bytes: int
    seconds: float
    measured_at: datetime

    @property
    def rows_per_s(self) -> float:
        """Rows a second."""
        return self.rows / max(self.seconds, 0.001)

    @property
    def bytes_per_s(self) -> float:
        """Bytes of data a second."""
        return self.data_bytes / max(self.seconds, 0.001)


@dataclass(frozen=True, slots=True)
class Duration:
    """How long something will probably take, in seconds: likely, and between what and what."""

    likely_s: float
    low_s: float
    high_s: float

    def __str__(self) -> str:
        return f"about {_time(self.likely_s)} ({_time(self.low_s)} to {_time(self.high_s)})"


def estimate(rows: int, data_bytes: int, speed: CopySpeed | None) -> Duration | None:
    """Return how long a copy of a table of this size will take, None when no copy was ever measured.

    What is larger counts: wide rows are copied at a speed in bytes, narrow ones at a speed in rows.
    """
    if speed is None:
        return None
    by_rows = rows / speed.rows_per_s if speed.rows else 0.0
    by_bytes = data_bytes / speed.bytes_per_s if speed.data_bytes else 0.0
    likely_s = max(by_rows, by_bytes)
    return Duration(SMALL_S + likely_s, likely_s / WITHIN, SMALL_S + likely_s * WITHIN)


def worth_keeping(speed: CopySpeed) -> bool:
    """Whether a copy was large enough to tell something about others."""
    return speed.rows >= ENOUGH_ROWS and speed.seconds > 0


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
