"""I bring what traffic has shown into the checks of a deploy request: what is used, and what would break."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import structlog

from control.usage import Usage
from migrator.deploy.findings import Findings, Proposal
from migrator.deploy.linting import Examine
from migrator.deploy.request import OperationKind, OperationRecord
from migrator.schema.deploy_order import deploy_order
from migrator.schema.errors import SchemaError
from migrator.schema.lint.facts import BrokenQuery, TableUsage
from migrator.schema.lint.finding import Finding
from migrator.schema.lint.subject import Subject
from migrator.schema.order import (
    DeployOrder,
    Evidence,
    Observed,
    Order,
    TableChange,
    ViewChanged,
)
from migrator.schema.replay import replay
from migrator.schema.shapes import SeenShape
from migrator.schema.tally import compared_columns, used_tables
from migrator.schema.views import view_texts
from router.clock import now
from router.errors import DatabaseError
from router.model import Server

log = structlog.get_logger()


class Witness:
    """What traffic says of one proposal while it is checked.

    `names` are what clients call the schema, `last_s` is how far is looked back.
    """

    def __init__(
        self, usage: Usage, proposal: Proposal, scratch: Server, names: frozenset[str], last_s: float
    ) -> None:
        self._usage = usage
        self._proposal = proposal
        self._scratch = scratch
        self._names = names
        self._last_s = last_s
        self._order: DeployOrder | None = None
        self._tables: dict[str, TableUsage] = {}

    async def examine(self, ask: Examine, subject: Subject) -> tuple[Finding, ...]:
        """Have the rules look at a change with what traffic says of it."""
        proposal = self._proposal
        since = await self._usage.since(proposal.database, proposal.into_branch)
        seen = await self._usage.shapes(proposal.database, proposal.into_branch, last_s=self._last_s)
        tried = await self._usage.shapes(
            proposal.database, proposal.branch, last_s=self._last_s, on_branch=True
        )
        days = min((now() - since).total_seconds(), self._last_s) / 86_400 if since else 0.0
        observed = await self._replay(subject, [*seen, *tried], days)
        self._order = deploy_order(_tables(subject), _views(subject), observed)
        self._tables = used_tables(seen)
        facts = replace(
            subject.facts,
            usage=self._tables if since else None,
            usage_since=since,
            joins=compared_columns(seen),
            broken_queries=tuple(
                _broken(each) for each in self._order.evidence if each.order is Order.CODE_FIRST
            ),
        )
        return await ask(replace(subject, facts=facts))

    def complete(self, found: Findings) -> Findings:
        """Return the findings with the order of deployment, and when tables that go were used last."""
        operations = tuple(self._noted(record) for record in found.operations)
        return replace(found, operations=operations, order=self._order if operations else None)

    def _noted(self, record: OperationRecord) -> OperationRecord:
        if record.kind is not OperationKind.DROP or not record.of_table:
            return record
        usage = self._tables.get(record.table)
        seen = usage.last_seen if usage else None
        recent = seen is not None and now() - seen <= timedelta(seconds=self._last_s)
        return replace(record, recently_used_at=seen) if recent else record

    async def _replay(self, subject: Subject, shapes: Sequence[SeenShape], days: float) -> Observed:
        if not shapes:
            return Observed(days)
        try:
            return await replay(
                self._scratch,
                subject.before,
                subject.after,
                shapes,
                touched=subject.touched,
                names=self._names,
                days=days,
            )
        except (SchemaError, DatabaseError) as error:
            # The change itself is proved elsewhere: here only its evidence is missing.
            log.warning("replay.failed", branch=self._proposal.branch, reason=str(error))
            return Observed(days, (), len(shapes))


def _broken(evidence: Evidence) -> BrokenQuery:
    return BrokenQuery(
        evidence.query,
        evidence.error,
        evidence.tables,
        evidence.errno,
        evidence.count,
        evidence.last_seen,
        evidence.users,
    )


def _tables(subject: Subject) -> list[TableChange]:
    return [
        TableChange(operation.table, operation.before, operation.after, operation.renames, operation.former)
        for operation in subject.operations
    ]


def _views(subject: Subject) -> list[ViewChanged]:
    before, after = view_texts(subject.before), view_texts(subject.after)
    return [
        ViewChanged(name, comes=name not in before, goes=name not in after)
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    ]
