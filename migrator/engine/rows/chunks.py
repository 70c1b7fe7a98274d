"""I choose how many rows the next chunk has from what the last ones cost."""

from __future__ import annotations

# Fewer rows cost as much: opening and committing the transaction is most of it.
ROWS_MIN = 200
ROWS_AT_FIRST = 1000
GROW = 2.0
SHRINK = 0.5
BYTES_MAX = 16 * 1024 * 1024


class ChunkSizer:
    """Aims at a time per chunk. One sizer may serve several copiers; every cost is told to `took`."""

    def __init__(self, rows_max: int, row_bytes: int = 0) -> None:
        limit = BYTES_MAX // row_bytes if row_bytes > 0 else rows_max
        self._rows_max = max(ROWS_MIN, min(rows_max, limit))
        self._rows = float(min(ROWS_AT_FIRST, self._rows_max))
        self._target_s: float | None = None

    def rows(self, target_s: float) -> int:
        """How many rows the next chunk should have to last `target_s`."""
        if self._target_s is not None and target_s < self._target_s:
            # Clients came back: do not learn that by one long chunk after the other.
            self._rows = max(self._rows * target_s / self._target_s, ROWS_MIN)
        self._target_s = target_s
        return max(ROWS_MIN, int(self._rows))

    def took(self, rows: int, seconds: float, target_s: float) -> None:
        """A chunk took so long; a short last chunk says nothing about long ones."""
        if rows < self._rows / 2 and seconds < target_s:
            return
        factor = target_s / max(seconds, 1e-6)
        grown = max(rows, ROWS_MIN) * min(max(factor, SHRINK), GROW)
        self._rows = min(max(grown, float(ROWS_MIN)), float(self._rows_max))
