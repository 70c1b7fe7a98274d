"""I say which operations a failed deployment is tried again with, and whether some still fit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from migrator.deploy.errors import NotDeployable
from migrator.deploy.findings import Findings
from migrator.deploy.request import DeployRequest, OperationRecord


def once_more(request: DeployRequest, findings: Findings) -> tuple[OperationRecord, ...]:
    """Return what the checks ask for now, with what is kept of the failed try in the place of the same.

    Raises NotDeployable when what is kept is not what is asked for any more: the old and the new would not
    lead to one schema.
    """
    here = f"headgate deploy-request unblock {request.database} {request.number}"
    if findings.blocked_by:
        raise NotDeployable(f"{findings.blocked_by} Let go of what is kept with: {here}")
    if not same_renames(request.operations, findings.operations):
        raise NotDeployable(
            "what was known to be renamed on the branch is not known any more, and would lose its values: "
            f"let go of what is kept with: {here}, then make the renaming again"
        )
    kept = {_what(record): record for record in request.operations if record.id in request.kept}
    operations = tuple(kept.pop(_what(record), record) for record in findings.operations)
    if kept or not operations:
        tables = ", ".join(repr(record.table) for record in kept.values()) or "what is to be changed"
        raise NotDeployable(
            f"production has changed since the deployment failed, and {tables} with it: let go of what is "
            f"kept with: {here}, then deploy again"
        )
    return operations


def same_work(before: Iterable[OperationRecord], now: Iterable[OperationRecord]) -> bool:
    """Whether two lists of operations, in whatever order, do the same."""
    return Counter(map(_what, before)) == Counter(map(_what, now))


def same_renames(before: Iterable[OperationRecord], now: Iterable[OperationRecord]) -> bool:
    """Whether two lists of operations take the same for renamed, which schemas alone do not tell."""
    return _renamed(before) == _renamed(now)


def _renamed(operations: Iterable[OperationRecord]) -> set[tuple[str, str, str]]:
    found = {(record.table, "", record.becomes) for record in operations if record.becomes}
    return found | {(record.table, old, new) for record in operations for old, new in record.renames.items()}


def _what(record: OperationRecord) -> tuple[object, ...]:
    kind = record.kind, record.view, record.program
    names = record.table, record.becomes, record.on_table, record.place
    return *kind, *names, record.statements, record.target, record.code
