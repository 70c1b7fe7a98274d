"""I carry out what people ask of deployments, or say why it cannot be done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from typing import Any

from migrator.deploy import queue
from migrator.deploy.deadlines import SWAPPING
from migrator.deploy.errors import DeployError, IllegalMove, NotApproved, NotDeployable, NothingToDeploy
from migrator.deploy.how import USUAL, How, from_now
from migrator.deploy.lifecycle import CHECKABLE, COMING, RUNNING, State
from migrator.deploy.proposals import Proposals, given_up
from migrator.deploy.request import DeployRequest, OperationRecord, RequestState
from migrator.deploy.retry import once_more, same_work
from migrator.engine.direct.choose import Strategy
from router.clock import now
from router.model import SYSTEM, Actor

# What is left of an earlier deployment of the same request, and means nothing for the next.
ANEW: Mapping[str, Any] = {
    "started_at": None,
    "finished_at": None,
    "failure": None,
    "kept": (),
    "force_requested_at": None,
    "acknowledged_by": None,
    "acknowledged_at": None,
    "problem": None,
}


class Deploys(Proposals):
    """The deploy requests of every database, as people see them."""

    async def deploy(self, database: str, number: int, actor: Actor, how: How = USUAL) -> DeployRequest:
        """Check again and put the request into the queue; `how` changes what was asked for so far."""
        async with self._admission:
            request = await self._open(database, number)
            self._refuse_under_way(request)
            request = await self._recheck(request, actor)
            if request.deployment_state is State.ERROR:
                raise NotDeployable(request.problem or "the checks failed")
            if request.deployment_state is State.NO_CHANGES:
                raise NothingToDeploy(
                    f"branch {request.branch!r} no longer differs from {request.into_branch!r}: "
                    f"close the request with: headgate deploy-request close {database} {number}"
                )
            wanted = from_now(how, request)
            _refuse_copies(request, wanted["strategy"])
            if wanted["parallel"]:
                _refuse_overlap(request, await self._store.active(database))
            async with self.lock:
                request = await self._store.get(database, number)
                if lacking := await self._lacking(replace(request, allow_lossy=wanted["allow_lossy"])):
                    raise NotApproved(lacking)
                request = await self._store.move(
                    request, State.QUEUED, actor, queued_at=now(), **ANEW, **wanted
                )
        self._notify()
        return request

    async def start(self, request: DeployRequest) -> DeployRequest:
        """Check a request whose turn has come: into production as it is now, or back to its author.

        From the move to IN_PROGRESS on nothing that happens to its branch matters any more.
        """
        findings = await self._look(request)
        lacking = await self._lacking(replace(request, findings=findings.findings))
        if lacking and findings.state is State.READY:
            # People have changed the rules meanwhile, or production is used in another way.
            async with self.lock:
                recorded = findings.recorded()
                return await self._store.move(request, State.READY, SYSTEM, lacking, **recorded)
        return await self._take(request, findings, SYSTEM, State.IN_PROGRESS, started_at=now())

    async def outdated(self, request: DeployRequest) -> str | None:
        """Say why the operations of a request whose deployment has begun are no longer what is to be done.

        They are made for production as it was; what somebody has changed by hand since would be lost.
        """
        snapshot = await self._store.snapshot(request)
        if snapshot is None:
            return None
        findings = await self._look(request, frozen=snapshot)
        if same_work(request.operations, findings.operations):
            return None
        return findings.blocked_by or "production was changed by hand while nothing was carried"

    async def apply(self, database: str, number: int, actor: Actor) -> DeployRequest:
        """Let a request that waits before its cut-over go on."""
        return await self._move(
            database, number, {State.PENDING_CUTOVER}, State.IN_PROGRESS_CUTOVER, actor, "be applied"
        )

    async def force(self, database: str, number: int) -> DeployRequest:
        """Kill whoever keeps a request's tables from being swapped, now and until they are."""
        async with self.lock:
            request = await self._store.get(database, number)
            _refuse_unless(request, SWAPPING, "be forced")
            request = await self._store.update(request, force_requested_at=now())
        self._notify()
        return request

    async def cancel(self, database: str, number: int, actor: Actor) -> DeployRequest:
        """Take a request out of the queue, or stop it before it is complete."""
        request = await self._store.get(database, number)
        if request.deployment_state is State.QUEUED:
            return await self._move(database, number, {State.QUEUED}, State.CANCELLED, actor, "be cancelled")
        running = COMING - {State.QUEUED}
        return await self._move(
            database, number, running, State.IN_PROGRESS_CANCEL, actor, "be cancelled", kept=()
        )

    async def retry(self, database: str, number: int, actor: Actor) -> DeployRequest:
        """Carry out once more what has failed of a deployment; what was ready is not made again."""
        async with self._admission:
            request = await self._store.get(database, number)
            self._refuse_acknowledged(request, {State.COMPLETE_ERROR}, "be retried")
            snapshot = await self._store.snapshot(request)
            findings = await self._look(request, frozen=snapshot)
            operations = once_more(request, findings)
            if lacking := await self._lacking(replace(request, findings=findings.findings)):
                # Production has moved, or people have changed the rules; nobody has said yes to that.
                raise NotApproved(
                    f"{lacking} First let go of what is kept with: "
                    f"headgate deploy-request unblock {database} {number}"
                )
            async with self.lock:
                request = await self._store.get(database, number)
                self._refuse_acknowledged(request, {State.COMPLETE_ERROR}, "be retried")
                recorded = {**findings.recorded(), **ANEW, "operations": operations, "started_at": now()}
                request = await self._store.move(request, State.IN_PROGRESS, actor, **recorded)
        self._notify()
        return request

    async def complete(self, database: str, number: int, actor: Actor) -> DeployRequest:
        """Take note of a failure, so that the queue goes on: there will be no other try.

        After a failed deployment production is as it was; after a failed revert the change stands.
        """
        failed = {State.COMPLETE_ERROR, State.COMPLETE_REVERT_ERROR}
        async with self.lock:
            request = await self._store.get(database, number)
            self._refuse_acknowledged(request, failed, "be completed")
            changes: dict[str, Any] = {"acknowledged_by": actor, "acknowledged_at": now()}
            if request.deployment_state is State.COMPLETE_REVERT_ERROR:
                changes["revert_until"] = now()
            request = await self._store.update(request, **changes)
        self._notify()
        return request

    async def revert(
        self,
        database: str,
        number: int,
        actor: Actor,
        blocked: str | None,
        giving_up: Mapping[str, Sequence[str]] | None = None,
    ) -> DeployRequest:
        """Swap the old tables back; `blocked` says why the engine cannot, if it cannot.

        Rows with the keys in `giving_up`, by operation, may be lost, and no others.
        """
        async with self.lock:
            request = await self._store.get(database, number)
            revertible = {State.COMPLETE_PENDING_REVERT, State.COMPLETE_REVERT_ERROR}
            if request.deployment_state not in revertible:
                raise IllegalMove(
                    f"deploy request {number} cannot be reverted in state {request.deployment_state}: "
                    "only a deployment in its revert window can"
                )
            if _window_over(request):
                raise IllegalMove(
                    f"the revert window of deploy request {number} has ended: the old tables are gone. "
                    "Undo the change with a new branch and deploy request"
                )
            if blocked:
                raise DeployError(f"deploy request {number} cannot be reverted: {blocked}")
            request = await self._store.move(
                request,
                State.IN_PROGRESS_REVERT,
                actor,
                problem=None,
                giving_up=given_up(giving_up),
                force_requested_at=None,
            )
        self._notify()
        return request

    async def redo(self, database: str, number: int, actor: Actor, blocked: str | None) -> DeployRequest:
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
            request = await self._store.move(
                request, State.IN_PROGRESS_REDO, actor, problem=None, force_requested_at=None
            )
        self._notify()
        return request

    async def skip_revert(self, database: str, number: int, actor: Actor) -> DeployRequest:
        """End the window now in which a deployment can be reverted, or a revert be taken back."""
        async with self.lock:
            request = await self._store.get(database, number)
            if request.deployment_state is State.COMPLETE_REVERT and request.redo_until:
                request = await self._store.update(request, redo_until=min(request.redo_until, now()))
            elif request.deployment_state is State.COMPLETE_PENDING_REVERT:
                request = await self._store.update(request, revert_until=now())
            elif request.deployment_state is State.COMPLETE_REVERT_ERROR:
                request = await self._store.update(
                    request, revert_until=now(), acknowledged_by=actor, acknowledged_at=now()
                )
            else:
                raise IllegalMove(
                    f"deploy request {number} has no revert window in state {request.deployment_state}"
                )
        self._notify()
        return request

    async def close(self, database: str, number: int, actor: Actor) -> DeployRequest:
        """Close a request that is not under way."""
        async with self.lock:
            request = await self._open(database, number)
            if request.deployment_state is State.COMPLETE_ERROR and request.under_way:
                raise IllegalMove(
                    f"deploy request {number} has failed, and something is kept for another try: let go of "
                    f"it first with: headgate deploy-request unblock {database} {number}"
                )
            if request.deployment_state in RUNNING or request.deployment_state is State.QUEUED:
                raise IllegalMove(
                    f"deploy request {number} is under way (state {request.deployment_state}): cancel it "
                    f"first with: headgate deploy-request cancel {database} {number}"
                )
            return await self._store.update(
                request, state=RequestState.CLOSED, closed_at=now(), closed_by=actor
            )

    # --- refusing -------------------------------------------------------------------------------------------

    def _refuse_under_way(self, request: DeployRequest) -> None:
        here = f"{request.database} {request.number}"
        if request.deployment_state is State.COMPLETE_ERROR and request.under_way:
            raise IllegalMove(
                f"deploy request {request.number} has failed, and what was ready is kept: try it again with: "
                f"headgate deploy-request retry {here}, or begin anew after: "
                f"headgate deploy-request unblock {here}"
            )
        if request.deployment_state not in CHECKABLE:
            raise IllegalMove(
                f"deploy request {request.number} is already under way (state {request.deployment_state}): "
                f"watch it with: headgate deploy-request show {here}"
            )

    def _refuse_acknowledged(self, request: DeployRequest, states: Set[State], verb: str) -> None:
        _refuse_unless(request, states, verb)
        if request.acknowledged_at or not request.under_way:
            raise IllegalMove(f"deploy request {request.number} cannot {verb}: its failure was taken note of")

    async def _move(
        self,
        database: str,
        number: int,
        sources: Set[State],
        after: State,
        actor: Actor,
        verb: str,
        **changes: Any,
    ) -> DeployRequest:
        async with self.lock:
            request = await self._store.get(database, number)
            _refuse_unless(request, sources, verb)
            request = await self._store.move(request, after, actor, **changes)
        self._notify()
        return request


def _refuse_unless(request: DeployRequest, states: Set[State], verb: str) -> None:
    if request.deployment_state not in states:
        raise IllegalMove(
            f"deploy request {request.number} cannot {verb} in state {request.deployment_state} "
            f"(possible in: {', '.join(sorted(states))})"
        )


def _window_over(request: DeployRequest) -> bool:
    """Whether the old tables are gone, or going; after a failed revert they stay until somebody decides."""
    if request.finished_at:
        return True
    if request.deployment_state is State.COMPLETE_REVERT_ERROR:
        return request.acknowledged_at is not None
    return request.revert_until is not None and request.revert_until <= now()


def _refuse_copies(request: DeployRequest, strategy: Strategy) -> None:
    copied = [record for record in request.operations if not record.instant]
    if strategy is Strategy.INSTANT and copied:
        reasons = "; ".join(_why_copied(record) for record in copied)
        raise NotDeployable(f"deploy request {request.number} cannot be deployed instantly: {reasons}")


def _refuse_overlap(request: DeployRequest, active: Sequence[DeployRequest]) -> None:
    others = queue.overlapping(active, request)
    if others:
        numbers = ", ".join(str(other.number) for other in others)
        raise NotDeployable(
            f"deploy request {request.number} cannot be deployed beside the queue: it touches tables, or "
            f"what foreign keys connect with them, of deploy request {numbers} there. Queue it with: "
            f"headgate deploy-request deploy {request.database} {request.number} --lane serial"
        )


def _why_copied(record: OperationRecord) -> str:
    choice = record.choices.get(Strategy.INSTANT)
    return f"table {record.table!r}: {choice.reason if choice else 'it must be copied'}"
