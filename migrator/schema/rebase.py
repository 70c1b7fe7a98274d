"""I make a branch's own change anew on production as it is now, and leave out what conflicts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from migrator.schema.column_order import ColumnOrder
from migrator.schema.conflicts import WHOLE, Conflict
from migrator.schema.diff import diff
from migrator.schema.errors import ProofFailed
from migrator.schema.merge import merge
from migrator.schema.model import Code, CodeKind, Schema, require_same_flavor
from migrator.schema.plan import Plan
from migrator.schema.renamed import borne, following_triggers
from migrator.schema.renames import NONE, Renames
from migrator.schema.verify import as_printed_by, prove
from router.database import Connection


@dataclass(frozen=True, slots=True)
class Rebased:
    """What the branch becomes: its new base, and the schema that it then has.

    `plan` leads from `base`, which is production, to `target`, and has been proved; views, routines, triggers
    and events of `target` are the merged ones. `left_out` are the parts of the branch's change that are not
    in it because production has moved in a conflicting way. `renames` are those of `plan`.
    """

    base: Schema
    target: Schema
    plan: Plan
    left_out: tuple[Conflict, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def renames(self) -> Renames:
        """What the plan renames; the branch's log begins with it."""
        return self.plan.renames


async def rebase(
    scratch: Connection,
    *,
    base: Schema,
    branch: Schema,
    production: Schema,
    renames: Renames = NONE,
    their_renames: Renames = NONE,
    column_order: ColumnOrder = ColumnOrder.APPEND,
) -> Rebased:
    """Return what the branch is once its own change is made on production as it is now.

    Where the two conflict, production's side is kept and the conflict told; a table whose change cannot be
    made at all is kept as production has it. Raises SchemaError for schemas of different flavours.
    """
    require_same_flavor((base, branch, production))
    base, branch, production = [
        await as_printed_by(scratch.server, schema) for schema in (base, branch, production)
    ]
    removed: list[Conflict] = []
    while True:
        merged = merge(
            base, branch, production, renames=renames, their_renames=their_renames, column_order=column_order
        )
        kept = borne(renames, base, branch)
        if merged.stopped:
            # Nothing is merged then: without what was done to those tables, the rest is.
            removed += [each for each in merged.conflicts if each not in removed]
            at_fault = {conflict.table for conflict in merged.conflicts}
            branch = _relieved(base, branch, at_fault, kept, their_renames)
            continue
        plan = diff(production, merged.target, merged.renames)
        try:
            proof = await prove(scratch, production, plan, merged.target)
        except ProofFailed as failure:
            at_fault = {failure.table} & plan.touched or set(plan.touched)
            if not at_fault:
                raise
            removed.append(_failed(failure, plan))
            branch = _relieved(base, branch, at_fault, kept, their_renames)
            continue
        code, torn = _merged_code(
            following_triggers(base, kept.tables).code,
            branch.code,
            following_triggers(production, merged.renames.tables).code,
        )
        tables = {**merged.target.tables, **proof.tables}
        target = replace(production, tables=tables, code=code)
        left_out = (*removed, *merged.conflicts, *torn)
        return Rebased(production, target, plan, left_out, (*merged.notes, *proof.notes))


def _relieved(
    base: Schema, branch: Schema, names: set[str], renames: Renames, their_renames: Renames
) -> Schema:
    """Return the branch with less of its own change: without that to these tables, if there is one.

    Else what it did is in a table that points to one of these, or has its name on the other side.
    """
    less = _without(base, branch, names, renames)
    if less.tables != branch.tables:
        return less
    others = {name for pair in their_renames.tables.items() if names & {*pair} for name in pair}
    names = names | others
    less = _without(base, branch, names | _pointing(branch, names), renames)
    if less.tables != branch.tables:
        return less
    return _without(base, branch, {*base.tables, *branch.tables}, renames)


def _without(base: Schema, branch: Schema, names: Iterable[str], renames: Renames) -> Schema:
    """Return the branch as if it had not touched these tables; they may be called by old or new names."""
    former = {new: old for old, new in renames.tables.items()}
    tables = dict(branch.tables)
    for name in names:
        old = former.get(name, name)
        tables.pop(renames.tables.get(old, old), None)
        if old in base.tables:
            tables[old] = base.tables[old]
    return replace(branch, tables=tables)


def _pointing(schema: Schema, names: set[str]) -> set[str]:
    """Return the tables that have foreign keys to some of these."""
    return {
        table.name
        for table in schema.tables.values()
        if any(key.ref_schema is None and key.ref_table in names for key in table.foreign_keys)
    }


def _failed(failure: ProofFailed, plan: Plan) -> Conflict:
    statements = [
        statement
        for operation in plan.operations
        if failure.table in operation.touched
        for statement in operation.statements
    ]
    return Conflict(
        failure.table,
        WHOLE,
        "; ".join(statements or plan.statements),
        None,
        f"the branch's change cannot be made on production as it is now: {failure.server_error or failure}",
        error=failure.server_error,
    )


def _merged_code(
    base: tuple[Code, ...], branch: tuple[Code, ...], production: tuple[Code, ...]
) -> tuple[tuple[Code, ...], list[Conflict]]:
    """Merge views, routines, triggers and events, each as a whole."""
    old, ours, theirs = (
        {(item.kind, item.name): item for item in code} for code in (base, branch, production)
    )
    found: dict[tuple[CodeKind, str], Code] = dict(theirs)
    torn = []
    for key in dict.fromkeys([*old, *ours]):
        before, mine, other = old.get(key), ours.get(key), theirs.get(key)
        if mine in (before, other):
            continue
        if other == before:
            found.pop(key, None)
            if mine is not None:
                found[key] = mine
            continue
        kind, name = key
        reason = f"{kind.lower()} {name!r} was changed differently on the branch and on production"
        mine_text = mine.text if mine else None
        other_text = other.text if other else None
        torn.append(Conflict("", f"{kind.lower()} {name}", mine_text, other_text, reason))
    return tuple(found.values()), torn
