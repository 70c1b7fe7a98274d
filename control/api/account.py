"""I am the paths that say who one is, who else there is, and what can be had here."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from control.api.paths import (
    DATABASE,
    Administrator,
    Anywhere,
    Here,
    PageNumber,
    PageSize,
    Who,
    check_organization,
)
from control.api.present import Json, moment, page
from control.errors import ControlError
from control.service import Service
from router.model import LOCAL, Access, Actor

router = APIRouter(tags=["account"])
ORGANIZATION = "/organizations/{org}"
ONE_DATABASE = (
    "one Headgate serves the one database that production.database names: set it in the configuration"
)


@router.get("/user")
async def get_user(service: Anywhere, actor: Who) -> Json:
    """Show who asks."""
    return {**_user(service, actor), "default_organization": service.organization}


@router.get(ORGANIZATION + "/members", dependencies=[Depends(check_organization)])
async def list_members(
    service: Anywhere, actor: Who, q: str = "", number: PageNumber = 1, size: PageSize = 25
) -> Json:
    """List who may call the API; `q` is a part of the name."""
    actors = [LOCAL, *(token.actor for token in service.people.all())]
    return page([_member(service, each) for each in actors if q in each.name], number, size)


@router.get(ORGANIZATION + "/cluster-size-skus", dependencies=[Depends(check_organization)])
async def list_sizes() -> list[Json]:
    """List the sizes that can be bought: none, what there is here is used."""
    return []


@router.get(DATABASE + "/read-only-regions")
async def list_read_only_regions(service: Here) -> Json:
    """List the regions to read from: none beside the one."""
    return page([])


@router.post(ORGANIZATION + "/databases", dependencies=[Depends(check_organization)], status_code=201)
async def create_database(actor: Administrator) -> Json:
    """Refuse to make a database."""
    raise ControlError(ONE_DATABASE)


@router.delete(DATABASE, status_code=204)
async def delete_database(service: Here, actor: Administrator) -> None:
    """Refuse to delete the database."""
    raise ControlError(f"Headgate does not delete databases: {ONE_DATABASE}")


def _user(service: Service, actor: Actor) -> Json:
    return {
        "id": actor.id,
        "type": str(actor.kind),
        "name": actor.name,
        "display_name": actor.name,
        "email": "",
        "avatar_url": "",
        "two_factor_auth_configured": False,
        "created_at": moment(service.started_at),
        "updated_at": moment(service.started_at),
    }


def _member(service: Service, actor: Actor) -> Json:
    since = moment(service.started_at)
    role = "admin" if actor.role is Access.ADMIN else "member"
    return {
        "id": actor.id,
        "role": role,
        "user": _user(service, actor),
        "created_at": since,
        "updated_at": since,
    }
