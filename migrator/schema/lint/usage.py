"""I say whether something was used of late, by the queries that were seen."""

from __future__ import annotations

from datetime import datetime, timedelta

from migrator.schema.lint.facts import ColumnUsage, TableUsage
from migrator.schema.lint.subject import Subject


def recently(subject: Subject, seen: datetime | None) -> bool:
    """Whether a moment is within the time that counts as recent."""
    moment = subject.facts.now
    if seen is None or moment is None:
        return False
    return moment - seen <= timedelta(seconds=subject.recently_used_s)


def used_by(usage: TableUsage | ColumnUsage) -> str:
    """Say in words how something was used."""
    seen = f"{usage.last_seen:%Y-%m-%d %H:%M} UTC" if usage.last_seen else "at a time that is not known"
    users = f" by {', '.join(usage.users)}" if usage.users else ""
    times = "once" if usage.count == 1 else f"{usage.count:,} times"
    return f"queried {times}{users}, last {seen}"
