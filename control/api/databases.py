"""I am the paths of a database's settings."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Any, Final

from fastapi import APIRouter, Body, Request

from control.api.paths import DATABASE, Administrator, Here
from control.api.present import Json, database
from control.api.recorder import note, note_done
from control.errors import ControlError
from control.service import Service
from migrator.deploy.settings import DatabaseSettings

router = APIRouter(prefix=DATABASE, tags=["databases"])

THEIRS: Final = {
    "require_approval_for_deploy": "require_approval",
    "migration_table_name": "migration_table",
    "allow_foreign_key_constraints": "allow_foreign_keys",
    "deletion_protected": "delete_protection",
}
"""What PlanetScale's clients call a setting, and its name here."""
OURS: Final = frozenset(field.name for field in dataclasses.fields(DatabaseSettings))


@router.get("")
async def get_database(service: Here) -> Json:
    """Show a database with its settings."""
    return await shown(service)


@router.patch("")
async def change_database(
    request: Request, service: Here, db: str, actor: Administrator, body: Annotated[dict[str, Any], Body()]
) -> Json:
    """Change settings of a database, all that are given or none; what is not known is ignored."""
    if body.get("new_name", db) != db:
        raise ControlError(f"database {db!r} is named by the setting production.database: change it there")
    changes = {
        THEIRS.get(name, name): "" if value is None else value
        for name, value in body.items()
        if THEIRS.get(name, name) in OURS
    }
    if body.get("automatic_migrations") is False:
        changes |= {"migration_framework": "", "migration_table": ""}
    await service.change_settings(changes)
    if changes:
        note_done(request, **changes)
    if default := body.get("default_branch"):
        await service.standing.make_default(str(default))
        changes["default_branch"] = default
    note(request, **changes)
    return await shown(service)


@router.get("/aggressive-cutover")
async def get_aggressive_cutover(service: Here) -> Json:
    """Say whether cut-overs kill at once what holds their tables."""
    return {"enabled": service.databases.settings().aggressive_cutover}


@router.post("/aggressive-cutover")
async def enable_aggressive_cutover(service: Here, actor: Administrator) -> Json:
    """Have the cut-overs of future deploy requests kill at once what holds their tables."""
    await service.change_settings({"aggressive_cutover": True})
    return {"enabled": True}


@router.delete("/aggressive-cutover")
async def disable_aggressive_cutover(service: Here, actor: Administrator) -> Json:
    """Have the cut-overs of future deploy requests wait for what holds their tables."""
    await service.change_settings({"aggressive_cutover": False})
    return {"enabled": False}


async def shown(service: Service) -> Json:
    """Return the database that is served, as the API shows it."""
    name = service.branches.production.database
    branches, recommended = await service.branches.all(), await service.recommendations.all("open")
    return database(name, service.base_url, branches, service.databases.decided, len(recommended))
