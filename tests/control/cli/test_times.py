"""Times are read and written as people do."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import typer

from control.cli.times import ago, clock, seconds, until

NOW = datetime(2026, 8, 20, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2026-08-20T11:59:55.000Z", "just now"),
        ("2026-08-20T11:59:00.000Z", "1 min ago"),
        ("2026-08-20T11:59:15.000Z", "45 s ago"),
        ("2026-08-18T12:00:00.000Z", "2 d ago"),
        ("2026-08-20T12:30:00.000Z", "in 30 min"),
        ("2026-08-20T12:00:02.000Z", "in 2 s"),
        (None, ""),
    ],
)
def test_times_are_told_by_their_distance(text: str | None, said: str) -> None:
    assert ago(text, NOW) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("2026-08-20T12:30:00.000Z", "12:30:00 UTC (in 30 min)"),
        ("2026-08-20T14:30:00.000+02:00", "12:30:00 UTC (in 30 min)"),
        ("2026-08-22T12:30:00.000Z", "2026-08-22 12:30:00 UTC (in 2 d)"),
    ],
)
def test_an_end_is_told_by_the_clock_too(text: str, said: str) -> None:
    assert until(text, NOW) == said


def test_the_day_is_left_out_only_when_it_is_today() -> None:
    assert clock("2026-08-20T00:00:00.000Z", NOW) == "00:00:00 UTC"
    assert clock("2026-08-19T23:59:59.000Z", NOW) == "2026-08-19 23:59:59 UTC"


@pytest.mark.parametrize("text", ["", "1w", "-5", "5 m x"])
def test_what_is_no_length_of_time_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="is no time"):
        seconds(text)
