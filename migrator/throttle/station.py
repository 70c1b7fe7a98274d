"""I keep all that the throttles of one server share: its signals, what clients feel, what people have said.

The signals are measured only while somebody asks to copy; control tells me of clients all the time, so that
what is usual is known before a migration begins.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import structlog

from conf.settings import ThrottleSettings
from migrator.throttle.controller import Controller, Permit
from migrator.throttle.gates import Gates, Held, Signal, server_rules
from migrator.throttle.history import History, Point
from migrator.throttle.ratio import Ratios
from migrator.throttle.signals import TrafficSignal
from migrator.throttle.watch import ReplicaWatch, ServerWatch
from router.model import Server

log = structlog.get_logger()

UNASKED_S: Final = 10.0
TICK_S: Final = 0.1
UNDER_WAY_MAX_S: Final = 30.0
SLOT_S: Final = 2.0
RATE_WINDOW_S: Final = 5.0
PAUSED, RATIO = "paused", "ratio"


@dataclass(frozen=True, slots=True)
class Budget:
    """What one chunk may cost: how long it should take, and the share of the time it counts against."""

    target_s: float
    share: float
    at_s: float = field(default=0.0, compare=False)


class Station:
    """One for all throttles of a server."""

    def __init__(
        self,
        settings: ThrottleSettings,
        traffic: TrafficSignal | None,
        server: Server | None,
        replicas: Sequence[str],
        idle_target_s: float,
    ) -> None:
        self.enabled = settings.enabled
        self.idle_target_s = idle_target_s
        self.ratios = Ratios()
        self.history = History()
        self._traffic = traffic
        watched = [replica for replica in replicas if replica not in settings.replicas_ignored]
        rules = server_rules(settings, os.cpu_count() or 1, replicated=bool(watched))
        if server is None:
            rules = [rule for rule in rules if rule.signal is Signal.POOL_WAIT]
        self.gates = Gates(rules)
        self.controller = Controller(settings.latency_rise, idle_target_s)
        self._watches: list[Callable[[], asyncio.Task[None]]] = []
        if server is not None and settings.enabled:
            self._watches.append(lambda: _task(ServerWatch(server, self.gates).run()))
            if watched and Signal.REPLICA_LAG in self.gates.signals:
                self._watches.append(lambda: _task(self._replicas(server, watched).run()))
        self._tasks: list[asyncio.Task[None]] = []
        self._share = 0.0
        self._asked_s = self._looked_s = float("-inf")
        self._busy_until_s = float("-inf")
        self._under_way: set[float] = set()
        self._verifying_s = float("-inf")
        self._rows: deque[tuple[float, int]] = deque()
        self._held: tuple[str, float] | None = None
        self._state = Held("", "", 0.0)

    def ask(self, number: int, *, verifying: bool) -> Budget | float:
        """Return a budget, or for how long to wait before asking again."""
        now_s = time.monotonic()
        self._asked_s = now_s
        self._watch()
        self._look(now_s)
        if verifying:
            self._verifying_s = now_s
        ratio = self.ratios.effective(number, datetime.now(UTC))
        permit = self._decide(now_s, ratio.ceiling, paused=ratio.paused)
        if permit is None:
            return TICK_S / 2
        if not verifying and permit.share < 1.0 and now_s - self._verifying_s < TICK_S:
            return TICK_S / 2
        if permit.share < 1.0:
            if now_s < self._busy_until_s:
                return min(TICK_S / 2, self._busy_until_s - now_s)
            # One chunk at a time: two side by side would be felt as twice the share.
            self._busy_until_s = now_s + SLOT_S
        self._under_way.add(now_s)
        return Budget(permit.target_s, permit.share, now_s)

    def took(self, budget: Budget, seconds: float, rest_max_s: float, rows: int) -> None:
        """Take what a chunk cost: it is followed by a rest that makes up the budget's share."""
        now_s = time.monotonic()
        self.controller.copied(now_s)
        self._under_way.discard(budget.at_s)
        self._rows.append((now_s, rows))
        if budget.share < 1.0:
            # All copiers share one clock: together they take the share, not each of them.
            self._busy_until_s = now_s + min(seconds * (1 / budget.share - 1), rest_max_s)

    def collided(self) -> None:
        """Take that a chunk and a client waited for each other's locks."""
        self.controller.collided(time.monotonic())

    def follow_pause_s(self) -> float:
        """Return for how long following the log should wait now; 0 when it need not."""
        if not self.enabled or Signal.REPLICA_LAG not in self.gates.signals:
            return 0.0
        self._asked_s = time.monotonic()
        self._watch()
        return TICK_S if self.gates.far_behind(self._asked_s) is not None else 0.0

    def held(self) -> Held | None:
        """Return what holds copying back now, and for how long; None when nothing does."""
        if self._held is None or time.monotonic() - self._asked_s > UNASKED_S:
            return None
        return Held(self._state.signal, self._state.reason, time.monotonic() - self._held[1])

    @property
    def rows_per_s(self) -> float:
        """How many rows were copied or compared a second, of late."""
        now_s = time.monotonic()
        while self._rows and self._rows[0][0] < now_s - RATE_WINDOW_S:
            self._rows.popleft()
        return sum(rows for _, rows in self._rows) / RATE_WINDOW_S

    @property
    def share(self) -> float:
        """The share of the time that copying takes now; 0 while it stands still or nobody copies."""
        if time.monotonic() - self._asked_s > UNASKED_S:
            return 0.0
        return self._share

    async def run(self) -> None:
        """Learn what is usual while nothing is copied, until cancelled; copying works without it, too."""
        while True:
            self._look(time.monotonic())
            await asyncio.sleep(TICK_S * 5)

    async def close(self) -> None:
        """Stop measuring."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _look(self, now_s: float) -> None:
        """Take what the proxy has seen; it tells news ten times a second, and adding them up costs time."""
        if now_s - self._looked_s < TICK_S:
            return
        self._looked_s = now_s
        self._under_way = {at_s for at_s in self._under_way if now_s - at_s < UNDER_WAY_MAX_S}
        if self._under_way:
            self.controller.copied(now_s)
        sample = self._traffic.sample() if self._traffic else None
        self.controller.take_traffic(sample)
        if sample is not None:
            self.gates.take(sample.at_s, Signal.POOL_WAIT, sample.pool_wait_ms)

    def _decide(self, now_s: float, ceiling: float, *, paused: bool) -> Permit | None:
        permit: Permit | None = Permit(self.idle_target_s, 1.0)
        held: Held | None = None
        if paused:
            permit, held = None, Held(PAUSED, "somebody has paused it", 0.0)
        elif self.enabled and (held := self.gates.held(now_s)) is not None:
            permit = None
        elif self.enabled:
            permit = self.controller.decide(now_s)
            if self.controller.signal is not None:
                held = Held(self.controller.signal, self.controller.reason or "", 0.0)
        if permit is not None and permit.share > ceiling:
            permit = Permit(permit.target_s, ceiling)
            held = Held(RATIO, f"its ratio leaves it {100 * ceiling:.0f} % of the time", 0.0)
        self._remember(now_s, permit, held)
        return permit

    def _remember(self, now_s: float, permit: Permit | None, held: Held | None) -> None:
        self._share = permit.share if permit is not None else 0.0
        if held is None:
            self._held = None
        else:
            if self._held is None or self._held[0] != held.signal:
                self._held = held.signal, now_s - held.for_s
            self._state = held
        self.history.add(
            Point(
                time.time(),
                self._share,
                self.controller.ratio,
                self.rows_per_s,
                held.signal if held else None,
                held.reason if held else None,
            )
        )

    def _watch(self) -> None:
        """Measure while somebody asks; stop when nobody has for a while."""
        if not self._tasks and self._watches:
            self._tasks = [start() for start in self._watches]
            self._tasks.append(_task(self._stop_unasked()))
            return
        for task in self._tasks:
            if task.done() and not task.cancelled() and (error := task.exception()) is not None:
                # What it measured grows old and stops copying; a new one may have more luck.
                log.error("throttle.watch_failed", reason=repr(error))
                for each in self._tasks:
                    each.cancel()
                self._tasks = []
                return

    async def _stop_unasked(self) -> None:
        while time.monotonic() - self._asked_s < UNASKED_S:
            await asyncio.sleep(1.0)
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            if task is not asyncio.current_task():
                task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(
                *(task for task in tasks if task is not asyncio.current_task()), return_exceptions=True
            )

    def _replicas(self, server: Server, addresses: Sequence[str]) -> ReplicaWatch:
        def tell(at_s: float, lag_s: float, because: str) -> None:
            self.gates.take(at_s, Signal.REPLICA_LAG, lag_s, because)

        return ReplicaWatch(server, addresses, tell)


def _task(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    return asyncio.get_running_loop().create_task(work)
