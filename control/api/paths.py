"""I am what every path below a database needs: the service, and the names checked."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, HTTPException, Path, Query, Request

from control.service import Service

PageNumber = Annotated[int, Query(alias="page", ge=1, le=1_000_000)]
PageSize = Annotated[int, Query(alias="per_page", ge=1, le=100)]
Number = Annotated[int, Path(ge=1, le=2**31 - 1)]
DATABASE = "/organizations/{org}/databases/{db}"


def check_organization(request: Request, org: str) -> None:
    """Refuse an organization other than the configured one."""
    service: Service = request.app.state.service
    if org != service.organization:
        raise HTTPException(404, f"there is no organization {org!r} here: there is {service.organization!r}")


def service_for(request: Request, org: str, db: str) -> Service:
    """Return the service when the path's organization and database are the ones it serves."""
    check_organization(request, org)
    service: Service = request.app.state.service
    service.branches.check_database(db)
    return service


Here = Annotated[Service, Depends(service_for)]
