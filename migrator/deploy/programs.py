"""I turn changes of triggers, routines and events into operations, beside those of tables and views.

Triggers of a table that is altered change with it, at the same moment and by the same operation: no write may
meet the one without the other. So such a table is always copied.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from migrator.deploy.request import OperationKind, OperationRecord
from migrator.engine.companions.triggers import TriggerPlan, TriggerTarget
from migrator.engine.direct.choose import Choice, Method, Strategy
from migrator.schema.model import CodeKind, Schema
from migrator.schema.programs import ProgramChange, triggers_of
from router.secrets import new_id

_COPIED = Choice(
    Method.SHADOW, "it is copied so that its triggers change at the same moment as the table", revertible=True
)
# Views may be made of functions; triggers and events are for what is there by then.
_AFTER_VIEWS = frozenset({CodeKind.TRIGGER, CodeKind.EVENT})


def in_order(
    tables: Sequence[OperationRecord],
    views: Sequence[OperationRecord],
    programs: Sequence[ProgramChange],
    target: Schema,
) -> tuple[OperationRecord, ...]:
    """Return all operations in an order that works: what is made of something comes after it."""
    altered = {record.table for record in tables if record.kind is OperationKind.ALTER}
    with_table = {
        table: changes
        for table in altered
        if (changes := [change for change in programs if change.table == table])
    }
    alone = [_record(change) for change in programs if change.table not in altered]
    going = [record for record in alone if record.kind is OperationKind.DROP]
    coming = [record for record in alone if record not in going]
    dropped = [record for record in tables if record.kind is OperationKind.DROP]
    made = [
        _with_triggers(record, with_table[record.table], target) if record.table in with_table else record
        for record in tables
        if record not in dropped
    ]
    first = [record for record in coming if record.program not in _AFTER_VIEWS]
    last = [record for record in coming if record.program in _AFTER_VIEWS]
    return (*made, *first, *views, *last, *going, *dropped)


def copied(record: OperationRecord) -> OperationRecord:
    """Return the record of a table that must be copied if its triggers change with it."""
    if record.triggers is None:
        return record
    usual = record.outlook.get(Strategy.REVERTIBLE, ())
    return replace(record, choices=dict.fromkeys(Strategy, _COPIED), outlook=dict.fromkeys(Strategy, usual))


def _record(change: ProgramChange) -> OperationRecord:
    return OperationRecord(
        new_id(),
        OperationKind(change.verb),
        change.name,
        change.statements,
        change.after.text if change.after else None,
        program=change.kind,
        code=change.after,
        on_table=change.table,
        place=change.place,
    )


def _with_triggers(
    record: OperationRecord, changes: Sequence[ProgramChange], target: Schema
) -> OperationRecord:
    changed = {change.name: change.after for change in changes if change.after is not None}
    after = tuple(
        TriggerTarget(code.name, changed.get(code.name)) for code in triggers_of(target.code, record.table)
    )
    dropped = tuple(change.name for change in changes if change.after is None)
    statements = [statement for change in changes for statement in change.statements]
    return replace(record, triggers=TriggerPlan(after, dropped), statements=(*record.statements, *statements))
