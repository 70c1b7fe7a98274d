"""I look at a change as the databases are now: the branch, its base, and the branch it is to go into."""

from __future__ import annotations

from functools import partial

from control.branches import Branches
from control.errors import ControlError
from control.targets import Targets
from migrator.deploy.actions import Check, Findings
from migrator.deploy.review import review
from migrator.engine.forecast import forecast
from migrator.errors import MigratorError
from migrator.schema.errors import SchemaError
from migrator.schema.introspect import open_reader
from router.errors import RouteError


def checking(branches: Branches, targets: Targets) -> Check:
    """Return what checks a change from a branch into another."""

    async def check(database: str, branch: str, into_branch: str) -> Findings:
        try:
            target = await targets.get(into_branch)
            base, theirs, ours = (
                await branches.base(branch),
                await branches.read(branch),
                await branches.read(into_branch),
            )
        except SchemaError as error:
            return Findings({}, (), f"{error} {error.hint}".strip())
        except (RouteError, ControlError, MigratorError) as error:
            return Findings({}, (), str(error))
        async with branches.scratch() as server, await open_reader(server) as scratch:
            return await review(
                scratch,
                base=base,
                branch=theirs,
                production=ours,
                forecast=partial(forecast, target.server, server, target.schema),
            )

    return check
