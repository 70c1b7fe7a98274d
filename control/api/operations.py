"""I put the operations of a deployment into the shape of the API: what each does, and how far it is."""

from __future__ import annotations

import re

from control.api.html import of_sql
from control.api.present import Json, moment
from migrator.deploy.lifecycle import State
from migrator.deploy.request import DeployRequest, OperationRecord
from migrator.engine.ground.operation import Phase, Status

FOREIGN_KEY_GONE = re.compile(r"DROP FOREIGN KEY `((?:[^`]|``)+)`")
DONE_PHASES = frozenset({Phase.REVERTIBLE, Phase.REVERTING, Phase.FINALIZED, Phase.READY})


def operation(request: DeployRequest, record: OperationRecord, status: Status | None) -> Json:
    """Return one table's part of a deployment."""
    choice = request.choice(record)
    statement = ";\n".join(record.statements)
    return {
        "id": record.id,
        "state": _operation_state(request.deployment_state, status),
        "keyspace_name": request.database,
        "table_name": record.table,
        "operation_name": str(record.kind),
        "object_type": _object_type(record),
        "renamed_to": record.becomes or None,
        "ddl_statement": statement,
        "syntax_highlighted_ddl": of_sql(statement),
        **_progress(request, status),
        "can_drop_data": bool(record.losses),
        "losses": list(record.losses),
        "renames": dict(record.renames),
        "ddl_method": str(choice.method) if choice else None,
        "ddl_method_reason": choice.reason if choice else None,
        "revertible": choice.revertible if choice else True,
        "revert_forecast": [
            {"sentence": remark.sentence, "error_number": remark.errno, "loses_data": remark.loses}
            for remark in request.outlook(record)
        ],
        "table_locked": bool(status and status.waits_for_table),
        "table_recently_used": record.recently_used_at is not None,
        "table_recently_used_at": moment(record.recently_used_at),
        "removed_foreign_key_names": _removed_foreign_keys(record),
        "deploy_errors": status.failure if status else None,
        "deploy_error_docs_url": None,
        "created_at": moment(request.created_at),
        "updated_at": moment(request.updated_at),
    }


def _object_type(record: OperationRecord) -> str:
    if record.program:
        return str(record.program).lower()
    return "view" if record.view else "table"


def _removed_foreign_keys(record: OperationRecord) -> list[str]:
    found = (FOREIGN_KEY_GONE.findall(statement) for statement in record.statements)
    return [name.replace("``", "`") for names in found for name in names]


def _progress(request: DeployRequest, status: Status | None) -> Json:
    return {
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
    match state:
        case State.COMPLETE | State.COMPLETE_PENDING_REVERT | State.IN_PROGRESS_REVERT:
            return "complete"
        case State.COMPLETE_REVERT | State.COMPLETE_CANCEL | State.CANCELLED | State.IN_PROGRESS_CANCEL:
            return "cancelled"
        case State.COMPLETE_ERROR | State.COMPLETE_REVERT_ERROR:
            return "error"
        case State.QUEUED:
            return "queued"
        case State.PENDING | State.READY | State.NO_CHANGES | State.ERROR | State.SUBMITTING:
            return "pending"
        case _:
            return "in_progress"


def _percentage(request: DeployRequest, status: Status | None) -> int:
    if request.cut_over_at is not None or (status and status.phase in DONE_PHASES):
        return 100
    if status is None or status.rows_total <= 0:
        return 0
    return min(99, 100 * status.rows_copied // status.rows_total)
