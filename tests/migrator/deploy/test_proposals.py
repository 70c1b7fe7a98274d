"""Deploy requests that are not deployed yet: opened, checked, followed, edited."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from migrator.deploy.errors import DeployError, NotDeployable, NothingToDeploy
from migrator.deploy.findings import Findings, Proposal
from migrator.deploy.lifecycle import State
from migrator.deploy.request import RequestState
from router.errors import ServerFailed
from router.secrets import new_id
from tests.support.deploying import ADA, Bench, findings


async def test_what_the_checks_find_decides_the_state_of_a_new_request(bench: Bench) -> None:
    bench.by_branch = {
        "same": findings(),
        "conflicting": findings("orders", problem="production has moved"),
    }
    assert (await bench.create("good")).deployment_state is State.READY
    same = await bench.create("same")
    assert (same.deployment_state, same.state) == (State.NO_CHANGES, RequestState.OPEN)
    conflicting = await bench.create("conflicting")
    assert (conflicting.deployment_state, conflicting.problem) == (State.ERROR, "production has moved")
    with pytest.raises(NothingToDeploy, match="no longer differs"):
        await bench.deploy(same.number)
    with pytest.raises(NotDeployable, match="production has moved"):
        await bench.deploy(conflicting.number)
    bench.by_branch = {}
    assert (await bench.deploy(conflicting.number)).deployment_state is State.QUEUED


async def test_checks_that_cannot_be_run_are_an_error_that_says_how_to_try_again(bench: Bench) -> None:
    async def check(proposal: Proposal) -> Findings:
        raise ServerFailed("the scratch server ended")

    working, bench.deploys._check = bench.deploys._check, check
    request = await bench.create()
    assert request.deployment_state is State.ERROR
    assert "headgate deploy-request diff shop 1" in str(request.problem)
    bench.deploys._check = working
    assert (await bench.deploys.recheck("shop", 1)).deployment_state is State.READY


async def test_what_was_not_checked_to_the_end_is_checked_at_the_next_start(bench: Bench) -> None:
    request = await bench.create()
    pending = replace(request, id=new_id(), branch="b", deployment_state=State.PENDING, operations=())
    await bench.store.add(pending, ADA)
    async with bench.running():
        assert (await bench.until(2, State.READY)).operations


async def test_a_branch_has_one_open_request_at_a_time(bench: Bench) -> None:
    await bench.create()
    with pytest.raises(DeployError, match="already has the open deploy request 1"):
        await bench.create()
    await bench.deploys.close("shop", 1, ADA)
    assert (await bench.create()).number == 2


async def test_a_branch_gets_one_request_from_two_who_ask_at_once(bench: Bench) -> None:
    outcomes = await asyncio.gather(bench.create(), bench.create(), return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["DeployError", "DeployRequest"]
    assert len(await bench.deploys.all("shop")) == 1
