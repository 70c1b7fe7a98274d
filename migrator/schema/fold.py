"""I fold what waits in the queue onto production, in the order in which it will be deployed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from migrator.schema.column_order import ColumnOrder
from migrator.schema.merge import merge
from migrator.schema.model import Schema
from migrator.schema.programs import program_changes, with_programs
from migrator.schema.renames import NONE, Renames
from migrator.schema.views import view_changes, with_views


@dataclass(frozen=True, slots=True)
class Change:
    """One deploy request ahead in the queue: what its branch has made of the branch's base.

    `their_renames` are production's since that base.
    """

    number: int
    base: Schema
    branch: Schema
    renames: Renames = NONE
    their_renames: Renames = NONE


@dataclass(frozen=True, slots=True)
class Step:
    """What production is before and after one deploy request ahead; `renames` lead from one to the other."""

    number: int
    before: Schema
    after: Schema
    renames: Renames = NONE


@dataclass(frozen=True, slots=True)
class Folded:
    """Production once everything ahead is deployed; `notes` name what cannot be deployed as it is."""

    steps: tuple[Step, ...]
    end: Schema
    notes: tuple[str, ...] = ()


def fold(production: Schema, ahead: Sequence[Change], column_order: ColumnOrder) -> Folded:
    """Apply the changes to production from first to last; one that conflicts is passed over and told."""
    steps: list[Step] = []
    notes: list[str] = []
    now = production
    for change in ahead:
        merged = merge(
            change.base,
            change.branch,
            now,
            renames=change.renames,
            their_renames=change.their_renames,
            column_order=column_order,
        )
        programs = program_changes(change.base, change.branch, now, merged.target)
        if conflicts := (*merged.conflicts, *programs.conflicts):
            notes.append(
                f"deploy request {change.number} ahead in the queue cannot be deployed as production is now "
                f"({conflicts[0]}): this request is checked without it"
            )
            continue
        views, _ = view_changes(change.base, change.branch, now)
        after = replace(merged.target, code=with_views(now, views))
        after = replace(after, code=with_programs(after, programs.changes))
        steps.append(Step(change.number, now, after, merged.renames))
        now = after
    return Folded(tuple(steps), now, tuple(notes))
