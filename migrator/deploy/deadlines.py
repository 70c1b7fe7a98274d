"""I say when a deployment has waited long enough, for an apply or for those who hold its tables."""

from __future__ import annotations

from datetime import datetime, timedelta

from migrator.deploy.lifecycle import State
from migrator.deploy.request import DeployRequest
from migrator.deploy.settings import DatabaseSettings

SWAPPING = frozenset({State.IN_PROGRESS_CUTOVER, State.IN_PROGRESS_REVERT, State.IN_PROGRESS_REDO})
WARNED_BEFORE = timedelta(hours=1)


def expires_at(request: DeployRequest, settings: DatabaseSettings) -> datetime | None:
    """Return when a deployment that waits for its apply is cancelled, None when it never is.

    One that only waits for the next time at which deployments may go on has nobody to wait for.
    """
    waits = request.deployment_state is State.PENDING_CUTOVER and not request.auto_cutover
    if not waits or not settings.gated_expiry_s:
        return None
    return request.since + timedelta(seconds=settings.gated_expiry_s)


def cutover_expiring(request: DeployRequest, settings: DatabaseSettings, at: datetime) -> bool:
    """Whether an apply had better come soon: within the hour, or the last tenth of a shorter time."""
    ends = expires_at(request, settings)
    tenth = timedelta(seconds=settings.gated_expiry_s / 10)
    return ends is not None and ends - at <= min(WARNED_BEFORE, tenth)


def forced_at(request: DeployRequest, settings: DatabaseSettings) -> datetime | None:
    """Return from when on those who hold the tables of a swap are killed, None for never."""
    if request.deployment_state not in SWAPPING:
        return None
    if request.force_requested_at is not None or request.aggressive_cutover:
        return request.since
    if not settings.cutover_retry_s:
        return None
    return request.since + timedelta(seconds=settings.cutover_retry_s)
