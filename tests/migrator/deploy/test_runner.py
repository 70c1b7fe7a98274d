"""Deploy requests carried through their life cycle, with operations that do as they are told.

The engine's own operations are tested against real servers; here it is about who is carried when, and what is
left after failures, moves by people, and restarts at any point.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from migrator.deploy import runner
from migrator.deploy.actions import Deploys, Findings, How
from migrator.deploy.errors import DeployError, IllegalMove, NotDeployable, NothingToDeploy
from migrator.deploy.lifecycle import State
from migrator.deploy.request import DeployRequest, OperationKind, OperationRecord, RequestState
from migrator.deploy.runner import Runner
from migrator.deploy.store import DeployStore
from migrator.engine.direct.choose import Choice, Method, Strategy
from migrator.engine.ground.operation import CutOver, Phase, Status
from migrator.errors import MigratorError, WrongPhase
from migrator.schema.errors import ReadFailed
from router.errors import ServerFailed
from router.secrets import new_id
from router.store import open_state


@dataclass
class Tables:
    """What operations have persisted, by id: it outlives the operation objects, as a server would."""

    phases: dict[str, Phase] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    failing: dict[str, str] = field(default_factory=dict)
    holding: dict[str, asyncio.Event] = field(default_factory=dict)
    misfits: dict[str, str] = field(default_factory=dict)


class ScriptedOperation:
    """An operation on `Tables`: fails or waits at a step named `verb table` when told to."""

    def __init__(self, record: OperationRecord, tables: Tables) -> None:
        self.id = record.id
        self._table = record.table
        self._tables = tables

    async def prepare(self) -> None:
        await self._step("prepare", {Phase.PENDING: Phase.READY})

    async def cut_over(self) -> CutOver:
        await self._step("cut over", {Phase.READY: Phase.REVERTIBLE})
        return CutOver(12.0, 1)

    async def revert(self) -> CutOver:
        await self._step("revert", {Phase.REVERTIBLE: Phase.REVERTED})
        return CutOver(9.0, 1)

    def force(self) -> None:
        self._tables.log.append(f"force {self._table}")

    async def finalize(self) -> None:
        await self._step("finalize", dict.fromkeys(Phase, Phase.FINALIZED))

    async def cancel(self) -> None:
        if self.status().phase not in {Phase.PENDING, Phase.READY}:
            raise WrongPhase(f"{self._table} is {self.status().phase}")
        await self._step("cancel", {Phase.PENDING: Phase.CANCELLED, Phase.READY: Phase.CANCELLED})

    async def close(self) -> None:
        pass

    def status(self) -> Status:
        return Status(self._tables.phases.get(self.id, Phase.PENDING))

    async def _step(self, verb: str, moves: dict[Phase, Phase]) -> None:
        step = f"{verb} {self._table}"
        if step in self._tables.holding:
            await self._tables.holding[step].wait()
        if step in self._tables.failing:
            raise MigratorError(self._tables.failing[step])
        before = self._tables.phases.get(self.id, Phase.PENDING)
        if before in moves:
            self._tables.phases[self.id] = moves[before]
            self._tables.log.append(step)


class RedoableOperation(ScriptedOperation):
    """One whose revert can be taken back."""

    async def redo(self) -> CutOver:
        await self._step("redo", {Phase.REVERTED: Phase.REVERTIBLE})
        return CutOver(7.0, 1)

    def misfits(self) -> dict[str, str]:
        return self._tables.misfits

    def give_up(self, rows: Collection[str]) -> None:
        if rows or self._tables.misfits:
            self._tables.log.append(f"give up {sorted(rows)} of {self._table}")

    def status(self) -> Status:
        blocked = f"{len(self._tables.misfits)} rows do not fit" if self._tables.misfits else None
        return replace(super().status(), revert_blocked=blocked)


@dataclass
class Bench:
    """A store, a runner that can be killed and started again, and what the checks will find."""

    store: DeployStore
    tables: Tables
    window_s: float = 1000.0
    redoable: bool = False
    findings: Findings = field(default_factory=lambda: findings("orders"))
    runner: Runner = field(init=False)
    deploys: Deploys = field(init=False)

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        async def check(database: str, branch: str, into_branch: str) -> Findings:
            return self.findings

        async def make(request: DeployRequest, record: OperationRecord) -> ScriptedOperation:
            return (RedoableOperation if self.redoable else ScriptedOperation)(record, self.tables)

        self.runner = Runner("shop", self.store, make, self.window_s)
        self.deploys = Deploys(self.store, check, self.runner.notify)

    async def reverted(self) -> DeployRequest:
        """Carry request 1 there and back."""
        await self.create()
        await self.deploys.deploy("shop", 1, "ada")
        await self.until(1, State.COMPLETE_PENDING_REVERT)
        await self.deploys.revert("shop", 1, "ada", None)
        return await self.until(1, State.COMPLETE_REVERT)

    async def until_cleared(self, number: int) -> DeployRequest:
        """Wait until nothing is left of a reverted request."""
        async with asyncio.timeout(10):
            while (request := await self.store.get("shop", number)).redo_until is not None:
                await asyncio.sleep(0.001)
        return request

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.ensure_future(self.runner.run(self.deploys))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def create(self, branch: str = "add-phone", auto_cutover: bool = True) -> DeployRequest:
        return await self.deploys.create("shop", branch, "main", "", auto_cutover, "ada")

    async def until(self, number: int, *states: State) -> DeployRequest:
        async with asyncio.timeout(10):
            while (request := await self.store.get("shop", number)).deployment_state not in states:
                await asyncio.sleep(0.001)
        return request

    async def until_true(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(10):
            while not condition():
                await asyncio.sleep(0.001)


def findings(*tables: str, problem: str | None = None) -> Findings:
    operations = tuple(
        OperationRecord(new_id(), OperationKind.ALTER, table, (f"ALTER TABLE {table} …",), "CREATE TABLE …")
        for table in tables
    )
    return Findings(dict.fromkeys(tables, "+ phone"), operations, problem)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    engine = open_state(tmp_path / "state.db")
    store = DeployStore(engine)
    await store.prepare()
    yield Bench(store, Tables())
    await engine.dispose()


async def test_a_request_is_carried_to_its_revert_window_and_reverted(bench: Bench) -> None:
    bench.findings = findings("customers", "orders")
    request = await bench.create()
    assert request.number == 1
    async with bench.running():
        await bench.deploys.deploy("shop", 1, "ada")
        request = await bench.until(1, State.COMPLETE_PENDING_REVERT)
        assert request.longest_lock_ms == 12.0
        assert request.state is RequestState.CLOSED
        await bench.deploys.revert("shop", 1, "ada", None)
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
        State.READY,
        State.QUEUED,
        State.SUBMITTING,
        State.IN_PROGRESS,
        State.IN_PROGRESS_CUTOVER,
        State.COMPLETE_PENDING_REVERT,
        State.IN_PROGRESS_REVERT,
        State.COMPLETE_REVERT,
    ]


async def test_the_old_tables_are_dropped_when_the_window_ends(bench: Bench) -> None:
    bench.window_s = 0.05
    bench.start()
    await bench.create()
    async with bench.running():
        await bench.deploys.deploy("shop", 1, "ada")
        await bench.until(1, State.COMPLETE)
    assert bench.tables.log[-1] == "finalize orders"
    with pytest.raises(IllegalMove, match="cannot be reverted in state complete"):
        await bench.deploys.revert("shop", 1, "ada", None)


async def test_skip_revert_ends_the_window_at_once(bench: Bench) -> None:
    await bench.create()
    async with bench.running():
        await bench.deploys.deploy("shop", 1, "ada")
        await bench.until(1, State.COMPLETE_PENDING_REVERT)
        await bench.deploys.skip_revert("shop", 1)
        await bench.until(1, State.COMPLETE)


async def test_without_auto_apply_it_waits_before_the_cut_over(bench: Bench) -> None:
    await bench.create(auto_cutover=False)
    async with bench.running():
        await bench.deploys.deploy("shop", 1, "ada")
        await bench.until(1, State.PENDING_CUTOVER)
        assert bench.tables.log == ["prepare orders"]
        await bench.deploys.apply("shop", 1, "ada")
        await bench.until(1, State.COMPLETE_PENDING_REVERT)


async def test_a_second_request_waits_for_the_first_ones_window(bench: Bench) -> None:
    await bench.create("a")
    await bench.create("b")
    async with bench.running():
        await bench.deploys.deploy("shop", 1, "ada")
        await bench.until(1, State.COMPLETE_PENDING_REVERT)
        await bench.deploys.deploy("shop", 2, "ada")
        assert [other.number for other in await bench.deploys.ahead("shop", 2)] == [1]
        await bench.deploys.skip_revert("shop", 1)
        await bench.until(2, State.COMPLETE_PENDING_REVERT)
    assert (await bench.store.get("shop", 1)).deployment_state is State.COMPLETE


async def test_deploying_what_is_under_way_is_refused_with_the_way_to_watch_it(bench: Bench) -> None:
    await bench.create()
    await bench.deploys.deploy("shop", 1, "ada")
    with pytest.raises(IllegalMove, match=r"already under way.*headgate deploy-request show shop 1"):
        await bench.deploys.deploy("shop", 1, "ada")


async def test_cancel_stops_a_copy_and_leaves_nothing(bench: Bench) -> None:
    bench.tables.holding["prepare orders"] = asyncio.Event()
    await bench.create()
    async with bench.running():
        await bench.deploys.deploy("shop", 1, "ada")
        await bench.until(1, State.IN_PROGRESS)
        await bench.deploys.cancel("shop", 1, "ada")
        await bench.until(1, State.COMPLETE_CANCEL)
    assert bench.tables.log == ["cancel orders"]


async def test_cancel_while_a_cut_over_waits_swaps_back_what_is_swapped(bench: Bench) -> None:
    bench.findings = findings("customers", "orders")
    bench.tables.holding["cut over orders"] = asyncio.Event()
    await bench.create()
    async with bench.running():
        await bench.deploys.deploy("shop", 1, "ada")
        await bench.until_true(lambda: "cut over customers" in bench.tables.log)
        await bench.deploys.cancel("shop", 1, "ada")
        await bench.until(1, State.COMPLETE_CANCEL)
    assert bench.tables.log[-3:] == ["cancel orders", "revert customers", "finalize customers"]


async def test_a_queued_request_is_cancelled_without_touching_a_table(bench: Bench) -> None:
    await bench.create()
    await bench.deploys.deploy("shop", 1, "ada")
    assert (await bench.deploys.cancel("shop", 1, "ada")).deployment_state is State.CANCELLED
    assert bench.tables.log == []


async def test_a_failed_copy_is_undone_and_can_be_deployed_again(bench: Bench) -> None:
    bench.findings = findings("customers", "orders")
    bench.tables.failing["prepare orders"] = "row 7 does not fit"
    await bench.create()
    async with bench.running():
        await bench.deploys.deploy("shop", 1, "ada")
        request = await bench.until(1, State.COMPLETE_ERROR)
        assert request.problem == "row 7 does not fit"
        assert bench.tables.log == ["prepare customers", "cancel orders", "cancel customers"]
        bench.tables.failing.clear()
        bench.findings = findings("customers", "orders")
        await bench.deploys.deploy("shop", 1, "ada")
        request = await bench.until(1, State.COMPLETE_PENDING_REVERT)
        assert request.problem is None


async def test_when_the_second_table_cannot_be_swapped_the_first_is_swapped_back(bench: Bench) -> None:
    bench.findings = findings("customers", "orders")
    bench.tables.failing["cut over orders"] = "a transaction holds the table"
    await bench.create()
    async with bench.running():
        await bench.deploys.deploy("shop", 1, "ada")
        await bench.until(1, State.COMPLETE_ERROR)
    assert bench.tables.log[-3:] == ["cancel orders", "revert customers", "finalize customers"]


async def test_a_failed_revert_keeps_the_new_tables_and_can_be_tried_again(bench: Bench) -> None:
    bench.tables.failing["revert orders"] = "a row does not fit the old table"
    await bench.create()
    async with bench.running():
        await bench.deploys.deploy("shop", 1, "ada")
        await bench.until(1, State.COMPLETE_PENDING_REVERT)
        await bench.deploys.revert("shop", 1, "ada", None)
        request = await bench.until(1, State.COMPLETE_REVERT_ERROR)
        assert request.problem == "a row does not fit the old table"
        bench.tables.failing.clear()
        await bench.deploys.revert("shop", 1, "ada", None)
        await bench.until(1, State.COMPLETE_REVERT)


async def test_a_revert_that_the_engine_cannot_do_is_refused_with_its_reason(bench: Bench) -> None:
    await bench.create()
    async with bench.running():
        await bench.deploys.deploy("shop", 1, "ada")
        await bench.until(1, State.COMPLETE_PENDING_REVERT)
        with pytest.raises(DeployError, match="binary log is gone"):
            await bench.deploys.revert("shop", 1, "ada", "the binary log is gone")


@pytest.mark.parametrize("step", ["prepare orders", "cut over orders", "finalize orders", "revert orders"])
async def test_killed_at_any_step_the_next_start_goes_on(bench: Bench, step: str) -> None:
    bench.window_s = 0.05 if step == "finalize orders" else 1000.0
    bench.start()
    bench.tables.holding[step] = asyncio.Event()
    await bench.create()
    async with bench.running():
        await bench.deploys.deploy("shop", 1, "ada")
        if step == "revert orders":
            await bench.until(1, State.COMPLETE_PENDING_REVERT)
            await bench.deploys.revert("shop", 1, "ada", None)
            held = await bench.until(1, State.IN_PROGRESS_REVERT)
        elif step == "finalize orders":
            held = await bench.until(1, State.COMPLETE_PENDING_REVERT)
        else:
            held = await bench.until(1, State.IN_PROGRESS, State.IN_PROGRESS_CUTOVER)
    assert (await bench.store.get("shop", 1)).deployment_state not in {State.COMPLETE, State.COMPLETE_REVERT}
    assert held.number == 1
    bench.tables.holding.clear()
    bench.start()
    end = {"finalize orders": State.COMPLETE, "revert orders": State.COMPLETE_REVERT}
    async with bench.running():
        await bench.until(1, end.get(step, State.COMPLETE_PENDING_REVERT))


async def test_a_branch_without_changes_or_with_a_conflict_gets_no_request(bench: Bench) -> None:
    bench.findings = findings()
    with pytest.raises(NothingToDeploy, match="nothing to deploy"):
        await bench.create()
    bench.findings = findings("orders", problem="production has moved")
    with pytest.raises(NotDeployable, match="production has moved"):
        await bench.create()
    assert await bench.deploys.all("shop") == []


async def test_a_branch_has_one_open_request_at_a_time(bench: Bench) -> None:
    await bench.create()
    with pytest.raises(DeployError, match="already has the open deploy request 1"):
        await bench.create()
    await bench.deploys.close("shop", 1, "ada")
    assert (await bench.create()).number == 2


async def test_production_that_moves_while_a_request_waits_sends_it_back(bench: Bench) -> None:
    await bench.create("a")
    await bench.deploys.deploy("shop", 1, "ada")
    bench.findings = findings("orders", problem="production has moved")
    async with bench.running():
        request = await bench.until(1, State.ERROR)
    assert request.problem == "production has moved"
    assert bench.tables.log == []


async def test_two_who_move_the_same_request_do_not_both_succeed(bench: Bench) -> None:
    await bench.create(auto_cutover=False)
    stale = await bench.store.get("shop", 1)
    await bench.store.move(stale, State.QUEUED, "ada")
    with pytest.raises(IllegalMove, match="has just left state ready"):
        await bench.store.move(stale, State.QUEUED, "bob")


@pytest.mark.parametrize(
    "error", [ServerFailed("the scratch server ended"), ReadFailed("a definition could not be read")]
)
async def test_a_check_that_fails_for_a_moment_delays_a_request_and_ends_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    monkeypatch.setattr(runner, "RETRY_S", 0.01)
    failures = [error, error]

    async def check(database: str, branch: str, into_branch: str) -> Findings:
        if failures:
            raise failures.pop()
        return findings("orders")

    await bench.create()
    await bench.deploys.deploy("shop", 1, "ada")
    monkeypatch.setattr(bench.deploys, "_check", check)
    async with bench.running():
        await bench.until(1, State.COMPLETE_PENDING_REVERT)


async def test_a_branch_gets_one_request_from_two_who_ask_at_once(bench: Bench) -> None:
    outcomes = await asyncio.gather(bench.create(), bench.create(), return_exceptions=True)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["DeployError", "DeployRequest"]
    assert len(await bench.deploys.all("shop")) == 1


async def test_what_was_done_for_good_is_complete_at_once(bench: Bench) -> None:
    found = findings("orders")
    gone = Choice(Method.INSTANT, "a column is dropped", revertible=False)
    records = tuple(replace(record, choices={Strategy.INSTANT: gone}) for record in found.operations)
    bench.findings = replace(found, operations=records)
    async with bench.running():
        await bench.create()
        await bench.deploys.deploy("shop", 1, "ada", How(Strategy.INSTANT))
        request = await bench.until(1, State.COMPLETE)
    assert request.revert_until == request.cut_over_at


async def test_a_cut_over_that_waits_can_be_forced_and_nothing_else_can(bench: Bench) -> None:
    bench.findings = findings("customers", "orders")
    bench.tables.holding["cut over orders"] = asyncio.Event()
    await bench.create()
    with pytest.raises(IllegalMove, match="cannot be forced in state ready"):
        await bench.deploys.force("shop", 1)
    async with bench.running():
        await bench.deploys.deploy("shop", 1, "ada")
        await bench.until_true(lambda: "cut over customers" in bench.tables.log)
        bench.runner.force(await bench.deploys.force("shop", 1))
        assert bench.tables.log[-2:] == ["force customers", "force orders"]
        bench.tables.holding["cut over orders"].set()
        await bench.until(1, State.COMPLETE_PENDING_REVERT)


async def test_a_revert_is_taken_back_and_made_again_within_the_window(bench: Bench) -> None:
    bench.redoable, bench.findings = True, findings("customers", "orders")
    async with bench.running():
        request = await bench.reverted()
        assert request.redo_until == request.revert_until
        assert request.finished_at is None
        assert not [step for step in bench.tables.log if step.startswith("finalize")]
        await bench.deploys.redo("shop", 1, "ada", None)
        redone = await bench.until(1, State.COMPLETE_PENDING_REVERT)
        assert (redone.revert_until, redone.redo_until) == (request.revert_until, None)
        assert redone.longest_lock_ms == 7.0
        assert bench.tables.log[-2:] == ["redo customers", "redo orders"]
        await bench.deploys.revert("shop", 1, "ada", None)
        await bench.until(1, State.COMPLETE_REVERT)
        await bench.deploys.skip_revert("shop", 1)
        request = await bench.until_cleared(1)
    assert request.deployment_state is State.COMPLETE_REVERT
    assert request.finished_at is not None
    assert bench.tables.log[-2:] == ["finalize customers", "finalize orders"]
    with pytest.raises(IllegalMove, match="can no longer be taken back"):
        await bench.deploys.redo("shop", 1, "ada", None)
    with pytest.raises(IllegalMove, match="no revert window"):
        await bench.deploys.skip_revert("shop", 1)


async def test_what_is_kept_for_a_redo_goes_when_the_window_ends(bench: Bench) -> None:
    bench.redoable, bench.window_s = True, 0.5
    bench.start()
    async with bench.running():
        await bench.reverted()
        await bench.until_cleared(1)
    assert bench.tables.log[-1] == "finalize orders"


async def test_the_next_request_need_not_wait_for_what_could_be_redone(bench: Bench) -> None:
    bench.redoable = True
    async with bench.running():
        await bench.reverted()
        bench.findings = findings("coupons")
        await bench.create("fixed")
        await bench.deploys.deploy("shop", 2, "ada")
        await bench.until(2, State.COMPLETE_PENDING_REVERT)
        assert (await bench.store.get("shop", 1)).redo_until is None
    assert bench.tables.log[-3:] == ["finalize orders", "prepare coupons", "cut over coupons"]
    with pytest.raises(IllegalMove, match="can no longer be taken back"):
        await bench.deploys.redo("shop", 1, "ada", None)


async def test_only_a_revert_can_be_redone_and_only_when_the_engine_can(bench: Bench) -> None:
    bench.redoable = True
    async with bench.running():
        await bench.create()
        await bench.deploys.deploy("shop", 1, "ada")
        await bench.until(1, State.COMPLETE_PENDING_REVERT)
        with pytest.raises(IllegalMove, match="cannot be redone in state complete_pending_revert"):
            await bench.deploys.redo("shop", 1, "ada", None)
        await bench.deploys.revert("shop", 1, "ada", None)
        await bench.until(1, State.COMPLETE_REVERT)
        with pytest.raises(DeployError, match="cannot be redone: rows do not fit"):
            await bench.deploys.redo("shop", 1, "ada", "rows do not fit")


async def test_what_has_an_operation_that_cannot_be_redone_ends_with_its_revert(bench: Bench) -> None:
    async with bench.running():
        await bench.reverted()
    assert bench.tables.log[-1] == "finalize orders"
    with pytest.raises(IllegalMove, match="can no longer be taken back"):
        await bench.deploys.redo("shop", 1, "ada", None)


async def test_when_the_second_table_cannot_be_redone_the_first_is_swapped_back(bench: Bench) -> None:
    bench.redoable, bench.findings = True, findings("customers", "orders")
    bench.tables.failing["redo orders"] = "a row does not fit the new table"
    async with bench.running():
        await bench.reverted()
        await bench.deploys.redo("shop", 1, "ada", None)
        await bench.until_true(lambda: "redo customers" in bench.tables.log)
        request = await bench.until(1, State.COMPLETE_REVERT)
        assert "could not be redone: a row does not fit the new table" in str(request.problem)
        assert bench.tables.log[-2:] == ["redo customers", "revert customers"]
        bench.tables.failing.clear()
        await bench.deploys.redo("shop", 1, "ada", None)
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
            await bench.deploys.redo("shop", 1, "ada", None)
            await bench.until_true(lambda: "redo customers" in bench.tables.log)
        elif step == "finalize orders":
            await bench.deploys.skip_revert("shop", 1)
            await bench.until_true(lambda: "finalize customers" in bench.tables.log)
    held = await bench.store.get("shop", 1)
    assert held.redo_until is not None
    if step == "finalize orders":
        with pytest.raises(IllegalMove, match="can no longer be taken back"):
            await bench.deploys.redo("shop", 1, "ada", None)
    bench.tables.holding.clear()
    bench.start()
    async with bench.running():
        if step == "finalize orders":
            assert (await bench.until_cleared(1)).deployment_state is State.COMPLETE_REVERT
            return
        if step == "following":
            await bench.deploys.redo("shop", 1, "ada", None)
        await bench.until(1, State.COMPLETE_PENDING_REVERT)
    assert bench.tables.log[-2:] == ["redo customers", "redo orders"]


async def test_a_revert_gives_up_the_rows_it_was_told_to_also_after_a_crash_and_no_others_later(
    bench: Bench,
) -> None:
    bench.redoable = True
    bench.tables.misfits = {"[7]": "id=7 (too long)"}
    bench.tables.holding["revert orders"] = asyncio.Event()
    async with bench.running():
        await bench.create()
        await bench.deploys.deploy("shop", 1, "ada")
        request = await bench.until(1, State.COMPLETE_PENDING_REVERT)
        [operation] = [record.id for record in request.operations]
        assert bench.runner.misfits(request) == {operation: bench.tables.misfits}
        assert bench.runner.revert_blocked(request) == "table 'orders': 1 rows do not fit"
        assert bench.runner.revert_blocked(request, {operation: ["[7]"]}) is None
        await bench.deploys.revert("shop", 1, "ada", None, {operation: ["[7]"]})
        await bench.until_true(lambda: "give up ['[7]'] of orders" in bench.tables.log)
    bench.tables.log.clear()
    bench.tables.holding.clear()
    bench.tables.failing["revert orders"] = "row 8 does not fit"
    bench.start()
    async with bench.running():
        await bench.until(1, State.COMPLETE_REVERT_ERROR)
        assert bench.tables.log == ["give up ['[7]'] of orders"]
        bench.tables.failing.clear()
        await bench.deploys.revert("shop", 1, "ada", None)
        assert (await bench.until(1, State.COMPLETE_REVERT)).giving_up == {}
    assert bench.tables.log[1:] == ["give up [] of orders", "revert orders"]
