from __future__ import annotations

from datetime import UTC, datetime

import pytest

from migrator.engine.estimate import CopySpeed, estimate, worth_keeping

SPEED = CopySpeed(
    rows=100_000, data_bytes=20_000_000, seconds=10.0, measured_at=datetime(2026, 11, 20, tzinfo=UTC)
)


def test_nothing_is_guessed_before_a_copy_was_measured() -> None:
    assert estimate(1_000_000, 10**9, None) is None


@pytest.mark.parametrize(
    ("rows", "data_bytes", "likely_s"),
    [(1_000_000, 200_000_000, 105), (1_000_000, 50_000_000, 105), (1_000, 200_000_000, 105), (0, 0, 5)],
)
def test_what_takes_longer_counts_rows_or_bytes(rows: int, data_bytes: int, likely_s: float) -> None:
    duration = estimate(rows, data_bytes, SPEED)
    assert duration is not None
    assert duration.likely_s == pytest.approx(likely_s)
    assert duration.low_s <= duration.likely_s <= duration.high_s


def test_a_duration_is_written_for_people() -> None:
    assert str(estimate(1_000_000, 0, SPEED)) == "about 2 min (50 s to 3 min)"
    assert str(estimate(100_000_000, 0, SPEED)) == "about 2.8 h (83 min to 5.6 h)"


def test_a_small_copy_tells_nothing() -> None:
    assert not worth_keeping(CopySpeed(500, 10**9, 3.0, SPEED.measured_at))
    assert worth_keeping(SPEED)
