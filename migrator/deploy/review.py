"""I say what a request would do: its changes table by table, or the reason why it cannot be deployed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from migrator.deploy.actions import Findings
from migrator.deploy.request import OperationKind, OperationRecord
from migrator.errors import MigratorError
from migrator.schema.check import check
from migrator.schema.diff import unified_diff
from migrator.schema.errors import SchemaError
from migrator.schema.model import Schema
from router.database import Connection
from router.secrets import new_id

CONFLICT_HINT = (
    "Production has moved in a conflicting way since the branch was made: make a new branch from production "
    "as it is now, and make the change there"
)

Forecast = Callable[[str, str], Awaitable[None]]
"""Raises MigratorError when the engine would refuse to give a table this definition."""


async def review(
    scratch: Connection, *, base: Schema, branch: Schema, production: Schema, forecast: Forecast
) -> Findings:
    """Find the change from `base` to `branch`, carry it over to `production`, and prove it on `scratch`."""
    try:
        found = await check(scratch, base=base, branch=branch, production=production)
    except SchemaError as error:
        return Findings({}, (), _sentence(error))
    if found.conflicts:
        return Findings({}, (), f"{'; '.join(map(str, found.conflicts))}. {CONFLICT_HINT}", found.notes)
    if found.plan.unsupported:
        return Findings({}, (), "; ".join(found.plan.unsupported))
    operations = tuple(
        OperationRecord(
            id=new_id(),
            kind=OperationKind(operation.kind.upper()),
            table=operation.table,
            statements=operation.statements,
            target=found.targets.get(operation.table),
            losses=operation.losses,
        )
        for operation in found.plan.operations
    )
    refusals = [text for record in operations if (text := await _refusal(record, forecast))]
    changes = unified_diff(production, found.target)
    return Findings(changes, operations, "; ".join(refusals) or None, found.notes)


async def _refusal(record: OperationRecord, forecast: Forecast) -> str | None:
    if record.kind is OperationKind.ALTER and record.target is not None:
        try:
            await forecast(record.table, record.target)
        except MigratorError as error:
            return str(error)
    return None


def _sentence(error: SchemaError) -> str:
    return f"{error} {error.hint}".strip()
