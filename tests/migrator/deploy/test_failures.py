"""Deployments that are cancelled or fail, and are tried again."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from migrator.deploy.errors import IllegalMove, NotDeployable
from migrator.deploy.lifecycle import State
from router.secrets import new_id
from tests.support.deploying import ADA, BOB, Bench, findings


async def test_cancel_stops_a_copy_and_leaves_nothing(bench: Bench) -> None:
    bench.tables.holding["prepare orders"] = asyncio.Event()
    await bench.create()
    async with bench.running():
        await bench.deploy(1)
        await bench.until(1, State.IN_PROGRESS)
        await bench.deploys.cancel("shop", 1, ADA)
        await bench.until(1, State.COMPLETE_CANCEL)
    assert bench.tables.log == ["cancel orders"]


async def test_cancel_while_a_cut_over_waits_swaps_back_what_is_swapped(bench: Bench) -> None:
    bench.findings = findings("customers", "orders")
    bench.tables.holding["cut over orders"] = asyncio.Event()
    await bench.create()
    async with bench.running():
        await bench.deploy(1)
        await bench.until_true(lambda: "cut over customers" in bench.tables.log)
        await bench.deploys.cancel("shop", 1, ADA)
        await bench.until(1, State.COMPLETE_CANCEL)
    assert bench.tables.log[-3:] == ["cancel orders", "revert customers", "finalize customers"]


async def test_a_queued_request_is_cancelled_without_touching_a_table(bench: Bench) -> None:
    await bench.create()
    await bench.deploy(1)
    assert (await bench.deploys.cancel("shop", 1, ADA)).deployment_state is State.CANCELLED
    assert bench.tables.log == []


async def test_after_a_failed_copy_only_what_failed_is_made_again(bench: Bench) -> None:
    bench.findings = findings("customers", "orders")
    bench.tables.failing["prepare orders"] = "row 7 does not fit"
    await bench.create()
    async with bench.running():
        await bench.deploy(1)
        request = await bench.until(1, State.COMPLETE_ERROR)
        assert request.problem == request.failure == "row 7 does not fit"
        assert bench.tables.log == ["prepare customers", "cancel orders"]
        customers, orders = request.operations
        assert request.kept == (customers.id,)
        bench.tables.failing.clear()
        # What the checks find now is the same, under other ids.
        bench.findings = replace(
            bench.findings,
            operations=tuple(replace(each, id=new_id()) for each in bench.findings.operations),
        )
        await bench.deploys.retry("shop", 1, ADA)
        request = await bench.until(1, State.COMPLETE_PENDING_REVERT)
    assert request.operations[0] == customers
    assert request.operations[1].id != orders.id
    assert (request.problem, request.failure, request.kept) == (None, None, ())
    assert bench.tables.log[2:] == ["prepare orders", "cut over customers", "cut over orders"]


async def test_a_failure_holds_the_queue_until_somebody_takes_note_of_it(bench: Bench) -> None:
    bench.findings = findings("customers", "orders")
    bench.tables.failing["prepare orders"] = "row 7 does not fit"
    await bench.create("a")
    async with bench.running():
        await bench.deploy(1)
        await bench.until(1, State.COMPLETE_ERROR)
        for refused in (bench.deploy(1), bench.deploys.close("shop", 1, ADA)):
            with pytest.raises(IllegalMove, match="headgate deploy-request unblock shop 1"):
                await refused
        bench.findings = findings("coupons")
        await bench.create("b")
        await bench.deploy(2)
        wait = await bench.deploys.waits(await bench.get(2))
        assert wait is not None
        assert wait.paused
        assert "headgate deploy-request retry shop 1" in wait.reason
        assert (await bench.deploys.complete("shop", 1, BOB)).acknowledged_by == BOB
        await bench.until(2, State.COMPLETE_PENDING_REVERT)
    # Nothing is left of the first one, and it can be deployed again.
    assert bench.tables.log[2:4] == ["cancel customers", "prepare coupons"]
    with pytest.raises(IllegalMove, match="taken note of"):
        await bench.deploys.retry("shop", 1, ADA)
    bench.findings, bench.tables.failing = findings("orders"), {}
    queued = await bench.deploy(1)
    assert (queued.finished_at, queued.failure, queued.acknowledged_at) == (None, None, None)


async def test_what_is_kept_is_not_mixed_with_what_has_changed_since(bench: Bench) -> None:
    bench.findings = findings("customers", "orders")
    bench.tables.failing["prepare orders"] = "row 7 does not fit"
    await bench.create()
    async with bench.running():
        await bench.deploy(1)
        await bench.until(1, State.COMPLETE_ERROR)
        bench.findings = findings("orders")
        with pytest.raises(NotDeployable, match=r"'customers' with it.*deploy-request unblock shop 1"):
            await bench.deploys.retry("shop", 1, ADA)
        bench.findings = findings("customers", "orders", problem="production has moved.")
        with pytest.raises(NotDeployable, match=r"production has moved\. Let go"):
            await bench.deploys.retry("shop", 1, ADA)
        assert (await bench.get(1)).deployment_state is State.COMPLETE_ERROR


async def test_when_the_second_table_cannot_be_swapped_the_first_is_swapped_back(bench: Bench) -> None:
    bench.findings = findings("customers", "orders")
    bench.tables.failing["cut over orders"] = "a transaction holds the table"
    await bench.create()
    async with bench.running():
        await bench.deploy(1)
        request = await bench.until(1, State.COMPLETE_ERROR)
        assert bench.tables.log[-2:] == ["revert customers", "finalize customers"]
        # The other one was not swapped, and its copy is still good.
        assert request.kept == (request.operations[1].id,)
        await bench.deploys.complete("shop", 1, ADA)
        await bench.until_true(lambda: bench.tables.log[-1] == "cancel orders")


async def test_killed_while_a_failure_is_undone_the_next_start_goes_on_with_that(bench: Bench) -> None:
    bench.findings = findings("customers", "orders")
    bench.tables.failing["cut over orders"] = "a transaction holds the table"
    bench.tables.holding["revert customers"] = asyncio.Event()
    await bench.create()
    async with bench.running():
        await bench.deploy(1)
        held = await bench.until(1, State.IN_PROGRESS_CANCEL)
        assert held.failure == "a transaction holds the table"
    bench.tables.holding.clear()
    bench.start()
    async with bench.running():
        await bench.until(1, State.COMPLETE_ERROR)
    assert bench.tables.log[-2:] == ["revert customers", "finalize customers"]
