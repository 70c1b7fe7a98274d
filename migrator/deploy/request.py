"""I am a deploy request and everything recorded about it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from migrator.deploy.lifecycle import State


class RequestState(StrEnum):
    """Whether a deploy request is still of interest."""

    OPEN = "open"
    CLOSED = "closed"


class OperationKind(StrEnum):
    """What an operation does to its table."""

    CREATE = "CREATE"
    ALTER = "ALTER"
    DROP = "DROP"


@dataclass(frozen=True, slots=True)
class OperationRecord:
    """One table's part of a deployment.

    `statements` is the change as SQL, for people; `target` the server's own CREATE TABLE of the table as it
    will be (None when it is dropped); `losses` names what is gone once it can no longer be reverted.
    """

    id: str
    kind: OperationKind
    table: str
    statements: tuple[str, ...]
    target: str | None
    losses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DeployRequest:
    """A proposal to make the schema of `into_branch` what it is on `branch`, and how far it has come.

    `diff` maps each changed table to the change as +/- text. `problem` says why the checks or the deployment
    failed, `warnings` what its author should look at. Operations are fixed when the deployment starts; until
    then they are what the checks found.
    """

    id: str
    number: int
    database: str
    branch: str
    into_branch: str
    notes: str
    state: RequestState
    deployment_state: State
    auto_cutover: bool
    diff: dict[str, str]
    operations: tuple[OperationRecord, ...]
    problem: str | None
    warnings: tuple[str, ...]
    created_at: datetime
    updated_at: datetime
    queued_at: datetime | None = None
    started_at: datetime | None = None
    cut_over_at: datetime | None = None
    revert_until: datetime | None = None
    finished_at: datetime | None = None
    closed_at: datetime | None = None
    longest_lock_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Transition:
    """One recorded step of a deployment: from which state to which, when, on whose word, and why."""

    number: int
    before: State | None
    after: State
    actor: str
    reason: str | None
    at: datetime
