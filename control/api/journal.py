"""I am the path of the audit log."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from control.api.paths import Administrator, Anywhere, check_organization
from control.api.present import Json, moment
from control.journal import PAGE_MAX, Entry

router = APIRouter(
    prefix="/organizations/{org}", tags=["audit log"], dependencies=[Depends(check_organization)]
)

FILTER = "audit_action:"


@router.get("/audit-log")
async def list_entries(
    service: Anywhere,
    actor: Administrator,
    filters: Annotated[list[str] | None, Query(alias="filters[]")] = None,
    starting_after: str = "",
    ending_before: str = "",
    limit: Annotated[int, Query(ge=1, le=PAGE_MAX)] = 25,
) -> Json:
    """List what people have changed, newest first; `filters[]=audit_action:…` chooses actions."""
    actions = [given.removeprefix(FILTER) for given in filters or () if given.startswith(FILTER)]
    found = await service.journal.entries(
        actions=actions, after=starting_after, before=ending_before, limit=limit
    )
    return {
        "type": "list",
        "has_next": found.older,
        "has_prev": found.newer,
        "cursor_start": found.entries[0].id if found.entries else None,
        "cursor_end": found.entries[-1].id if found.entries else None,
        "data": [_entry(entry) for entry in found.entries],
    }


def _entry(entry: Entry) -> Json:
    subject = entry.subject
    return {
        "id": entry.id,
        "type": "AuditLogEvent",
        "actor_id": entry.actor.id,
        "actor_type": str(entry.actor.kind),
        "actor_display_name": entry.actor.name,
        "auditable_id": subject.id,
        "auditable_type": subject.kind,
        "auditable_display_name": subject.name,
        "audit_action": entry.action,
        "action": entry.action.rpartition(".")[2],
        "location": "",
        "remote_ip": entry.remote_ip,
        "target_id": subject.id,
        "target_type": subject.kind,
        "target_display_name": subject.name,
        "metadata": dict(entry.details),
        "created_at": moment(entry.at),
        "updated_at": moment(entry.at),
    }
