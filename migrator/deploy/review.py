"""I say what a request would do: its changes table by table, or the reason why it cannot be deployed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from migrator.deploy.findings import Findings
from migrator.deploy.linting import Examine, by_rules, refusal_of, way_of
from migrator.deploy.programs import copied, in_order
from migrator.deploy.request import OperationKind, OperationRecord
from migrator.engine.direct.choose import Strategy
from migrator.engine.forecast import Forecast
from migrator.engine.outlook import revert_outlook
from migrator.errors import MigratorError
from migrator.schema.check import check
from migrator.schema.column_order import ColumnOrder
from migrator.schema.diff import unified_diff
from migrator.schema.errors import ProofFailed, SchemaError
from migrator.schema.fold import Change
from migrator.schema.lint.facts import Facts, Refusal
from migrator.schema.lint.finding import Finding, Level
from migrator.schema.lint.subject import Subject
from migrator.schema.model import Schema
from migrator.schema.renames import NONE, Renames
from migrator.schema.verdict import REBASE, Verdict
from migrator.schema.views import ViewChange
from router.database import Connection
from router.secrets import new_id

AskEngine = Callable[[str, str, Mapping[str, str]], Awaitable[Forecast]]
"""Says how the engine would give a table this definition, or raises MigratorError when it would not.

The last argument maps former names of columns to new ones.
"""


async def review(
    scratch: Connection,
    *,
    base: Schema,
    branch: Schema,
    production: Schema,
    forecast: AskEngine,
    ahead: Sequence[Change] = (),
    renames: Renames = NONE,
    their_renames: Renames = NONE,
    column_order: ColumnOrder = ColumnOrder.APPEND,
    way_out: str = REBASE,
    examine: Examine = by_rules,
) -> Findings:
    """Find the change from `base` to `branch`, carry it over to `production`, and prove it on `scratch`.

    `renames` are the branch's since its base, `their_renames` production's. `ahead` are the changes of the
    deploy requests ahead in the queue; `way_out` says what to do about conflicts; `examine` has the change
    looked at by the lint rules.
    """
    try:
        found = await check(
            scratch,
            base=base,
            branch=branch,
            production=production,
            ahead=ahead,
            renames=renames,
            their_renames=their_renames,
            column_order=column_order,
        )
    except SchemaError as error:
        return _stopped([_failure(error)])
    findings = list(found.findings(way_out))
    if any(finding.blocks for finding in findings):
        return _stopped(findings)
    records, refusals, warnings = await _foreseen(found, forecast)
    told = {finding.key: finding for finding in findings}
    if records:
        versions = production.version, branch.version
        subject = _subject(found, records, refusals, versions)
        told |= {finding.key: finding for finding in await examine(subject)}
    findings = list(told.values())
    changes = unified_diff(found.start, found.target)
    return Findings(changes, records, None, (*_warnings(findings), *warnings), tuple(findings))


def _subject(
    found: Verdict,
    records: Iterable[OperationRecord],
    refusals: Iterable[Refusal],
    versions: tuple[str, str],
) -> Subject:
    """Return what the lint rules are to look at."""
    ways = {record.table: way for record in records if (way := way_of(record.choices)) is not None}
    facts = Facts(
        warnings=found.warnings,
        refusals=tuple(refusals),
        ways=ways,
        views=found.broken_views,
        versions=versions,
    )
    return Subject(
        found.start, found.target, found.plan.operations, facts, renames=found.plan.renames, whole=False
    )


async def _foreseen(
    found: Verdict, forecast: AskEngine
) -> tuple[tuple[OperationRecord, ...], list[Refusal], list[str]]:
    """Return the operations with what the engine says of them, its refusals, and its warnings."""
    refusals: list[Refusal] = []
    warnings: list[str] = []
    foreseen: list[OperationRecord] = []
    views = [_view(change) for change in found.views]
    for record in in_order(_records(found), views, found.programs, found.target):
        if not record.of_table:
            pass
        elif record.kind is OperationKind.ALTER and record.target is not None:
            if record.table in found.ahead:
                # The table is not yet what it will be then.
                warnings.append(
                    f"table {record.table!r} is changed ahead in the queue, too: how it is changed "
                    "by this request is decided when its turn comes"
                )
            else:
                try:
                    outcome = await forecast(record.table, record.target, record.renames)
                except MigratorError as error:
                    refusals.append(refusal_of(record.table, error))
                else:
                    record = copied(replace(record, choices=outcome.choices, outlook=outcome.outlook))
                    warnings += outcome.warnings
        elif record.kind is OperationKind.CREATE:
            after = found.target.tables[record.table]
            record = replace(record, outlook=dict.fromkeys(Strategy, revert_outlook(None, after)))
        foreseen.append(record)
    # What cannot be undone comes last: nothing that fails after it would have to undo it.
    foreseen.sort(key=_for_good)
    return tuple(foreseen), refusals, warnings


def _records(found: Verdict) -> tuple[OperationRecord, ...]:
    return tuple(
        OperationRecord(
            id=new_id(),
            kind=OperationKind(operation.kind.upper()),
            table=operation.former or operation.table,
            statements=operation.statements,
            target=found.targets.get(operation.table),
            losses=operation.losses,
            renames=dict(operation.renames),
            becomes=operation.table if operation.former else "",
        )
        for operation in found.plan.operations
    )


def _stopped(findings: Iterable[Finding]) -> Findings:
    found = tuple(findings)
    return Findings({}, (), None, _warnings(found), found)


def _warnings(findings: Iterable[Finding]) -> tuple[str, ...]:
    return tuple(finding.sentence for finding in findings if not finding.blocks)


def _failure(error: SchemaError) -> Finding:
    code = "PROOF_FAILED" if isinstance(error, ProofFailed) else "NOT_COMPARABLE"
    facts = {"statement": error.statement} if isinstance(error, ProofFailed) else {}
    subject = error.table if isinstance(error, ProofFailed) else ""
    return Finding(code, Level.ERROR, subject, str(error), error.hint, facts=facts, hard=True)


def _view(change: ViewChange) -> OperationRecord:
    target = change.after.text if change.after else None
    kind = OperationKind(change.kind)
    return OperationRecord(new_id(), kind, change.name, (change.statement,), target, view=True)


def _for_good(record: OperationRecord) -> bool:
    choice = record.choices.get(Strategy.INSTANT)
    return choice is not None and not choice.revertible
