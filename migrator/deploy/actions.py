"""I carry out what people ask of deploy requests, or say why it cannot be done."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from migrator.deploy import queue
from migrator.deploy.errors import DeployError, IllegalMove, NotDeployable, NothingToDeploy
from migrator.deploy.lifecycle import CHECKABLE, RUNNING, State
from migrator.deploy.request import DeployRequest, OperationRecord, RequestState, Transition
from migrator.deploy.store import DeployStore
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
        self, database: str, branch: str, into_branch: str, notes: str, auto_cutover: bool, actor: str
    ) -> DeployRequest:
        """Check the branch and open a request for it."""
        async with self.lock:
            return await self._create(database, branch, into_branch, notes, auto_cutover, actor)

    async def _create(
        self, database: str, branch: str, into_branch: str, notes: str, auto_cutover: bool, actor: str
    ) -> DeployRequest:
        for request in await self._store.all(database):
            if request.branch == branch and request.state is RequestState.OPEN:
                raise DeployError(
                    f"branch {branch!r} already has the open deploy request {request.number}: it follows the "
                    f"branch until it is deployed, so use that one, or close it with: "
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

    async def deploy(self, database: str, number: int, actor: str) -> DeployRequest:
        """Check again and put the request into the queue."""
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
            request = await self._store.move(request, State.QUEUED, actor, queued_at=now())
        self._notify()
        return request

    async def apply(self, database: str, number: int, actor: str) -> DeployRequest:
        """Let a request that waits before its cut-over go on."""
        return await self._move(
            database, number, {State.PENDING_CUTOVER}, State.IN_PROGRESS_CUTOVER, actor, "be applied"
        )

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

    async def revert(self, database: str, number: int, actor: str, blocked: str | None) -> DeployRequest:
        """Swap the old tables back; `blocked` says why the engine cannot, if it cannot."""
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
            request = await self._store.move(request, State.IN_PROGRESS_REVERT, actor, problem=None)
        self._notify()
        return request

    async def skip_revert(self, database: str, number: int) -> DeployRequest:
        """End the revert window now."""
        async with self.lock:
            request = await self._store.get(database, number)
            if request.deployment_state not in {State.COMPLETE_PENDING_REVERT, State.COMPLETE_REVERT_ERROR}:
                raise IllegalMove(
                    f"deploy request {number} has no revert window in state {request.deployment_state}"
                )
            request = await self._store.update(request, revert_until=now())
        self._notify()
        return request

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
