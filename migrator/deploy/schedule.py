"""I am the times of the week at which deployments may start and cut over."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from migrator.deploy.errors import DeployError

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
SPAN = re.compile(r"(?P<days>[a-z,-]+)\s+(?P<from>\d{1,2}:\d{2})\s*-\s*(?P<to>\d{1,2}:\d{2})", re.IGNORECASE)
FORM = 'write it like "mon-fri 09:00-17:00 Europe/Berlin" or "mon,wed 22:00-02:00, sat 10:00-12:00 UTC"'


class BadSchedule(DeployError):
    """The text is no schedule; the message says what is wrong with it and how to write one."""


@dataclass(frozen=True, slots=True)
class Span:
    """From one time of day to another, on some days; one that ends before it begins ends the next day."""

    days: frozenset[int]
    start: time
    end: time


@dataclass(frozen=True, slots=True)
class Schedule:
    """Spans of the week in one zone; without any, it is always open."""

    spans: tuple[Span, ...]
    zone: tzinfo
    text: str

    def is_open(self, at: datetime) -> bool:
        """Whether deployments may go on at a moment."""
        return not self.spans or any(start <= at < end for start, end in self._around(at))

    def opens_at(self, at: datetime) -> datetime:
        """Return the first moment, from `at` on, at which they may; in the schedule's zone if it is later."""
        if self.is_open(at):
            return at
        return min(start for start, _ in self._around(at) if start > at).astimezone(self.zone)

    def _around(self, at: datetime) -> list[tuple[datetime, datetime]]:
        """Return all spans from the day before a moment to a week after it, in UTC.

        Moments of different zones are not compared well in the hour that a clock shows twice.
        """
        today = at.astimezone(self.zone).date()
        found = []
        for offset in range(-1, 9):
            day = today + timedelta(days=offset)
            for span in self.spans:
                if day.weekday() in span.days:
                    last = day + timedelta(days=1) if span.end <= span.start else day
                    found.append(
                        (
                            datetime.combine(day, span.start, self.zone).astimezone(UTC),
                            datetime.combine(last, span.end, self.zone).astimezone(UTC),
                        )
                    )
        return found


ALWAYS = Schedule((), UTC, "")


def parse(text: str) -> Schedule:
    """Read a schedule; an empty text is always. Raises BadSchedule."""
    if not text.strip():
        return ALWAYS
    rest = text.strip()
    zone: tzinfo = UTC
    head, _, last = rest.rpartition(" ")
    if head and ":" not in last and last[0].isalpha():
        rest, zone = head.strip(), _zone(last, text)
    spans, at = [], 0
    while at < len(rest):
        found = SPAN.match(rest, at)
        if found is None:
            raise BadSchedule(f"{text!r} is no schedule, from {rest[at:]!r} on: {FORM}")
        spans.append(Span(_days(found["days"], text), _time(found["from"], text), _time(found["to"], text)))
        at = len(rest) - len(rest[found.end() :].lstrip(" ,"))
    return Schedule(tuple(spans), zone, text.strip())


def _zone(name: str, text: str) -> tzinfo:
    if name.upper() == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise BadSchedule(
            f"{text!r}: this machine knows no time zone {name!r}, such as Europe/Berlin or UTC: {FORM}"
        ) from None


def _days(names: str, text: str) -> frozenset[int]:
    found: set[int] = set()
    for part in names.lower().strip(",").split(","):
        first, dash, last = part.partition("-")
        if first not in DAYS or (dash and last not in DAYS):
            raise BadSchedule(f"{text!r}: {part!r} names no days of the week ({', '.join(DAYS)}): {FORM}")
        start, end = DAYS.index(first), DAYS.index(last or first)
        found |= {day % 7 for day in range(start, end + (1 if end >= start else 8))}
    return frozenset(found)


def _time(text: str, whole: str) -> time:
    if text == "24:00":
        return time(0)
    try:
        hour, minute = map(int, text.split(":"))
        return time(hour, minute)
    except ValueError:
        raise BadSchedule(f"{whole!r}: {text!r} is no time of day: {FORM}") from None
