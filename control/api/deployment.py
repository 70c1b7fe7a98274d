"""I put deploy requests, what was found about them, and their execution into the shapes of the API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from control.api.findings import lint_entry
from control.api.html import of_diff, of_notes
from control.api.operations import operation
from control.api.order import hints, order
from control.api.present import Json, actor, moment
from migrator.deploy.approval import Review, ReviewState, approvers, missing, unconfirmed
from migrator.deploy.deadlines import cutover_expiring
from migrator.deploy.lifecycle import State
from migrator.deploy.queue import Wait
from migrator.deploy.request import DeployRequest
from migrator.deploy.settings import DatabaseSettings
from migrator.engine.direct.choose import Strategy
from migrator.engine.ground.operation import Status
from router.clock import now
from router.model import Actor, ActorKind


@dataclass(frozen=True, slots=True)
class Scene:
    """What is shown of a deploy request beside its record: its place in the queue, reviews, progress."""

    base_url: str
    settings: DatabaseSettings
    statuses: Mapping[str, Status] = field(default_factory=dict)
    ahead: Sequence[DeployRequest] = ()
    position: int | None = None
    wait: Wait | None = None
    reviews: Sequence[Review] = ()
    revert_blocked: str | None = None
    throttler: Sequence[Json] | None = None


def deploy_request(request: DeployRequest, scene: Scene) -> Json:
    """Return a deploy request with its deployment and how far each operation is."""
    return {
        "id": request.id,
        "number": request.number,
        "state": str(request.state),
        "deployment_state": str(request.deployment_state),
        "branch": request.branch,
        "branch_id": request.branch,
        "branch_deleted": request.branch_deleted_at is not None,
        "branch_deleted_by": _actor(request.branch_deleted_by),
        "branch_deleted_at": moment(request.branch_deleted_at),
        "into_branch": request.into_branch,
        "into_branch_sharded": False,
        "into_branch_shard_count": 1,
        "into_branch_keyspace_count": 1,
        "approved": bool(approvers(request, scene.reviews))
        and not missing(request, scene.reviews, scene.settings),
        "num_comments": sum(bool(review.body) for review in scene.reviews),
        "notes": request.notes,
        "html_body": of_notes(request.notes),
        "html_url": f"{scene.base_url}/{request.database}/deploy-requests/{request.number}",
        "actor": actor(request.actor),
        "closed_by": _actor(request.closed_by),
        "created_at": moment(request.created_at),
        "updated_at": moment(request.updated_at),
        "closed_at": moment(request.closed_at),
        "deployed_at": moment(request.cut_over_at),
        "deployment": deployment(request, scene),
    }


def deployment(request: DeployRequest, scene: Scene) -> Json:
    """Return the execution of a deploy request."""
    return {
        "id": request.id,
        "state": str(request.deployment_state),
        "into_branch": request.into_branch,
        "deploy_request_number": request.number,
        **_checks(request, scene),
        **_way(request),
        **_place(request, scene),
        **_people(request),
        **_times(request),
        "deploy_operations": [
            operation(request, record, scene.statuses.get(record.id)) for record in request.operations
        ],
        "deploy_operation_summaries": [],
        "sequential_diff_dependencies": [],
        "lookup_vindex_operations": [],
        "deployment_revert_request": _revert_window(request),
        "revert_blocked": scene.revert_blocked,
        "redo_until": moment(request.redo_until if request.finished_at is None else None),
        "longest_lock_ms": request.longest_lock_ms,
        "problem": request.problem,
        "throttler_configurations": None if scene.throttler is None else list(scene.throttler),
    }


def _checks(request: DeployRequest, scene: Scene) -> Json:
    """What was found, and what is missing before it may be deployed."""
    entries = [lint_entry(finding, request.database, request.confirmed) for finding in request.findings]
    failed = request.deployment_state is State.ERROR
    return {
        "deployable": request.deployment_state not in {State.ERROR, State.NO_CHANGES, State.PENDING},
        "lint_errors": [entry for entry in entries if entry["blocks"]],
        "findings": entries,
        "warnings": list(request.warnings),
        "deploy_check_errors": request.problem if failed else None,
        "approvals_missing": missing(request, scene.reviews, scene.settings),
        "unconfirmed": [finding.key for finding in unconfirmed(request, scene.settings)],
        "reviews": [review(each) for each in scene.reviews],
        "order_hints": [] if request.order is None else [*hints(request.order)],
        "deploy_order": None if request.order is None else order(request.order),
    }


def _way(request: DeployRequest) -> Json:
    """How it is carried out."""
    return {
        "auto_cutover": request.auto_cutover,
        "auto_delete_branch": request.auto_delete_branch,
        "aggressive_cutover": request.aggressive_cutover,
        "strategy": "parallel" if request.parallel else "serial",
        "ddl_strategy": str(request.strategy),
        "allow_lossy": request.allow_lossy,
        "instant_ddl": request.strategy is Strategy.INSTANT,
        "instant_ddl_eligible": bool(request.operations)
        and all(record.instant for record in request.operations),
        "revertible": request.revertible,
    }


def _place(request: DeployRequest, scene: Scene) -> Json:
    """Where it stands in the queue, and what it waits for."""
    waits = scene.wait
    statuses = [(record.table, scene.statuses.get(record.id)) for record in request.operations]
    locked = [table for table, status in statuses if status and status.waits_for_table]
    return {
        "preceding_deployments": [_preceding(other) for other in scene.ahead],
        "queue_position": scene.position,
        "queue_paused": waits is not None and waits.paused,
        "queue_pause_reason": waits.reason if waits and waits.paused else None,
        "waits_for": waits.reason if waits else None,
        "parallel_lane_blocked": request.parallel and waits is not None,
        "cutover_expiring": cutover_expiring(request, scene.settings, now()),
        "table_locked": bool(locked),
        "locked_table_name": locked[0] if locked else None,
    }


def _people(request: DeployRequest) -> Json:
    """Who did what."""
    cancelled = request.who(State.IN_PROGRESS_CANCEL) or request.who(State.CANCELLED)
    return {
        "actor": actor(request.who(State.QUEUED) or request.actor),
        "cutover_actor": _person(request.who(State.IN_PROGRESS_CUTOVER)),
        "cancelled_actor": _person(cancelled),
        "reverted_actor": _person(request.who(State.IN_PROGRESS_REVERT)),
        "acknowledged_actor": _actor(request.acknowledged_by),
    }


def _times(request: DeployRequest) -> Json:
    """When it did what."""

    def entered(*states: State) -> datetime | None:
        marks = (request.entered[state].at for state in states if state in request.entered)
        return min(marks, default=None)

    return {
        "created_at": moment(request.created_at),
        "updated_at": moment(request.updated_at),
        "queued_at": moment(request.queued_at),
        "submitted_at": moment(entered(State.SUBMITTING)),
        "started_at": moment(request.started_at),
        "ready_to_cutover_at": moment(entered(State.PENDING_CUTOVER, State.IN_PROGRESS_CUTOVER)),
        "cutover_at": moment(request.cut_over_at),
        "force_cutover_requested_at": moment(request.force_requested_at),
        "acknowledged_at": moment(request.acknowledged_at),
        "finished_at": moment(request.finished_at),
        "schema_last_updated_at": None,
    }


def review(one: Review) -> Json:
    """Return a comment or an approval."""
    return {
        "id": one.id,
        "state": str(one.state),
        "body": one.body,
        "html_body": of_notes(one.body),
        "actor": actor(one.actor),
        "approves": one.state is ReviewState.APPROVED and one.dismissed_at is None,
        "dismissed_at": moment(one.dismissed_at),
        "created_at": moment(one.created_at),
        "updated_at": moment(one.dismissed_at or one.created_at),
    }


def diff(changes: Mapping[str, str]) -> Json:
    """Return a change, one table an entry."""
    return {"data": [{"name": table, "raw": text, "html": of_diff(text)} for table, text in changes.items()]}


def _actor(who: Actor | None) -> Json | None:
    return actor(who) if who else None


def _person(who: Actor | None) -> Json | None:
    """Who has asked for something; nobody has, when Headgate did it by itself."""
    return None if who is None or who.kind is ActorKind.SYSTEM else actor(who)


def _preceding(other: DeployRequest) -> Json:
    return {
        "id": other.id,
        "state": str(other.deployment_state),
        "deploy_request_number": other.number,
        "into_branch": other.into_branch,
        "actor": actor(other.who(State.QUEUED) or other.actor),
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
        "actor": actor(request.who(State.IN_PROGRESS_REVERT) or request.actor),
        "cancelled_at": None,
        "finished_at": moment(request.finished_at),
        "waiting_period_end_at": moment(request.revert_until),
        "deploy_revert_operations": [],
    }
