"""Headgate killed at any step."""

from __future__ import annotations

import asyncio

import pytest

from migrator.deploy.lifecycle import State
from tests.support.deploying import ADA, Bench


@pytest.mark.parametrize("step", ["prepare orders", "cut over orders", "finalize orders", "revert orders"])
async def test_killed_at_any_step_the_next_start_goes_on(bench: Bench, step: str) -> None:
    bench.decide(revert_window_s=0.05 if step == "finalize orders" else 1000.0)
    bench.tables.holding[step] = asyncio.Event()
    await bench.create()
    async with bench.running():
        await bench.deploy(1)
        if step == "revert orders":
            await bench.until(1, State.COMPLETE_PENDING_REVERT)
            await bench.deploys.revert("shop", 1, ADA, None)
            held = await bench.until(1, State.IN_PROGRESS_REVERT)
        elif step == "finalize orders":
            held = await bench.until(1, State.COMPLETE_PENDING_REVERT)
        else:
            held = await bench.until(1, State.IN_PROGRESS, State.IN_PROGRESS_CUTOVER)
    assert (await bench.get(1)).deployment_state not in {State.COMPLETE, State.COMPLETE_REVERT}
    assert held.number == 1
    bench.tables.holding.clear()
    bench.start()
    end = {"finalize orders": State.COMPLETE, "revert orders": State.COMPLETE_REVERT}
    async with bench.running():
        await bench.until(1, end.get(step, State.COMPLETE_PENDING_REVERT))
