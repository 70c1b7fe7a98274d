"""The times of the week at which deployments may go on."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from migrator.deploy.schedule import ALWAYS, BadSchedule, parse

# 2026-11-20 is a Friday.
OFFICE = "mon-fri 09:00-17:00 Europe/Berlin"
NIGHT = "fri,sat 22:00-02:00, sun 10:00-24:00 UTC"


def at(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment", "opens"),
    [
        ("", at(20, 3), at(20, 3)),
        (OFFICE, at(20, 8), at(20, 8)),
        (OFFICE, at(20, 7, 59), at(20, 8)),
        (OFFICE, at(20, 15, 59), at(20, 15, 59)),
        (OFFICE, at(20, 16), at(23, 8)),
        (NIGHT, at(20, 23), at(20, 23)),
        (NIGHT, at(21, 1, 59), at(21, 1, 59)),
        (NIGHT, at(21, 2), at(21, 22)),
        (NIGHT, at(22, 23, 59), at(22, 23, 59)),
        (NIGHT, at(23, 0), at(27, 22)),
        ("sat-mon 00:00-24:00", at(20, 12), at(21, 0)),
        ("sat-mon 00:00-24:00", at(23, 23), at(23, 23)),
    ],
)
def test_when_it_is_open_and_opens_next(text: str, moment: datetime, opens: datetime) -> None:
    schedule = parse(text)
    assert schedule.opens_at(moment) == opens
    assert schedule.is_open(moment) == (opens == moment)
    assert schedule.is_open(opens)


def test_an_hour_that_the_clock_leaves_out_or_has_twice_does_no_harm() -> None:
    schedule = parse("sun 02:15-02:45 Europe/Berlin")
    # In the night of 28 March 2027 there is no such time; in that of 31 October there are two.
    assert schedule.opens_at(datetime(2027, 3, 27, tzinfo=UTC)) >= datetime(2027, 3, 28, tzinfo=UTC)
    opens = schedule.opens_at(datetime(2027, 10, 30, tzinfo=UTC)).astimezone(UTC)
    assert opens == datetime(2027, 10, 31, 0, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("weekdays 09:00-17:00", "'weekdays' names no days"),
        ("mon-fri", "is no schedule, from 'mon-fri' on"),
        ("mon-fri 9-17", "is no schedule"),
        ("mon 09:00-25:00", "'25:00' is no time of day"),
        ("mon 09:00-17:00 Europe/Nowhere", "no time zone 'Europe/Nowhere'"),
        ("mon 09:00-17:00 etc/../../passwd", "no time zone"),
        ("mon 09:00-17:00; tue 09:00-17:00", "from '; tue"),
    ],
)
def test_a_mistake_is_named_with_the_right_form(text: str, mistake: str) -> None:
    with pytest.raises(BadSchedule) as refused:
        parse(text)
    assert mistake in str(refused.value)
    assert "Europe/Berlin" in str(refused.value)


def test_nothing_is_always() -> None:
    assert parse("  ") == ALWAYS
