"""I am the paths that say where one is: organizations, regions, and which databases there are."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request

from control.api.paths import Administrator, check_organization
from control.api.present import REGION, Json, database, organization, page
from control.service import Service

router = APIRouter(tags=["places"])


@router.get("/organizations")
async def list_organizations(request: Request) -> Json:
    """List the one organization there is."""
    service: Service = request.app.state.service
    return page([organization(service.organization, service.started_at)])


@router.get("/regions")
@router.get("/organizations/{org}/regions", dependencies=[Depends(check_organization)])
async def list_regions() -> Json:
    """List the one region there is."""
    return page([REGION])


@router.get("/organizations/{org}", dependencies=[Depends(check_organization)])
async def get_organization(request: Request) -> Json:
    """Show the organization."""
    service: Service = request.app.state.service
    return organization(service.organization, service.started_at)


@router.get("/organizations/{org}/databases", dependencies=[Depends(check_organization)])
async def list_databases(request: Request) -> Json:
    """List the databases."""
    service: Service = request.app.state.service
    name = service.branches.production.database
    branches = await service.branches.all()
    recommended = len(await service.recommendations.all("open"))
    return page([database(name, service.base_url, branches, service.databases.decided, recommended)])


@router.post("/organizations/{org}/reload", dependencies=[Depends(check_organization)])
async def reload(request: Request, actor: Administrator) -> Json:
    """Read the configuration again: the answer names the settings that were taken, and those that wait."""
    service: Service = request.app.state.service
    outcome = await service.reload()
    return {"taken": outcome.taken, "waiting": outcome.waiting}
