"""I am what the deploy runner may ask of any operation, and what it is told."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Phase(StrEnum):
    """How far one table's part of a deployment is."""

    PENDING = "pending"
    COPYING = "copying"
    READY = "ready"
    CUTTING = "cutting"
    REVERTIBLE = "revertible"
    REVERTING = "reverting"
    REVERTED = "reverted"
    FINALIZED = "finalized"
    CANCELLED = "cancelled"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Status:
    """What an operation is doing now.

    `throttled` is the reason the throttle gives while it holds the copy back; `failure` is the sentence of a
    failed operation; `revert_blocked` says which rows a revert would lose, while there are any.
    """

    phase: Phase
    rows_copied: int = 0
    rows_total: int = 0
    rows_per_s: float = 0.0
    eta_s: float | None = None
    pending_keys: int = 0
    stream_lag_s: float = 0.0
    activity: str = ""
    throttled: str | None = None
    failure: str | None = None
    revert_blocked: str | None = None


@dataclass(frozen=True, slots=True)
class CutOver:
    """How a cut-over or a revert went: how long the table was locked, and at which attempt."""

    lock_ms: float
    attempts: int


class Operation(Protocol):
    """One table's part of a deployment; methods raise MigratorError and can be called again after a crash."""

    id: str

    async def prepare(self) -> None:
        """Go on from whatever was persisted and return when READY, or at once when already past it."""

    async def cut_over(self) -> CutOver:
        """Put the new table in place, trying again with growing pauses; returns when REVERTIBLE."""

    async def revert(self) -> CutOver:
        """Put the old table back with everything written since; REVERTIBLE becomes REVERTED."""

    async def finalize(self) -> None:
        """Drop what the deployment no longer needs; ends in FINALIZED."""

    async def cancel(self) -> None:
        """Give up before the cut-over and leave nothing behind; ends in CANCELLED."""

    async def close(self) -> None:
        """Stop background work; what is persisted stays for a later `prepare`."""

    def status(self) -> Status:
        """Say what is going on, from memory."""
