"""The revert window, reverts that work and reverts that fail."""

from __future__ import annotations

import asyncio

import pytest

from migrator.deploy.errors import DeployError, IllegalMove
from migrator.deploy.lifecycle import State
from tests.support.deploying import ADA, Bench, findings


async def test_the_old_tables_are_dropped_when_the_window_ends(bench: Bench) -> None:
    bench.decide(revert_window_s=0.05)
    await bench.create()
    async with bench.running():
        await bench.deploy(1)
        await bench.until(1, State.COMPLETE)
    assert bench.tables.log[-1] == "finalize orders"
    with pytest.raises(IllegalMove, match="cannot be reverted in state complete"):
        await bench.deploys.revert("shop", 1, ADA, None)


async def test_skip_revert_ends_the_window_at_once(bench: Bench) -> None:
    await bench.create()
    async with bench.running():
        await bench.deploy(1)
        await bench.until(1, State.COMPLETE_PENDING_REVERT)
        await bench.deploys.skip_revert("shop", 1, ADA)
        await bench.until(1, State.COMPLETE)


async def test_a_failed_revert_keeps_the_new_tables_and_can_be_tried_again(bench: Bench) -> None:
    bench.tables.failing["revert orders"] = "a row does not fit the old table"
    await bench.create()
    async with bench.running():
        await bench.deploy(1)
        await bench.until(1, State.COMPLETE_PENDING_REVERT)
        await bench.deploys.revert("shop", 1, ADA, None)
        request = await bench.until(1, State.COMPLETE_REVERT_ERROR)
        assert request.problem == "a row does not fit the old table"
        bench.tables.failing.clear()
        await bench.deploys.revert("shop", 1, ADA, None)
        await bench.until(1, State.COMPLETE_REVERT)


async def test_when_the_second_table_cannot_be_reverted_the_first_is_swapped_again(bench: Bench) -> None:
    bench.redoable, bench.findings = True, findings("customers", "orders")
    bench.tables.failing["revert customers"] = "a row does not fit the old table"
    await bench.create()
    async with bench.running():
        await bench.deploy(1)
        await bench.until(1, State.COMPLETE_PENDING_REVERT)
        await bench.deploys.revert("shop", 1, ADA, None)
        await bench.until(1, State.COMPLETE_REVERT_ERROR)
    assert bench.tables.log[-2:] == ["revert orders", "redo orders"]


async def test_a_revert_that_the_engine_cannot_do_is_refused_with_its_reason(bench: Bench) -> None:
    await bench.create()
    async with bench.running():
        await bench.deploy(1)
        await bench.until(1, State.COMPLETE_PENDING_REVERT)
        with pytest.raises(DeployError, match="binary log is gone"):
            await bench.deploys.revert("shop", 1, ADA, "the binary log is gone")


async def test_a_revert_gives_up_the_rows_it_was_told_to_also_after_a_crash_and_no_others_later(
    bench: Bench,
) -> None:
    bench.redoable = True
    bench.tables.misfits = {"[7]": "id=7 (too long)"}
    bench.tables.holding["revert orders"] = asyncio.Event()
    async with bench.running():
        await bench.create()
        await bench.deploy(1)
        request = await bench.until(1, State.COMPLETE_PENDING_REVERT)
        [operation] = [record.id for record in request.operations]
        assert bench.runner.misfits(request) == {operation: bench.tables.misfits}
        assert bench.runner.revert_blocked(request) == "table 'orders': 1 rows do not fit"
        assert bench.runner.revert_blocked(request, {operation: ["[7]"]}) is None
        await bench.deploys.revert("shop", 1, ADA, None, {operation: ["[7]"]})
        await bench.until_true(lambda: "give up ['[7]'] of orders" in bench.tables.log)
    bench.tables.log.clear()
    bench.tables.holding.clear()
    bench.tables.failing["revert orders"] = "row 8 does not fit"
    bench.start()
    async with bench.running():
        await bench.until(1, State.COMPLETE_REVERT_ERROR)
        assert bench.tables.log == ["give up ['[7]'] of orders"]
        bench.tables.failing.clear()
        await bench.deploys.revert("shop", 1, ADA, None)
        assert (await bench.until(1, State.COMPLETE_REVERT)).giving_up == {}
    assert bench.tables.log[1:] == ["give up [] of orders", "revert orders"]
