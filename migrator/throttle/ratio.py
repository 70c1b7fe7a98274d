"""I am what people have said about how much copying may take: a ratio, a pause, both perhaps for a while."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from migrator.errors import Refused

RATIO_MAX: Final = 95
WHOLE_DATABASE: Final = 0
"""Stands where the number of a deploy request would: what holds for all that have nothing of their own."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """How much copying is slowed: 0 not at all, 95 most; or paused. It is over at `expires_at`."""

    ratio: int = 0
    paused: bool = False
    expires_at: datetime | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.ratio <= RATIO_MAX:
            raise Refused(
                f"the ratio of a throttle is 0 to {RATIO_MAX}, not {self.ratio}",
                hint="0 does not slow copying down, 95 leaves it a twentieth of the time; pausing stops it",
            )

    @property
    def ceiling(self) -> float:
        """The share of the time that copying may take at most."""
        return 1.0 - self.ratio / 100

    def over(self, now: datetime) -> bool:
        """Whether it no longer holds."""
        return self.expires_at is not None and now >= self.expires_at


NOTHING: Final = Ratio()


class Ratios:
    """What holds now, for the database and for single deploy requests; a request's own comes first."""

    def __init__(self) -> None:
        self._set: dict[int, Ratio] = {}

    def put(self, number: int, ratio: Ratio | None) -> None:
        """Let a ratio hold for a deploy request, or the whole database; None takes it back."""
        if ratio is None:
            self._set.pop(number, None)
        else:
            self._set[number] = ratio

    def own(self, number: int, now: datetime) -> Ratio | None:
        """Return what was said of this deploy request, or of the database, and still holds."""
        found = self._set.get(number)
        if found is not None and found.over(now):
            del self._set[number]
            return None
        return found

    def effective(self, number: int, now: datetime) -> Ratio:
        """Return what holds for a deploy request."""
        own, general = self.own(number, now), self.own(WHOLE_DATABASE, now)
        if own is None:
            return general or NOTHING
        # Pausing the database pauses everything in it.
        return replace(own, paused=True) if general is not None and general.paused else own
