"""I am what follows from the record of a branch: its server, its route, how long it lives."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from control.errors import ControlError
from control.production import Production
from router.clock import now
from router.model import Branch, PoolMode, Server
from router.records import BranchRecord
from router.servers.options import Purpose

SERVER_PREFIX: Final = "branch-"
TTL_MAX_S: Final = 366 * 24 * 3600


def server_name(record: BranchRecord) -> str:
    """Return what the local server of a branch is called; it follows no renaming."""
    return SERVER_PREFIX + record.id


def lasting(record: BranchRecord, ttl_s: int) -> dict[str, Any]:
    """Return what lets a branch live for so many seconds from now, 0 for ever; ControlError if it cannot."""
    if ttl_s and (record.production or record.is_default):
        raise ControlError(f"branch {record.name!r} is production or the default: it lives for ever")
    if not 0 <= ttl_s <= TTL_MAX_S:
        raise ControlError(f"a branch lives for 1 to {TTL_MAX_S} seconds, or 0 for ever, not {ttl_s}")
    expires_at = now() + timedelta(seconds=ttl_s) if ttl_s else None
    return {"ttl_s": ttl_s or None, "expires_at": expires_at}


def digest(schema: str) -> str:
    """Return what tells a schema, as text, from others."""
    return hashlib.sha256(schema.encode("utf-8", "surrogateescape")).hexdigest()


def purpose_of(record: BranchRecord) -> Purpose:
    """Return what the local server of a branch is for."""
    if record.production:
        return Purpose.PRODUCTION
    return Purpose.TARGET if record.safe_migrations else Purpose.BRANCH


def route_of(
    record: BranchRecord, production: Production, pool_mode: PoolMode, local: Server | None
) -> Branch:
    """Return a branch as the routing table has it; `local` is its own server, if it has one that is known."""
    branch = Branch(
        database=record.database,
        name=record.name,
        schema=production.schema,
        production=record.production,
        safe_migrations=record.safe_migrations,
        # Production goes on without control, which keeps it running.
        sleepable=not record.production,
        server=local if record.local else production.traffic,
        pool_mode=pool_mode,
        local_infile=True,
        is_default=record.is_default,
    )
    if record.local:
        return branch
    return replace(
        branch,
        pool_mode=production.pool_mode,
        require_tls=production.require_tls,
        local_infile=production.local_infile,
        accounts=production.accounts,
        replicas=production.replicas,
        replica_fallback=production.replica_fallback,
    )
