"""Headgate killed at any step."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import replace

import pytest

from migrator.deploy.carrying import Alongside
from migrator.deploy.findings import Snapshot
from migrator.deploy.lifecycle import State
from migrator.deploy.request import DeployRequest
from migrator.engine.ground.operation import Status
from tests.support.deploying import ADA, Bench, findings


async def test_killed_while_copying_it_goes_on_only_if_production_is_still_what_it_was(bench: Bench) -> None:
    bench.findings = replace(findings("orders"), snapshot=Snapshot("{}", "{}"))
    bench.tables.holding["prepare orders"] = asyncio.Event()
    await bench.create()
    async with bench.running():
        await bench.deploy(1)
        await bench.until(1, State.IN_PROGRESS)
    bench.tables.holding.clear()
    [record] = bench.findings.operations
    changed = replace(record, target="CREATE TABLE with what was added by hand")
    bench.findings = replace(bench.findings, operations=(changed,))
    bench.start()
    async with bench.running():
        failed = await bench.until(1, State.COMPLETE_ERROR)
    assert "changed by hand while nothing was carried" in str(failed.problem)
    assert "prepare orders" not in bench.tables.log


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


class Carriage(Alongside):
    """Remembers what it was told; its last word comes late."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.arrived, self.go_on = asyncio.Event(), asyncio.Event()

    async def starting(self, request: DeployRequest) -> None:
        self.log.append("starting")

    async def copied(self, request: DeployRequest, states: Collection[Status]) -> None:
        self.log.append(f"copied {len(states)}")

    async def completing(self, request: DeployRequest) -> str:
        self.log.append("completing")
        self.arrived.set()
        await self.go_on.wait()
        return "2 rows copied"


async def test_what_goes_along_is_finished_after_a_crash_and_never_after_a_revert(bench: Bench) -> None:
    carriage = bench.alongside = Carriage()
    bench.start()
    await bench.create()
    async with bench.running():
        await bench.deploy(1)
        await bench.until(1, State.COMPLETE_PENDING_REVERT)
        assert carriage.log == ["starting", "copied 1"]
        await bench.deploys.skip_revert("shop", 1, ADA)
        await carriage.arrived.wait()
    assert (await bench.get(1)).deployment_state is State.COMPLETE_PENDING_REVERT
    carriage.go_on.set()
    bench.start()
    async with bench.running():
        done = await bench.until(1, State.COMPLETE)
    assert carriage.log[2:] == ["completing", "completing"]
    assert done.why(State.COMPLETE) == "2 rows copied"

    carriage.log.clear()
    async with bench.running():
        await bench.create()
        await bench.deploy(2)
        await bench.until(2, State.COMPLETE_PENDING_REVERT)
        await bench.deploys.revert("shop", 2, ADA, None)
        await bench.until(2, State.COMPLETE_REVERT)
    assert "completing" not in carriage.log
