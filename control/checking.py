"""I look at a change as the databases are now: the branch, its base, and the branch it is to go into."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from control.branches import Branches
from control.errors import ControlError
from control.evidence import Witness
from control.lints import Lints
from control.storage import with_costs
from control.targets import Targets
from control.watched import Watched
from migrator.deploy.copy_speed import CopySpeeds
from migrator.deploy.findings import Ahead, Check, Findings, Proposal, Snapshot, footprint
from migrator.deploy.review import review
from migrator.deploy.settings import DatabaseSettings
from migrator.engine.forecast import forecast
from migrator.errors import MigratorError
from migrator.schema.errors import SchemaError
from migrator.schema.fold import Change
from migrator.schema.introspect import open_reader
from migrator.schema.renames import Renames
from migrator.schema.serial import from_json, to_json
from router.errors import RouteError


def checking(
    branches: Branches,
    targets: Targets,
    settings: Callable[[], DatabaseSettings],
    lints: Lints,
    watched: Watched,
    speeds: CopySpeeds,
) -> Check:
    """Return what checks a change from a branch into another."""

    async def check(proposal: Proposal) -> Findings:
        try:
            target = await targets.get(proposal.into_branch)
            if proposal.frozen:
                base, theirs = from_json(proposal.frozen.base), from_json(proposal.frozen.branch)
            else:
                base, theirs = await branches.base(proposal.branch), await branches.read(proposal.branch)
            ours = await branches.read(proposal.into_branch)
            # The branch may have gone on since: what is frozen was renamed as it was then.
            renames = proposal.frozen.renames if proposal.frozen else None
            if renames is None:
                renames = await watched.renames(proposal.database, proposal.branch, base, theirs)
        except SchemaError as error:
            return Findings({}, (), f"{error} {error.hint}".strip())
        except (RouteError, ControlError, MigratorError) as error:
            return Findings({}, (), str(error))
        async with branches.scratch.awake() as server, await open_reader(server) as scratch:
            names = frozenset({proposal.database, target.schema})
            witness = Witness(watched.usage, proposal, server, names, settings().recently_used_s)
            found = await review(
                scratch,
                base=base,
                branch=theirs,
                production=ours,
                forecast=partial(forecast, target.server, server, target.schema),
                ahead=[await _ahead(each, proposal.database, watched) for each in proposal.ahead],
                renames=renames,
                column_order=settings().column_order,
                way_out="rebase the branch with: headgate branch rebase "
                f"{proposal.database} {proposal.branch}",
                examine=with_costs(
                    partial(witness.examine, partial(lints.examine, proposal.branch, target)),
                    target,
                    await speeds.last(proposal.database, proposal.into_branch),
                ),
            )
            found = witness.complete(found)
        snapshot = proposal.frozen or Snapshot(
            to_json(base), to_json(theirs), Renames(renames.columns, renames.tables)
        )
        touched = footprint(found.operations, base, theirs, ours)
        return replace(found, snapshot=snapshot, footprint=touched)

    return check


async def _ahead(ahead: Ahead, database: str, watched: Watched) -> Change:
    base, branch = from_json(ahead.snapshot.base), from_json(ahead.snapshot.branch)
    renames = ahead.snapshot.renames
    if renames is None:
        renames = await watched.renames(database, ahead.branch, base, branch)
    return Change(ahead.number, base, branch, renames)
