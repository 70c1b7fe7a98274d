"""I carry one deploy request from the moment its turn has come until nothing is left to do for it.

What is to be done next is read from the stored state alone, and stored before it is done, so a new process
goes on where a killed one stopped; people steer by moving that state.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import structlog

from migrator.deploy.afterwards import Afterwards
from migrator.deploy.deadlines import expires_at
from migrator.deploy.errors import IllegalMove
from migrator.deploy.lifecycle import State
from migrator.deploy.request import DeployRequest, RequestState
from migrator.deploy.schedule import parse
from migrator.deploy.settings import DatabaseSettings
from migrator.engine.swap.group import Group
from migrator.errors import MigratorError, OwnershipUnknown, SourceChanged
from migrator.schema.errors import SchemaError
from router.clock import now
from router.errors import DatabaseError, ServerFailed
from router.model import SYSTEM

log = structlog.get_logger()

RETRY_S = 2.0


class Carrier(Afterwards):
    """Carries one request."""

    # Whether this process has seen production as the operations take it to be.
    _checked = False

    async def carry(self, database: str, number: int) -> None:
        """Go on until there is nothing more to do; what is under way when cancelled is left as it is."""
        try:
            while (request := await self._store.get(database, number)).under_way:
                try:
                    await self._step(request)
                except IllegalMove:
                    log.info("request.moved_meanwhile", number=number)
                except OwnershipUnknown as error:
                    await self._freeze(request, error)
                except (DatabaseError, MigratorError, SchemaError, ServerFailed, OSError) as error:
                    # Nothing is decided; the stored state says what to try again, from the beginning.
                    log.warning("request.delayed", number=number, reason=str(error))
                    await self._store.update(request, problem=str(error))
                    await self.held.put_down()
                    await asyncio.sleep(RETRY_S)
        finally:
            await self.held.put_down()

    async def _step(self, request: DeployRequest) -> None:
        """Do what the state of the request asks for, and store the state that follows."""
        log.info("request.carried", number=request.number, state=str(request.deployment_state))
        match request.deployment_state:
            case State.SUBMITTING:
                await self._means.alongside.starting(request)
                await self._deploys.start(request)
                self._checked = True
            case State.IN_PROGRESS:
                await self._prepare(request)
            case State.PENDING_CUTOVER:
                await self._await_apply(request)
            case State.IN_PROGRESS_CUTOVER:
                await self._cut_over(request)
            case State.IN_PROGRESS_CANCEL:
                await self._cancel(request)
            case State.COMPLETE_ERROR:
                await self._await_note(request)
            case State.COMPLETE_PENDING_REVERT | State.COMPLETE_REVERT_ERROR:
                await self._keep_revertible(request)
            case State.IN_PROGRESS_REVERT:
                await self._revert(request)
            case State.COMPLETE_REVERT:
                await self._keep_redoable(request)
            case State.IN_PROGRESS_REDO:
                await self._redo(request)
            case other:
                raise AssertionError(f"a request in state {other} is not under way")
        self._means.bell.ring()

    async def _prepare(self, request: DeployRequest) -> None:
        """Copy. What an earlier process has checked is checked again: it may have been gone for long."""

        async def prepare_all() -> None:
            if not self._checked and (reason := await self._deploys.outdated(request)):
                raise SourceChanged(reason)
            self._checked = True
            await Group(await self.held.all(request)).prepare()

        try:
            if not await self._unless_moved(request, prepare_all):
                return
        except MigratorError as error:
            await self._fail(request, error)
            return
        await self._means.alongside.copied(request, self.held.status(request).values())
        async with self._deploys.lock:
            request = await self._again(request)
            at_once = request.auto_cutover and parse(self._settings.deploy_schedule).is_open(now())
            after = State.IN_PROGRESS_CUTOVER if at_once else State.PENDING_CUTOVER
            await self._store.move(request, after, SYSTEM, problem=None)

    async def _await_apply(self, request: DeployRequest) -> None:
        """Keep everything ready until somebody applies or cancels, or for the time that is given to that."""
        opens: datetime | None = None
        if request.auto_cutover:
            opens = parse(self._settings.deploy_schedule).opens_at(now())
        expires = expires_at(request, self._settings)
        try:
            if not await self._unless_moved(request, lambda: self.held.follow(request, opens or expires)):
                return
        except MigratorError as error:
            await self._fail(request, error)
            return
        if opens:
            await self._store.move(request, State.IN_PROGRESS_CUTOVER, SYSTEM, "deployments may go on again")
            return
        reason = "nobody has applied it in time"
        log.warning("request.expired", number=request.number)
        await self._store.move(request, State.IN_PROGRESS_CANCEL, SYSTEM, reason, kept=())

    async def _cut_over(self, request: DeployRequest) -> None:
        """Swap the tables at once where that can be; if one cannot be swapped, swap the others back."""
        longest_lock_ms = 0.0

        async def swap_all() -> None:
            nonlocal longest_lock_ms
            group = Group(await self.held.all(request))
            await group.prepare()
            longest_lock_ms = (await group.cut_over()).lock_ms

        try:
            if not await self._unless_moved(request, lambda: self._swapping(request, swap_all)):
                return
        except MigratorError as error:
            await self._fail(request, error)
            return
        moment, window = now(), timedelta(seconds=self._settings.revert_window_s)
        await self._store.move(
            request,
            State.COMPLETE_PENDING_REVERT,
            SYSTEM,
            cut_over_at=moment,
            # What was done for good waits for nobody.
            revert_until=moment + window if request.revertible else moment,
            longest_lock_ms=longest_lock_ms,
            state=RequestState.CLOSED,
            closed_at=moment,
            force_requested_at=None,
            problem=None,
        )

    async def _fail(self, request: DeployRequest, error: MigratorError) -> None:
        """Decide to leave production as it was, but for what is ready: that may be of use once more."""
        if isinstance(error, OwnershipUnknown):
            raise error
        reason = str(error)
        log.warning("request.failed", number=request.number, reason=reason)
        await self._store.move(
            request,
            State.IN_PROGRESS_CANCEL,
            SYSTEM,
            reason,
            problem=reason,
            failure=reason,
            kept=self.held.ready(request),
        )

    async def _cancel(self, request: DeployRequest) -> None:
        """Leave production as it was."""
        stays = await self.held.undo(request, keeping=request.kept)
        if request.failure is None:
            await self._store.move(
                request, State.COMPLETE_CANCEL, SYSTEM, stays or None, problem=stays or None
            )
            return
        reason = f"{request.failure}; {stays}" if stays else request.failure
        await self._store.move(request, State.COMPLETE_ERROR, SYSTEM, reason, problem=reason)

    async def _await_note(self, request: DeployRequest) -> None:
        """Keep what is ready for another try until somebody says that there will be none."""
        if request.acknowledged_at is None:
            await self.held.put_down()
            await self._unless_moved(request, _for_ever)
            return
        await self.held.undo(request)
        await self._store.update(request, finished_at=now(), kept=())

    async def _freeze(self, request: DeployRequest, error: MigratorError) -> None:
        """Do nothing more with a request whose tables are not as they should be until a person has looked."""
        log.error("request.frozen", number=request.number, reason=str(error))
        await self._store.update(
            request, problem=f"{error} Nothing more is done until Headgate is restarted."
        )
        await asyncio.Event().wait()

    @property
    def _settings(self) -> DatabaseSettings:
        return self._deploys.settings()


async def _for_ever() -> None:
    await asyncio.Event().wait()
