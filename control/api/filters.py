"""I choose the deploy requests that a list was asked for."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

from control.errors import ControlError
from migrator.deploy.request import DeployRequest, RequestState

FORM: Final = "write it as 2026-08-20, 2026-08-20T09:00:00Z, or two of these with .. between them"


class Wanted(StrEnum):
    """Which requests a list is to have."""

    ANY = ""
    OPEN = "open"
    CLOSED = "closed"
    DEPLOYED = "deployed"


@dataclass(frozen=True, slots=True)
class Span:
    """From a moment to another, which no longer belongs to it; None has no end there."""

    start: datetime | None
    end: datetime | None

    def meets(self, since: datetime | None, until: datetime | None) -> bool:
        """Whether anything of the time from `since` (None: never) until `until` (None: still) is in it."""
        if since is None or (self.end is not None and since >= self.end):
            return False
        return self.start is None or until is None or until >= self.start


@dataclass(frozen=True, slots=True)
class Filter:
    """What deploy requests must be to be listed."""

    state: Wanted = Wanted.ANY
    branch: str = ""
    into_branch: str = ""
    deployed: Span | None = None
    running: Span | None = None

    def fits(self, request: DeployRequest) -> bool:
        """Whether a deploy request is wanted."""
        deployed_at = request.cut_over_at
        return (
            self._state_fits(request)
            and self.branch in ("", request.branch)
            and self.into_branch in ("", request.into_branch)
            and (self.deployed is None or self.deployed.meets(deployed_at, deployed_at))
            and (self.running is None or self.running.meets(request.started_at, _ended(request)))
        )

    def _state_fits(self, request: DeployRequest) -> bool:
        match self.state:
            case Wanted.ANY:
                return True
            case Wanted.DEPLOYED:
                return request.cut_over_at is not None
            case Wanted.OPEN | Wanted.CLOSED:
                return request.state is RequestState(self.state)


def span(text: str) -> Span | None:
    """Read `2026-08-20`, a time, or a span `FROM..TO` of them with either side left out; "" is no span.

    A day means all of it, in UTC. Raises ControlError.
    """
    if not text:
        return None
    first, dots, last = text.partition("..")
    if not dots:
        return Span(_moment(first, text), _after(first, text))
    return Span(_moment(first, text) if first else None, _after(last, text) if last else None)


def _moment(text: str, whole: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ControlError(f"{whole!r} is no time: {FORM}") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _after(text: str, whole: str) -> datetime:
    """Return the first moment that no longer belongs to a day or a time."""
    step = timedelta(days=1) if len(text) <= len("2026-08-20") else timedelta(microseconds=1)
    return _moment(text, whole) + step


def _ended(request: DeployRequest) -> datetime | None:
    """Return when a deployment stopped running, None while it runs."""
    return (
        None if request.under_way and not request.cut_over_at else (request.cut_over_at or request.updated_at)
    )
