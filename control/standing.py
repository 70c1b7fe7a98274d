"""I change what a branch is and may be: its name, its protection, its safe migrations, its rank.

What deploy requests still need of it is asked first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import structlog

from control.branch_record import lasting
from control.branches import Branches
from control.errors import ControlError
from control.handovers import HandOvers
from control.lints import Lint
from control.rebasing import Outcome, rebase_branch
from control.seeds import Seeds
from control.targets import Targets
from control.wall import Wall
from control.watched import Watched
from control.workers import Workers
from migrator.deploy.actions import Deploys
from migrator.deploy.request import DeployRequest, RequestState
from migrator.deploy.settings import DatabaseSettings
from migrator.schema.model import Schema
from migrator.schema.serial import from_json
from router.model import SYSTEM, Actor, check_name
from router.records import BranchRecord

log = structlog.get_logger()


class Standing:
    """The branches of one database, as administrators see them.

    Every method raises ControlError or RouteError with a sentence when something cannot be done.
    """

    def __init__(
        self,
        branches: Branches,
        targets: Targets,
        workers: Workers,
        deploys: Deploys,
        seeds: Seeds,
        *,
        lint: Lint,
        settings: Callable[[], DatabaseSettings],
        watched: Watched,
        handovers: HandOvers,
    ) -> None:
        self._branches = branches
        self._targets = targets
        self._workers = workers
        self._deploys = deploys
        self._seeds = seeds
        self._lint = lint
        self._settings = settings
        self._watched = watched
        self._handovers = handovers
        self._wall = Wall(branches, targets, workers, handovers)

    async def enable_safe_migrations(self, name: str) -> BranchRecord:
        """Refuse direct DDL on a branch from now on, by guard and by server, and take deploy requests.

        Its clients are cut off once: their sessions could have kept the rights they had.
        """
        async with self._wall.alone(name) as record:
            if record.safe_migrations:
                await self._wall.settle(record)
                return record
            await self._check_schema(record)
            record = await self._wall.raise_on(record)
        log.info("safe_migrations.enabled", branch=name)
        return record

    async def disable_safe_migrations(self, name: str) -> BranchRecord:
        """Take direct DDL on a branch again; nothing can be deployed into it then."""
        async with self._wall.alone(name) as record:
            if not record.safe_migrations:
                await self._wall.settle(record)
                return record
            if not record.local:
                raise ControlError(
                    f"branch {name!r} is the production server itself, where the account for application "
                    "traffic has no right to change definitions: its safe migrations cannot be turned off"
                )
            if record.production:
                raise ControlError(
                    f"branch {name!r} is production, which takes no direct schema changes: demote it first: "
                    f"headgate branch demote {record.database} {name}"
                )
            await self._check_unneeded(record, "keeps its safe migrations", into_only=True)
            record = await self._wall.lower_on(record)
        log.info("safe_migrations.disabled", branch=name)
        return record

    async def promote(self, name: str) -> BranchRecord:
        """Make a branch production: never asleep, with safe migrations, not to be deleted."""
        record = await self._branches.get(name)
        if record.production:
            return record
        await self._check_unneeded(record, "is not promoted")
        if not record.safe_migrations:
            await self.enable_safe_migrations(name)
        async with self._wall.alone(name) as record:
            if not record.safe_migrations:
                raise ControlError(
                    f"somebody has switched the safe migrations of branch {name!r} off meanwhile, and "
                    "production has them: promote it again with: "
                    f"headgate branch promote {record.database} {name}"
                )
            record = await self._branches.change(record, production=True, ttl_s=None, expires_at=None)
        if record.local:
            await self._branches.restart(record)
        log.info("branch.promoted", branch=name)
        return record

    async def demote(self, name: str) -> BranchRecord:
        """Make a production branch a development branch that keeps its safe migrations."""
        record = await self._branches.get(name)
        if not record.production:
            return record
        if not any(each.production for each in await self._branches.all() if each.id != record.id):
            raise ControlError(
                f"branch {name!r} is the only production branch, and one must stay: promote another one "
                f"first, with: headgate branch promote {record.database} BRANCH"
            )
        await self._check_unneeded(record, "is not demoted")
        record = await self._branches.change(record, production=False)
        log.info("branch.demoted", branch=name)
        return record

    async def make_default(self, name: str, *, adopt: bool = False) -> BranchRecord:
        """Have branches made from this one, and deployed into it, unless said otherwise.

        With `adopt` the children of the default branch so far become its children.
        """
        record = await self._branches.get(name)
        before = await self._branches.default()
        await self._branches.set_default(record)
        records = await self._branches.all()
        for child in records if adopt else ():
            # One that it comes from itself stays where it is: nothing is made from its own descendant.
            ancestor = child.id == record.id or record.id in {each.id for each in below(child, records)}
            if child.parent_id == before.id and not ancestor:
                await self._branches.change(child, parent_id=record.id)
        log.info("branch.made_default", branch=name)
        return await self._branches.get(name)

    async def rename(self, name: str, new_name: str) -> BranchRecord:
        """Give a branch another name. Its users and passwords go on working; its clients log in again."""
        check_name("branch", new_name)
        record = await self._branches.get(name)
        async with self._deploys.lock:
            await self._check_unneeded(record, "keeps its name")
            record = await self._branches.change(record, name=new_name)
            await self._deploys.rename_branch(record.database, name, new_name)
            await self._watched.rename(record.database, name, new_name)
        self._targets.renamed(record)
        self._workers.cut_off(record.database, name)
        log.info("branch.renamed", branch=name, to=new_name)
        return record

    async def change(
        self, name: str, *, protected: bool | None = None, ttl_s: int | None = None
    ) -> BranchRecord:
        """Protect a branch from being deleted, or not any more; let it live for so long, 0: for ever."""
        record = await self._branches.get(name)
        changes: dict[str, Any] = {} if ttl_s is None else lasting(record, ttl_s)
        if protected is not None:
            changes["deletion_protected"] = protected
        return await self._branches.change(record, **changes)

    async def rebase(self, name: str, onto: str = "", *, drop_conflicts: bool = False) -> Outcome:
        """Make a branch's change anew on its parent, or the branch it is to go into, as that is now."""
        record = await self._branches.get(name)
        onto = onto or record.parent or (await self._branches.default()).name
        if onto == name:
            raise ControlError(f"branch {name!r} cannot be rebased onto itself: name another one with --onto")
        if record.production:
            raise ControlError(
                f"branch {name!r} is production, which takes no direct schema changes: bring it what is on "
                f"{onto!r} with: headgate deploy-request create {record.database} {onto} --into {name}"
            )
        async with self._wall.alone(name) as record:
            await self._check_unneeded(record, "is not rebased")
            # What is missing now would look as if it had been dropped on the branch.
            await self._wall.settle(record)
            return await rebase_branch(
                self._branches,
                self._targets,
                record,
                (await self._branches.get(onto)).name,
                self._settings,
                self._watched,
                self._handovers,
                drop_conflicts=drop_conflicts,
            )

    async def delete(
        self,
        name: str,
        *,
        descendants: bool = False,
        actor: Actor = SYSTEM,
        tell: Callable[[list[str]], None] = lambda gone: None,
    ) -> list[str]:
        """Delete a branch that no deployment needs, and with `descendants` all that were made from it.

        Returns their names, or refuses before the first of them is gone; `tell` takes the names of those that
        are gone so far, should something fail later.
        """
        record = await self._branches.get(name)
        doomed = [record, *(below(record, await self._branches.all()) if descendants else ())]
        for each in doomed:
            self.check_deletable(each)
            await self._check_unneeded(each, "is not deleted")
        gone: list[str] = []
        for each in reversed(doomed):
            self._workers.cut_off(each.database, each.name)
            await self._targets.forget(each)
            await self._seeds.cancel(each)
            await self._branches.delete(each.name)
            gone.append(each.name)
            tell(gone)
            await self._handovers.end(each.id)
            await self._watched.forget(each.database, each.name)
            await self._deploys.branch_deleted(each.database, each.name, actor)
        return gone

    def check_deletable(self, record: BranchRecord) -> None:
        """Raise ControlError when a branch may not be deleted at all."""
        check_deletable(record, self._settings())

    async def delete_deployed(self, request: DeployRequest) -> None:
        """Delete the branch of a request that is done, unless it holds more than what was deployed."""
        record = await self._branches.get(request.branch)
        for other in await self._deploys.all(record.database):
            if other.number != request.number and needs(other, record):
                raise ControlError(f"deploy request {other.number} needs it")
        snapshot = await self._deploys.snapshot(request)
        schema = await self._branches.read(record.name)
        # One that was rebased since, and has no change of its own any more, may go, too.
        known = [await self._branches.base(record.name)]
        if snapshot is not None and not any(
            _alike(schema, each) for each in (from_json(snapshot.branch), *known)
        ):
            raise ControlError("it was changed since the deployment began, and that is nowhere else")
        await self.delete(record.name, actor=request.actor)

    async def take_up(self) -> None:
        """Finish what a process that is gone has begun on any branch."""
        await self._wall.take_up()

    async def _check_schema(self, record: BranchRecord) -> None:
        faults = [finding for finding in await self._lint(record.name) if finding.blocks]
        if faults:
            raise ControlError(
                f"branch {record.name!r} has {len(faults)} lint error{'s' if len(faults) > 1 else ''}: "
                f"{'; '.join(finding.sentence for finding in faults)}. See them with: "
                f"headgate branch lint {record.database} {record.name}"
            )

    async def _check_unneeded(self, record: BranchRecord, so: str, *, into_only: bool = False) -> None:
        """Raise ControlError while a deploy request from or into a branch is queued or under way."""
        for request in await self._deploys.all(record.database):
            ours = request.into_branch == record.name or (
                not into_only and request.branch == record.name and request.cut_over_at is None
            )
            if ours and request.active:
                raise ControlError(
                    f"branch {record.name!r} {so} while deploy request {request.number} is under way: wait, "
                    f"or cancel it with: headgate deploy-request cancel {record.database} {request.number}"
                )


def _alike(one: Schema, other: Schema) -> bool:
    return one.same_as(other) and set(one.code) == set(other.code)


def below(record: BranchRecord, records: Sequence[BranchRecord]) -> list[BranchRecord]:
    """Return the branches that were made from one, or from one of those, each behind its parent."""
    children = [each for each in records if each.parent_id == record.id]
    return [each for child in children for each in (child, *below(child, records))]


def check_deletable(record: BranchRecord, settings: DatabaseSettings) -> None:
    """Raise ControlError when a branch may not be deleted at all."""
    if not record.local:
        raise ControlError(f"branch {record.name!r} is the production server itself: it cannot be deleted")
    if record.is_default:
        raise ControlError(
            f"branch {record.name!r} is the default branch, which is never deleted: make another one the "
            f"default first, with: headgate branch default {record.database} BRANCH"
        )
    if record.production:
        raise ControlError(
            f"branch {record.name!r} is production: it cannot be deleted. Demote it first, with: "
            f"headgate branch demote {record.database} {record.name}"
        )
    if record.deletion_protected:
        raise ControlError(
            f"branch {record.name!r} is protected from being deleted: take that back with: "
            f"headgate branch unprotect {record.database} {record.name}"
        )
    if settings.delete_protection:
        raise ControlError(
            f"branch {record.name!r} belongs to a database whose branches are protected from being deleted: "
            f"an administrator takes that back with: headgate database set {record.database} "
            "delete_protection=false"
        )


def needs(request: DeployRequest, record: BranchRecord) -> bool:
    """Whether a deploy request still needs a branch: it is open, or something is to be done for it."""
    ours = record.name in (request.branch, request.into_branch)
    return ours and (request.state is RequestState.OPEN or request.active)
