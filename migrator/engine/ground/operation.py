"""I am what the deploy runner may ask of any operation, and what it is told."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol, runtime_checkable

AGAIN: Final = "trying again in "


class Phase(StrEnum):
    """How far one table's part of a deployment is."""

    PENDING = "pending"
    COPYING = "copying"
    READY = "ready"
    CUTTING = "cutting"
    REVERTIBLE = "revertible"
    REVERTING = "reverting"
    REVERTED = "reverted"
    REDOING = "redoing"
    FINALIZED = "finalized"
    CANCELLED = "cancelled"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Status:
    """What an operation is doing now.

    `throttled` is the reason the throttle gives while it holds the copy back; `failure` is the sentence of a
    failed operation; `revert_blocked` says which rows a revert would lose, while there are any. The time
    left is probably between `eta_low_s` and `eta_high_s`; `stalled` says why nothing has moved for long.
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
    rows_verified: int = 0
    bytes_copied: int = 0
    bytes_total: int = 0
    eta_low_s: float | None = None
    eta_high_s: float | None = None
    stalled: str | None = None

    @property
    def waits_for_table(self) -> bool:
        """Whether somebody else holds the table that is to be swapped."""
        return self.activity.startswith(AGAIN)


def again_in(pause_s: float, error: Exception) -> str:
    """Return what an operation does while it waits for a table that could not be had."""
    return f"{AGAIN}{pause_s:g} s: {error}"


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

    def force(self) -> None:
        """Kill whoever is in the way of the cut-over, from its next attempt on."""

    async def finalize(self) -> None:
        """Drop what the deployment no longer needs; ends in FINALIZED."""

    async def cancel(self) -> None:
        """Give up before the cut-over and leave nothing behind; ends in CANCELLED."""

    async def close(self) -> None:
        """Stop background work; what is persisted stays for a later `prepare`."""

    def status(self) -> Status:
        """Say what is going on, from memory."""


@runtime_checkable
class Redoable(Operation, Protocol):
    """An operation that can take a revert back."""

    async def redo(self) -> CutOver:
        """Put the new table back in place; REVERTED becomes REVERTIBLE again."""


@runtime_checkable
class Repeatable(Operation, Protocol):
    """An operation whose revert cannot be taken back by people, and must be when others fail to follow."""

    async def again(self) -> CutOver:
        """Make the change once more; REVERTED becomes REVERTIBLE again."""


@runtime_checkable
class Losing(Operation, Protocol):
    """An operation that a row may keep from being reverted, unless it is given up."""

    def misfits(self) -> Mapping[str, str]:
        """Return the rows that the table that is not in use has no place for: their keys, and for people."""

    def give_up(self, rows: Collection[str]) -> None:
        """Let the next swap back lose rows of these keys, and no others."""
