"""I say what a request would do: its changes table by table, or the reason why it cannot be deployed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from migrator.deploy.actions import Findings
from migrator.deploy.request import OperationKind, OperationRecord
from migrator.engine.direct.choose import Strategy
from migrator.engine.forecast import Forecast
from migrator.engine.outlook import revert_outlook
from migrator.errors import MigratorError
from migrator.schema.check import check
from migrator.schema.diff import unified_diff
from migrator.schema.errors import SchemaError
from migrator.schema.model import Schema
from migrator.schema.views import ViewChange
from router.database import Connection
from router.secrets import new_id

CONFLICT_HINT = (
    "Production has moved in a conflicting way since the branch was made: make a new branch from production "
    "as it is now, and make the change there"
)

AskEngine = Callable[[str, str], Awaitable[Forecast]]
"""Says how the engine would give a table this definition, or raises MigratorError when it would not."""


async def review(
    scratch: Connection, *, base: Schema, branch: Schema, production: Schema, forecast: AskEngine
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
    operations = _among(operations, [_view(change) for change in found.views])
    refusals: list[str] = []
    warnings = list(found.notes)
    foreseen: list[OperationRecord] = []
    for record in operations:
        if record.view:
            pass
        elif record.kind is OperationKind.ALTER and record.target is not None:
            try:
                outcome = await forecast(record.table, record.target)
            except MigratorError as error:
                refusals.append(str(error))
            else:
                record = replace(record, choices=outcome.choices, outlook=outcome.outlook)
                warnings += outcome.warnings
        elif record.kind is OperationKind.CREATE:
            after = found.target.tables[record.table]
            record = replace(record, outlook=dict.fromkeys(Strategy, revert_outlook(None, after)))
        foreseen.append(record)
    # What cannot be undone comes last: nothing that fails after it would have to undo it.
    foreseen.sort(key=_for_good)
    changes = unified_diff(production, found.target)
    return Findings(changes, tuple(foreseen), "; ".join(refusals) or None, tuple(warnings))


def _view(change: ViewChange) -> OperationRecord:
    target = change.after.text if change.after else None
    kind = OperationKind(change.kind)
    return OperationRecord(new_id(), kind, change.name, (change.statement,), target, view=True)


def _among(tables: tuple[OperationRecord, ...], views: list[OperationRecord]) -> tuple[OperationRecord, ...]:
    """Put views behind the tables they may be made of, and before tables go."""
    going = [record for record in tables if record.kind is OperationKind.DROP]
    return (*(record for record in tables if record not in going), *views, *going)


def _for_good(record: OperationRecord) -> bool:
    choice = record.choices.get(Strategy.INSTANT)
    return choice is not None and not choice.revertible


def _sentence(error: SchemaError) -> str:
    return f"{error} {error.hint}".strip()
