"""I say what a branch would do to production, and prove it on the scratch server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from migrator.schema.diff import diff, unsupported_changes
from migrator.schema.errors import ProofFailed
from migrator.schema.merge import Conflict, merge
from migrator.schema.model import Schema, require_same_flavor
from migrator.schema.plan import OperationKind, Plan, possible_renames
from migrator.schema.render import render_create
from migrator.schema.verify import as_printed_by, broken_views, part_of, prove, proving_ground, surroundings
from migrator.schema.views import ViewChange, view_changes, with_views
from router.database import Connection


@dataclass(frozen=True, slots=True)
class Review:
    """What a branch means for production now.

    `plan` leads from production to `target`; it is empty when there is nothing to deploy, and when there are
    conflicts. `notes` are sentences for the author.
    """

    plan: Plan
    target: Schema
    conflicts: tuple[Conflict, ...] = ()
    notes: tuple[str, ...] = ()
    views: tuple[ViewChange, ...] = ()

    @property
    def targets(self) -> Mapping[str, str]:
        """The CREATE TABLE of each table that is created or altered, as the scratch server prints it.

        Only a new table brings the AUTO_INCREMENT counter it has on the branch.
        """
        return {
            operation.table: render_create(
                self.target.tables[operation.table], counter=operation.kind is OperationKind.CREATE
            )
            for operation in self.plan.operations
            if operation.after is not None
        }


async def check(scratch: Connection, *, base: Schema, branch: Schema, production: Schema) -> Review:
    """Compare a branch with its base and with production as it is now, and prove the plan that follows.

    Two changes go together if and only if both orders of making them work and give the same schema; that is
    tried on the scratch server (on connections of its own). Raises ProofFailed when the branch's change
    cannot be made exactly even without production's changes, SchemaError for schemas of different flavours.
    """
    require_same_flavor((base, branch, production))
    base, branch, production = [
        await as_printed_by(scratch.server, schema) for schema in (base, branch, production)
    ]
    merged = merge(base, branch, production)
    views, refused = view_changes(base, branch, production)
    unsupported = (*unsupported_changes(base, branch, production), *refused)
    if merged.conflicts:
        return Review(Plan(unsupported=unsupported), production, merged.conflicts, merged.notes)
    plan = replace(diff(production, merged.target), unsupported=unsupported)
    if not plan.operations and not views:
        return Review(plan, production)
    moved = not base.same_as(production)
    try:
        proved = await prove(scratch, production, plan, merged.target)
        if moved:
            await _prove_other_order(scratch, branch, merged.target, plan)
    except ProofFailed as failure:
        if not moved:
            raise
        # Perhaps the branch's change is impossible by itself: then production has nothing to do with it.
        ours = diff(base, branch)
        await prove(scratch, base, ours, branch)
        conflict = _as_conflict(failure, ours, diff(base, production))
        return Review(Plan(unsupported=unsupported), production, (conflict,), merged.notes)
    tables = {**merged.target.tables, **proved.tables}
    target = replace(production, tables=tables, code=with_views(production, views))
    notes = (*merged.notes, *possible_renames(plan))
    if proved.no_way_back is not None:
        notes = (*notes, proved.no_way_back)
    touched = {operation.table for operation in plan.operations}
    broken = await broken_views(scratch, production, target, touched)
    unsupported += tuple(
        f"view {name!r} would not work ({reason}): change it on the branch, too"
        for name, reason in sorted(broken.items())
    )
    operations = tuple(
        operation if operation.after is None else replace(operation, after=target.tables[operation.table])
        for operation in plan.operations
    )
    return Review(Plan(operations, unsupported), target, (), notes, views)


async def _prove_other_order(scratch: Connection, branch: Schema, target: Schema, plan: Plan) -> None:
    """Prove that production's changes can also be made after the branch's, with the same outcome."""
    touched = {operation.table for operation in plan.operations}
    names = surroundings((branch, target), touched)
    start, end = part_of(branch, names), part_of(target, names)
    async with proving_ground(scratch.server, start) as ground:
        await ground.apply_and_compare(diff(start, replace(end, opaque=start.opaque)), end.tables)


def _as_conflict(failure: ProofFailed, ours: Plan, theirs: Plan) -> Conflict:
    return Conflict(
        failure.table,
        "the change as a whole",
        "; ".join(ours.statements),
        "; ".join(theirs.statements),
        "the branch's change and production's do not work together, or not in both orders: "
        + (failure.server_error or str(failure)),
    )
