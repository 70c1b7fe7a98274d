"""I let work on one deploy request go on until somebody moves the request."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field

import structlog

from migrator.deploy.actions import Deploys
from migrator.deploy.deadlines import forced_at
from migrator.deploy.held import Held, MakeOperation, seconds_until
from migrator.deploy.lifecycle import State
from migrator.deploy.queue import held_up
from migrator.deploy.request import DeployRequest
from migrator.deploy.store import DeployStore
from migrator.engine.ground.operation import Status
from router.clock import now

log = structlog.get_logger()

DeleteBranch = Callable[[DeployRequest], Awaitable[None]]
"""Deletes the branch of a request; raises DeployError with the reason why it must stay."""


class Bell:
    """Wakes everybody who waits for a change."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()

    def ring(self) -> None:
        """Say that something has changed."""
        event, self._changed = self._changed, asyncio.Event()
        event.set()

    @property
    def next(self) -> asyncio.Event:
        """What is set at the next change: take it before looking at what may change."""
        return self._changed


class Alongside:
    """What belongs to a deployment besides its tables: nothing, here. All of it may be asked for again."""

    async def starting(self, request: DeployRequest) -> None:
        """Fix what a deployment carries besides, before anything is done for it."""

    async def copied(self, request: DeployRequest, states: Collection[Status]) -> None:
        """Take note that all its tables are copied."""

    async def completing(self, request: DeployRequest) -> str | None:
        """Do what was fixed, now that it can no longer be reverted; return what is to be said of it."""
        return None


@dataclass(frozen=True, slots=True)
class Means:
    """What requests are carried with."""

    store: DeployStore
    deploys: Deploys
    make_operation: MakeOperation
    delete_branch: DeleteBranch
    alongside: Alongside = field(default_factory=Alongside)
    bell: Bell = field(default_factory=Bell)


class Carrying:
    """One request in hand."""

    def __init__(self, means: Means) -> None:
        self.held = Held(means.make_operation)
        self._means = means
        self._store = means.store
        self._deploys = means.deploys

    async def _again(self, request: DeployRequest) -> DeployRequest:
        return await self._store.get(request.database, request.number)

    async def _somebody_waits(self, request: DeployRequest) -> bool:
        active = await self._store.active(request.database)
        return held_up(active, request.number, self._deploys.settings())

    async def _unless_moved(
        self, request: DeployRequest, work: Callable[[], Awaitable[None]], *, or_queued: bool = False
    ) -> bool:
        """Do the work; stop it, and answer False, as soon as somebody moves or changes the request.

        With `or_queued`, also when another request waits.
        """
        moved, steered = False, self._steered(request)

        async def watch() -> None:
            nonlocal moved
            while not moved:
                changed = self._means.bell.next
                moved = self._steered(await self._again(request)) != steered or (
                    or_queued and await self._somebody_waits(request)
                )
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

    def _steered(self, request: DeployRequest) -> tuple[object, ...]:
        """Return what people steer a request by while it is carried."""
        steered: tuple[object, ...] = (
            request.deployment_state,
            request.revert_until,
            request.redo_until,
            request.acknowledged_at,
        )
        if request.deployment_state is State.PENDING_CUTOVER:
            # While tables are copied, it is enough to know in the end whether to wait, and for what.
            settings = self._deploys.settings()
            return *steered, request.auto_cutover, settings.deploy_schedule, settings.gated_expiry_s
        return steered

    async def _swapping(self, request: DeployRequest, work: Callable[[], Awaitable[None]]) -> None:
        """Do what swaps tables; who holds them is killed as soon as somebody asks for it, or it is time."""

        async def force_in_time() -> None:
            while True:
                changed = self._means.bell.next
                due = forced_at(await self._again(request), self._deploys.settings())
                if due is not None and due <= now():
                    log.warning("request.forced", number=request.number)
                    self.held.force()
                    return
                try:
                    async with asyncio.timeout(None if due is None else seconds_until(due)):
                        await changed.wait()
                except TimeoutError:
                    pass

        await self.held.all(request)
        forcing = asyncio.ensure_future(force_in_time())
        try:
            await work()
        finally:
            forcing.cancel()
            await asyncio.gather(forcing, return_exceptions=True)
