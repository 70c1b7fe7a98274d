"""I am the paths of branches."""

from __future__ import annotations

from fastapi import APIRouter, Response
from pydantic import BaseModel

from control.api.paths import DATABASE, Here, PageNumber, PageSize
from control.api.present import Json, branch, diff, page
from migrator.schema.diff import unified_diff
from migrator.schema.render import canonical_text

router = APIRouter(prefix=DATABASE, tags=["branches"])


class NewBranch(BaseModel):
    """The body of a request to make a branch."""

    name: str
    parent_branch: str = ""


@router.get("/branches")
async def list_branches(service: Here, number: PageNumber = 1, size: PageSize = 25) -> Json:
    """List the branches of a database."""
    records = await service.branches.all()
    shown = [branch(record, service.base_url, service.branches.asleep(record)) for record in records]
    return page(shown, number, size)


@router.post("/branches", status_code=201)
async def create_branch(service: Here, body: NewBranch) -> Json:
    """Make a branch with its parent's schema, on a server of its own."""
    record = await service.branches.create(body.name, body.parent_branch)
    return branch(record, service.base_url, asleep=False)


@router.get("/branches/{name}")
async def get_branch(service: Here, name: str) -> Json:
    """Show a branch."""
    record = await service.branches.get(name)
    return branch(record, service.base_url, service.branches.asleep(record))


@router.delete("/branches/{name}", status_code=204)
async def delete_branch(service: Here, name: str) -> Response:
    """Delete a development branch."""
    await service.delete_branch(name)
    return Response(status_code=204)


@router.get("/branches/{name}/schema")
async def get_schema(service: Here, name: str) -> Json:
    """Show the definitions of a branch's tables."""
    schema = await service.branches.read(name)
    return diff({table.name: canonical_text(table) for table in schema.tables.values()})


@router.get("/branches/{name}/diff")
async def get_diff(service: Here, name: str) -> Json:
    """Show what has changed on a branch since it was made."""
    before = await service.branches.base(name)
    return diff(unified_diff(before, await service.branches.read(name)))
