"""I see to it that every deploy request whose turn has come is carried, and those beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping

import structlog

from migrator.deploy import queue
from migrator.deploy.actions import Deploys
from migrator.deploy.carrier import Carrier
from migrator.deploy.carrying import Alongside, Bell, DeleteBranch, Means
from migrator.deploy.errors import DeployError, IllegalMove
from migrator.deploy.held import MakeOperation
from migrator.deploy.lifecycle import State
from migrator.deploy.request import DeployRequest
from migrator.deploy.store import DeployStore
from migrator.engine.ground.operation import Status
from migrator.errors import MigratorError
from migrator.schema.errors import SchemaError
from router.clock import now
from router.errors import DatabaseError, ServerFailed
from router.model import SYSTEM

log = structlog.get_logger()

LOOK_S = 5.0
"""How often it is asked whether the hour has come at which deployments may start."""


async def _keep(request: DeployRequest) -> None:
    raise DeployError("nothing here can delete branches")


class Runner:
    """Carries the deploy requests of one database.

    `make_operation` makes what carries an operation out, `delete_branch` deletes a request's branch when that
    was asked for, `alongside` does what belongs to a deployment besides its tables.
    """

    def __init__(
        self,
        database: str,
        store: DeployStore,
        make_operation: MakeOperation,
        delete_branch: DeleteBranch = _keep,
        alongside: Alongside | None = None,
    ) -> None:
        self._database = database
        self._store = store
        self._make_operation = make_operation
        self._delete_branch = delete_branch
        self._alongside = alongside or Alongside()
        self._bell = Bell()
        self._carriers: dict[int, Carrier] = {}

    def notify(self) -> None:
        """Say that a request has changed."""
        self._bell.ring()

    def status(self, request: DeployRequest) -> dict[str, Status]:
        """Return how far each operation of the request is, as far as it is being carried now."""
        carrier = self._carriers.get(request.number)
        return carrier.held.status(request) if carrier else {}

    def misfits(self, request: DeployRequest) -> dict[str, Mapping[str, str]]:
        """Return, by operation, the rows that a revert or a redo has no place for: keys, and for people."""
        carrier = self._carriers.get(request.number)
        return carrier.held.misfits(request) if carrier else {}

    def revert_blocked(self, request: DeployRequest, giving_up: Collection[str] = ()) -> str | None:
        """Say why the engine cannot revert the request now, or None when it can.

        Of operations in `giving_up` rows may be lost.
        """
        carrier = self._carriers.get(request.number)
        if carrier is None:
            return "it is being taken up again after a restart: try again in a moment"
        return carrier.held.revert_blocked(request, giving_up)

    async def run(self, deploys: Deploys) -> None:
        """Carry requests until cancelled; what is under way then is left for the next start."""
        means = Means(
            self._store, deploys, self._make_operation, self._delete_branch, self._alongside, self._bell
        )
        before: dict[int, DeployRequest] | None = None
        async with asyncio.TaskGroup() as group:
            group.create_task(deploys.take_up(self._database))
            while True:
                changed = self._bell.next
                active = await self._store.active(self._database)
                before, former = queue.counted_on(active), before
                if former is not None and (moved := former.keys() ^ before.keys()):
                    others = [(former | before)[number] for number in moved]
                    group.create_task(self._look_again(deploys, others))
                for request in active:
                    if request.under_way and request.number not in self._carriers:
                        carrier = self._carriers[request.number] = Carrier(means)
                        group.create_task(self._carry(carrier, request.number))
                if await self._start(deploys, active):
                    continue
                waiting = any(request.deployment_state is State.QUEUED for request in active)
                try:
                    async with asyncio.timeout(LOOK_S if waiting else None):
                        await changed.wait()
                except TimeoutError:
                    pass

    async def _start(self, deploys: Deploys, active: Collection[DeployRequest]) -> bool:
        """Move on those whose turn has come; answer whether there were any."""
        startable = queue.startable(list(active), deploys.settings(), now())
        for request in startable:
            try:
                await self._store.move(request, State.SUBMITTING, SYSTEM)
            except IllegalMove:
                log.info("request.moved_meanwhile", number=request.number)
        return bool(startable)

    async def _look_again(self, deploys: Deploys, moved: Collection[DeployRequest]) -> None:
        """Check the queued requests again that were checked with others, or without them, that have moved."""
        active = await self._store.active(self._database)
        for other in moved:
            state = (await self._store.get(self._database, other.number)).deployment_state
            if state is State.COMPLETE:
                continue  # its change is where it was expected
            for request in queue.behind(active, other):
                log.info("request.checked_again", number=request.number, because_of=other.number)
                try:
                    await deploys.recheck(self._database, request.number)
                except (DatabaseError, MigratorError, SchemaError, ServerFailed, OSError) as error:
                    # It is checked once more when its turn has come.
                    log.warning("request.unchecked", number=request.number, reason=str(error))

    async def _carry(self, carrier: Carrier, number: int) -> None:
        try:
            await carrier.carry(self._database, number)
        finally:
            del self._carriers[number]
            self._bell.ring()
