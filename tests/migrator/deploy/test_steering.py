"""What people change while a deploy request waits or is carried, and what happens by itself in time."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from migrator.deploy.deadlines import cutover_expiring, expires_at, forced_at
from migrator.deploy.errors import DeployError, IllegalMove
from migrator.deploy.how import How
from migrator.deploy.lifecycle import State
from migrator.deploy.request import Mark
from migrator.deploy.settings import DatabaseSettings
from router.model import SYSTEM
from tests.support.deploying import ADA, BOB, Bench, made_by

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def since_noon(state: State, **changes: object):  # type: ignore[no-untyped-def]
    entered = {state: Mark(ADA, NOON)}
    return made_by(ADA, deployment_state=state, entered=entered, auto_cutover=False, **changes)


def test_a_deployment_that_nobody_applies_expires_and_says_so_before() -> None:
    waits, settings = since_noon(State.PENDING_CUTOVER), DatabaseSettings(gated_expiry_s=86400)
    assert expires_at(waits, settings) == NOON + timedelta(days=1)
    assert not cutover_expiring(waits, settings, NOON + timedelta(hours=22))
    assert cutover_expiring(waits, settings, NOON + timedelta(hours=23))
    assert expires_at(waits, DatabaseSettings()) is None
    assert not cutover_expiring(waits, DatabaseSettings(), NOON + timedelta(days=9))
    assert expires_at(replace(waits, auto_cutover=True), settings) is None
    assert expires_at(since_noon(State.IN_PROGRESS), settings) is None


def test_who_holds_the_tables_of_a_swap_is_killed_after_an_hour_or_as_asked() -> None:
    for state in (State.IN_PROGRESS_CUTOVER, State.IN_PROGRESS_REVERT, State.IN_PROGRESS_REDO):
        assert forced_at(since_noon(state), DatabaseSettings()) == NOON + timedelta(hours=1)
        assert forced_at(since_noon(state, aggressive_cutover=True), DatabaseSettings()) == NOON
        assert forced_at(since_noon(state, force_requested_at=NOON), DatabaseSettings()) == NOON
        assert forced_at(since_noon(state), DatabaseSettings(cutover_retry_s=0)) is None
    assert forced_at(since_noon(State.IN_PROGRESS, aggressive_cutover=True), DatabaseSettings()) is None


@pytest.mark.parametrize("aggressive", [True, False])
async def test_a_cut_over_is_forced_at_once_or_when_it_has_yielded_long_enough(
    bench: Bench, aggressive: bool
) -> None:
    bench.decide(aggressive_cutover=aggressive, cutover_retry_s=0 if aggressive else 0.05)
    bench.tables.holding["cut over orders"] = asyncio.Event()
    request = await bench.create()
    assert request.aggressive_cutover is aggressive
    async with bench.running():
        await bench.deploy(1)
        await bench.until_true(lambda: "force orders" in bench.tables.log)
        bench.tables.holding["cut over orders"].set()
        await bench.until(1, State.COMPLETE_PENDING_REVERT)


async def test_that_somebody_wanted_it_forced_outlives_a_restart(bench: Bench) -> None:
    bench.tables.holding["cut over orders"] = asyncio.Event()
    await bench.create()
    async with bench.running():
        await bench.deploy(1)
        await bench.until(1, State.IN_PROGRESS_CUTOVER)
        await bench.deploys.force("shop", 1)
        await bench.until_true(lambda: "force orders" in bench.tables.log)
    bench.tables.log.clear()
    bench.start()
    async with bench.running():
        await bench.until_true(lambda: "force orders" in bench.tables.log)
        bench.tables.holding["cut over orders"].set()
        request = await bench.until(1, State.COMPLETE_PENDING_REVERT)
    assert request.force_requested_at is None


async def test_nobody_applies_it_in_time_and_the_next_one_has_its_turn(bench: Bench) -> None:
    bench.decide(gated_expiry_s=0.05)
    await bench.create("a", auto_cutover=False)
    async with bench.running():
        await bench.deploy(1)
        request = await bench.until(1, State.COMPLETE_CANCEL)
        assert request.why(State.IN_PROGRESS_CANCEL) == "nobody has applied it in time"
        assert request.who(State.IN_PROGRESS_CANCEL) == SYSTEM
    assert bench.tables.log == ["prepare orders", "cancel orders"]


async def test_auto_apply_is_as_in_the_request_before_unless_said_otherwise(bench: Bench) -> None:
    bench.decide(auto_cutover_default=False)
    assert not (await bench.create("a")).auto_cutover
    assert (await bench.create("b", auto_cutover=True)).auto_cutover
    assert (await bench.create("c")).auto_cutover


async def test_auto_apply_is_switched_while_it_is_carried(bench: Bench) -> None:
    bench.tables.holding["prepare orders"] = asyncio.Event()
    await bench.create()
    async with bench.running():
        await bench.deploy(1)
        await bench.until(1, State.IN_PROGRESS)
        await bench.deploys.edit("shop", 1, BOB, How(auto_cutover=False))
        bench.tables.holding["prepare orders"].set()
        await bench.until(1, State.PENDING_CUTOVER)
        await bench.deploys.edit("shop", 1, BOB, How(auto_cutover=True))
        request = await bench.until(1, State.COMPLETE_PENDING_REVERT)
        assert request.who(State.IN_PROGRESS_CUTOVER) == BOB
        with pytest.raises(IllegalMove, match="until the cut-over begins"):
            await bench.deploys.edit("shop", 1, BOB, How(auto_cutover=False))


async def test_its_branch_goes_with_the_window_and_not_before(bench: Bench) -> None:
    await bench.create(auto_delete_branch=True)
    async with bench.running():
        await bench.deploy(1)
        await bench.until(1, State.COMPLETE_PENDING_REVERT)
        assert "delete branch add-phone" not in bench.tables.log
        await bench.deploys.skip_revert("shop", 1, ADA)
        request = await bench.until(1, State.COMPLETE)
    assert bench.tables.log[-2:] == ["finalize orders", "delete branch add-phone"]
    assert request.branch_deleted_by == ADA
    assert request.branch_deleted_at is not None


async def test_a_branch_that_must_stay_stays_and_the_deployment_is_complete(
    bench: Bench,
) -> None:
    bench.undeletable = "branch add-phone is protected"
    bench.decide(revert_window_s=0.0)
    await bench.create()
    await bench.deploys.edit("shop", 1, ADA, How(auto_delete_branch=True))
    async with bench.running():
        await bench.deploy(1)
        request = await bench.until(1, State.COMPLETE)
    assert request.problem == "its branch was not deleted: branch add-phone is protected"
    assert request.branch_deleted_at is None


async def test_after_a_revert_the_branch_stays(bench: Bench) -> None:
    await bench.create(auto_delete_branch=True)
    async with bench.running():
        await bench.deploy(1)
        await bench.until(1, State.COMPLETE_PENDING_REVERT)
        await bench.deploys.revert("shop", 1, ADA, None)
        await bench.until(1, State.COMPLETE_REVERT)
    assert not [step for step in bench.tables.log if step.startswith("delete")]


async def test_after_a_failed_revert_the_old_tables_stay_until_somebody_decides(bench: Bench) -> None:
    bench.decide(revert_window_s=0.2)
    bench.tables.failing["revert orders"] = "a row does not fit the old table"
    await bench.create("a")
    async with bench.running():
        await bench.deploy(1)
        await bench.until(1, State.COMPLETE_PENDING_REVERT)
        await bench.deploys.revert("shop", 1, ADA, None)
        failed = await bench.until(1, State.COMPLETE_REVERT_ERROR)
        assert failed.revert_until is not None
        while datetime.now(UTC) < failed.revert_until:
            await asyncio.sleep(0.01)
        # Its window is long over, and the old table is still there.
        assert "finalize orders" not in bench.tables.log
        bench.tables.failing.clear()
        await bench.deploys.revert("shop", 1, ADA, None)
        await bench.until(1, State.COMPLETE_REVERT)


async def test_a_failed_revert_that_was_taken_note_of_is_complete(bench: Bench) -> None:
    bench.tables.failing["revert orders"] = "a row does not fit the old table"
    await bench.create()
    async with bench.running():
        await bench.deploy(1)
        await bench.until(1, State.COMPLETE_PENDING_REVERT)
        with pytest.raises(IllegalMove, match="complete_error, complete_revert_error"):
            await bench.deploys.complete("shop", 1, ADA)
        await bench.deploys.revert("shop", 1, ADA, None)
        await bench.until(1, State.COMPLETE_REVERT_ERROR)
        await bench.deploys.complete("shop", 1, BOB)
        with pytest.raises(IllegalMove, match="the old tables are gone"):
            await bench.deploys.revert("shop", 1, ADA, None)
        request = await bench.until(1, State.COMPLETE)
    assert request.acknowledged_by == BOB
    assert bench.tables.log[-1] == "finalize orders"


async def test_who_did_what_is_kept_with_the_request(bench: Bench) -> None:
    await bench.create(auto_cutover=False)
    await bench.deploys.close("shop", 1, BOB)
    assert (await bench.get(1)).closed_by == BOB
    await bench.create("b", auto_cutover=False)
    async with bench.running():
        await bench.deploy(2)
        await bench.until(2, State.PENDING_CUTOVER)
        await bench.deploys.cancel("shop", 2, BOB)
        request = await bench.until(2, State.COMPLETE_CANCEL)
    assert request.actor == request.who(State.QUEUED) == ADA
    assert request.who(State.IN_PROGRESS) == SYSTEM
    assert request.who(State.IN_PROGRESS_CANCEL) == BOB
    with pytest.raises(DeployError, match="a comment needs a text"):
        await bench.deploys.review("shop", 2, BOB, "commented")  # type: ignore[arg-type]
