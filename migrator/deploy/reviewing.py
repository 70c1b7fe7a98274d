"""I show deploy requests, and take what people say of them: comments, approvals, confirmations."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence

import structlog

from migrator.deploy import queue
from migrator.deploy.approval import Review, ReviewState, missing, refusal, unconfirmed
from migrator.deploy.errors import DeployError, IllegalMove, NotAllowed
from migrator.deploy.findings import Snapshot
from migrator.deploy.lifecycle import State
from migrator.deploy.request import DeployRequest, RequestState, Transition
from migrator.deploy.settings import DatabaseSettings
from migrator.deploy.store import DeployStore
from router.clock import now
from router.model import SYSTEM, Actor
from router.secrets import new_id

log = structlog.get_logger()


class Reviewing:
    """The deploy requests of every database, as people look at them.

    `notify` tells the runner that something has changed, `settings` are what people have decided for the
    database, `administrators` how many there are. Every method raises DeployError with a sentence for people
    when it cannot do what was asked.
    """

    def __init__(
        self,
        store: DeployStore,
        notify: Callable[[], None],
        settings: Callable[[], DatabaseSettings],
        administrators: Callable[[], int],
    ) -> None:
        self._store = store
        self._notify = notify
        self.settings = settings
        self._administrators = administrators
        # Held from reading a request to changing it: here, by the runner, and by who renames a branch.
        self.lock = asyncio.Lock()

    async def all(self, database: str) -> Sequence[DeployRequest]:
        """Return the requests of a database, newest first."""
        return await self._store.all(database)

    async def get(self, database: str, number: int) -> DeployRequest:
        """Return one request."""
        return await self._store.get(database, number)

    async def ahead(self, database: str, number: int) -> list[DeployRequest]:
        """Return what a queued request waits for, first to be carried first."""
        return queue.ahead(await self._store.active(database), number, self.settings())

    async def waits(self, request: DeployRequest) -> queue.Wait | None:
        """Say why a queued request does not start; None for one that is not queued."""
        if request.deployment_state is not State.QUEUED:
            return None
        return queue.wait(request, await self._store.active(request.database), self.settings(), now())

    async def history(self, database: str, number: int) -> Sequence[Transition]:
        """Return the steps of a request, oldest first."""
        return await self._store.history(database, number)

    async def reviews(self, database: str, number: int | None = None) -> Sequence[Review]:
        """Return the comments and approvals of a request, or of all of a database, oldest first."""
        return await self._store.reviews(database, number)

    async def snapshot(self, request: DeployRequest) -> Snapshot | None:
        """Return what a request proposes: the branch as it was when it was last looked at."""
        return await self._store.snapshot(request)

    async def review(
        self, database: str, number: int, actor: Actor, state: ReviewState, body: str = ""
    ) -> Review:
        """Comment on a request, or approve it. Raises NotAllowed when the actor may not approve.

        Who approves says yes to what asks for it now; what is found later asks again.
        """
        async with self.lock:
            request = await self._store.get(database, number)
            if state is ReviewState.APPROVED:
                if not request.follows:
                    raise IllegalMove(
                        f"deploy request {number} cannot be approved in state {request.deployment_state}: "
                        "only one that is not deployed yet can"
                    )
                if reason := refusal(request, actor, self._administrators()):
                    raise NotAllowed(f"{actor.name} may not approve deploy request {number}: {reason}")
                request = await self._say_yes(request, actor, _asked(request))
            elif not body.strip():
                raise DeployError("a comment needs a text")
            return await self._review(request, actor, state, body)

    async def confirm(
        self, database: str, number: int, actor: Actor, keys: Collection[str] | None = None
    ) -> DeployRequest:
        """Say yes to findings that must be confirmed, by their keys; None is all there are now."""
        async with self.lock:
            request = await self._store.get(database, number)
            asked = _asked(request)
            unknown = sorted(set(keys or ()) - asked)
            if unknown or not request.follows:
                what = f"says nothing like {unknown[0]!r}" if unknown else "is not waiting for it"
                raise DeployError(
                    f"deploy request {number} {what}: see what must be confirmed with: "
                    f"headgate deploy-request show {database} {number}"
                )
            return await self._say_yes(request, actor, asked if keys is None else keys)

    async def invalidate(self, database: str, number: int, reason: str) -> DeployRequest:
        """Dismiss the approvals of a request, and take it out of the queue, because the ground has moved."""
        async with self.lock:
            request = await self._store.get(database, number)
            if not request.follows:
                return request
            request = await self._dismiss(request, reason)
            if request.deployment_state is State.QUEUED:
                request = await self._store.move(request, State.READY, SYSTEM, reason)
        self._notify()
        return request

    async def _dismiss(self, request: DeployRequest, changes: str) -> DeployRequest:
        """Let nothing count any more that somebody said yes to, and tell everybody what has changed."""
        dismissed = await self._store.dismiss(request)
        if dismissed or request.confirmed:
            log.info("request.dismissed", number=request.number, approvals=dismissed)
            body = f"Approvals no longer count: what is proposed has changed.\n\n{changes}"
            await self._review(request, SYSTEM, ReviewState.COMMENTED, body)
        return await self._store.update(request, confirmed=())

    async def _lacking(self, request: DeployRequest) -> str | None:
        """Say what somebody must still say yes to before a request is carried out."""
        reviews, settings = await self._store.reviews(request.database, request.number), self.settings()
        if lacking := missing(request, reviews, settings):
            return lacking
        if unsure := unconfirmed(request, settings):
            what = "; ".join(finding.sentence for finding in unsure)
            return (
                f"deploy request {request.number} needs to be confirmed: {what}. When it is meant so: "
                f"headgate deploy-request confirm {request.database} {request.number}"
            )
        return None

    async def _say_yes(self, request: DeployRequest, actor: Actor, keys: Collection[str]) -> DeployRequest:
        confirmed = sorted({*request.confirmed, *keys} & _asked(request))
        log.info("request.confirmed", number=request.number, actor=actor.name, keys=confirmed)
        return await self._store.update(request, confirmed=tuple(confirmed))

    async def _review(self, request: DeployRequest, actor: Actor, state: ReviewState, body: str) -> Review:
        review = Review(new_id(), request.number, actor, state, body.strip(), now())
        return await self._store.add_review(request, review)

    async def _open(self, database: str, number: int) -> DeployRequest:
        request = await self._store.get(database, number)
        if request.state is RequestState.CLOSED:
            raise IllegalMove(
                f"deploy request {number} is closed: create a new one with: "
                f"headgate deploy-request create {database} {request.branch}"
            )
        return request


def _asked(request: DeployRequest) -> frozenset[str]:
    """Return the keys of the findings that somebody must say yes to."""
    return frozenset(finding.key for finding in request.findings if finding.asks)
