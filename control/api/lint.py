"""I am the paths of what people live with among the findings of lint."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from control.api.paths import DATABASE, Administrator, Here, PageNumber, PageSize
from control.api.present import Json, moment, page
from control.service import Service
from migrator.schema.lint.suppression import Suppression

router = APIRouter(prefix=DATABASE, tags=["lint"])

ONE = "/lint-suppressions/{suppression_id}"


class NewSuppression(BaseModel):
    """The body of a request to live with findings: of a rule, of one table, of one deploy request."""

    lint_error: str
    reason: Annotated[str, Field(max_length=1000)]
    table_name: str = ""
    element: str = ""
    deploy_request: Annotated[int, Field(ge=1)] | None = None


@router.get("/lint-suppressions")
async def list_suppressions(service: Here, number: PageNumber = 1, size: PageSize = 25) -> Json:
    """List which findings are lived with, why, and on whose word, oldest first."""
    return page([_suppression(each) for each in await service.lints.suppressions()], number, size)


@router.post("/lint-suppressions", status_code=201)
async def suppress(service: Here, db: str, actor: Administrator, body: NewSuppression) -> Json:
    """Let findings of a rule be lived with from now on, for a reason; open requests are checked again."""
    if body.deploy_request is not None:
        await service.deploys.get(db, body.deploy_request)
    made = await service.lints.suppress(
        body.lint_error,
        body.reason,
        actor.name,
        subject=body.table_name,
        element=body.element,
        number=body.deploy_request,
    )
    await _recheck(service, db, made)
    return _suppression(made)


@router.delete(ONE, status_code=204, response_class=Response)
async def unsuppress(service: Here, db: str, actor: Administrator, suppression_id: str) -> Response:
    """Let findings count again; open requests are checked again."""
    await _recheck(service, db, await service.lints.unsuppress(suppression_id))
    return Response(status_code=204)


async def _recheck(service: Service, database: str, word: Suppression) -> None:
    if word.number is None:
        await service.deploys.follow(database)
    else:
        await service.deploys.recheck(database, word.number)


def _suppression(word: Suppression) -> Json:
    return {
        "id": word.id,
        "lint_error": word.code,
        "table_name": word.subject or None,
        "element": word.element or None,
        "deploy_request": word.number,
        "reason": word.reason,
        "author": word.author,
        "created_at": moment(word.created_at),
    }
