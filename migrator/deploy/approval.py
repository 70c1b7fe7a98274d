"""I say who may approve a deploy request, and whether it has been approved."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from migrator.deploy.request import DeployRequest
from migrator.deploy.settings import DatabaseSettings
from migrator.schema.lint.finding import Finding
from migrator.schema.lint.rows import SILENT_LOSS
from router.model import LOCAL, Actor, ActorKind


class ReviewState(StrEnum):
    """What somebody who looked at a deploy request says."""

    COMMENTED = "commented"
    APPROVED = "approved"


@dataclass(frozen=True, slots=True)
class Review:
    """A comment or an approval. One that is dismissed was given to a proposal that has changed since."""

    id: str
    number: int
    actor: Actor
    state: ReviewState
    body: str
    created_at: datetime
    dismissed_at: datetime | None = None

    @property
    def approves(self) -> bool:
        """Whether it counts as an approval."""
        return self.state is ReviewState.APPROVED and self.dismissed_at is None


def refusal(request: DeployRequest, actor: Actor, administrators: int) -> str | None:
    """Say why somebody may not approve a request, None when he may.

    `administrators` is the number of people who administrate the database.
    """
    author = request.actor
    if not actor.administrates:
        return f"{actor.name} is no administrator of database {request.database}: ask one to approve it"
    if actor.id == author.id and actor.kind is ActorKind.SERVICE_TOKEN:
        return "a service token cannot approve the deploy request it has made: ask an administrator"
    # Where nobody else could, the only administrator may.
    if administrators <= 1 or person(actor) != person(author):
        return None
    if actor.id == author.id:
        return f"{actor.name} has made it: ask another administrator"
    if actor.id == author.made_by:
        return f"it was made by {author.name}, a token of {actor.name}: ask another administrator"
    return f"it was made by {author.name}, and {actor.name} is a token of the same administrator: ask another"


def person(actor: Actor) -> str:
    """Return the id of who answers for an actor: of a token that an administrator has made, that one."""
    return actor.id if actor.made_by in ("", LOCAL.id) else actor.made_by


def approvers(request: DeployRequest, reviews: Iterable[Review]) -> frozenset[str]:
    """Return the ids of those whose approval of a request stands; all tokens of one person count as one."""
    return frozenset(
        person(review.actor) for review in reviews if review.number == request.number and review.approves
    )


def missing(request: DeployRequest, reviews: Sequence[Review], settings: DatabaseSettings) -> str | None:
    """Say what a request still lacks before it may be deployed, None when it has been approved enough."""
    if not settings.require_approval:
        return None
    have, need = len(approvers(request, reviews)), settings.required_approvals
    if have >= need:
        return None
    some = f"{need} approvals, and has {have}" if need > 1 else "an approval"
    return (
        f"deploy request {request.number} needs {some}: an administrator gives one with: "
        f"headgate deploy-request review {request.database} {request.number} --approve"
    )


def unconfirmed(request: DeployRequest, settings: DatabaseSettings) -> tuple[Finding, ...]:
    """Return the findings that somebody must say yes to before a request may be deployed.

    Who allows losses says yes to those of digits and the like.
    """
    if not settings.confirm_destructive:
        return ()
    allowed = {SILENT_LOSS} if request.allow_lossy else set()
    return tuple(
        finding
        for finding in request.findings
        if finding.asks and finding.code not in allowed and finding.key not in request.confirmed
    )
