"""I am the paths that show how connections to a branch's server are used."""

from __future__ import annotations

from fastapi import APIRouter

from control.api.paths import DATABASE, Here, PageNumber, PageSize
from control.api.present import Json, page, pinned, pool

router = APIRouter(prefix=DATABASE, tags=["pools"])


@router.get("/branches/{name}/pools")
async def list_pools(service: Here, name: str, number: PageNumber = 1, size: PageSize = 25) -> Json:
    """List what each worker's connections to a branch's server are doing."""
    record = await service.branches.get(name)
    pools = service.workers.metrics.pools(record.database, name)
    return page([pool(worker, stats) for worker, stats in sorted(pools.items())], number, size)


@router.get("/branches/{name}/pinned")
async def list_pinned(service: Here, name: str, number: PageNumber = 1, size: PageSize = 25) -> Json:
    """List the clients that keep their connection to the server, and why, longest first."""
    record = await service.branches.get(name)
    clients = service.workers.metrics.pinned(record.database, name)
    return page([pinned(client) for client in clients], number, size)
