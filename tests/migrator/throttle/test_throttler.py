"""The throttle hands out budgets and sits out the rests that follow from them."""

from __future__ import annotations

import asyncio
import time

from conf.settings import ThrottleSettings
from migrator.throttle.signals import ClassSample, TrafficSample
from migrator.throttle.throttler import IDLE_TARGET_S, Budget, Throttle


class SteadyTraffic:
    """The same latency at every moment."""

    def sample(self) -> TrafficSample:
        return TrafficSample(time.monotonic(), {"read": ClassSample(300.0, 2.0, 4.0)}, 2)


async def test_a_throttle_that_is_off_never_waits() -> None:
    throttle = Throttle(ThrottleSettings(enabled=False), SteadyTraffic())
    budget = await throttle.permit()
    throttle.record(budget, 5.0, 1.0)
    assert await throttle.permit() == Budget(IDLE_TARGET_S, 1.0)
    assert throttle.explain() is None


async def test_under_load_a_chunk_is_followed_by_a_rest() -> None:
    throttle = Throttle(ThrottleSettings(), SteadyTraffic())
    budget = await throttle.permit()
    assert budget.target_s < 0.01
    assert budget.share <= 0.3
    throttle.record(budget, 0.05, 0.001)
    started = time.monotonic()
    await throttle.permit()
    assert time.monotonic() - started > 0.1


async def test_without_traffic_there_is_no_rest() -> None:
    throttle = Throttle(ThrottleSettings())
    budget = await throttle.permit()
    assert budget.share == 1.0
    throttle.record(budget, 1.0, 0.001)
    async with asyncio.timeout(0):
        await throttle.permit()
