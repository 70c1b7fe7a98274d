"""I carry out what people ask of deploy requests that are not deployed yet, or say why it cannot be done."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import structlog

from migrator.deploy import queue
from migrator.deploy.errors import DeployError, IllegalMove
from migrator.deploy.findings import Ahead, Check, Findings, Proposal, Snapshot
from migrator.deploy.how import USUAL, How, at_first
from migrator.deploy.lifecycle import COMING, State
from migrator.deploy.request import DeployRequest, RequestState
from migrator.deploy.retry import same_renames
from migrator.deploy.reviewing import Reviewing
from migrator.deploy.settings import DatabaseSettings
from migrator.deploy.store import DeployStore
from migrator.errors import MigratorError
from migrator.schema.errors import SchemaError
from router.clock import now
from router.errors import DatabaseError, ServerFailed
from router.model import SYSTEM, Actor
from router.secrets import new_id

log = structlog.get_logger()


class Proposals(Reviewing):
    """The deploy requests of every database, until they are deployed; `check` runs the checks."""

    def __init__(
        self,
        store: DeployStore,
        check: Check,
        notify: Callable[[], None],
        settings: Callable[[], DatabaseSettings],
        administrators: Callable[[], int],
    ) -> None:
        super().__init__(store, notify, settings, administrators)
        self._check = check
        # Held while a request is checked that others must not overtake: the queue must not grow meanwhile.
        self._admission = asyncio.Lock()

    async def create(
        self, database: str, branch: str, into_branch: str, notes: str, actor: Actor, how: How = USUAL
    ) -> DeployRequest:
        """Open a request for a branch and check it; what the checks say decides its state."""
        async with self._admission:
            requests = await self._store.all(database)
            for request in requests:
                same = (request.branch, request.into_branch) == (branch, into_branch)
                if same and request.state is RequestState.OPEN:
                    raise DeployError(
                        f"branch {branch!r} already has the open deploy request {request.number}: it follows "
                        f"the branch until it is deployed, so use that one, or close it with: "
                        f"headgate deploy-request close {database} {request.number}"
                    )
            before = requests[0] if requests else None
            request = self._new(database, branch, into_branch, notes, actor, how, before)
            request = await self._store.add(request, actor)
            return await self._settle(request, actor)

    def _new(
        self,
        database: str,
        branch: str,
        into_branch: str,
        notes: str,
        actor: Actor,
        how: How,
        before: DeployRequest | None,
    ) -> DeployRequest:
        moment = now()
        return DeployRequest(
            id=new_id(),
            number=0,
            database=database,
            branch=branch,
            into_branch=into_branch,
            notes=notes,
            state=RequestState.OPEN,
            deployment_state=State.PENDING,
            actor=actor,
            diff={},
            operations=(),
            problem=None,
            warnings=(),
            created_at=moment,
            updated_at=moment,
            **at_first(how, before, self.settings()),
        )

    async def recheck(self, database: str, number: int, actor: Actor = SYSTEM) -> DeployRequest:
        """Run the checks again, so that the request follows its branch, unless its deployment has begun.

        One whose proposal has changed loses its approvals and its place in the queue.
        """
        async with self._admission:
            request = await self._store.get(database, number)
            if not request.follows:
                return request
            try:
                return await self._recheck(request, actor)
            except IllegalMove:
                # Somebody has moved it meanwhile, and has looked at it for that.
                return await self._store.get(database, number)

    async def follow(self, database: str, branch: str | None = None) -> None:
        """Recheck what is proposed from a branch, or everything that is proposed: it has changed."""
        for request in await self._store.all(database):
            if request.follows and branch in {None, request.branch, request.into_branch}:
                await self.recheck(database, request.number)

    async def take_up(self, database: str) -> None:
        """Check what a process that is gone had not finished checking."""
        for request in await self._store.all(database):
            if request.deployment_state is State.PENDING:
                async with self._admission:
                    request = await self._store.get(database, request.number)
                    if request.deployment_state is State.PENDING:
                        await self._settle(request, SYSTEM)

    async def edit(self, database: str, number: int, actor: Actor, how: How) -> DeployRequest:
        """Change how a request cuts over and what becomes of its branch, until it does.

        Only these of `how` are looked at: auto_cutover, aggressive_cutover, auto_delete_branch. Switching
        auto_cutover on lets one that waits for its `apply` go on.
        """
        wanted = {
            "auto_cutover": how.auto_cutover,
            "aggressive_cutover": how.aggressive_cutover,
            "auto_delete_branch": how.auto_delete_branch,
        }
        changes: dict[str, Any] = {name: value for name, value in wanted.items() if value is not None}
        async with self.lock:
            request = await self._store.get(database, number)
            if not request.under_way:
                request = await self._open(database, number)
            before_swap = request.follows or request.deployment_state in COMING
            cutting = request.deployment_state in {State.IN_PROGRESS_CUTOVER, State.IN_PROGRESS_CANCEL}
            if changes.keys() & {"auto_cutover", "aggressive_cutover"} and (cutting or not before_swap):
                raise IllegalMove(
                    f"how deploy request {number} cuts over cannot be changed in state "
                    f"{request.deployment_state}: it can until the cut-over begins"
                )
            if request.deployment_state is State.PENDING_CUTOVER and how.auto_cutover:
                request = await self._store.move(request, State.IN_PROGRESS_CUTOVER, actor, **changes)
            else:
                request = await self._store.update(request, **changes)
        self._notify()
        return request

    async def branch_deleted(self, database: str, branch: str, actor: Actor) -> None:
        """Remember with its requests that a branch is gone."""
        for request in await self._store.all(database):
            if request.branch == branch and request.branch_deleted_at is None:
                await self._store.update(request, branch_deleted_at=now(), branch_deleted_by=actor)

    async def rename_branch(self, database: str, name: str, new_name: str) -> None:
        """Let the requests from and into a branch follow its new name; the caller holds the lock."""
        await self._store.rename_branch(database, name, new_name)

    async def _settle(self, request: DeployRequest, actor: Actor) -> DeployRequest:
        """Check a request for the first time; checks that cannot be run are a reason not to deploy it."""
        try:
            findings = await self._look(request)
        except (DatabaseError, MigratorError, SchemaError, ServerFailed, OSError) as error:
            log.warning("request.unchecked", number=request.number, reason=str(error))
            findings = Findings(
                {},
                (),
                f"it could not be checked: {error}. Try again with: "
                f"headgate deploy-request diff {request.database} {request.number}",
            )
        return await self._take(request, findings, actor)

    async def _recheck(self, request: DeployRequest, actor: Actor) -> DeployRequest:
        return await self._take(request, await self._look(request), actor)

    async def _look(self, request: DeployRequest, frozen: Snapshot | None = None) -> Findings:
        """Run the checks of a request, with what will be in production before it."""
        ahead = []
        for other in queue.coming(await self._store.active(request.database), request):
            if snapshot := await self._store.snapshot(other):
                ahead.append(Ahead(other.number, other.branch, snapshot))
        return await self._check(
            Proposal(request.database, request.branch, request.into_branch, tuple(ahead), frozen)
        )

    async def _take(
        self,
        request: DeployRequest,
        findings: Findings,
        actor: Actor,
        ready: State = State.READY,
        **changes: Any,
    ) -> DeployRequest:
        """Record what the checks found, and move the request to where that puts it.

        When all is well and as it was, that is `ready`, with `changes`; one in the queue stays there.
        Approvals of what is proposed no more are dismissed first: whatever happens then, nobody has approved
        too much.
        """
        async with self.lock:
            before = request.deployment_state
            request = await self._store.get(request.database, request.number)
            if request.deployment_state is not before:
                raise IllegalMove(
                    f"deploy request {request.number} has just left state {before}: look again, then decide"
                )
            known = await self._store.snapshot(request)
            reason, changed = findings.blocked_by, _changed(request, findings, known)
            if changed:
                reason = reason or "the branch has changed since"
                request = await self._dismiss(request, "\n".join(changed))
            if findings.snapshot and findings.snapshot != known:
                await self._store.keep_snapshot(request, findings.snapshot)
            after, recorded = findings.state, findings.recorded()
            if after is State.READY and not changed:
                if before is not State.QUEUED:
                    after = ready
                elif not (reason := await self._lacking(replace(request, findings=findings.findings))):
                    after = State.QUEUED
                recorded |= changes
            if after is before:
                return await self._store.update(request, **recorded)
            moved = await self._store.move(request, after, actor, reason, **recorded)
        self._notify()
        return moved


def _changed(request: DeployRequest, findings: Findings, known: Snapshot | None) -> Sequence[str]:
    """Say what is proposed otherwise than when the request was looked at last; nothing if all is as then."""
    if known is None:
        return ()
    if findings.snapshot and (changed := findings.snapshot.changes_since(known)):
        return changed
    asked, found = request.operations, findings.operations
    if asked and found and not same_renames(asked, found):
        return ("What is taken for renamed is not what it was.",)
    return ()


def given_up(rows: Mapping[str, Sequence[str]] | None) -> dict[str, tuple[str, ...]]:
    """Return the rows that may be lost, by operation, as they are stored."""
    return {operation: tuple(keys) for operation, keys in (rows or {}).items()}
