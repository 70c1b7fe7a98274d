"""I am the paths of passwords."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter, Response
from pydantic import BaseModel

from control.api.paths import DATABASE, Here, PageNumber, PageSize, Who, check_administrator
from control.api.present import Json, page, password
from control.passwords import PasswordWish
from control.service import Service
from router.model import Actor, Role
from router.records import PasswordRecord

router = APIRouter(prefix=DATABASE, tags=["passwords"])
PASSWORDS = "/branches/{name}/passwords"
PRODUCTION = "make or change passwords that reach production"


class NewPassword(BaseModel):
    """The body of a request to make a password.

    `ttl` is in seconds, `cidrs` are the networks it may be used from. Ours are: `username`, a chosen user
    name; `all_branches`, for a password that reaches every branch; `native`, to let drivers in that know only
    mysql_native_password; `password`, a chosen secret, which is kept with a slow hash.
    """

    name: str = ""
    role: Role = Role.ADMIN
    ttl: int | None = None
    cidrs: list[str] = []
    replica: bool = False
    username: str = ""
    all_branches: bool = False
    native: bool = False
    password: str = ""


class PasswordChange(BaseModel):
    """The body of a request to change a password; what is left out stays."""

    name: str | None = None
    cidrs: list[str] | None = None


@router.get("/passwords")
async def list_all_passwords(service: Here, number: PageNumber = 1, size: PageSize = 25) -> Json:
    """List the passwords of all branches."""
    return page(await _shown_all(service, await service.passwords.all()), number, size)


@router.get(PASSWORDS)
async def list_passwords(service: Here, name: str, number: PageNumber = 1, size: PageSize = 25) -> Json:
    """List the passwords that reach a branch."""
    await service.branches.get(name)
    return page(await _shown_all(service, await service.passwords.all(name)), number, size)


@router.post(PASSWORDS, status_code=201)
async def create_password(service: Here, name: str, actor: Who, body: NewPassword) -> Json:
    """Make a password; its secret is in this answer and never shown again."""
    record = await service.branches.get(name)
    if record.production or body.all_branches:
        check_administrator(actor, PRODUCTION)
    wish = PasswordWish(
        branch=None if body.all_branches else name,
        name=body.name,
        username=body.username,
        role=body.role,
        ttl_s=body.ttl or None,
        networks=body.cidrs,
        replica=body.replica,
        native=body.native,
        secret=body.password,
    )
    production = await _production(service)

    def check(earlier: PasswordRecord) -> None:
        if earlier.branch in production:
            check_administrator(actor, f"replace {earlier.username!r}, which reaches production")

    made, secret = await service.passwords.create(wish, check)
    return {**await _shown(service, made), "plain_text": secret}


@router.get(PASSWORDS + "/{password_id}")
async def get_password(service: Here, name: str, password_id: str) -> Json:
    """Show a password, without its secret."""
    record = await service.passwords.get(name, password_id)
    return await _shown(service, record)


@router.patch(PASSWORDS + "/{password_id}")
async def change_password(
    service: Here, name: str, password_id: str, actor: Who, body: PasswordChange
) -> Json:
    """Rename a password, or change the networks it may be used from."""
    await _check_change(service, name, password_id, actor)
    record = await service.passwords.change(name, password_id, name=body.name, networks=body.cidrs)
    return await _shown(service, record)


@router.post(PASSWORDS + "/{password_id}/renew")
async def renew_password(service: Here, name: str, password_id: str, actor: Who) -> Json:
    """Let a password that expires live for its whole time again."""
    await _check_change(service, name, password_id, actor)
    record = await service.passwords.renew(name, password_id)
    return await _shown(service, record)


@router.delete(PASSWORDS + "/{password_id}", status_code=204)
async def delete_password(service: Here, name: str, password_id: str, actor: Who) -> Response:
    """Delete a password; connections made with it end at once."""
    await _check_change(service, name, password_id, actor)
    await service.passwords.delete(name, password_id)
    return Response(status_code=204)


async def _shown(service: Service, record: PasswordRecord) -> Json:
    return (await _shown_all(service, [record]))[0]


async def _shown_all(service: Service, records: Sequence[PasswordRecord]) -> list[Json]:
    production = await _production(service)
    return [
        password(
            record,
            service.proxy_host,
            service.proxy_port,
            production=record.branch in production,
        )
        for record in records
    ]


async def _production(service: Service) -> frozenset[str | None]:
    """Return the branches whose passwords reach production; None are those that reach every branch."""
    found = (branch.name for branch in await service.branches.all() if branch.production)
    return frozenset({None, *found})


async def _check_change(service: Service, name: str, password_id: str, actor: Actor) -> None:
    """Raise NotAllowed when a member would change who reaches production."""
    branch = await service.branches.get(name)
    reached = await service.passwords.get(name, password_id)
    if branch.production or reached.branch is None:
        check_administrator(actor, PRODUCTION)
