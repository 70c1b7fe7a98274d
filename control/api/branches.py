"""I am the paths of branches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from control.api import html
from control.api.findings import lint_entry
from control.api.paths import DATABASE, Administrator, Here, PageNumber, PageSize, Who, check_administrator
from control.api.present import Json, branch, page
from control.api.recorder import note, note_done
from control.errors import ControlError
from control.service import Service
from migrator.schema.diff import unified_diff
from migrator.schema.masks import parse_mask
from migrator.schema.render import canonical_text
from migrator.schema.seed import Amount, Wish
from router.records import BranchRecord

router = APIRouter(prefix=DATABASE, tags=["branches"])

ONE = "/branches/{name}"


class NewBranch(BaseModel):
    """The body of a request to make a branch; `ttl` is in seconds.

    `seed_data` is `all` or `sample`, else it gets no rows; a sample has `rows` or `percent` of each table.
    `masks` say what takes the place of values, each as `table.column=how`.
    """

    name: str
    parent_branch: str = ""
    deletion_protected: bool = False
    ttl: int | None = None
    seed_data: Literal["", "all", "sample", "last_successful_backup"] = ""
    rows: int | None = None
    percent: float | None = None
    masks: list[str] = []

    @property
    def wish(self) -> Wish | None:
        """Which rows it is to have, None for none. Raises SchemaError."""
        if not self.seed_data:
            if self.rows is not None or self.percent is not None or self.masks:
                raise ControlError("rows, percent and masks belong to a copy: say seed_data all or sample")
            return None
        amount = Amount.SAMPLE if self.seed_data == "sample" else Amount.ALL
        return Wish(amount, self.rows, self.percent, tuple(parse_mask(text) for text in self.masks))


class BranchChange(BaseModel):
    """The body of a request to change a branch; what is left out stays. A `ttl` of 0 is for ever."""

    new_name: str | None = None
    deletion_protected: bool | None = None
    ttl: int | None = None


class Rebase(BaseModel):
    """The body of a request to rebase a branch: onto which, and whether its side of conflicts is given up."""

    onto: str = ""
    drop_conflicts: bool = False


class SafeMigrations(BaseModel):
    """The body of a request to set safe migrations."""

    safe_migrations: bool


class Default(BaseModel):
    """The body of a request to make a branch the default: whether it takes over the children of the last."""

    adopt_children: bool = False


def _shown(service: Service, record: BranchRecord) -> Json:
    shown = branch(record, service.base_url, service.branches.asleep(record))
    progress = service.seeds.progress(record)
    shown["stale_schema"] = record.id in service.branches.stale
    return {**shown, "seeding": None if progress is None else asdict(progress)}


def _texts(texts: Mapping[str, str], show: Callable[[str], str]) -> Json:
    """Return texts by name, plain and as HTML."""
    return {"data": [{"name": name, "raw": text, "html": show(text)} for name, text in texts.items()]}


@router.get("/branches")
async def list_branches(
    service: Here,
    *,
    q: str = "",
    production: bool | None = None,
    safe_migrations: bool | None = None,
    order: Literal["asc", "desc"] = "asc",
    number: PageNumber = 1,
    size: PageSize = 25,
) -> Json:
    """List the branches of a database, by age; `q` is a part of the name."""
    records = [
        record
        for record in await service.branches.all()
        if q in record.name
        and production in (None, record.production)
        and safe_migrations in (None, record.safe_migrations)
    ]
    if order == "desc":
        records.reverse()
    return page([_shown(service, record) for record in records], number, size)


@router.post("/branches", status_code=201)
async def create_branch(request: Request, service: Here, actor: Who, body: NewBranch) -> Json:
    """Make a branch with its parent's schema, on a server of its own; with rows it is ready only later."""
    how: dict[str, Any] = {"protected": body.deletion_protected, "ttl_s": body.ttl, "actor": actor}
    if body.wish is None:
        record = await service.branches.create(body.name, body.parent_branch, **how)
    else:
        record = await service.seeds.create(body.name, body.parent_branch, body.wish, **how)
        note(request, seed_data=body.seed_data, masks=body.masks)
    return _shown(service, record)


@router.get(ONE)
async def get_branch(service: Here, name: str) -> Json:
    """Show a branch."""
    return _shown(service, await service.branches.get(name))


@router.patch(ONE)
async def change_branch(request: Request, service: Here, name: str, actor: Who, body: BranchChange) -> Json:
    """Rename a branch, protect it from being deleted, or say how long it lives."""
    if (await service.branches.get(name)).production:
        check_administrator(actor, f"change the production branch {name!r}")
    asked = body.model_dump(exclude_none=True)
    record = await service.standing.change(name, protected=body.deletion_protected, ttl_s=body.ttl)
    if done := {key: value for key, value in asked.items() if key != "new_name"}:
        note_done(request, **done)
    if body.new_name and body.new_name != name:
        record = await service.standing.rename(name, body.new_name)
    note(request, **asked)
    return _shown(service, record)


@router.delete(ONE, status_code=204)
async def delete_branch(
    request: Request, service: Here, name: str, actor: Who, delete_descendants: bool = False
) -> Response:
    """Delete a branch, its server and its passwords, and if asked to those that were made from it."""

    def tell(gone: list[str]) -> None:
        note_done(request, branches=gone)

    await service.standing.delete(name, descendants=delete_descendants, actor=actor, tell=tell)
    return Response(status_code=204)


@router.post(ONE + "/promote")
async def promote(service: Here, name: str, actor: Administrator) -> Json:
    """Make a branch production."""
    return _shown(service, await service.standing.promote(name))


@router.post(ONE + "/demote")
async def demote(service: Here, name: str, actor: Administrator) -> Json:
    """Make a production branch a development branch."""
    return _shown(service, await service.standing.demote(name))


@router.post(ONE + "/default")
async def make_default(service: Here, name: str, actor: Administrator, body: Default | None = None) -> Json:
    """Make a branch the one that others are made from and deployed into."""
    adopt = body is not None and body.adopt_children
    return _shown(service, await service.standing.make_default(name, adopt=adopt))


@router.post(ONE + "/safe-migrations")
async def enable_safe_migrations(service: Here, name: str, actor: Administrator) -> Json:
    """Refuse direct DDL on a branch, and take deploy requests into it."""
    return _shown(service, await service.standing.enable_safe_migrations(name))


@router.put(ONE + "/safe-migrations")
async def set_safe_migrations(service: Here, name: str, actor: Administrator, body: SafeMigrations) -> Json:
    """Turn the safe migrations of a branch on or off."""
    standing = service.standing
    turn = standing.enable_safe_migrations if body.safe_migrations else standing.disable_safe_migrations
    return _shown(service, await turn(name))


@router.delete(ONE + "/safe-migrations")
async def disable_safe_migrations(service: Here, name: str, actor: Administrator) -> Json:
    """Take direct DDL on a branch again."""
    return _shown(service, await service.standing.disable_safe_migrations(name))


@router.post(ONE + "/rebase")
async def rebase(request: Request, service: Here, name: str, actor: Who, body: Rebase | None = None) -> Json:
    """Make a branch's own change anew on its parent, or another branch, as that is now."""
    if (await service.branches.get(name)).safe_migrations:
        check_administrator(actor, f"rebase branch {name!r}, whose safe migrations let nobody else change it")
    asked = body or Rebase()
    done = await service.standing.rebase(name, asked.onto, drop_conflicts=asked.drop_conflicts)
    note(request, onto=done.onto, left_out=len(done.left_out))
    return {
        **_shown(service, done.record),
        "onto": done.onto,
        "changes": _texts(done.changes, html.of_diff)["data"],
        "left_out": [conflict.sentence for conflict in done.left_out],
        "notes": list(done.notes),
    }


@router.get(ONE + "/schema")
async def get_schema(service: Here, name: str) -> Json:
    """Show the definitions of a branch's tables."""
    schema = await service.branches.refresh(name)
    return _texts({table.name: canonical_text(table) for table in schema.tables.values()}, html.of_sql)


@router.get(ONE + "/schema/lint")
async def lint_schema(service: Here, db: str, name: str) -> Json:
    """List what all lint rules find in the schema of a branch."""
    return {"data": [lint_entry(finding, db) for finding in await service.lints.of_branch(name)]}


@router.post(ONE + "/refresh-schema")
async def refresh_schema(service: Here, name: str) -> Json:
    """Read the schema of a branch again, and see whether it has changed."""
    await service.branches.refresh(name)
    return _shown(service, await service.branches.get(name))


@router.get(ONE + "/diff")
async def get_diff(service: Here, name: str) -> Json:
    """Show what has changed on a branch since it was made."""
    before = await service.branches.base(name)
    return _texts(unified_diff(before, await service.branches.refresh(name)), html.of_diff)
