"""I am the paths that say where one is: organizations, regions, and which databases there are."""

from __future__ import annotations

from fastapi import APIRouter, Depends

from control.api import databases
from control.api.paths import Administrator, Anywhere, check_organization
from control.api.present import REGION, Json, organization, page

router = APIRouter(tags=["places"])


@router.get("/organizations")
async def list_organizations(service: Anywhere) -> Json:
    """List the one organization there is."""
    return page([organization(service.organization, service.started_at)])


@router.get("/regions")
@router.get("/organizations/{org}/regions", dependencies=[Depends(check_organization)])
async def list_regions() -> Json:
    """List the one region there is."""
    return page([REGION])


@router.get("/organizations/{org}", dependencies=[Depends(check_organization)])
async def get_organization(service: Anywhere) -> Json:
    """Show the organization."""
    return organization(service.organization, service.started_at)


@router.get("/organizations/{org}/databases", dependencies=[Depends(check_organization)])
async def list_databases(service: Anywhere) -> Json:
    """List the databases."""
    return page([await databases.shown(service)])


@router.post("/organizations/{org}/reload", dependencies=[Depends(check_organization)])
async def reload(service: Anywhere, actor: Administrator) -> Json:
    """Read the configuration again: the answer names the settings that were taken, and those that wait."""
    outcome = await service.reload()
    return {"taken": outcome.taken, "waiting": outcome.waiting}
