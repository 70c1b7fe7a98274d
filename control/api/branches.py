"""I am the paths of branches and their passwords."""

from __future__ import annotations

from fastapi import APIRouter, Response
from pydantic import BaseModel

from control.api.paths import DATABASE, Here, PageNumber, PageSize
from control.api.present import Json, branch, diff, page, password
from migrator.schema.diff import unified_diff
from migrator.schema.render import canonical_text

router = APIRouter(prefix=DATABASE, tags=["branches"])


class NewBranch(BaseModel):
    """The body of a request to make a branch."""

    name: str
    parent_branch: str = ""


class NewPassword(BaseModel):
    """The body of a request to make a password.

    `username` and `all_branches` are ours: a chosen user name, and a password that reaches every branch.
    """

    name: str = ""
    username: str = ""
    all_branches: bool = False


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


@router.get("/branches/{name}/passwords")
async def list_passwords(service: Here, name: str, number: PageNumber = 1, size: PageSize = 25) -> Json:
    """List the passwords that reach a branch."""
    await service.branches.get(name)
    records = await service.branches.passwords(name)
    shown = [password(record, service.proxy_host, service.proxy_port) for record in records]
    return page(shown, number, size)


@router.post("/branches/{name}/passwords", status_code=201)
async def create_password(service: Here, name: str, body: NewPassword) -> Json:
    """Make a password; its secret is in this answer and never shown again."""
    await service.branches.get(name)
    bound = None if body.all_branches else name
    record, secret = await service.branches.create_password(bound, body.name, body.username)
    return password(record, service.proxy_host, service.proxy_port, secret)


@router.delete("/branches/{name}/passwords/{password_id}", status_code=204)
async def delete_password(service: Here, name: str, password_id: str) -> Response:
    """Delete a password."""
    await service.branches.delete_password(name, password_id)
    return Response(status_code=204)
