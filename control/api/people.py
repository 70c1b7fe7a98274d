"""I am the paths of service tokens: who may call the API."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel

from control.api.paths import Administrator, Anywhere, PageNumber, PageSize, check_organization
from control.api.present import Json, page, service_token
from router.model import Access

router = APIRouter(
    prefix="/organizations/{org}/service-tokens",
    tags=["service tokens"],
    dependencies=[Depends(check_organization)],
)


class NewToken(BaseModel):
    """The body of a request to make a service token; `ttl` is in seconds, `access` is ours."""

    name: str = "unnamed"
    ttl: int | None = None
    access: Access = Access.MEMBER


@router.get("")
async def list_tokens(
    service: Anywhere, actor: Administrator, number: PageNumber = 1, size: PageSize = 25
) -> Json:
    """List the service tokens, without their secrets."""
    return page([service_token(token) for token in service.people.all()], number, size)


@router.post("")
async def create_token(service: Anywhere, actor: Administrator, body: NewToken | None = None) -> Json:
    """Make a service token; its secret is in this answer and never shown again."""
    asked = body or NewToken()
    token, secret = await service.people.create(asked.name, asked.access, actor, asked.ttl or None)
    return service_token(token, secret)


@router.get("/{token_id}")
async def get_token(service: Anywhere, actor: Administrator, token_id: str) -> Json:
    """Show a service token, without its secret."""
    return service_token(service.people.get(token_id))


@router.delete("/{token_id}", status_code=204)
async def delete_token(service: Anywhere, actor: Administrator, token_id: str) -> Response:
    """Delete a service token; it lets nobody in from now on."""
    await service.people.delete(token_id)
    return Response(status_code=204)
