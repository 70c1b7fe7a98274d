"""I read and write times as people do: 90s or 7d, 3 min ago, 12:30:00 UTC (in 29 min)."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

import typer

UNITS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}
SHOWN: Final = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
NOW_S: Final = 10


def seconds(text: str) -> int:
    """Return how many seconds a time like `90s`, `30m`, `8h` or `7d` has; a bare number counts seconds."""
    found = re.fullmatch(r"(\d{1,9})([smhd]?)", text.strip())
    if not found:
        raise typer.BadParameter(f"{text!r} is no time: write it as 90s, 30m, 8h or 7d")
    return int(found[1]) * UNITS[found[2]]


def ago(text: str | None, at: datetime) -> str:
    """Say how long ago a time of the API was, or in how long it will be; nothing for none."""
    if text is None:
        return ""
    past_s = (at - datetime.fromisoformat(text)).total_seconds()
    if -1 < past_s < NOW_S:
        return "just now"
    length = _length(abs(past_s))
    return f"{length} ago" if past_s > 0 else f"in {length}"


def clock(text: str, at: datetime) -> str:
    """Say when a time of the API is, in UTC, without the day when it is today's."""
    moment = datetime.fromisoformat(text).astimezone(UTC)
    day = "" if moment.date() == at.astimezone(UTC).date() else f"{moment:%Y-%m-%d} "
    return f"{day}{moment:%H:%M:%S} UTC"


def until(text: str, at: datetime) -> str:
    """Say when a time of the API is, and in how long."""
    return f"{clock(text, at)} ({ago(text, at)})"


def _length(seconds: float) -> str:
    for size, unit in SHOWN:
        if seconds >= size:
            return f"{seconds // size:.0f} {unit}"
    return "1 s"
