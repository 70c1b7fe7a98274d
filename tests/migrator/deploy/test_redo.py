"""Reverts that are taken back."""

from __future__ import annotations

import asyncio

import pytest

from migrator.deploy.errors import DeployError, IllegalMove
from migrator.deploy.lifecycle import State
from tests.support.deploying import ADA, Bench, findings


async def test_a_revert_is_taken_back_and_made_again_within_the_window(bench: Bench) -> None:
    bench.redoable, bench.findings = True, findings("customers", "orders")
    async with bench.running():
        request = await bench.reverted()
        assert request.redo_until == request.revert_until
        assert request.finished_at is None
        assert not [step for step in bench.tables.log if step.startswith("finalize")]
        await bench.deploys.redo("shop", 1, ADA, None)
        redone = await bench.until(1, State.COMPLETE_PENDING_REVERT)
        assert (redone.revert_until, redone.redo_until) == (request.revert_until, None)
        assert redone.longest_lock_ms == 7.0
        assert bench.tables.log[-2:] == ["redo customers", "redo orders"]
        await bench.deploys.revert("shop", 1, ADA, None)
        await bench.until(1, State.COMPLETE_REVERT)
        await bench.deploys.skip_revert("shop", 1, ADA)
        request = await bench.until_cleared(1)
    assert request.deployment_state is State.COMPLETE_REVERT
    assert request.finished_at is not None
    assert bench.tables.log[-2:] == ["finalize customers", "finalize orders"]
    with pytest.raises(IllegalMove, match="can no longer be taken back"):
        await bench.deploys.redo("shop", 1, ADA, None)
    with pytest.raises(IllegalMove, match="no revert window"):
        await bench.deploys.skip_revert("shop", 1, ADA)


async def test_the_next_request_need_not_wait_for_what_could_be_redone(bench: Bench) -> None:
    bench.redoable = True
    async with bench.running():
        await bench.reverted()
        bench.findings = findings("coupons")
        await bench.create("fixed")
        await bench.deploy(2)
        await bench.until(2, State.COMPLETE_PENDING_REVERT)
        assert (await bench.get(1)).redo_until is None
    assert bench.tables.log[-3:] == ["finalize orders", "prepare coupons", "cut over coupons"]
    with pytest.raises(IllegalMove, match="can no longer be taken back"):
        await bench.deploys.redo("shop", 1, ADA, None)


async def test_only_a_revert_can_be_redone_and_only_when_the_engine_can(bench: Bench) -> None:
    bench.redoable = True
    async with bench.running():
        await bench.create()
        await bench.deploy(1)
        await bench.until(1, State.COMPLETE_PENDING_REVERT)
        with pytest.raises(IllegalMove, match="cannot be redone in state complete_pending_revert"):
            await bench.deploys.redo("shop", 1, ADA, None)
        await bench.deploys.revert("shop", 1, ADA, None)
        await bench.until(1, State.COMPLETE_REVERT)
        with pytest.raises(DeployError, match="cannot be redone: rows do not fit"):
            await bench.deploys.redo("shop", 1, ADA, "rows do not fit")


async def test_what_has_an_operation_that_cannot_be_redone_ends_with_its_revert(bench: Bench) -> None:
    async with bench.running():
        await bench.reverted()
    assert bench.tables.log[-1] == "finalize orders"
    with pytest.raises(IllegalMove, match="can no longer be taken back"):
        await bench.deploys.redo("shop", 1, ADA, None)


async def test_when_the_second_table_cannot_be_redone_the_first_is_swapped_back(bench: Bench) -> None:
    bench.redoable, bench.findings = True, findings("customers", "orders")
    bench.tables.failing["redo orders"] = "a row does not fit the new table"
    async with bench.running():
        await bench.reverted()
        await bench.deploys.redo("shop", 1, ADA, None)
        await bench.until_true(lambda: "redo customers" in bench.tables.log)
        request = await bench.until(1, State.COMPLETE_REVERT)
        assert "could not be redone: a row does not fit the new table" in str(request.problem)
        assert bench.tables.log[-2:] == ["redo customers", "revert customers"]
        bench.tables.failing.clear()
        await bench.deploys.redo("shop", 1, ADA, None)
        assert (await bench.until(1, State.COMPLETE_PENDING_REVERT)).problem is None


@pytest.mark.parametrize("step", ["redo orders", "finalize orders", "following"])
async def test_killed_while_a_revert_may_be_taken_back_the_next_start_goes_on(
    bench: Bench, step: str
) -> None:
    bench.redoable, bench.findings = True, findings("customers", "orders")
    bench.tables.holding[step] = asyncio.Event()
    async with bench.running():
        await bench.reverted()
        if step == "redo orders":
            await bench.deploys.redo("shop", 1, ADA, None)
            await bench.until_true(lambda: "redo customers" in bench.tables.log)
        elif step == "finalize orders":
            await bench.deploys.skip_revert("shop", 1, ADA)
            await bench.until_true(lambda: "finalize customers" in bench.tables.log)
    held = await bench.get(1)
    assert held.redo_until is not None
    if step == "finalize orders":
        with pytest.raises(IllegalMove, match="can no longer be taken back"):
            await bench.deploys.redo("shop", 1, ADA, None)
    bench.tables.holding.clear()
    bench.start()
    async with bench.running():
        if step == "finalize orders":
            assert (await bench.until_cleared(1)).deployment_state is State.COMPLETE_REVERT
            return
        if step == "following":
            await bench.deploys.redo("shop", 1, ADA, None)
        await bench.until(1, State.COMPLETE_PENDING_REVERT)
    assert bench.tables.log[-2:] == ["redo customers", "redo orders"]


async def test_what_is_kept_for_a_redo_goes_when_the_window_ends(bench: Bench) -> None:
    bench.redoable = True
    bench.decide(revert_window_s=0.5)
    async with bench.running():
        await bench.reverted()
        await bench.until_cleared(1)
    assert bench.tables.log[-1] == "finalize orders"
