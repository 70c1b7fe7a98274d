"""I look at a change as the databases are now: the branch, its base, and the branch it is to go into."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from control.branches import Branches
from control.errors import ControlError
from control.evidence import Witness
from control.lints import Lints
from control.storage import with_costs
from control.targets import Target, Targets
from control.watched import Watched
from migrator.deploy.copy_speed import CopySpeeds
from migrator.deploy.findings import Ahead, Findings, Proposal, Snapshot, footprint
from migrator.deploy.renamed import renamed_since
from migrator.deploy.request import DeployRequest
from migrator.deploy.review import review
from migrator.deploy.settings import DatabaseSettings
from migrator.engine.forecast import forecast
from migrator.errors import MigratorError
from migrator.schema.errors import SchemaError
from migrator.schema.fold import Change
from migrator.schema.introspect import open_reader
from migrator.schema.model import Schema
from migrator.schema.renames import NONE, Renames
from migrator.schema.serial import from_json, to_json
from router.beside import beside
from router.errors import RouteError
from router.model import Server


@dataclass(frozen=True, slots=True)
class _Sides:
    """The schemas that a proposal is about, and what was renamed since its base, by the branch and there."""

    base: Schema
    branch: Schema
    target: Schema
    renames: Renames
    their_renames: Renames


@dataclass(frozen=True, slots=True)
class Checking:
    """What the changes of one database are looked at with.

    `settings` are those that hold now, `requests` the deploy requests that there are.
    """

    branches: Branches
    targets: Targets
    settings: Callable[[], DatabaseSettings]
    lints: Lints
    watched: Watched
    speeds: CopySpeeds
    requests: Callable[[], Awaitable[Sequence[DeployRequest]]]

    async def check(self, proposal: Proposal) -> Findings:
        """Check a change from a branch into another."""
        try:
            target = await self.targets.get(proposal.into_branch)
            sides = await self._sides(proposal)
        except SchemaError as error:
            return Findings({}, (), f"{error} {error.hint}".strip())
        except (RouteError, ControlError, MigratorError) as error:
            return Findings({}, (), str(error))
        async with self.branches.scratch.awake() as server:
            found = await self._review(proposal, sides, target, server)
        snapshot = proposal.frozen or Snapshot(
            to_json(sides.base),
            to_json(sides.branch),
            Renames(sides.renames.columns, sides.renames.tables),
        )
        touched = footprint(found.operations, sides.base, sides.branch, sides.target)
        return replace(found, snapshot=snapshot, footprint=touched)

    async def _sides(self, proposal: Proposal) -> _Sides:
        branches, frozen = self.branches, proposal.frozen
        async with beside(branches.read(proposal.into_branch)) as reading:
            if frozen:
                base, branch = from_json(frozen.base), from_json(frozen.branch)
            else:
                base, branch = await branches.base(proposal.branch), await branches.read(proposal.branch)
            target = await reading
        # The branch may have gone on since: what is frozen was renamed as it was then.
        renames = frozen.renames if frozen else None
        if renames is None:
            renames = await self.watched.renames(proposal.database, proposal.branch, base, branch)
        theirs = await self._renamed(proposal, proposal.branch, base, target)
        return _Sides(base, branch, target, renames, theirs)

    async def _renamed(self, proposal: Proposal, branch: str, base: Schema, target: Schema) -> Renames:
        """Return what deploy requests have renamed on the target since a branch got its base."""
        for record in await self.branches.all():
            if record.name == branch:
                into, since = proposal.into_branch, record.created_at
                return renamed_since(await self.requests(), into, since, base, target)
        return NONE

    async def _review(self, proposal: Proposal, sides: _Sides, target: Target, server: Server) -> Findings:
        """Try the change on a scratch server, and have everybody look at it who has a say."""
        settings, names = self.settings(), frozenset({proposal.database, target.schema})
        witness = Witness(self.watched.usage, proposal, server, names, settings.recently_used_s)
        speed = await self.speeds.last(proposal.database, proposal.into_branch)
        by_rules = partial(self.lints.examine, proposal.branch, target)
        async with await open_reader(server) as scratch:
            found = await review(
                scratch,
                base=sides.base,
                branch=sides.branch,
                production=sides.target,
                forecast=partial(forecast, target.server, server, target.schema),
                ahead=[await self._ahead(each, proposal, sides.target) for each in proposal.ahead],
                renames=sides.renames,
                their_renames=sides.their_renames,
                column_order=settings.column_order,
                way_out="rebase the branch with: headgate branch rebase "
                f"{proposal.database} {proposal.branch}",
                examine=with_costs(partial(witness.examine, by_rules), target, speed),
            )
            return witness.complete(found)

    async def _ahead(self, ahead: Ahead, proposal: Proposal, target: Schema) -> Change:
        base, branch = from_json(ahead.snapshot.base), from_json(ahead.snapshot.branch)
        renames = ahead.snapshot.renames
        if renames is None:
            renames = await self.watched.renames(proposal.database, ahead.branch, base, branch)
        theirs = await self._renamed(proposal, ahead.branch, base, target)
        return Change(ahead.number, base, branch, renames, theirs)
