"""I turn what servers count into how something was used: counters begin anew, and what was seen is kept."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from migrator.schema.recommend.evidence import Use


@dataclass(frozen=True, slots=True)
class Observation:
    """What one server has counted of an index, or of a table when `index` is "".

    `since` is from when on it was counted without a gap, `last_at` when it was last seen to have grown.
    """

    server: str
    table: str
    index: str
    since: datetime
    last_at: datetime | None
    count: int

    @property
    def place(self) -> tuple[str, str, str]:
        """What it is about."""
        return self.server, self.table, self.index


def observe(before: Observation | None, now: Observation) -> Observation:
    """Return what is known after another look; `now` has counted since its own `since`.

    A counter that is smaller than before has begun anew: at a restart, or with a new table of the name.
    """
    if before is None:
        return replace(now, last_at=now.last_at if now.count else None)
    begun_anew = now.count < before.count
    used = now.count > 0 if begun_anew else now.count > before.count
    return replace(now, since=min(before.since, now.since), last_at=now.last_at if used else before.last_at)


def by_place(seen: Iterable[Observation], servers: int, source: str) -> dict[tuple[str, str], Use]:
    """Return how tables (index "") and indexes were used, for those that all servers count.

    They are watched since the last server is, and used when any of them uses them.
    """
    found: dict[tuple[str, str], list[Observation]] = {}
    for each in seen:
        found.setdefault((each.table, each.index), []).append(each)
    return {place: _together(all_, source) for place, all_ in found.items() if len(all_) == servers}


def _together(seen: list[Observation], source: str) -> Use:
    used = [each.last_at for each in seen if each.last_at is not None]
    return Use(max(each.since for each in seen), max(used, default=None), source)


def least_idle(uses: Iterable[Use | None]) -> Use | None:
    """Return the witness that saw the latest use, None when there is no witness."""
    return max((use for use in uses if use is not None), key=lambda use: use.idle_since, default=None)
