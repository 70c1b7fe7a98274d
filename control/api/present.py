"""I put our records into the shapes of the API."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from control.branches import MAIN
from control.databases import Decided
from control.people import ServiceToken
from migrator.deploy.lifecycle import State
from migrator.deploy.request import DeployRequest, OperationRecord
from migrator.engine.direct.choose import Strategy
from migrator.engine.ground.operation import Phase, Status
from proxy.channel import PinnedClient, PoolStats
from router.model import LOCAL, Actor
from router.store import BranchRecord, PasswordRecord, now

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

DONE_PHASES = frozenset({Phase.REVERTIBLE, Phase.REVERTING, Phase.FINALIZED, Phase.READY})


def actor(who: Actor) -> Json:
    """Return who has done something."""
    return {"type": str(who.kind), "id": who.id, "display_name": who.name, "avatar_url": ""}


ACTOR: Json = actor(LOCAL)


def moment(at: datetime | None) -> str | None:
    """Return a time as RFC 3339 in UTC with milliseconds."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z" if at else None


def page(items: Sequence[Json], number: int = 1, size: int = 25) -> Json:
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


def database(name: str, base_url: str, branches: Sequence[BranchRecord], decided: Decided) -> Json:
    """Return a database with its branches counted and its settings."""
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
        "html_url": f"{base_url}/{name}",
        "url": f"{base_url}/{name}",
        "branches_url": f"{base_url}/{name}/branches",
        "region": REGION,
        "default_branch": next((record.name for record in branches if record.is_default), MAIN),
        "require_approval_for_deploy": settings.require_approval,
        "foreign_keys_enabled": settings.allow_foreign_keys,
        "deletion_protected": settings.delete_protection,
        "production_branch_web_console": settings.production_web_console,
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
        "open_schema_recommendations_count": 0,
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
        "actor": ACTOR,
        "region": REGION,
        "state": state,
        # A sleeping branch is woken by its first login, so clients need not wait.
        "ready": record.state == "ready",
        "production": record.production,
        "safe_migrations": record.safe_migrations,
        "html_url": f"{base_url}/{record.database}/{record.name}",
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
        "schema_ready": record.state == "ready",
        "stale_schema": False,
        "schema_last_updated_at": moment(record.schema_at),
        "created_at": moment(record.created_at),
        "updated_at": moment(record.updated_at),
        "deleted_at": None,
        "restored_from_branch": None,
    }


def password(record: PasswordRecord, host: str, port: int, secret: str | None = None) -> Json:
    """Return a password; its secret only when it has just been made."""
    return {
        "id": record.id,
        "name": record.name,
        "username": record.username,
        "access_host_url": host,
        "port": port,
        "plain_text": secret,
        "role": str(record.role),
        "actor": ACTOR,
        "database_branch": {
            "id": record.branch,
            "name": record.branch,
            "production": record.branch in (None, MAIN),
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


def deploy_request(
    request: DeployRequest,
    base_url: str,
    states: Mapping[str, Status],
    ahead: Sequence[DeployRequest] = (),
    revert_blocked: str | None = None,
) -> Json:
    """Return a deploy request with its deployment and how far each operation is."""
    return {
        "id": request.id,
        "number": request.number,
        "state": str(request.state),
        "deployment_state": str(request.deployment_state),
        "branch": request.branch,
        "branch_deleted": False,
        "branch_deleted_by": None,
        "branch_deleted_at": None,
        "into_branch": request.into_branch,
        "into_branch_sharded": False,
        "into_branch_shard_count": 1,
        "into_branch_keyspace_count": 1,
        "approved": False,
        "num_comments": 0,
        "notes": request.notes,
        "html_url": f"{base_url}/{request.database}/deploy-requests/{request.number}",
        "actor": ACTOR,
        "closed_by": ACTOR if request.closed_at else None,
        "created_at": moment(request.created_at),
        "updated_at": moment(request.updated_at),
        "closed_at": moment(request.closed_at),
        "deployed_at": moment(request.cut_over_at),
        "deployment": deployment(request, states, ahead, revert_blocked),
    }


def deployment(
    request: DeployRequest,
    states: Mapping[str, Status],
    ahead: Sequence[DeployRequest] = (),
    revert_blocked: str | None = None,
) -> Json:
    """Return the execution of a deploy request."""
    return {
        "id": request.id,
        "state": str(request.deployment_state),
        "deployable": request.problem is None and bool(request.operations),
        "problem": request.problem,
        "deploy_check_errors": request.problem,
        "into_branch": request.into_branch,
        "deploy_request_number": request.number,
        "auto_cutover": request.auto_cutover,
        "auto_delete_branch": False,
        "instant_ddl": request.strategy is Strategy.INSTANT,
        "instant_ddl_eligible": bool(request.operations)
        and all(record.instant for record in request.operations),
        "ddl_strategy": str(request.strategy),
        "allow_lossy": request.allow_lossy,
        "lint_errors": [],
        "warnings": list(request.warnings),
        "preceding_deployments": [_preceding(other) for other in ahead],
        "sequential_diff_dependencies": [],
        "lookup_vindex_operations": [],
        "deploy_operation_summaries": [],
        "deploy_operations": [
            operation(request, record, states.get(record.id)) for record in request.operations
        ],
        "deployment_revert_request": _revert_window(request),
        "revert_blocked": revert_blocked,
        "redo_until": moment(request.redo_until if request.finished_at is None else None),
        "longest_lock_ms": request.longest_lock_ms,
        "cutover_expiring": False,
        "table_locked": False,
        "locked_table_name": None,
        "queue_paused": False,
        "queue_pause_reason": None,
        "strategy": "serial",
        "throttler_configurations": None,
        "actor": ACTOR,
        "cutover_actor": ACTOR if request.cut_over_at else None,
        "cancelled_actor": None,
        "created_at": moment(request.created_at),
        "updated_at": moment(request.updated_at),
        "queued_at": moment(request.queued_at),
        "submitted_at": moment(request.started_at),
        "started_at": moment(request.started_at),
        "cutover_at": moment(request.cut_over_at),
        "finished_at": moment(request.finished_at),
    }


def operation(request: DeployRequest, record: OperationRecord, status: Status | None) -> Json:
    """Return one table's part of a deployment."""
    choice = request.choice(record)
    return {
        "id": record.id,
        "state": _operation_state(request.deployment_state, status),
        "keyspace_name": request.database,
        "table_name": record.table,
        "operation_name": str(record.kind),
        "ddl_statement": ";\n".join(record.statements),
        "syntax_highlighted_ddl": "",
        "progress_percentage": _percentage(request, status),
        "eta_seconds": _seconds(status.eta_s if status else None),
        "eta_low_seconds": _seconds(status.eta_low_s if status else None),
        "eta_high_seconds": _seconds(status.eta_high_s if status else None),
        "rows_copied": status.rows_copied if status else 0,
        "rows_total": status.rows_total if status else 0,
        "rows_verified": status.rows_verified if status else 0,
        "bytes_copied": status.bytes_copied if status else 0,
        "bytes_total": status.bytes_total if status else 0,
        "rows_per_second": round(status.rows_per_s) if status else 0,
        "activity": _activity(request.deployment_state, status),
        "throttled_reason": status.throttled if status else None,
        "stalled": status.stalled if status else None,
        "throttled_at": None,
        "can_drop_data": bool(record.losses),
        "losses": list(record.losses),
        "ddl_method": str(choice.method) if choice else None,
        "ddl_method_reason": choice.reason if choice else None,
        "revertible": choice.revertible if choice else True,
        "revert_forecast": [
            {"sentence": remark.sentence, "error_number": remark.errno, "loses_data": remark.loses}
            for remark in request.outlook(record)
        ],
        "table_locked": False,
        "table_recently_used": False,
        "table_recently_used_at": None,
        "removed_foreign_key_names": [],
        "deploy_errors": status.failure if status else None,
        "created_at": moment(request.created_at),
        "updated_at": moment(request.updated_at),
    }


def diff(changes: Mapping[str, str]) -> Json:
    """Return a change, one table an entry."""
    return {"data": [{"name": table, "raw": text, "html": ""} for table, text in changes.items()]}


def _preceding(other: DeployRequest) -> Json:
    return {
        "id": other.id,
        "state": str(other.deployment_state),
        "deploy_request_number": other.number,
        "into_branch": other.into_branch,
        "actor": ACTOR,
        "created_at": moment(other.created_at),
        "updated_at": moment(other.updated_at),
        "started_at": moment(other.started_at),
        "queued_at": moment(other.queued_at),
        "finished_at": moment(other.finished_at),
    }


def _revert_window(request: DeployRequest) -> Json | None:
    if request.revert_until is None:
        return None
    return {
        "id": request.id,
        "actor": ACTOR,
        "cancelled_at": None,
        "finished_at": moment(request.finished_at),
        "waiting_period_end_at": moment(request.revert_until),
        "deploy_revert_operations": [],
    }


def _seconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds)


def _activity(state: State, status: Status | None) -> str:
    if state is State.COMPLETE_REVERT:
        return "reverted"
    return status.activity if status else ""


def _operation_state(state: State, status: Status | None) -> str:
    if status and status.failure:
        return "error"
    if state in {State.COMPLETE, State.COMPLETE_PENDING_REVERT, State.IN_PROGRESS_REVERT}:
        return "complete"
    if state in {State.COMPLETE_REVERT, State.COMPLETE_CANCEL, State.CANCELLED, State.IN_PROGRESS_CANCEL}:
        return "cancelled"
    if state in {State.COMPLETE_ERROR, State.COMPLETE_REVERT_ERROR}:
        return "error"
    if state is State.QUEUED:
        return "queued"
    if state in {State.PENDING, State.READY, State.NO_CHANGES, State.ERROR, State.SUBMITTING}:
        return "pending"
    return "in_progress"


def _percentage(request: DeployRequest, status: Status | None) -> int:
    if request.cut_over_at is not None or (status and status.phase in DONE_PHASES):
        return 100
    if status is None or status.rows_total <= 0:
        return 0
    return min(99, 100 * status.rows_copied // status.rows_total)
