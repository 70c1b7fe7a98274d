"""I put our records into the shapes of the API; `deployment` does so with deploy requests."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from control.branches import MAIN
from control.databases import Decided
from control.people import ServiceToken
from proxy.channel import PinnedClient, PoolStats
from router.clock import now
from router.model import LOCAL, Actor
from router.records import BranchRecord, PasswordRecord

Json = dict[str, Any]

REGION: Json = {
    "id": "local",
    "slug": "local",
    "provider": "self-hosted",
    "display_name": "Self-hosted",
    "location": "Self-hosted",
    "enabled": True,
    "current_default": True,
    "public_ip_addresses": [],
    "mysql_supported": True,
    "postgresql_supported": False,
}


def actor(who: Actor) -> Json:
    """Return who has done something."""
    return {"type": str(who.kind), "id": who.id, "display_name": who.name, "avatar_url": ""}


ACTOR: Json = actor(LOCAL)


def moment(at: datetime | None) -> str | None:
    """Return a time as RFC 3339 in UTC with milliseconds."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z" if at else None


def page(items: Sequence[Any], number: int = 1, size: int = 25) -> Json:
    """Return one page of a list."""
    start = (number - 1) * size
    more = start + size < len(items)
    return {
        "type": "list",
        "current_page": number,
        "per_page": size,
        "next_page": number + 1 if more else None,
        "next_page_url": None,
        "prev_page": number - 1 if number > 1 else None,
        "prev_page_url": None,
        "data": list(items[start : start + size]),
    }


def whole(items: Sequence[Any]) -> Json:
    """Return a list that is given whole, as its only page."""
    return page(items, 1, max(len(items), 1))


def organization(name: str, since: datetime) -> Json:
    """Return the one organization there is."""
    return {
        "id": name,
        "name": name,
        "created_at": moment(since),
        "updated_at": moment(since),
        "free_databases_remaining": 0,
        "plan": "self-hosted",
        "database_count": 1,
        "sso": False,
    }


def service_token(token: ServiceToken, secret: str | None = None) -> Json:
    """Return a service token; its secret only when it has just been made."""
    return {
        "id": token.id,
        "type": "ServiceToken",
        "name": token.name,
        "display_name": token.name,
        "token": secret,
        "access": str(token.access),
        "created_at": moment(token.created_at),
        "updated_at": moment(token.created_at),
        "last_used_at": moment(token.last_used_at),
        "expires_at": moment(token.expires_at),
    }


def database(
    name: str, base_url: str, branches: Sequence[BranchRecord], decided: Decided, recommended: int
) -> Json:
    """Return a database with its branches and open recommendations counted, and its settings."""
    settings = decided.settings
    production = [record for record in branches if record.production]
    since = min(record.created_at for record in branches)
    changed = [decided.updated_at] if decided.updated_at else []
    return {
        "id": name,
        "name": name,
        "notes": "",
        "kind": "mysql",
        "state": "ready",
        "ready": True,
        "sharded": False,
        "html_url": f"{base_url}/databases/{name}",
        "url": f"{base_url}/{name}",
        "branches_url": f"{base_url}/{name}/branches",
        "region": REGION,
        "default_branch": next((record.name for record in branches if record.is_default), MAIN),
        "require_approval_for_deploy": settings.require_approval,
        "foreign_keys_enabled": settings.allow_foreign_keys,
        "deletion_protected": settings.delete_protection,
        "production_branch_web_console": settings.production_branch_web_console,
        "automatic_migrations": bool(settings.migration_framework),
        "migration_framework": str(settings.migration_framework) or None,
        "migration_table_name": settings.migration_table or None,
        "allow_data_branching": True,
        "restrict_branch_region": False,
        "insights_raw_queries": False,
        "insights_enabled": True,
        "multiple_admins_required_for_deletion": False,
        "settings": dataclasses.asdict(settings),
        "branches_count": len(branches),
        "production_branches_count": len(production),
        "development_branches_count": len(branches) - len(production),
        "open_schema_recommendations_count": recommended,
        "created_at": moment(since),
        "updated_at": moment(max([*changed, *(record.updated_at for record in branches)])),
        "schema_last_updated_at": None,
    }


def branch(record: BranchRecord, base_url: str, asleep: bool) -> Json:
    """Return a branch."""
    state = "sleeping" if asleep and record.state == "ready" else str(record.state)
    return {
        "id": record.id,
        "name": record.name,
        "kind": "mysql",
        "parent_branch": record.parent,
        "actor": actor(record.actor or LOCAL),
        "region": REGION,
        "state": state,
        # A sleeping branch is woken by its first login, so clients need not wait.
        "ready": record.state == "ready",
        "production": record.production,
        "safe_migrations": record.safe_migrations,
        "html_url": f"{base_url}/databases/{record.database}/{record.name}",
        "vtgate_size": "",
        "vtgate_count": 0,
        "sharded": False,
        "shard_count": 1,
        "keyspace_count": 1,
        "has_replicas": False,
        "deletion_protected": record.deletion_protected,
        "default": record.is_default,
        "expires_at": moment(record.expires_at),
        "ttl_seconds": record.ttl_s,
        "seed_data": record.seed or None,
        "schema_ready": record.state == "ready",
        "stale_schema": False,
        "schema_last_updated_at": moment(record.schema_at),
        "created_at": moment(record.created_at),
        "updated_at": moment(record.updated_at),
        "deleted_at": None,
        "restored_from_branch": None,
    }


def password(record: PasswordRecord, host: str, port: int, *, production: bool) -> Json:
    """Return a password without its secret; `production` is whether it reaches production."""
    return {
        "id": record.id,
        "name": record.name,
        "username": record.username,
        "access_host_url": host,
        "port": port,
        "plain_text": None,
        "role": str(record.role),
        "actor": ACTOR,
        "database_branch": {
            "id": record.branch_id,
            "name": record.branch,
            "production": production,
        },
        "region": REGION,
        "created_at": moment(record.created_at),
        "deleted_at": None,
        "expires_at": moment(record.expires_at),
        "expired": record.expired(now()),
        "ttl_seconds": record.ttl_s,
        "renewable": record.ttl_s is not None,
        "replica": record.replica,
        "cidrs": list(record.networks) or None,
    }


def pool(worker: int, stats: PoolStats) -> Json:
    """Return what one worker's connections to a branch's server are doing now."""
    return {
        "worker": worker,
        "active": stats.active,
        "linked": stats.linked,
        "idle": stats.idle,
        "opening": stats.opening,
        "pinned": sum(stats.pinned.values()),
        "pinned_reasons": stats.pinned,
        "waiting": stats.waiting,
        "longest_wait_ms": stats.longest_wait_ms,
    }


def pinned(client: PinnedClient) -> Json:
    """Return a client that keeps its connection to the server."""
    return {
        "connection_id": client.connection_id,
        "username": client.user,
        "remote_address": client.client,
        "reasons": client.reasons,
        "since": moment(datetime.fromtimestamp(client.since_s, UTC)),
    }
