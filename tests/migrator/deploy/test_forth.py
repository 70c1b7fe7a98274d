"""Deploy requests carried from the queue to the swap of their tables."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from migrator.deploy import carrier
from migrator.deploy.errors import IllegalMove
from migrator.deploy.findings import Findings, Proposal
from migrator.deploy.how import How
from migrator.deploy.lifecycle import State
from migrator.deploy.request import RequestState
from migrator.engine.direct.choose import Choice, Method, Strategy
from migrator.schema.errors import ReadFailed
from router.errors import ServerFailed
from tests.support.deploying import ADA, BOB, Bench, findings


async def test_a_request_is_carried_to_its_revert_window_and_reverted(bench: Bench) -> None:
    bench.findings = findings("customers", "orders")
    request = await bench.create()
    assert request.number == 1
    async with bench.running():
        await bench.deploy(1)
        request = await bench.until(1, State.COMPLETE_PENDING_REVERT)
        assert request.longest_lock_ms == 12.0
        assert request.state is RequestState.CLOSED
        await bench.deploys.revert("shop", 1, ADA, None)
        await bench.until(1, State.COMPLETE_REVERT)
    assert bench.tables.log == [
        "prepare customers",
        "prepare orders",
        "cut over customers",
        "cut over orders",
        "revert orders",
        "revert customers",
        "finalize customers",
        "finalize orders",
    ]
    states = [step.after for step in await bench.deploys.history("shop", 1)]
    assert states == [
        State.PENDING,
        State.READY,
        State.QUEUED,
        State.SUBMITTING,
        State.IN_PROGRESS,
        State.IN_PROGRESS_CUTOVER,
        State.COMPLETE_PENDING_REVERT,
        State.IN_PROGRESS_REVERT,
        State.COMPLETE_REVERT,
    ]


async def test_without_auto_apply_it_waits_before_the_cut_over(bench: Bench) -> None:
    await bench.create(auto_cutover=False)
    async with bench.running():
        await bench.deploy(1)
        await bench.until(1, State.PENDING_CUTOVER)
        assert bench.tables.log == ["prepare orders"]
        await bench.deploys.apply("shop", 1, ADA)
        await bench.until(1, State.COMPLETE_PENDING_REVERT)


async def test_deploying_what_is_under_way_is_refused_with_the_way_to_watch_it(bench: Bench) -> None:
    await bench.create()
    await bench.deploy(1)
    with pytest.raises(IllegalMove, match=r"already under way.*headgate deploy-request show shop 1"):
        await bench.deploy(1)


async def test_production_that_moves_while_a_request_waits_sends_it_back(bench: Bench) -> None:
    await bench.create("a")
    await bench.deploy(1)
    bench.findings = findings("orders", problem="production has moved")
    async with bench.running():
        request = await bench.until(1, State.ERROR)
    assert request.problem == "production has moved"
    assert bench.tables.log == []


async def test_two_who_move_the_same_request_do_not_both_succeed(bench: Bench) -> None:
    await bench.create(auto_cutover=False)
    stale = await bench.get(1)
    await bench.store.move(stale, State.QUEUED, ADA)
    with pytest.raises(IllegalMove, match="has just left state ready"):
        await bench.store.move(stale, State.QUEUED, BOB)


@pytest.mark.parametrize(
    "error", [ServerFailed("the scratch server ended"), ReadFailed("a definition could not be read")]
)
async def test_a_check_that_fails_for_a_moment_delays_a_request_and_ends_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(carrier, "RETRY_S", 0.01)
    failures = [error, error]

    async def check(proposal: Proposal) -> Findings:
        if failures:
            raise failures.pop()
        return findings("orders")

    await bench.create()
    await bench.deploy(1)
    monkeypatch.setattr(bench.deploys, "_check", check)
    async with bench.running():
        await bench.until(1, State.COMPLETE_PENDING_REVERT)


async def test_what_was_done_for_good_is_complete_at_once(bench: Bench) -> None:
    found = findings("orders")
    gone = Choice(Method.INSTANT, "a column is dropped", revertible=False)
    records = tuple(replace(record, choices={Strategy.INSTANT: gone}) for record in found.operations)
    bench.findings = replace(found, operations=records)
    async with bench.running():
        await bench.create()
        await bench.deploys.deploy("shop", 1, ADA, How(Strategy.INSTANT))
        request = await bench.until(1, State.COMPLETE)
    assert request.revert_until == request.cut_over_at


async def test_a_cut_over_that_waits_can_be_forced_and_nothing_else_can(bench: Bench) -> None:
    bench.findings = findings("customers", "orders")
    bench.tables.holding["cut over orders"] = asyncio.Event()
    await bench.create()
    with pytest.raises(IllegalMove, match="cannot be forced in state ready"):
        await bench.deploys.force("shop", 1)
    async with bench.running():
        await bench.deploy(1)
        await bench.until_true(lambda: "cut over customers" in bench.tables.log)
        await bench.deploys.force("shop", 1)
        await bench.until_true(lambda: bench.tables.log[-2:] == ["force customers", "force orders"])
        bench.tables.holding["cut over orders"].set()
        await bench.until(1, State.COMPLETE_PENDING_REVERT)
