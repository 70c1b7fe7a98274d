"""I am what every path needs: the service, the names checked, and who asks."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, HTTPException, Path, Query, Request

from control.errors import NotAllowed
from control.service import Service
from router.model import Actor

PageNumber = Annotated[int, Query(alias="page", ge=1, le=1_000_000)]
PageSize = Annotated[int, Query(alias="per_page", ge=1, le=100)]
Number = Annotated[int, Path(ge=1, le=2**31 - 1)]
DATABASE = "/organizations/{org}/databases/{db}"


async def service_of(request: Request) -> Service:
    """Return the service that the application serves."""
    service: Service = request.app.state.service
    return service


def check_organization(service: Anywhere, org: str) -> None:
    """Refuse an organization other than the configured one."""
    if org != service.organization:
        raise HTTPException(404, f"there is no organization {org!r} here: there is {service.organization!r}")


def service_for(service: Anywhere, org: str, db: str) -> Service:
    """Return the service when the path's organization and database are the ones it serves."""
    check_organization(service, org)
    service.branches.check_database(db)
    return service


def who(request: Request) -> Actor:
    """Return who asks, as `authorize` found out."""
    actor = request.state.actor
    assert isinstance(actor, Actor)
    return actor


def check_acts(actor: Actor) -> Actor:
    """Return the actor, or raise NotAllowed when it may only look."""
    if actor.only_looks:
        raise NotAllowed(
            f"{actor.name!r} is a reader, and may only look: ask somebody else to do it, or an administrator "
            "for the access member with: headgate service-token create NAME --access member"
        )
    return actor


def administrator(request: Request) -> Actor:
    """Return who asks, or raise NotAllowed unless it is an administrator."""
    return check_administrator(who(request))


def check_administrator(actor: Actor, what: str = "do this") -> Actor:
    """Return the actor, or raise NotAllowed with what only an administrator may do."""
    if not actor.administrates:
        raise NotAllowed(
            f"{actor.name!r} is a {actor.role}, and only administrators may {what}: ask one to do it, or to "
            "give you the access admin with: headgate service-token create NAME --access admin"
        )
    return actor


Who = Annotated[Actor, Depends(who)]
Administrator = Annotated[Actor, Depends(administrator)]
Here = Annotated[Service, Depends(service_for)]
Anywhere = Annotated[Service, Depends(service_of)]
