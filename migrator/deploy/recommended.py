"""I say what becomes of recommendations when production is looked at again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from migrator.deploy.lifecycle import State
from migrator.deploy.request import DeployRequest
from migrator.schema.recommend.recommendation import Recommendation
from router.model import Actor


class Standing(StrEnum):
    """What has become of a recommendation."""

    OPEN = "open"
    APPLIED = "applied"
    DISMISSED = "dismissed"
    STALE = "stale"
    """What it rested on is no longer so, and no deploy request did it."""


@dataclass(frozen=True, slots=True)
class Recommended:
    """A recommendation as it is kept, with the number that people call it by.

    `branch` is the one that was made with the change applied, `closed_by` the number of the deploy request
    that brought it to production.
    """

    id: str
    database: str
    number: int
    recommendation: Recommendation
    standing: Standing
    created_at: datetime
    updated_at: datetime
    branch: str | None = None
    applied_at: datetime | None = None
    closed_by: int | None = None
    dismissed_at: datetime | None = None
    dismissed_by: Actor | None = None
    dismissed_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Reckoning:
    """What is to be stored: recommendations that nobody had before, and records that have changed."""

    new: tuple[Recommendation, ...]
    changed: tuple[Recommended, ...]


def reckon(
    records: Sequence[Recommended],
    found: Sequence[Recommendation],
    requests: Iterable[DeployRequest],
    now: datetime,
) -> Reckoning:
    """Compare what is recommended now with what was.

    What somebody has dismissed stays dismissed, however often it is found. What was applied and is found
    again, because it was reverted or done anew, is open again under its number.
    """
    there = {record.recommendation.key: record for record in records}
    wanted = {each.key: each for each in found}
    changed: list[Recommended] = []
    for key, record in there.items():
        again = wanted.get(key)
        if again is None:
            if record.standing is Standing.OPEN:
                changed.append(_gone(record, requests, now))
        elif record.standing in (Standing.APPLIED, Standing.STALE):
            changed.append(
                replace(
                    record,
                    recommendation=again,
                    standing=Standing.OPEN,
                    applied_at=None,
                    closed_by=None,
                    updated_at=now,
                )
            )
        elif record.standing is Standing.OPEN and record.recommendation != again:
            changed.append(replace(record, recommendation=again, updated_at=now))
    new = tuple(each for key, each in wanted.items() if key not in there)
    return Reckoning(new, tuple(changed))


def _gone(record: Recommended, requests: Iterable[DeployRequest], now: datetime) -> Recommended:
    """Return an open record as it is once nothing recommends it any more."""
    request = _closing(record, requests)
    if request is None:
        return replace(record, standing=Standing.STALE, updated_at=now)
    return replace(
        record,
        standing=Standing.APPLIED,
        applied_at=request.cut_over_at,
        closed_by=request.number,
        updated_at=now,
    )


def _closing(record: Recommended, requests: Iterable[DeployRequest]) -> DeployRequest | None:
    """Return the last deploy request that has changed the table since, and was not reverted."""
    return max(
        (
            request
            for request in requests
            if request.cut_over_at is not None
            and request.cut_over_at >= record.created_at
            and request.deployment_state not in (State.COMPLETE_REVERT, State.COMPLETE_CANCEL)
            and any(operation.table == record.recommendation.table for operation in request.operations)
        ),
        key=lambda request: request.number,
        default=None,
    )
