"""I carry one request at a time from queued to complete, or back.

What is to be done next is read from the stored state alone, and stored before it is done, so a new process
goes on where a killed one stopped; people steer by moving that state.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta

import structlog

from migrator.deploy import queue
from migrator.deploy.actions import Deploys, Findings
from migrator.deploy.errors import IllegalMove
from migrator.deploy.lifecycle import State
from migrator.deploy.request import DeployRequest, OperationRecord, RequestState
from migrator.deploy.store import DeployStore
from migrator.engine.ground.operation import Losing, Operation, Phase, Status
from migrator.engine.swap.group import Group
from migrator.errors import MigratorError, OwnershipUnknown, WrongPhase
from migrator.schema.errors import SchemaError
from router.errors import DatabaseError, ServerFailed
from router.store import now

log = structlog.get_logger()

ACTOR = "headgate"
RETRY_S = 2.0
FAILURE_POLL_S = 1.0

MakeOperation = Callable[[DeployRequest, OperationRecord], Awaitable[Operation]]


class Runner:
    """Carries the deploy requests of one database, one at a time, oldest first."""

    def __init__(
        self, database: str, store: DeployStore, make_operation: MakeOperation, revert_window_s: float
    ) -> None:
        self._database = database
        self._store = store
        self._make_operation = make_operation
        self._revert_window = timedelta(seconds=revert_window_s)
        self._changed = asyncio.Event()
        self._operations: dict[str, Operation] = {}
        self._carried: int | None = None
        self._forced: int | None = None

    def notify(self) -> None:
        """Say that a request has changed."""
        event, self._changed = self._changed, asyncio.Event()
        event.set()

    def status(self, request: DeployRequest) -> dict[str, Status]:
        """Return how far each operation of the request is, as far as it is being carried now."""
        if request.number != self._carried:
            return {}
        return {
            record.id: self._operations[record.id].status()
            for record in request.operations
            if record.id in self._operations
        }

    def misfits(self, request: DeployRequest) -> dict[str, Mapping[str, str]]:
        """Return, by operation, the rows that a revert or a redo has no place for: keys, and for people."""
        carried = self._operations if request.number == self._carried else {}
        return {
            record.id: rows
            for record in request.operations
            if isinstance(operation := carried.get(record.id), Losing) and (rows := operation.misfits())
        }

    def revert_blocked(self, request: DeployRequest, giving_up: Collection[str] = ()) -> str | None:
        """Say why the engine cannot revert the request now, or None when it can.

        Of operations in `giving_up` rows may be lost.
        """
        states = self.status(request)
        if len(states) < len(request.operations):
            return "it is being taken up again after a restart: try again in a moment"
        reasons = [
            f"table {record.table!r}: {reason}"
            for record in request.operations
            if (reason := states[record.id].revert_blocked) and record.id not in giving_up
        ]
        return "; ".join(reasons) or None

    def force(self, request: DeployRequest) -> None:
        """Kill the connections that keep the request's tables from being swapped."""
        log.warning("request.forced", number=request.number)
        self._forced = request.number
        if request.number == self._carried:
            for operation in self._operations.values():
                operation.force()

    async def run(self, deploys: Deploys) -> None:
        """Carry requests until cancelled; what is under way then is left for the next start."""
        try:
            while True:
                changed = self._changed
                request = queue.current(await self._store.all(self._database))
                if request is None:
                    await self._drop_operations()
                    await changed.wait()
                    continue
                try:
                    await self._step(request, deploys)
                except IllegalMove:
                    log.info("request.moved_meanwhile", number=request.number)
                except OwnershipUnknown as error:
                    await self._freeze(request, error)
                except (DatabaseError, MigratorError, SchemaError, ServerFailed, OSError) as error:
                    # Nothing is decided; the stored state says what to try again, from the beginning.
                    log.warning("request.delayed", number=request.number, reason=str(error))
                    await self._store.update(request, problem=str(error))
                    await self._drop_operations()
                    await asyncio.sleep(RETRY_S)
        finally:
            await self._drop_operations()

    async def _step(self, request: DeployRequest, deploys: Deploys) -> None:
        """Do what the state of the request asks for, and store the state that follows."""
        if request.number != self._carried:
            await self._drop_operations()
            self._carried = request.number
        state = request.deployment_state
        log.info("request.carried", number=request.number, state=str(state))
        if state is State.QUEUED:
            await self._store.move(request, State.SUBMITTING, ACTOR)
        elif state is State.SUBMITTING:
            await self._submit(request, deploys)
        elif state is State.IN_PROGRESS:
            await self._prepare(request)
        elif state is State.PENDING_CUTOVER:
            await self._await_apply(request)
        elif state is State.IN_PROGRESS_CUTOVER:
            await self._cut_over(request)
        elif state is State.IN_PROGRESS_CANCEL:
            await self._cancel(request)
        elif state is State.COMPLETE_PENDING_REVERT:
            await self._keep_revertible(request, deploys)
        elif state is State.IN_PROGRESS_REVERT:
            await self._revert(request)
        elif state is State.COMPLETE_REVERT_ERROR:
            await self._keep_revertible(request, deploys)
        elif state is State.COMPLETE_REVERT:
            await self._keep_redoable(request, deploys)
        elif state is State.IN_PROGRESS_REDO:
            await self._redo(request)

    async def _submit(self, request: DeployRequest, deploys: Deploys) -> None:
        """Check against production as it is now: it may have moved while the request was queued."""
        findings: Findings = await deploys.check(request)
        if findings.state is State.READY:
            await self._store.move(request, State.IN_PROGRESS, ACTOR, started_at=now(), **findings.recorded())
        else:
            await self._store.move(request, findings.state, ACTOR, findings.problem, **findings.recorded())

    async def _prepare(self, request: DeployRequest) -> None:
        async def prepare_all() -> None:
            await Group(await self._build(request)).prepare()

        try:
            if not await self._unless_moved(request, prepare_all):
                return
        except MigratorError as error:
            await self._give_up(request, error)
            return
        after = State.IN_PROGRESS_CUTOVER if request.auto_cutover else State.PENDING_CUTOVER
        await self._store.move(request, after, ACTOR, problem=None)

    async def _await_apply(self, request: DeployRequest) -> None:
        """Keep everything ready until somebody applies or cancels."""
        try:
            await self._unless_moved(request, lambda: self._follow(request, None))
        except MigratorError as error:
            await self._give_up(request, error)

    async def _cut_over(self, request: DeployRequest) -> None:
        """Swap the tables at once where that can be; if one cannot be swapped, swap the others back."""
        longest_lock_ms = 0.0

        async def swap_all() -> None:
            nonlocal longest_lock_ms
            group = Group(await self._build(request))
            await group.prepare()
            longest_lock_ms = (await group.cut_over()).lock_ms

        try:
            if not await self._unless_moved(request, swap_all):
                return
        except MigratorError as error:
            await self._give_up(request, error)
            return
        moment, self._forced = now(), None
        await self._store.move(
            request,
            State.COMPLETE_PENDING_REVERT,
            ACTOR,
            cut_over_at=moment,
            # What was done for good waits for nobody.
            revert_until=moment + self._revert_window if request.revertible else moment,
            longest_lock_ms=longest_lock_ms,
            state=RequestState.CLOSED,
            closed_at=moment,
            problem=None,
        )

    async def _keep_revertible(self, request: DeployRequest, deploys: Deploys) -> None:
        """Let the old tables follow until the window ends or somebody decides, then drop them."""

        async def window() -> None:
            await self._window(request, request.revert_until)

        if not request.finished_at and not await self._unless_moved(request, window):
            return
        async with deploys.lock:
            # From here on no revert is accepted, whatever happens to this process.
            request = await self._store.get(self._database, request.number)
            if request.deployment_state is State.IN_PROGRESS_REVERT:
                return
            if request.revert_until and request.revert_until > now():
                return
            request = await self._store.update(request, finished_at=request.finished_at or now())
        for operation in await self._build(request):
            await operation.finalize()
        await self._store.move(request, State.COMPLETE, ACTOR)

    async def _window(self, request: DeployRequest, until: datetime | None) -> None:
        """Keep the tables that are not in use current for as long as they may be swapped back."""
        try:
            await self._follow(request, until)
        except OwnershipUnknown:
            raise
        except MigratorError as error:
            # A table that can no longer follow will not be swapped back; it stays until the end.
            log.warning("request.not_revertible", number=request.number, reason=str(error))
            await self._store.update(request, problem=str(error))
            await asyncio.sleep(_seconds_until(until))

    async def _follow(self, request: DeployRequest, until: datetime | None) -> None:
        """Keep the operations at work until a moment, or for ever; what has stopped is taken up again.

        Raises MigratorError when it cannot be.
        """
        while True:
            operations = await self._build(request)
            for operation in operations:
                await operation.prepare()
            while not any(operation.status().failure for operation in operations):
                left_s = _seconds_until(until)
                if until is not None and left_s <= 0:
                    return
                await asyncio.sleep(FAILURE_POLL_S if until is None else min(left_s, FAILURE_POLL_S))
            await self._drop_operations()

    async def _revert(self, request: DeployRequest) -> None:
        operations = await self._build(request)
        longest_lock_ms = 0.0
        try:
            for operation in operations:
                await operation.prepare()
            for operation in operations:
                if isinstance(operation, Losing):
                    operation.give_up(request.giving_up.get(operation.id, ()))
            # Those that a killed process has reverted already are not reverted twice.
            longest_lock_ms = (await Group(operations).revert()).lock_ms
        except OwnershipUnknown:
            raise
        except MigratorError as error:
            failed, reason = State.COMPLETE_REVERT_ERROR, str(error)
            await self._store.move(request, failed, ACTOR, reason, problem=reason, giving_up={})
            return
        redo_until = request.revert_until if Group(operations).redoable else None
        if redo_until is None:
            for operation in operations:
                await operation.finalize()
        [*_, asked] = await self._store.history(self._database, request.number)
        await self._store.move(
            request,
            State.COMPLETE_REVERT,
            ACTOR,
            finished_at=None if redo_until else now(),
            redo_until=redo_until,
            longest_lock_ms=longest_lock_ms,
            # Why it was reverted, when nobody asked for that.
            problem=asked.reason,
            giving_up={},
        )

    async def _keep_redoable(self, request: DeployRequest, deploys: Deploys) -> None:
        """Let the new tables follow until the window ends, or another request waits, then drop them."""

        async def window() -> None:
            await self._window(request, request.redo_until)

        if not request.finished_at and not await self._somebody_waits():
            await self._unless_moved(request, window, or_queued=True)
        async with deploys.lock:
            # From here on no redo is accepted, whatever happens to this process.
            request = await self._store.get(self._database, request.number)
            if request.deployment_state is not State.COMPLETE_REVERT:
                return
            over = request.finished_at or (request.redo_until and request.redo_until <= now())
            if not over and not await self._somebody_waits():
                return
            request = await self._store.update(request, finished_at=request.finished_at or now())
        for operation in await self._build(request):
            await operation.finalize()
        await self._store.update(request, redo_until=None)

    async def _somebody_waits(self) -> bool:
        return bool(queue.queued(await self._store.all(self._database)))

    async def _redo(self, request: DeployRequest) -> None:
        operations = await self._build(request)
        try:
            for operation in operations:
                await operation.prepare()
            # Those that a killed process has swapped already are not swapped twice.
            longest_lock_ms = (await Group(operations).redo()).lock_ms
        except OwnershipUnknown:
            raise
        except MigratorError as error:
            await self._store.move(
                request, State.IN_PROGRESS_REVERT, ACTOR, f"it could not be redone: {error}"
            )
            return
        self._forced = None
        await self._store.move(
            request,
            State.COMPLETE_PENDING_REVERT,
            ACTOR,
            redo_until=None,
            longest_lock_ms=longest_lock_ms,
            problem=None,
        )

    async def _cancel(self, request: DeployRequest) -> None:
        await self._undo(request)
        await self._store.move(request, State.COMPLETE_CANCEL, ACTOR, problem=None)

    async def _give_up(self, request: DeployRequest, error: MigratorError) -> None:
        """Undo what was done so far, and leave production as it was."""
        if isinstance(error, OwnershipUnknown):
            raise error
        log.warning("request.failed", number=request.number, reason=str(error))
        await self._undo(request)
        await self._store.move(
            request, State.COMPLETE_ERROR, ACTOR, str(error), problem=str(error), finished_at=now()
        )

    async def _undo(self, request: DeployRequest) -> None:
        """Leave production as it was: give up what is not swapped, swap back what is."""
        swapped: list[Operation] = []
        for operation in reversed(await self._build(request)):
            try:
                await operation.cancel()
            except WrongPhase:
                swapped.append(operation)
        reverted = [operation for operation in swapped if operation.status().phase is Phase.REVERTIBLE]
        await Group(reverted[::-1]).revert()
        for operation in swapped:
            await operation.finalize()

    async def _freeze(self, request: DeployRequest, error: MigratorError) -> None:
        """Do nothing more with a request whose tables are not as they should be until a person has looked."""
        log.error("request.frozen", number=request.number, reason=str(error))
        await self._store.update(
            request, problem=f"{error} Nothing more is done until Headgate is restarted."
        )
        await asyncio.Event().wait()

    async def _build(self, request: DeployRequest) -> Sequence[Operation]:
        self._carried = request.number
        for record in request.operations:
            if record.id not in self._operations:
                operation = self._operations[record.id] = await self._make_operation(request, record)
                if request.number == self._forced:
                    operation.force()
        return [self._operations[record.id] for record in request.operations]

    async def _drop_operations(self) -> None:
        operations, self._operations = self._operations, {}
        self._carried = None
        for operation in operations.values():
            await operation.close()

    async def _unless_moved(
        self, request: DeployRequest, work: Callable[[], Awaitable[None]], *, or_queued: bool = False
    ) -> bool:
        """Do the work; stop it, and answer False, as soon as somebody moves or changes the request.

        With `or_queued`, also when another request waits.
        """
        moved = False

        async def watch() -> None:
            nonlocal moved
            while not moved:
                changed = self._changed
                stored = await self._store.get(self._database, request.number)
                moved = (stored.deployment_state, stored.revert_until, stored.redo_until) != (
                    request.deployment_state,
                    request.revert_until,
                    request.redo_until,
                ) or (or_queued and await self._somebody_waits())
                if not moved:
                    await changed.wait()
            worker.cancel()

        async def do() -> None:
            await work()

        watcher = asyncio.ensure_future(watch())
        worker = asyncio.ensure_future(do())
        try:
            await worker
            return True
        except asyncio.CancelledError:
            # The watcher cancels the worker; whoever cancels us must not be mistaken for it.
            this = asyncio.current_task()
            if moved and this is not None and not this.cancelling():
                return False
            raise
        finally:
            watcher.cancel()
            worker.cancel()
            await asyncio.gather(watcher, worker, return_exceptions=True)


def _seconds_until(moment: datetime | None) -> float:
    return max((moment - now()).total_seconds(), 0.0) if moment else 0.0
