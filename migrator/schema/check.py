"""I say what a branch would do to production, and prove it on the scratch server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from migrator.schema.column_order import ColumnOrder
from migrator.schema.conflicts import WHOLE, Conflict, other_side
from migrator.schema.diff import diff, unsupported_changes
from migrator.schema.errors import ProofFailed
from migrator.schema.fold import Change, Folded, Step, fold
from migrator.schema.merge import Merged, merge
from migrator.schema.model import Schema, require_same_flavor
from migrator.schema.plan import Plan
from migrator.schema.programs import ProgramChange, program_changes, with_programs
from migrator.schema.questions import possible_renames
from migrator.schema.renamed import borne, following_triggers
from migrator.schema.renames import NONE, Renames
from migrator.schema.table_renames import exchanged, not_alone
from migrator.schema.trial import refused_programs
from migrator.schema.verdict import Verdict
from migrator.schema.verify import (
    Proof,
    as_printed_by,
    broken_views,
    part_of,
    prove,
    proving_ground,
    surroundings,
)
from migrator.schema.views import ViewChange, view_changes, with_views
from router.database import Connection


async def check(
    scratch: Connection,
    *,
    base: Schema,
    branch: Schema,
    production: Schema,
    ahead: Sequence[Change] = (),
    renames: Renames = NONE,
    their_renames: Renames = NONE,
    column_order: ColumnOrder = ColumnOrder.APPEND,
) -> Verdict:
    """Compare a branch with its base, with production as it is now, and with all that is ahead in the queue.

    Two changes go together if and only if both orders of making them work and give the same schema; that is
    tried on the scratch server (on connections of its own). `renames` are the branch's since its base,
    `their_renames` those that deployments have made on production since then. Raises ProofFailed when the
    branch's change cannot be made exactly even without production's changes, SchemaError for schemas of
    different flavours.
    """
    require_same_flavor((base, branch, production))
    base, branch, production = [
        await as_printed_by(scratch.server, schema) for schema in (base, branch, production)
    ]
    printed = [
        replace(
            change,
            base=await as_printed_by(scratch.server, change.base),
            branch=await as_printed_by(scratch.server, change.branch),
        )
        for change in ahead
    ]
    folded = fold(production, printed, column_order)
    case = _Case(base, branch, production, renames, their_renames, column_order, folded)
    return await case.review(scratch)


@dataclass(frozen=True, slots=True)
class _Order:
    """Two ways to one schema: `mine` has our change and lacks theirs, `both` has both."""

    against: int | None
    mine: Schema
    theirs: Schema
    both: Schema
    renames: Renames
    their_renames: Renames


class _Case:
    """One check: the three schemas, and what is ahead."""

    def __init__(
        self,
        base: Schema,
        branch: Schema,
        production: Schema,
        renames: Renames,
        their_renames: Renames,
        column_order: ColumnOrder,
        folded: Folded,
    ) -> None:
        self.base, self.branch, self.production = base, branch, production
        self.exchanged = tuple(exchanged(base, branch, renames))
        self.renames, self.policy, self.folded = borne(renames, base, branch), column_order, folded
        self.start = folded.end
        self.orders: list[_Order] = []
        self.conflicts: list[Conflict] = []
        self.notes: list[str] = list(folded.notes)
        self.target = self._merged(their_renames)

    def _merged(self, their_renames: Renames) -> Schema:
        """Carry our change over to production, and then past each deploy request ahead."""
        merged = merge(
            self.base,
            self.branch,
            self.production,
            renames=self.renames,
            their_renames=their_renames,
            column_order=self.policy,
        )
        mine = self._take(merged, self.branch, self.production, None)
        for step in self.folded.steps:
            merged = merge(
                step.before,
                mine,
                step.after,
                renames=self.renames,
                their_renames=step.renames,
                column_order=self.policy,
                against=step.number,
            )
            mine = self._take(merged, mine, step.after, step.number)
        return mine

    def _take(self, merged: Merged, mine: Schema, theirs: Schema, against: int | None) -> Schema:
        self.conflicts += merged.conflicts
        self.notes += merged.notes
        self.orders.append(_Order(against, mine, theirs, merged.target, merged.renames, merged.their_renames))
        return merged.target

    async def review(self, scratch: Connection) -> Verdict:
        views, refused = view_changes(self.base, self.branch, self.start)
        # Triggers go with a table that is renamed: no change of theirs.
        base = following_triggers(self.base, self.renames.tables)
        start = following_triggers(self.start, self.orders[-1].renames.tables)
        programs = program_changes(base, self.branch, start, self.target)
        unsupported = (*unsupported_changes(self.base, self.branch, self.start), *refused, *programs.refused)
        if conflicts := (*self.conflicts, *map(self._with_side, programs.conflicts)):
            return self._refused(unsupported, conflicts)
        plan = replace(diff(self.start, self.target, self.orders[-1].renames), unsupported=unsupported)
        if not plan.operations and not views and not programs.changes:
            return Verdict(plan, self.start, self.start, notes=tuple(self.notes))
        try:
            proved = await prove(scratch, self.start, plan, self.target)
        except ProofFailed as failure:
            return self._refused(unsupported, (await self._whose_fault(scratch, failure),))
        for order in self.orders:
            try:
                await _prove_other_order(scratch, order, plan)
            except ProofFailed as failure:
                await self._prove_alone(scratch)
                return self._refused(unsupported, (self._as_conflict(failure, order),))
        return await self._accepted(scratch, plan, proved, views, programs.changes)

    def _refused(self, unsupported: tuple[str, ...], conflicts: tuple[Conflict, ...]) -> Verdict:
        return Verdict(
            Plan(unsupported=unsupported),
            self.start,
            self.start,
            conflicts,
            tuple(self.notes),
            remarks=self.exchanged,
        )

    async def _prove_alone(self, scratch: Connection) -> None:
        """Perhaps our change is impossible by itself: then nobody else has anything to do with it."""
        await prove(scratch, self.base, diff(self.base, self.branch, self.renames), self.branch)

    async def _whose_fault(self, scratch: Connection, failure: ProofFailed) -> Conflict:
        """Find the change that ours cannot follow; raises ProofFailed when it is none."""
        await self._prove_alone(scratch)
        for order in self.orders:
            plan = diff(order.theirs, order.both, order.renames)
            try:
                await prove(scratch, order.theirs, plan, order.both)
                await _prove_other_order(scratch, order, plan)
            except ProofFailed as found:
                return self._as_conflict(found, order)
        return self._as_conflict(failure, self.orders[-1])

    def _as_conflict(self, failure: ProofFailed, order: _Order) -> Conflict:
        ours = diff(self.base, self.branch, self.renames)
        theirs = self._their_plan(order)
        return Conflict(
            failure.table,
            WHOLE,
            "; ".join(ours.statements),
            "; ".join(theirs.statements),
            f"the branch's change and the one of {other_side(order.against)} do not work together, or not in "
            f"both orders: {failure.server_error or failure}",
            order.against,
            error=failure.server_error,
        )

    def _their_plan(self, order: _Order) -> Plan:
        step: Step | None = next((s for s in self.folded.steps if s.number == order.against), None)
        if step is None:
            return diff(self.base, self.production)
        return diff(step.before, step.after, step.renames)

    def _with_side(self, conflict: Conflict) -> Conflict:
        """Return a conflict about a trigger, routine or event with the deploy request ahead it is with."""
        for step in self.folded.steps:
            if conflict.theirs not in {code.text for code in step.before.code} and conflict.theirs in {
                code.text for code in step.after.code
            }:
                return replace(conflict, against=step.number)
        return conflict

    async def _accepted(
        self,
        scratch: Connection,
        plan: Plan,
        proved: Proof,
        views: tuple[ViewChange, ...],
        programs: tuple[ProgramChange, ...],
    ) -> Verdict:
        tables = {**self.target.tables, **proved.tables}
        start = following_triggers(self.start, self.orders[-1].renames.tables)
        target = replace(start, tables=tables, code=with_views(start, views))
        target = replace(target, code=with_programs(target, programs))
        broken = await broken_views(scratch, self.start, target, plan.touched)
        unsupported = plan.unsupported + tuple(
            await refused_programs(scratch, target, programs, plan.touched)
        )
        operations = tuple(
            operation if operation.after is None else replace(operation, after=tables[operation.table])
            for operation in plan.operations
        )
        return Verdict(
            Plan(operations, unsupported),
            self.start,
            target,
            notes=(*self.notes, *proved.notes),
            views=views,
            remarks=(*self.exchanged, *not_alone(plan), *possible_renames(plan)),
            no_way_back=proved.no_way_back,
            ahead=_changed(self.folded),
            programs=programs,
            broken_views=broken,
            warnings=proved.warnings,
        )


def _changed(folded: Folded) -> frozenset[str]:
    """Return the names of tables that something ahead changes."""
    return frozenset(
        name
        for step in folded.steps
        for name in {*step.before.tables, *step.after.tables}
        if step.before.tables.get(name) is not step.after.tables.get(name)
    )


async def _prove_other_order(scratch: Connection, order: _Order, plan: Plan) -> None:
    """Prove that their changes can also be made after ours, with the same outcome."""
    names = surroundings((order.mine, order.both), plan.touched)
    # What they changed there needs its own surroundings, which they may have changed, too.
    while more := surroundings((order.mine, order.both), _differing(order, names)) - names:
        names |= more
    start, end = part_of(order.mine, names), part_of(order.both, names)
    end = replace(end, opaque=start.opaque)
    if start.same_as(end):
        return  # nothing of theirs is near our tables
    async with proving_ground(scratch.server, start) as ground:
        await ground.apply_and_compare(diff(start, end, order.their_renames), end.tables)


def _differing(order: _Order, names: set[str]) -> set[str]:
    """Return those of the tables that the other side's change touches."""
    found = set()
    for name in names:
        mine, both = order.mine.tables.get(name), order.both.tables.get(name)
        if (mine is None) != (both is None) or (
            mine is not None and both is not None and not mine.same_as(both)
        ):
            found.add(name)
    return found
