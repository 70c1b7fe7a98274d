"""I reconcile base, branch and production, or name the conflict.

Elements that only one side changed are taken from that side; what both changed alike is no change any more;
what both changed differently is a conflict. Whether the result is valid, and the same in both orders, is not
decided here but by a server (`check`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from migrator.schema.column_order import ColumnOrder
from migrator.schema.conflicts import Conflict, other_side
from migrator.schema.merge_renames import rename_conflicts
from migrator.schema.merge_table import MergedTable, merge_tables
from migrator.schema.model import OpaqueTable, Schema, Table
from migrator.schema.renamed import borne, exchanged_there, made_there, together, under_new_names, without
from migrator.schema.renames import NONE, Renames
from migrator.schema.render import column_definition


@dataclass(frozen=True, slots=True)
class Merged:
    """What production should become; `notes` say what the author of the branch may not expect.

    `renames` lead from production to the target, `their_renames` from the branch to it. Where a renaming
    conflicts, nothing is merged: it is `stopped`.
    """

    target: Schema
    conflicts: tuple[Conflict, ...] = ()
    notes: tuple[str, ...] = ()
    renames: Renames = NONE
    their_renames: Renames = NONE
    stopped: bool = False


def merge(
    base: Schema,
    branch: Schema,
    production: Schema,
    *,
    renames: Renames = NONE,
    their_renames: Renames = NONE,
    column_order: ColumnOrder = ColumnOrder.APPEND,
    against: int | None = None,
) -> Merged:
    """Return production with the branch's changes since its base, and the conflicts if there are any.

    `renames` are the branch's since the base, `their_renames` production's. `against` is the number of the
    deploy request that `production` holds on top of `base`, if it is one.
    """
    renames, their_renames = borne(renames, base, branch), borne(their_renames, base, production)
    if against is None:
        # What was renamed is not always known; our own renaming or exchange may have been deployed before.
        ours_again = exchanged_there(without(renames, their_renames), base, production)
        their_renames = together(ours_again, their_renames)
        their_renames = together(made_there(renames, base, production), their_renames)
        renames = together(made_there(their_renames, base, branch), renames)
    conflicts = list(rename_conflicts(base, branch, production, renames, their_renames, against))
    if conflicts:
        return Merged(production, tuple(conflicts), stopped=True)
    ours_only, theirs_only = without(renames, their_renames), without(their_renames, renames)
    base = under_new_names(base, together(renames, their_renames))
    branch = under_new_names(branch, _from_there(theirs_only, renames))
    theirs = under_new_names(production, _from_there(ours_only, their_renames))
    tables: dict[str, Table] = {}
    notes: list[str] = []
    for name in sorted({*base.tables, *branch.tables, *theirs.tables}):
        old, ours, other = base.tables.get(name), branch.tables.get(name), theirs.tables.get(name)
        if name in base.opaque or name in branch.opaque:
            merged = MergedTable(other)  # nothing we could carry over; the difference is told as unsupported
        else:
            opaque = production.opaque.get(name)
            merged = _merged(name, old, ours, other, opaque, column_order, against)
        conflicts += merged.conflicts
        notes += merged.notes
        if merged.table is not None:
            tables[name] = merged.table
    return Merged(
        replace(production, tables=tables),
        tuple(conflicts),
        tuple(notes),
        _from_there(ours_only, their_renames),
        _from_there(theirs_only, renames),
    )


def _merged(
    name: str,
    old: Table | None,
    ours: Table | None,
    other: Table | None,
    opaque: OpaqueTable | None,
    column_order: ColumnOrder,
    against: int | None,
) -> MergedTable:
    """Return what becomes of one table; `opaque` is production's, if it is one that we cannot read."""
    if _same(old, ours) or _same(ours, other):
        return MergedTable(other)
    if opaque is not None:
        reason = f"the table is one we cannot change there: {opaque.reason}"
        return MergedTable(None, (Conflict(name, "table", _shown(ours), opaque.text, reason, against),))
    if _same(old, other):
        return MergedTable(ours)
    if old is not None and ours is not None and other is not None:
        return merge_tables(old, ours, other, column_order, against)
    reason = _whole_table(old, ours, other_side(against))
    return MergedTable(other, (Conflict(name, "table", _shown(ours), _shown(other), reason, against),))


def _from_there(renames: Renames, made: Renames) -> Renames:
    """Return renames as they are made where others are made already: tables are called otherwise there."""
    if not made.tables:
        return renames
    columns = {made.tables.get(table, table): moves for table, moves in renames.columns.items()}
    return Renames(columns, renames.tables)


def _same(one: Table | None, other: Table | None) -> bool:
    if one is None or other is None:
        return one is other
    return one.same_as(other)


def _shown(table: Table | None) -> str | None:
    return None if table is None else "\n".join(column_definition(table, column) for column in table.columns)


def _whole_table(old: Table | None, ours: Table | None, them: str) -> str:
    if old is None:
        return f"the branch and {them} each created a table of this name, and they differ"
    if ours is None:
        return f"the branch dropped this table, and {them} changed it since"
    return f"the branch changed this table, and {them} dropped it since"
