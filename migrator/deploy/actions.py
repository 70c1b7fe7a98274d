"""I carry out what people ask of deploy requests, or say why it cannot be done."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from migrator.deploy import queue
from migrator.deploy.errors import DeployError, IllegalMove, NotDeployable, NothingToDeploy
from migrator.deploy.lifecycle import CHECKABLE, RUNNING, State
from migrator.deploy.request import DeployRequest, OperationRecord, RequestState, Transition
from migrator.deploy.store import DeployStore
from migrator.engine.direct.choose import Strategy
from migrator.schema.lint.finding import Finding
from router.secrets import new_id
from router.store import now


@dataclass(frozen=True, slots=True)
class Findings:
    """What the checks of a request found: the change as text, one operation a table, or a problem.

    `warnings` are sentences for the author about what may not be meant, such as a renaming that is none.
    """

    diff: dict[str, str]
    operations: tuple[OperationRecord, ...]
    problem: str | None
    warnings: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def state(self) -> State:
        """The state that these findings put a request into."""
        if self.problem:
            return State.ERROR
        return State.READY if self.operations else State.NO_CHANGES

    def recorded(self) -> dict[str, Any]:
        """Return what a request records of these findings, by field."""
        return {
            "diff": self.diff,
            "operations": self.operations,
            "problem": self.problem,
            "warnings": self.warnings,
        }


Check = Callable[[str, str, str], Awaitable[Findings]]
"""Checks (database, branch, into branch) against what all three are now."""


@dataclass(frozen=True, slots=True)
class How:
    """What is asked of the way a request is carried out; None is what it is already."""

    strategy: Strategy | None = None
    allow_lossy: bool | None = None


USUAL = How()


class Deploys:
    """The deploy requests of every database, as people see them.

    `check` runs the checks, `notify` tells the runner that something has changed. Every method raises
    DeployError with a sentence for people when it cannot do what was asked.
    """

    def __init__(self, store: DeployStore, check: Check, notify: Callable[[], None]) -> None:
        self._store = store
        self._check = check
        self._notify = notify
        # Held from reading a request to moving it, here and where the runner closes a revert window.
        self.lock = asyncio.Lock()

    async def check(self, request: DeployRequest) -> Findings:
        """Run the checks of a request."""
        return await self._check(request.database, request.branch, request.into_branch)

    async def create(
        self,
        database: str,
        branch: str,
        into_branch: str,
        notes: str,
        auto_cutover: bool,
        actor: str,
        how: How = USUAL,
    ) -> DeployRequest:
        """Check the branch and open a request for it."""
        async with self.lock:
            for request in await self._store.all(database):
                if request.branch == branch and request.state is RequestState.OPEN:
                    raise DeployError(
                        f"branch {branch!r} already has the open deploy request {request.number}: it follows "
                        f"the branch until it is deployed, so use that one, or close it with: "
                        f"headgate deploy-request close {database} {request.number}"
                    )
            findings = await self._check(database, branch, into_branch)
            if findings.problem:
                raise NotDeployable(findings.problem)
            if not findings.operations:
                raise NothingToDeploy(
                    f"branch {branch!r} has the same schema as {into_branch!r}: there is nothing to deploy. "
                    "Change the branch first, then create the deploy request"
                )
            moment = now()
            return await self._store.add(
                DeployRequest(
                    id=new_id(),
                    number=0,
                    database=database,
                    branch=branch,
                    into_branch=into_branch,
                    notes=notes,
                    state=RequestState.OPEN,
                    deployment_state=State.READY,
                    auto_cutover=auto_cutover,
                    strategy=how.strategy or Strategy.REVERTIBLE,
                    allow_lossy=bool(how.allow_lossy),
                    **findings.recorded(),
                    created_at=moment,
                    updated_at=moment,
                ),
                actor,
            )

    async def all(self, database: str) -> Sequence[DeployRequest]:
        """Return the requests of a database, newest first."""
        return await self._store.all(database)

    async def get(self, database: str, number: int) -> DeployRequest:
        """Return one request."""
        return await self._store.get(database, number)

    async def ahead(self, database: str, number: int) -> list[DeployRequest]:
        """Return what a queued request waits for."""
        return queue.ahead(await self._store.all(database), number)

    async def history(self, database: str, number: int) -> Sequence[Transition]:
        """Return the steps of a request, oldest first."""
        return await self._store.history(database, number)

    async def recheck(self, database: str, number: int, actor: str) -> DeployRequest:
        """Run the checks again when nothing is under way, so that the request follows its branch."""
        async with self.lock:
            request = await self._store.get(database, number)
            if request.state is RequestState.CLOSED or request.deployment_state not in CHECKABLE:
                return request
            return await self._recheck(request, actor)

    async def deploy(self, database: str, number: int, actor: str, how: How = USUAL) -> DeployRequest:
        """Check again and put the request into the queue; `how` changes what was asked for so far."""
        async with self.lock:
            request = await self._open(database, number)
            if request.deployment_state not in CHECKABLE:
                raise IllegalMove(
                    f"deploy request {number} is already under way (state {request.deployment_state}): "
                    f"watch it with: headgate deploy-request show {database} {number}"
                )
            request = await self._recheck(request, actor)
            if request.deployment_state is State.ERROR:
                raise NotDeployable(request.problem or "the checks failed")
            if request.deployment_state is State.NO_CHANGES:
                raise NothingToDeploy(
                    f"branch {request.branch!r} no longer differs from {request.into_branch!r}: "
                    f"close the request with: headgate deploy-request close {database} {number}"
                )
            strategy = how.strategy or request.strategy
            copied = [record for record in request.operations if not record.instant]
            if strategy is Strategy.INSTANT and copied:
                reasons = "; ".join(_why_copied(record) for record in copied)
                raise NotDeployable(f"deploy request {number} cannot be deployed instantly: {reasons}")
            lossy = request.allow_lossy if how.allow_lossy is None else how.allow_lossy
            request = await self._store.move(
                request, State.QUEUED, actor, queued_at=now(), strategy=strategy, allow_lossy=lossy
            )
        self._notify()
        return request

    async def apply(self, database: str, number: int, actor: str) -> DeployRequest:
        """Let a request that waits before its cut-over go on."""
        return await self._move(
            database, number, {State.PENDING_CUTOVER}, State.IN_PROGRESS_CUTOVER, actor, "be applied"
        )

    async def force(self, database: str, number: int) -> DeployRequest:
        """Return a request whose tables are being swapped, so that it may be forced."""
        request = await self._store.get(database, number)
        swapping = {State.IN_PROGRESS_CUTOVER, State.IN_PROGRESS_REVERT, State.IN_PROGRESS_REDO}
        if request.deployment_state not in swapping:
            raise IllegalMove(
                f"deploy request {number} cannot be forced in state {request.deployment_state} "
                f"(possible in: {', '.join(sorted(swapping))})"
            )
        return request

    async def cancel(self, database: str, number: int, actor: str) -> DeployRequest:
        """Take a request out of the queue, or stop it before it is complete."""
        request = await self._store.get(database, number)
        if request.deployment_state is State.QUEUED:
            return await self._move(database, number, {State.QUEUED}, State.CANCELLED, actor, "be cancelled")
        running = {
            State.SUBMITTING,
            State.IN_PROGRESS,
            State.PENDING_CUTOVER,
            State.IN_PROGRESS_CUTOVER,
        }
        return await self._move(database, number, running, State.IN_PROGRESS_CANCEL, actor, "be cancelled")

    async def revert(
        self,
        database: str,
        number: int,
        actor: str,
        blocked: str | None,
        giving_up: Mapping[str, Sequence[str]] | None = None,
    ) -> DeployRequest:
        """Swap the old tables back; `blocked` says why the engine cannot, if it cannot.

        Rows with the keys in `giving_up`, by operation, may be lost, and no others.
        """
        lost = {operation: tuple(keys) for operation, keys in (giving_up or {}).items()}
        async with self.lock:
            request = await self._store.get(database, number)
            revertible = {State.COMPLETE_PENDING_REVERT, State.COMPLETE_REVERT_ERROR}
            if request.deployment_state not in revertible:
                raise IllegalMove(
                    f"deploy request {number} cannot be reverted in state {request.deployment_state}: "
                    "only a deployment in its revert window can"
                )
            if request.finished_at or (request.revert_until and request.revert_until <= now()):
                raise IllegalMove(
                    f"the revert window of deploy request {number} has ended: the old tables are gone. "
                    "Undo the change with a new branch and deploy request"
                )
            if blocked:
                raise DeployError(f"deploy request {number} cannot be reverted: {blocked}")
            request = await self._store.move(
                request, State.IN_PROGRESS_REVERT, actor, problem=None, giving_up=lost
            )
        self._notify()
        return request

    async def redo(self, database: str, number: int, actor: str, blocked: str | None) -> DeployRequest:
        """Take a revert back; `blocked` says why the engine cannot, if it cannot."""
        async with self.lock:
            request = await self._store.get(database, number)
            if request.deployment_state is not State.COMPLETE_REVERT:
                raise IllegalMove(
                    f"deploy request {number} cannot be redone in state {request.deployment_state}: "
                    "only one that was reverted can"
                )
            if request.redo_until is None or request.finished_at or request.redo_until <= now():
                raise IllegalMove(
                    f"the revert of deploy request {number} can no longer be taken back: the new tables are "
                    "gone. Deploy the branch with a new deploy request"
                )
            if blocked:
                raise DeployError(f"deploy request {number} cannot be redone: {blocked}")
            request = await self._store.move(request, State.IN_PROGRESS_REDO, actor, problem=None)
        self._notify()
        return request

    async def skip_revert(self, database: str, number: int) -> DeployRequest:
        """End the window now in which a deployment can be reverted, or a revert be taken back."""
        async with self.lock:
            request = await self._store.get(database, number)
            if request.deployment_state is State.COMPLETE_REVERT and request.redo_until:
                request = await self._store.update(request, redo_until=min(request.redo_until, now()))
            elif request.deployment_state in {State.COMPLETE_PENDING_REVERT, State.COMPLETE_REVERT_ERROR}:
                request = await self._store.update(request, revert_until=now())
            else:
                raise IllegalMove(
                    f"deploy request {number} has no revert window in state {request.deployment_state}"
                )
        self._notify()
        return request

    async def rename_branch(self, database: str, name: str, new_name: str) -> None:
        """Let the requests from and into a branch follow its new name; the caller holds the lock."""
        await self._store.rename_branch(database, name, new_name)

    async def close(self, database: str, number: int, actor: str) -> DeployRequest:
        """Close a request that is not under way."""
        async with self.lock:
            request = await self._open(database, number)
            if request.deployment_state in RUNNING or request.deployment_state is State.QUEUED:
                raise IllegalMove(
                    f"deploy request {number} is under way (state {request.deployment_state}): cancel it "
                    f"first with: headgate deploy-request cancel {database} {number}"
                )
            return await self._store.update(request, state=RequestState.CLOSED, closed_at=now())

    async def _open(self, database: str, number: int) -> DeployRequest:
        request = await self._store.get(database, number)
        if request.state is RequestState.CLOSED:
            raise IllegalMove(
                f"deploy request {number} is closed: create a new one with: "
                f"headgate deploy-request create {database} {request.branch}"
            )
        return request

    async def _recheck(self, request: DeployRequest, actor: str) -> DeployRequest:
        findings = await self._check(request.database, request.branch, request.into_branch)
        if findings.state is request.deployment_state:
            return await self._store.update(request, **findings.recorded())
        return await self._store.move(request, findings.state, actor, findings.problem, **findings.recorded())

    async def _move(
        self, database: str, number: int, sources: set[State], after: State, actor: str, verb: str
    ) -> DeployRequest:
        async with self.lock:
            request = await self._store.get(database, number)
            if request.deployment_state not in sources:
                possible = ", ".join(sorted(sources))
                raise IllegalMove(
                    f"deploy request {number} cannot {verb} in state {request.deployment_state} "
                    f"(possible in: {possible})"
                )
            request = await self._store.move(request, after, actor)
        self._notify()
        return request


def _why_copied(record: OperationRecord) -> str:
    choice = record.choices.get(Strategy.INSTANT)
    return f"table {record.table!r}: {choice.reason if choice else 'it must be copied'}"
