"""Who is carried when, and what the others wait for."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from migrator.deploy import queue, runner
from migrator.deploy.errors import NotDeployable
from migrator.deploy.lifecycle import State
from migrator.deploy.request import EVERYTHING, DeployRequest
from migrator.deploy.settings import DatabaseSettings
from tests.support.deploying import ADA, Bench, findings, made_by

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
USUAL = DatabaseSettings()
RELEASED = DatabaseSettings(release_queue_in_window=True)


def one(number: int, state: State, *tables: str, parallel: bool = False) -> DeployRequest:
    return made_by(
        ADA,
        id=str(number),
        number=number,
        deployment_state=state,
        footprint=tables or ("orders",),
        parallel=parallel,
        queued_at=NOON + timedelta(seconds=number),
        revert_until=NOON + timedelta(hours=1),
    )


def started(requests: list[DeployRequest], settings: DatabaseSettings = USUAL) -> list[int]:
    return [request.number for request in queue.startable(requests, settings, NOON)]


def test_first_come_first_served_and_one_at_a_time() -> None:
    waiting = [one(3, State.QUEUED, "c"), one(2, State.QUEUED, "b"), one(4, State.READY)]
    assert started(waiting) == [2]
    assert started([*waiting, one(1, State.IN_PROGRESS, "a")]) == []
    ahead = queue.ahead([*waiting, one(1, State.IN_PROGRESS, "a")], 3, DatabaseSettings())
    assert [request.number for request in ahead] == [1, 2]
    assert queue.ahead(waiting, 4, DatabaseSettings()) == []


@pytest.mark.parametrize(
    ("state", "paused", "command"),
    [
        (State.IN_PROGRESS, False, ""),
        (State.PENDING_CUTOVER, True, "headgate deploy-request apply shop 1"),
        (State.COMPLETE_PENDING_REVERT, True, "headgate deploy-request skip-revert shop 1"),
        (State.COMPLETE_ERROR, True, "headgate deploy-request retry shop 1"),
        (State.COMPLETE_ERROR, True, "headgate deploy-request unblock shop 1"),
        (State.COMPLETE_REVERT_ERROR, True, "headgate deploy-request unblock shop 1"),
    ],
)
def test_what_is_in_the_way_is_told_with_how_to_get_it_out(state: State, paused: bool, command: str) -> None:
    wait = queue.wait(one(2, State.QUEUED), [one(1, state), one(2, State.QUEUED)], DatabaseSettings(), NOON)
    assert wait is not None
    assert (wait.paused, wait.behind) == (paused, 1)
    assert command in wait.reason


@pytest.mark.parametrize(
    ("window", "waiting", "starts"),
    [
        (("orders",), ("customers",), [2]),
        (("orders", "customers"), ("customers",), []),
        (("orders",), (EVERYTHING,), []),
    ],
)
def test_a_window_releases_the_queue_for_other_tables_when_that_is_set(
    window: tuple[str, ...], waiting: tuple[str, ...], starts: list[int]
) -> None:
    requests = [one(1, State.COMPLETE_PENDING_REVERT, *window), one(2, State.QUEUED, *waiting)]
    assert started(requests, RELEASED) == starts
    assert started(requests) == []


def test_nobody_overtakes_who_waits_for_a_window() -> None:
    window = one(1, State.COMPLETE_PENDING_REVERT, "orders")
    assert started([window, one(2, State.QUEUED, "orders"), one(3, State.QUEUED, "notes")], RELEASED) == []


def test_one_runs_beside_the_queue_and_only_with_tables_of_its_own() -> None:
    serial = one(1, State.IN_PROGRESS, "orders")
    beside = [one(2, State.QUEUED, "notes", parallel=True), one(3, State.QUEUED, "tags", parallel=True)]
    assert started([serial, *beside]) == [2]
    assert started([serial, one(2, State.QUEUED, "orders", parallel=True)]) == []
    # Who comes to the queue later waits for what runs beside it.
    running = one(2, State.IN_PROGRESS, "notes", parallel=True)
    assert started([running, one(4, State.QUEUED, "notes")]) == []
    assert started([running, one(4, State.QUEUED, "orders")]) == [4]


def test_outside_the_hours_nobody_starts_and_the_next_time_is_told() -> None:
    settings = DatabaseSettings(deploy_schedule="mon-fri 14:00-15:00 Europe/Berlin")
    waiting = [one(1, State.QUEUED)]
    assert started(waiting, settings) == []
    wait = queue.wait(waiting[0], waiting, settings, NOON)
    assert wait is not None
    assert wait.paused
    assert "2026-11-20 14:00 CET" in wait.reason


async def test_who_counted_on_a_request_that_leaves_is_checked_again_at_once(bench: Bench) -> None:
    """One that is cancelled, one that fails, one that is reverted; and it is told before its turn."""
    fitting = findings("orders")
    for branch in ("a", "b", "c"):
        bench.by_branch[branch] = fitting
        await bench.create(branch)
    bench.tables.holding["prepare orders"] = asyncio.Event()
    async with bench.running():
        await bench.deploy(1)
        await bench.until(1, State.IN_PROGRESS)
        await bench.deploy(2)
        await bench.deploy(3)
        bench.by_branch["c"] = replace(fitting, problem="table orders has no column that b would have added")
        await bench.deploys.cancel("shop", 2, ADA)
        left = await bench.until(3, State.ERROR)
        assert "no column that b" in str(left.problem)
        assert "no column that b" in str(left.why(State.ERROR))
        # Whoever is ahead of what has left is not asked again, nor is who has not been queued.
        assert (await bench.get(1)).deployment_state is State.IN_PROGRESS
        bench.by_branch["c"] = fitting
        await bench.deploy(3)
        bench.by_branch["c"] = replace(fitting, problem="without a it does not go")
        await bench.deploys.cancel("shop", 1, ADA)
        await bench.until(3, State.ERROR)


async def test_who_waits_behind_a_request_that_is_reverted_is_checked_again(bench: Bench) -> None:
    fitting = findings("orders")
    for branch in ("a", "b", "c"):
        bench.by_branch[branch] = fitting
        await bench.create(branch)
    async with bench.running():
        await bench.deploy(1)
        await bench.until(1, State.COMPLETE_PENDING_REVERT)
        await bench.deploy(2)
        await bench.deploy(3)
        bench.by_branch["c"] = replace(fitting, problem="table orders has no column phone")
        bench.tables.holding["cut over orders"] = asyncio.Event()
        await bench.deploys.revert("shop", 1, ADA, None)
        left = await bench.until(3, State.ERROR)
        assert State.SUBMITTING not in left.entered
        await bench.until(2, State.IN_PROGRESS_CUTOVER)


async def test_a_second_request_waits_for_the_first_ones_window(bench: Bench) -> None:
    await bench.create("a")
    await bench.create("b")
    async with bench.running():
        await bench.deploy(1)
        await bench.until(1, State.COMPLETE_PENDING_REVERT)
        await bench.deploy(2)
        assert [other.number for other in await bench.deploys.ahead("shop", 2)] == [1]
        await bench.deploys.skip_revert("shop", 1, ADA)
        await bench.until(2, State.COMPLETE_PENDING_REVERT)
    assert (await bench.get(1)).deployment_state is State.COMPLETE


async def test_two_windows_are_kept_open_at_once_and_the_first_is_reverted_meanwhile(bench: Bench) -> None:
    bench.decide(release_queue_in_window=True)
    bench.by_branch = {"a": findings("orders"), "b": findings("notes")}
    bench.tables.holding["prepare notes"] = asyncio.Event()
    await bench.create("a")
    await bench.create("b")
    async with bench.running():
        await bench.deploy(1)
        await bench.deploy(2)
        await bench.until(1, State.COMPLETE_PENDING_REVERT)
        await bench.until(2, State.IN_PROGRESS)
        first = await bench.get(1)
        assert bench.runner.revert_blocked(first) is None
        await bench.deploys.revert("shop", 1, ADA, bench.runner.revert_blocked(first))
        await bench.until(1, State.COMPLETE_REVERT)
        assert (await bench.get(2)).deployment_state is State.IN_PROGRESS
        bench.tables.holding["prepare notes"].set()
        await bench.until(2, State.COMPLETE_PENDING_REVERT)
    assert bench.tables.log[-2:] == ["prepare notes", "cut over notes"]


async def test_a_request_beside_the_queue_is_carried_while_another_waits(bench: Bench) -> None:
    bench.by_branch = {"a": findings("orders"), "b": findings("notes"), "c": findings("orders", "tags")}
    for branch in bench.by_branch:
        await bench.create(branch, auto_cutover=branch != "a")
    async with bench.running():
        await bench.deploy(1)
        await bench.until(1, State.PENDING_CUTOVER)
        await bench.deploy(2, parallel=True)
        await bench.until(2, State.COMPLETE_PENDING_REVERT)
        with pytest.raises(NotDeployable, match=r"deploy request 1 there.*--lane serial"):
            await bench.deploy(3, parallel=True)
        assert (await bench.get(3)).deployment_state is State.READY
        assert (await bench.get(1)).deployment_state is State.PENDING_CUTOVER


async def test_the_hour_comes_without_anybody_doing_anything(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "LOOK_S", 0.01)
    closed = f"{(datetime.now(UTC) + timedelta(days=2)):%a} 00:00-01:00".lower()
    bench.decide(deploy_schedule=closed)
    await bench.create()
    async with bench.running():
        await bench.deploy(1)
        wait = await bench.deploys.waits(await bench.get(1))
        assert wait is not None
        assert closed in wait.reason
        bench.decide(deploy_schedule="")
        await bench.until(1, State.COMPLETE_PENDING_REVERT)


async def test_what_is_ready_outside_the_hours_cuts_over_when_they_begin(
    bench: Bench,
) -> None:
    closed = f"{(datetime.now(UTC) + timedelta(days=2)):%a} 00:00-01:00".lower()
    bench.tables.holding["prepare orders"] = asyncio.Event()
    await bench.create()
    async with bench.running():
        await bench.deploy(1)
        await bench.until(1, State.IN_PROGRESS)
        bench.decide(deploy_schedule=closed)
        bench.tables.holding["prepare orders"].set()
        await bench.until(1, State.PENDING_CUTOVER)
        bench.decide(deploy_schedule="")
        bench.runner.notify()
        await bench.until(1, State.COMPLETE_PENDING_REVERT)


async def test_after_a_restart_all_that_are_under_way_are_carried_again(bench: Bench) -> None:
    bench.by_branch = {"a": findings("orders"), "b": findings("notes")}
    for branch in bench.by_branch:
        await bench.create(branch, auto_cutover=False)
    async with bench.running():
        await bench.deploy(1)
        await bench.deploy(2, parallel=True)
        for number in (1, 2):
            await bench.until(number, State.PENDING_CUTOVER)
    bench.start()
    async with bench.running():
        for number in (1, 2):
            await bench.deploys.apply("shop", number, ADA)
            await bench.until(number, State.COMPLETE_PENDING_REVERT)
