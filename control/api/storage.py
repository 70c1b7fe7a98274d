"""I am the path of what a deploy request will take: room on the disk, and time."""

from __future__ import annotations

from fastapi import APIRouter

from control.api.paths import DATABASE, Here, Number
from control.api.present import Json
from control.storage import Costs

router = APIRouter(prefix=DATABASE, tags=["deploy requests"])


@router.get("/deploy-requests/{number}/storage-check")
async def check_storage(service: Here, db: str, number: Number) -> Json:
    """Say how much room and time the copies of a deploy request need, and whether there is the room."""
    costs = await service.costs(await service.deploys.get(db, number))
    duration = costs.duration
    return {
        "enough_storage": costs.need.enough,
        "upgradeable": False,
        "storage_bytes_needed": costs.need.bytes_needed,
        "storage_report": {
            "sentence": costs.need.sentence,
            "free_bytes": costs.need.disk.free_bytes,
            "tables": [_table(costs, table) for table in costs.need.tables],
        },
        "estimate": str(duration) if duration else None,
    }


def _table(costs: Costs, table: str) -> Json:
    duration = costs.durations.get(table)
    return {
        "table_name": table,
        "storage_bytes_needed": costs.need.tables[table],
        "rows": costs.rows[table],
        "estimated_seconds": round(duration.likely_s) if duration else None,
        "estimated_low_seconds": round(duration.low_s) if duration else None,
        "estimated_high_seconds": round(duration.high_s) if duration else None,
    }
