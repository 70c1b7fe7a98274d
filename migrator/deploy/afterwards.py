"""I carry one deploy request from the swap of its tables on: through its window, back, and there again.

For every line: until a table is finalized, it and the one it was swapped for both exist and the one not in
use is kept current; which of them has the name, the engine has written down before it changes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime

import structlog

from migrator.deploy.carrying import Carrying
from migrator.deploy.errors import DeployError
from migrator.deploy.held import seconds_until
from migrator.deploy.lifecycle import State
from migrator.deploy.request import DeployRequest
from migrator.engine.ground.operation import Losing, Operation, Phase, Redoable, Repeatable
from migrator.engine.swap.group import Group
from migrator.errors import MigratorError, OwnershipUnknown
from router.clock import now
from router.model import SYSTEM

log = structlog.get_logger()


class Afterwards(Carrying):
    """The steps after the swap."""

    async def _keep_revertible(self, request: DeployRequest) -> None:
        """Let the old tables follow until the window ends or somebody decides, then drop them.

        After a failed revert only somebody who has looked can end it.
        """
        failed = request.deployment_state is State.COMPLETE_REVERT_ERROR
        undecided = failed and request.acknowledged_at is None

        async def window() -> None:
            await self._window(request, None if undecided else request.revert_until)

        if not request.finished_at and not await self._unless_moved(request, window):
            return
        async with self._deploys.lock:
            # From here on no revert is accepted, whatever happens to this process.
            request = await self._again(request)
            if request.deployment_state is State.IN_PROGRESS_REVERT:
                return
            if not request.finished_at and request.revert_until and request.revert_until > now():
                return
            request = await self._store.update(request, finished_at=request.finished_at or now())
        for operation in await self.held.all(request):
            await operation.finalize()
        said = await self._means.alongside.completing(request)
        request = await self._tidy_branch(request)
        await self._store.move(request, State.COMPLETE, SYSTEM, said)

    async def _tidy_branch(self, request: DeployRequest) -> DeployRequest:
        """Delete the branch if that was asked for; one that must stay is not worth failing for."""
        if not request.auto_delete_branch or request.branch_deleted_at:
            return request
        try:
            await self._means.delete_branch(request)
        except DeployError as error:
            log.warning("branch.kept", branch=request.branch, reason=str(error))
            return await self._store.update(request, problem=f"its branch was not deleted: {error}")
        request = await self._again(request)
        return await self._store.update(
            request,
            branch_deleted_at=request.branch_deleted_at or now(),
            branch_deleted_by=request.branch_deleted_by or request.actor,
        )

    async def _window(self, request: DeployRequest, until: datetime | None) -> None:
        """Keep the tables that are not in use current for as long as they may be swapped back."""
        try:
            await self.held.follow(request, until)
        except OwnershipUnknown:
            raise
        except MigratorError as error:
            # A table that can no longer follow will not be swapped back; it stays until the end.
            log.warning("request.not_revertible", number=request.number, reason=str(error))
            await self._store.update(request, problem=str(error))
            if until is None:
                await asyncio.Event().wait()
            await asyncio.sleep(seconds_until(until))

    async def _revert(self, request: DeployRequest) -> None:
        """Swap all back; if one cannot be, swap the others there again."""
        operations = await self.held.all(request)
        longest_lock_ms = 0.0

        async def swap_back() -> None:
            nonlocal longest_lock_ms
            for operation in operations:
                await operation.prepare()
            for operation in operations:
                if isinstance(operation, Losing):
                    operation.give_up(request.giving_up.get(operation.id, ()))
            # Those that a killed process has reverted already are not reverted twice.
            longest_lock_ms = (await Group(operations).revert()).lock_ms

        try:
            # When it is finished all is swapped back, and some may be cleared away already.
            if not request.finished_at:
                await self._swapping(request, swap_back)
        except OwnershipUnknown:
            raise
        except MigratorError as error:
            await self._swap_there_again(request, operations, str(error))
            return
        redo_until = request.revert_until if Group(operations).redoable else None
        if redo_until is None:
            request = await self._store.update(request, finished_at=request.finished_at or now())
            for operation in operations:
                await operation.finalize()
        await self._store.move(
            request,
            State.COMPLETE_REVERT,
            SYSTEM,
            redo_until=redo_until,
            longest_lock_ms=longest_lock_ms or request.longest_lock_ms,
            # Why it was reverted, when nobody asked for that.
            problem=request.why(State.IN_PROGRESS_REVERT),
            giving_up={},
            force_requested_at=None,
        )

    async def _swap_there_again(
        self, request: DeployRequest, operations: Sequence[Operation], reason: str
    ) -> None:
        """Undo what a revert has done that failed.

        Killed before or in the middle of this, the revert is tried once more from where it is.
        """
        swapped = [each for each in operations if each.status().phase is Phase.REVERTED]
        await Group([each for each in swapped if isinstance(each, Redoable)]).redo()
        for each in swapped:
            if isinstance(each, Repeatable):
                await each.again()
        failed = State.COMPLETE_REVERT_ERROR
        await self._store.move(request, failed, SYSTEM, reason, problem=reason, giving_up={})

    async def _keep_redoable(self, request: DeployRequest) -> None:
        """Let the new tables follow until the window ends, or another request waits, then drop them."""

        async def window() -> None:
            await self._window(request, request.redo_until)

        if not request.finished_at and not await self._somebody_waits(request):
            await self._unless_moved(request, window, or_queued=True)
        async with self._deploys.lock:
            # From here on no redo is accepted, whatever happens to this process.
            request = await self._again(request)
            if request.deployment_state is not State.COMPLETE_REVERT:
                return
            over = request.finished_at or (request.redo_until and request.redo_until <= now())
            if not over and not await self._somebody_waits(request):
                return
            request = await self._store.update(request, finished_at=request.finished_at or now())
        for operation in await self.held.all(request):
            await operation.finalize()
        await self._store.update(request, redo_until=None)

    async def _redo(self, request: DeployRequest) -> None:
        operations = await self.held.all(request)
        longest_lock_ms = 0.0

        async def swap_again() -> None:
            nonlocal longest_lock_ms
            for operation in operations:
                await operation.prepare()
            # Those that a killed process has swapped already are not swapped twice.
            longest_lock_ms = (await Group(operations).redo()).lock_ms

        try:
            await self._swapping(request, swap_again)
        except OwnershipUnknown:
            raise
        except MigratorError as error:
            reason = f"it could not be redone: {error}"
            await self._store.move(request, State.IN_PROGRESS_REVERT, SYSTEM, reason)
            return
        await self._store.move(
            request,
            State.COMPLETE_PENDING_REVERT,
            SYSTEM,
            redo_until=None,
            longest_lock_ms=longest_lock_ms,
            problem=None,
            force_requested_at=None,
        )
