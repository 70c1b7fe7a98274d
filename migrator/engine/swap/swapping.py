"""I try a cut-over until it is done, for one operation or for several at once."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import structlog

from conf.settings import MigratorSettings
from migrator.engine.ground.journal import Change, Journal
from migrator.engine.ground.operation import CutOver, again_in
from migrator.engine.swap.cutover import Busy, CutOverAttempt, TrafficGate, patience_s
from migrator.engine.swap.part import Part, Way
from migrator.errors import NotNow, OwnershipUnknown
from router.errors import DatabaseError

log = structlog.get_logger()

BACKOFF_S = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
# Waiting longer helps against somebody who holds the table, not against many who write to it.
BUSY_PAUSE_MAX_S = 1.0
LOOK_S = 0.05


class NotTogether(NotNow):
    """Several tables could not be swapped at once, however often that was tried."""


@runtime_checkable
class Member(Protocol):
    """An operation that can be swapped, alone or with others."""

    @property
    def table(self) -> str:
        """Its table's name."""

    @property
    def gate(self) -> TrafficGate | None:
        """What holds clients back while it is swapped, if anything needs to."""

    @property
    def settings(self) -> MigratorSettings:
        """How patient it is."""

    @property
    def id(self) -> str:
        """Its id."""

    @property
    def journal(self) -> Journal:
        """Its record, owned by this process."""

    @property
    def forced(self) -> bool:
        """Whether somebody has asked to kill whoever is in the way."""

    @property
    def rows(self) -> int:
        """About how many rows there are to copy; known once it is prepared or sized."""

    async def size(self) -> None:
        """Find out about how many rows there are to copy."""

    async def ready_for(self, way: Way) -> bool:
        """Resolve what was interrupted and follow; False when this way has been gone already."""

    async def part(self, way: Way) -> Part:
        """Say what is to be done; raises MigratorError when it must not be."""

    async def ask_names(self, way: Way) -> bool:
        """After an interrupted swap: wait until nobody can do it any more, then see what happened."""

    async def swapped(self, way: Way) -> None:
        """The swap is done, and recorded: follow the other way."""

    async def stop_following(self) -> None:
        """The swap is done: what followed one table must not write to it any more."""

    def tell(self, activity: str) -> None:
        """Say what is being done."""


async def swap(
    members: Sequence[Member],
    way: Way,
    gate: TrafficGate | None,
    settings: MigratorSettings,
    *,
    attempts_max: int | None = None,
) -> CutOver:
    """Try until it is done; each attempt either has no effect or is told apart by the names.

    Raises NotTogether after `attempts_max` attempts, when given.
    """
    for attempts in itertools.count(1):
        parts = [await member.part(way) for member in members]
        for member in members:
            member.tell("cutting over" if way.forward else "reverting")
        enough = settings.force_cutover_after
        attempt = CutOverAttempt(
            parts,
            gate,
            lock_wait_ms=settings.lock_wait_ms,
            locked_max_s=patience_s(attempts),
            force=any(member.forced for member in members) or 0 < enough < attempts,
        )
        try:
            lock_ms = await attempt.run()
        except (NotNow, DatabaseError) as error:
            if attempt.written_ahead and await _happened(members, way):
                lock_ms = 0.0
            else:
                if attempt.written_ahead:
                    await _save(members, way, done=False)
                    for member in members:
                        await member.ready_for(way)
                if attempts_max is not None and attempts >= attempts_max:
                    raise NotTogether(str(error)) from error
                await _pause(members, attempts, error)
                continue
        except BaseException:
            if attempt.written_ahead:
                # Writing is paused for good: whoever goes on asks the names first, and follows anew.
                for member in members:
                    await member.stop_following()
            raise
        for member in members:
            await member.stop_following()
        await _save(members, way, done=True)
        for member in members:
            await member.swapped(way)
        return CutOver(lock_ms, attempts)
    raise AssertionError("unreachable")


async def _happened(members: Sequence[Member], way: Way) -> bool:
    for member in members:
        await member.stop_following()
    answers = {await member.ask_names(way) for member in members}
    if len(answers) > 1:
        raise OwnershipUnknown(
            "of tables that are swapped by one statement some are swapped and others are not",
            hint="somebody renamed one of them; compare their rows before you do anything else",
        )
    return answers.pop()


async def _save(members: Sequence[Member], way: Way, *, done: bool) -> None:
    first, *others = [member.journal for member in members]
    # Rows that did not fit the one table may fit the other.
    change = Change(phase=way.done, clears=("quarantine",)) if done else Change(phase=way.before)
    await first.save_with(others, [change] * len(members))


async def _pause(members: Sequence[Member], attempts: int, error: Exception) -> None:
    """Wait before the next attempt, unless somebody asks to force it."""
    pause_s = BACKOFF_S[min(attempts, len(BACKOFF_S)) - 1]
    if isinstance(error, Busy):
        pause_s = min(pause_s, BUSY_PAUSE_MAX_S)
    for member in members:
        member.tell(again_in(pause_s, error))
    log.info("cutover.postponed", operation=members[0].id, reason=str(error), attempt=attempts)
    until, forced = time.monotonic() + pause_s, any(member.forced for member in members)
    while (left_s := until - time.monotonic()) > 0:
        if not forced and any(member.forced for member in members):
            return
        await asyncio.sleep(min(left_s, LOOK_S))
