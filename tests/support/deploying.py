"""Deploy requests with operations that do as they are told: for tests of decisions, not of the engine.

The engine's own operations are tested against real servers; here it is about who is carried when, and what is
left after failures, moves by people, and restarts at any point.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from migrator.deploy.actions import Deploys
from migrator.deploy.carrying import Alongside
from migrator.deploy.errors import DeployError
from migrator.deploy.findings import Findings, Proposal
from migrator.deploy.how import How
from migrator.deploy.lifecycle import State
from migrator.deploy.request import DeployRequest, OperationKind, OperationRecord, RequestState
from migrator.deploy.runner import Runner
from migrator.deploy.settings import DatabaseSettings
from migrator.deploy.store import DeployStore
from migrator.engine.ground.operation import CutOver, Phase, Status
from migrator.errors import MigratorError, WrongPhase
from router.clock import now
from router.model import Access, Actor, ActorKind
from router.secrets import new_id

ADA = Actor("ada", "ada", ActorKind.USER, Access.ADMIN)
BOB = Actor("bob", "bob", ActorKind.USER, Access.ADMIN)
EVE = Actor("eve", "eve", ActorKind.USER, Access.MEMBER)


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
        await self._step("finalize", dict.fromkeys(set(Phase) - {Phase.FINALIZED}, Phase.FINALIZED))

    async def cancel(self) -> None:
        if self.status().phase not in {Phase.PENDING, Phase.READY, Phase.CANCELLED}:
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
    settings: DatabaseSettings = field(default_factory=lambda: DatabaseSettings(revert_window_s=1000.0))
    administrators: int = 2
    redoable: bool = False
    findings: Findings = field(default_factory=lambda: findings("orders"))
    by_branch: dict[str, Findings] = field(default_factory=dict)
    proposals: list[Proposal] = field(default_factory=list)
    undeletable: str = ""
    alongside: Alongside = field(default_factory=Alongside)
    runner: Runner = field(init=False)
    deploys: Deploys = field(init=False)

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        async def check(proposal: Proposal) -> Findings:
            self.proposals.append(proposal)
            return self.by_branch.get(proposal.branch, self.findings)

        async def make(request: DeployRequest, record: OperationRecord) -> ScriptedOperation:
            return (RedoableOperation if self.redoable else ScriptedOperation)(record, self.tables)

        async def delete_branch(request: DeployRequest) -> None:
            if self.undeletable:
                raise DeployError(self.undeletable)
            self.tables.log.append(f"delete branch {request.branch}")

        self.runner = Runner("shop", self.store, make, delete_branch, self.alongside)
        self.deploys = Deploys(
            self.store, check, self.runner.notify, lambda: self.settings, lambda: self.administrators
        )

    def decide(self, **changes: object) -> None:
        """Change the settings of the database."""
        self.settings = replace(self.settings, **changes)  # type: ignore[arg-type]

    async def reverted(self) -> DeployRequest:
        """Carry request 1 there and back."""
        await self.create()
        await self.deploy(1)
        await self.until(1, State.COMPLETE_PENDING_REVERT)
        await self.deploys.revert("shop", 1, ADA, None)
        return await self.until(1, State.COMPLETE_REVERT)

    async def until_cleared(self, number: int) -> DeployRequest:
        """Wait until nothing is left of a reverted request."""
        async with asyncio.timeout(120):
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

    async def create(
        self, branch: str = "add-phone", auto_cutover: bool | None = None, **how: bool
    ) -> DeployRequest:
        """Let ada open a request for a branch."""
        asked = How(auto_cutover=auto_cutover, **how)
        return await self.deploys.create("shop", branch, "main", "", ADA, asked)

    async def deploy(self, number: int, **how: bool) -> DeployRequest:
        """Let ada deploy a request."""
        return await self.deploys.deploy("shop", number, ADA, How(**how))

    async def get(self, number: int) -> DeployRequest:
        """Return a request as it is stored."""
        return await self.store.get("shop", number)

    async def until(self, number: int, *states: State) -> DeployRequest:
        async with asyncio.timeout(120):
            while (request := await self.store.get("shop", number)).deployment_state not in states:
                await asyncio.sleep(0.001)
        return request

    async def until_true(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(120):
            while not condition():
                await asyncio.sleep(0.001)


def findings(*tables: str, problem: str | None = None) -> Findings:
    operations = tuple(
        OperationRecord(new_id(), OperationKind.ALTER, table, (f"ALTER TABLE {table} …",), "CREATE TABLE …")
        for table in tables
    )
    return Findings(dict.fromkeys(tables, "+ phone"), operations, problem, footprint=tables)


def made_by(author: Actor, **changes: object) -> DeployRequest:
    """A checked request of somebody."""
    moment = now()
    request = DeployRequest(
        id="1",
        number=1,
        database="shop",
        branch="b",
        into_branch="main",
        notes="",
        state=RequestState.OPEN,
        deployment_state=State.READY,
        auto_cutover=True,
        diff={},
        operations=(),
        problem=None,
        warnings=(),
        created_at=moment,
        updated_at=moment,
        actor=author,
    )
    return replace(request, **changes)  # type: ignore[arg-type]
