"""I am the path of tables that wait to be dropped."""

from __future__ import annotations

from datetime import UTC

from fastapi import APIRouter

from control.api.paths import DATABASE, Here
from control.api.present import Json, moment, whole

router = APIRouter(prefix=DATABASE, tags=["garbage"])


@router.get("/garbage")
async def list_garbage(service: Here, db: str) -> Json:
    """List the tables that nobody needs any more; until it is dropped, RENAME brings one back."""
    return whole(
        [
            {
                "type": "GarbageTable",
                "table_name": each.table,
                "original_table_name": each.original,
                "operation_id": each.operation,
                "created_at": moment(each.since.replace(tzinfo=UTC)),
                "dropped_after": moment(each.drop_after.replace(tzinfo=UTC)),
            }
            for each in await service.garbage()
        ]
    )
