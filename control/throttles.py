"""I take what people say about the throttle, keep it, and tell how the throttle is."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from prometheus_client.core import GaugeMetricFamily, Metric

from control.errors import ControlError
from control.metrics import PREFIX
from migrator.throttle.gates import Held
from migrator.throttle.history import Point
from migrator.throttle.ratio import NOTHING, WHOLE_DATABASE, Ratio
from migrator.throttle.store import RatioStore, Stored
from migrator.throttle.throttler import Throttle
from router.clock import now

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ThrottleState:
    """How the throttle is for a deploy request, or (number 0) for a whole database.

    `own` is what was said of just this one, if anything; `effective` is what holds.
    """

    number: int
    own: Stored | None
    effective: Ratio
    share: float
    latency_ratio: float
    rows_per_s: float
    held: Held | None


class Throttles:
    """The ratios of one database, stored and in force."""

    def __init__(self, database: str, store: RatioStore, throttle: Throttle) -> None:
        self._database, self._store, self._throttle = database, store, throttle
        # Held from looking at a ratio to changing it: a pause stays when somebody else sets the ratio.
        self._changing = asyncio.Lock()

    async def prepare(self) -> None:
        """Put what is stored in force."""
        await self._store.prepare()
        for number, stored in (await self._store.all(self._database)).items():
            if not stored.ratio.over(now()):
                self._throttle.station.ratios.put(number, stored.ratio)

    async def state(self, number: int) -> ThrottleState:
        """Return how the throttle is for a deploy request, or the database."""
        station = self._throttle.station
        at = now()
        stored = (await self._store.all(self._database)).get(number)
        return ThrottleState(
            number,
            stored if stored is not None and not stored.ratio.over(at) else None,
            station.ratios.effective(number, at),
            station.share,
            station.controller.ratio,
            station.rows_per_s,
            station.held(),
        )

    async def change(
        self,
        number: int,
        *,
        ratio: int | None = None,
        paused: bool | None = None,
        expires_in_s: float | None = None,
        clear: bool = False,
    ) -> ThrottleState:
        """Let a ratio hold for a deploy request, or (number 0) the database; what is not given stays."""
        async with self._changing:
            before = self._throttle.station.ratios.own(number, now()) or NOTHING
            wanted: Ratio | None = Ratio(
                before.ratio if ratio is None else ratio,
                before.paused if paused is None else paused,
                _after(expires_in_s),
            )
            if clear or (number == WHOLE_DATABASE and wanted == NOTHING):
                wanted = None
            await self._store.put(self._database, number, wanted)
            self._throttle.station.ratios.put(number, wanted)
        log.info(
            "throttle.changed",
            number=number,
            ratio=wanted.ratio if wanted else None,
            paused=wanted.paused if wanted else None,
        )
        return await self.state(number)

    def metrics(self) -> Iterator[Metric]:
        """Yield the state of the throttle as metrics."""
        station = self._throttle.station
        for name, meaning, value in (
            ("share", "Share of the time that copying takes.", station.share),
            ("latency_ratio", "Latency of statements by the usual.", station.controller.ratio),
            ("rows_per_second", "Rows copied or compared a second, of late.", station.rows_per_s),
        ):
            yield GaugeMetricFamily(f"{PREFIX}throttle_{name}", meaning, value=value)
        effective = station.ratios.effective(WHOLE_DATABASE, now())
        yield GaugeMetricFamily(
            f"{PREFIX}throttle_ratio", "Ratio set for the database, 0 to 95.", value=effective.ratio
        )
        values = GaugeMetricFamily(
            f"{PREFIX}throttle_signal", "Newest value of what the throttle looks at.", labels=["signal"]
        )
        shut = GaugeMetricFamily(
            f"{PREFIX}throttle_gate_shut", "Whether a signal is above its limit.", labels=["signal"]
        )
        for signal, value in sorted(station.gates.values.items()):
            values.add_metric([signal], value)
        for signal, is_shut in sorted(station.gates.shut.items()):
            shut.add_metric([signal], float(is_shut))
        yield values
        yield shut

    def history(self, since_s: float, points: int) -> Sequence[Point]:
        """Return how the throttle was after a moment, thinned to so many points."""
        return self._throttle.station.history.since(since_s, points)


def _after(seconds: float | None) -> datetime | None:
    if seconds is None:
        return None
    if seconds <= 0:
        raise ControlError("a throttle's ratio holds for more than no time: leave the time out for always")
    return now() + timedelta(seconds=seconds)
