"""What is left of a deployment when some of it cannot be undone."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from migrator.deploy.errors import NotApproved
from migrator.deploy.lifecycle import State
from migrator.deploy.request import DeployRequest, OperationRecord
from migrator.engine.ground.operation import CutOver, Phase, Status
from migrator.errors import WrongPhase
from migrator.schema.lint.finding import Finding, Level
from tests.support.deploying import ADA, Bench, RedoableOperation, ScriptedOperation, findings

FOR_GOOD = "orders was changed at once and for good"


class OneStatement(ScriptedOperation):
    """A view, a program, or a table that is changed at once: people cannot take a revert of it back."""

    async def again(self) -> CutOver:
        await self._step("again", {Phase.REVERTED: Phase.REVERTIBLE})
        return CutOver(1.0, 1)


class OneWay(ScriptedOperation):
    """What nothing leads back from."""

    async def revert(self) -> CutOver:
        raise WrongPhase(FOR_GOOD)

    def status(self) -> Status:
        return replace(super().status(), revert_blocked=FOR_GOOD)


def make_of(bench: Bench, **kinds: type[ScriptedOperation]) -> None:
    async def make(request: DeployRequest, record: OperationRecord) -> ScriptedOperation:
        return kinds[record.table](record, bench.tables)

    bench.runner._make_operation = make


async def test_a_failed_revert_leaves_nothing_as_it_was_before(bench: Bench) -> None:
    bench.findings = findings("orders", "program")
    bench.tables.failing["revert orders"] = "somebody changed it by hand"
    make_of(bench, orders=RedoableOperation, program=OneStatement)
    await bench.create()
    async with bench.running():
        await bench.deploy(1)
        await bench.until(1, State.COMPLETE_PENDING_REVERT)
        await bench.deploys.revert("shop", 1, ADA, None)
        request = await bench.until(1, State.COMPLETE_REVERT_ERROR)
    assert bench.tables.log[-2:] == ["revert program", "again program"]
    assert {bench.tables.phases[each.id] for each in request.operations} == {Phase.REVERTIBLE}


async def test_undoing_ends_where_something_was_done_for_good(bench: Bench) -> None:
    bench.findings = findings("orders", "customers")
    bench.tables.failing["cut over customers"] = "the server refuses"
    make_of(bench, orders=OneWay, customers=ScriptedOperation)
    await bench.create()
    async with bench.running():
        await bench.deploy(1)
        request = await bench.until(1, State.COMPLETE_ERROR)
    assert request.problem == f"the server refuses; {FOR_GOOD}"
    assert bench.tables.log[-1] == "finalize orders"


async def test_another_try_asks_what_a_first_one_would_have_asked(bench: Bench) -> None:
    bench.tables.failing["prepare orders"] = "row 7 does not fit"
    await bench.create()
    async with bench.running():
        await bench.deploy(1)
        await bench.until(1, State.COMPLETE_ERROR)
        bench.tables.failing.clear()
        asks = Finding("COLUMN_DROPPED", Level.CONFIRM, "orders", "column fax goes with its values")
        bench.findings = replace(findings("orders"), findings=(asks,))
        with pytest.raises(NotApproved, match=r"fax goes.*deploy-request unblock shop 1"):
            await bench.deploys.retry("shop", 1, ADA)
        assert (await bench.get(1)).deployment_state is State.COMPLETE_ERROR


class Strict(OneStatement):
    """One that says so when it is asked to come back and is not there any more, as those on servers do."""

    async def revert(self) -> CutOver:
        if self.status().phase is Phase.FINALIZED:
            raise WrongPhase("the operation is finalized")
        return await super().revert()


async def test_killed_while_a_revert_is_cleared_away_it_stays_reverted(bench: Bench) -> None:
    bench.findings = findings("orders", "program")
    bench.tables.holding["finalize program"] = asyncio.Event()
    make_of(bench, orders=Strict, program=Strict)
    await bench.create()
    async with bench.running():
        await bench.deploy(1)
        await bench.until(1, State.COMPLETE_PENDING_REVERT)
        await bench.deploys.revert("shop", 1, ADA, None)
        await bench.until_true(lambda: "finalize orders" in bench.tables.log)
    bench.tables.holding.clear()
    bench.start()
    make_of(bench, orders=Strict, program=Strict)
    async with bench.running():
        request = await bench.until(1, State.COMPLETE_REVERT, State.COMPLETE_REVERT_ERROR)
    assert request.deployment_state is State.COMPLETE_REVERT
    assert "again program" not in bench.tables.log
    assert not request.under_way
