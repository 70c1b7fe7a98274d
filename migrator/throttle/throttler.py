"""I answer go or wait, with the reason: whoever copies, compares or follows asks me before each step."""

from __future__ import annotations

import asyncio
import copy
import time
from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from conf.settings import ThrottleSettings
from migrator.throttle.gates import Held
from migrator.throttle.ratio import WHOLE_DATABASE
from migrator.throttle.signals import TrafficSignal
from migrator.throttle.station import Budget, Station
from router.model import Server

__all__ = ["IDLE_TARGET_S", "Budget", "Kind", "Throttle"]

REST_MAX_S: Final = 2.0
IDLE_TARGET_S: Final = 0.25


class Kind(StrEnum):
    """What wants to work: following goes before verifying, and that before copying."""

    FLUSH = "flush"
    VERIFY = "verify"
    COPY = "copy"


class Throttle:
    """One for all operations on a server, or, by `for_request`, for those of one deploy request.

    `traffic` is what the proxy sees, None when nobody tells; `server` is asked how it is, as are `replicas`.
    """

    def __init__(
        self,
        settings: ThrottleSettings,
        traffic: TrafficSignal | None = None,
        server: Server | None = None,
        *,
        replicas: Sequence[str] = (),
        idle_target_s: float = IDLE_TARGET_S,
    ) -> None:
        self.station = Station(settings, traffic, server, replicas, idle_target_s)
        self._number = WHOLE_DATABASE

    @property
    def enabled(self) -> bool:
        """Whether copying yields to anybody at all."""
        return self.station.enabled

    def for_request(self, number: int) -> Throttle:
        """Return the same throttle for a deploy request that may have a ratio of its own."""
        own = copy.copy(self)
        own._number = number
        return own

    async def permit(self, kind: Kind = Kind.COPY) -> Budget:
        """Return when the next step may start, with what it may cost."""
        if kind is Kind.FLUSH:
            while (pause_s := self.station.follow_pause_s()) > 0:
                await asyncio.sleep(pause_s)
            return Budget(self.station.idle_target_s, 1.0)
        while isinstance(answer := self.station.ask(self._number, verifying=kind is Kind.VERIFY), float):
            await asyncio.sleep(answer)
        return answer

    def record(self, budget: Budget, seconds: float, commit_s: float, rows: int = 0) -> None:
        """Take what a step cost: it is followed by a rest that makes up the budget's share.

        What came before the step and after its permit, such as finding its range, counts as well.
        """
        spent_s = max(seconds, time.monotonic() - budget.at_s) if budget.at_s else seconds
        self.station.took(budget, spent_s, REST_MAX_S, rows)

    def collided(self) -> None:
        """Take that a step of ours and a client waited for each other's locks."""
        self.station.collided()

    def explain(self) -> str | None:
        """Say what holds copying back and for how long, None when nothing does."""
        held = self.held()
        if held is None:
            return None
        return f"{held.reason} (for {held.for_s:.0f} s)" if held.for_s >= 1 else held.reason

    def held(self) -> Held | None:
        """Return what holds copying back: the signal, the sentence, the seconds."""
        return self.station.held()

    async def run(self) -> None:
        """Learn what is usual while nothing is copied, until cancelled; copying works without it, too."""
        await self.station.run()

    async def close(self) -> None:
        """Stop measuring."""
        await self.station.close()
