"""I am the paths of schema recommendations."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from control.api.paths import DATABASE, Here, Number, PageNumber, PageSize, Who
from control.api.present import Json, moment, page, whole
from control.api.present import actor as present_actor
from control.api.recorder import note_done
from control.service import Service
from migrator.deploy.recommended import Recommended

router = APIRouter(prefix=DATABASE, tags=["schema recommendations"])

ONE = "/schema-recommendations/{number}"


class Dismissal(BaseModel):
    """The body of a request to dismiss a recommendation."""

    reason: Annotated[str, Field(max_length=500)] = ""


class Application(BaseModel):
    """The body of a request to apply a recommendation: the branch to make, and whether to propose it."""

    branch: str = ""
    deploy_request: bool = False


@router.get("/schema-recommendations")
async def list_recommendations(
    service: Here, state: str = "", number: PageNumber = 1, size: PageSize = 25
) -> Json:
    """List recommendations, newest first; those in one state when it is named."""
    records = await service.recommendations.all(state)
    return page([await _shown(service, record) for record in records], number, size)


@router.post("/schema-recommendations/refresh")
async def refresh_recommendations(service: Here) -> Json:
    """Look at production now, not only once a day; the answer lists what is newly recommended."""
    records = await service.recommendations.look()
    return whole([await _shown(service, record) for record in records])


@router.get(ONE)
async def get_recommendation(service: Here, number: Number) -> Json:
    """Show a recommendation."""
    return await _shown(service, await service.recommendations.get(number))


@router.post(ONE + "/dismiss")
async def dismiss_recommendation(
    service: Here, number: Number, actor: Who, body: Dismissal | None = None
) -> Json:
    """Put a recommendation aside for good."""
    reason = body.reason if body else ""
    return await _shown(service, await service.recommendations.dismiss(number, actor, reason))


@router.post(ONE + "/apply")
async def apply_recommendation(
    http: Request, service: Here, db: str, number: Number, actor: Who, body: Application | None = None
) -> Json:
    """Make a branch with the change applied, and a deploy request for it when that is asked for."""
    asked = body or Application()
    record = await service.recommendations.apply(number, asked.branch)
    note_done(http, branch=record.branch)
    shown: Json = {"schema_recommendation": await _shown(service, record), "deploy_request": None}
    if asked.deploy_request:
        assert record.branch is not None
        each = record.recommendation
        request = await service.create_deploy_request(
            record.branch, "", f"{each.title}: {each.reason}", actor
        )
        shown["deploy_request"] = {"id": request.id, "number": request.number, "state": str(request.state)}
    return shown


async def _shown(service: Service, record: Recommended) -> Json:
    each = record.recommendation
    closed_by: Json | None = None
    if record.closed_by is not None:
        request = await service.deploys.get(record.database, record.closed_by)
        closed_by = {"id": request.id, "branch_id": request.branch, "number": request.number}
    return {
        "id": record.id,
        "type": "SchemaRecommendation",
        "html_url": f"{service.base_url}/{record.database}/schema-recommendations/{record.number}",
        "title": each.title,
        "table_name": each.table,
        "keyspace": record.database,
        "ddl_statement": ";\n".join(each.statements),
        "number": record.number,
        "state": str(record.standing),
        "recommendation_type": str(each.kind),
        "reason": each.reason,
        "branch": record.branch,
        "created_at": moment(record.created_at),
        "updated_at": moment(record.updated_at),
        "applied_at": moment(record.applied_at),
        "dismissed_at": moment(record.dismissed_at),
        "dismissed_reason": record.dismissed_reason,
        "dismissed_by": present_actor(record.dismissed_by) if record.dismissed_by else None,
        "closed_by_deploy_request": closed_by,
    }
