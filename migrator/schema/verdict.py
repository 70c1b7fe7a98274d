"""I am what a branch means for production: a plan that is proved, or what stands against it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from migrator.schema.conflicts import Conflict, as_finding
from migrator.schema.lint.facts import ServerWarning
from migrator.schema.lint.finding import Finding, Level
from migrator.schema.model import Schema
from migrator.schema.plan import OperationKind, Plan
from migrator.schema.programs import ProgramChange
from migrator.schema.render import render_create
from migrator.schema.views import ViewChange

REBASE = "rebase the branch: its own change is made anew on production as it is now"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a branch means for production.

    `plan` leads from `start`, which is production with everything ahead in the queue deployed, to `target`;
    it is empty when there is nothing to deploy, and when there are conflicts. `ahead` are the names of tables
    that something ahead changes. `notes` are sentences for the author, `remarks` what else there is to say,
    such as questions. `broken_views` would not work after the change, each with the server's words;
    `warnings` are the scratch server's.
    """

    plan: Plan
    start: Schema
    target: Schema
    conflicts: tuple[Conflict, ...] = ()
    notes: tuple[str, ...] = ()
    views: tuple[ViewChange, ...] = ()
    remarks: tuple[Finding, ...] = ()
    no_way_back: str | None = None
    ahead: frozenset[str] = frozenset()
    programs: tuple[ProgramChange, ...] = ()
    broken_views: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[ServerWarning, ...] = ()

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

    def findings(self, way_out: str = REBASE) -> tuple[Finding, ...]:
        """Return all of it as findings; `way_out` says what to do about conflicts."""
        found = [as_finding(conflict, way_out) for conflict in self.conflicts]
        for sentence in self.plan.unsupported:
            said, _, advice = sentence.partition(": ")
            found.append(Finding("UNSUPPORTED_CHANGE", Level.ERROR, "", said, advice, said, hard=True))
        if self.start.tables and not self.target.tables and not self.target.opaque:
            said = "every table there is would be dropped"
            advice = "if that is meant, let one table stay; else look whether the branch is the right one"
            found.append(Finding("EMPTY_SCHEMA", Level.ERROR, "", said, advice, hard=True))
        found += self.remarks
        if self.no_way_back is not None:
            advice = "it can still be reverted by swapping tables, as long as the revert window is open"
            found.append(Finding("INVERSE_NOT_PROVED", Level.WARNING, "", self.no_way_back, advice))
        found += [Finding("NOTE", Level.INFO, "", sentence, element=sentence) for sentence in self.notes]
        return tuple(found)
