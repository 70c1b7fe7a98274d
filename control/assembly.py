"""I put the control process together; every dependency is passed in here."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from conf.settings import Settings
from control.branches import Branches
from control.checking import Checking
from control.databases import Databases
from control.drift import DriftWatch
from control.drift_store import DriftStore
from control.errors import ControlError, NotFound, StartRefused
from control.expiry import Expiry
from control.handovers import HandOvers
from control.journal import Journal
from control.lints import Lints
from control.migration_rows import make_migration_rows
from control.operations import operations_on
from control.owner import sole_owner
from control.passwords import Passwords
from control.people import People
from control.production import Production, greeting, open_production, prove, warnings_of
from control.recommendation_source import Source
from control.recommendation_store import RecommendationStore
from control.recommendations import Recommendations
from control.seeds import Seeds
from control.service import Service
from control.sleep import Sleep
from control.standing import Standing
from control.targets import MIGRATOR_USER, Targets, into
from control.throttles import Throttles
from control.watched import Watched
from control.workers import Workers
from migrator.deploy.actions import Deploys
from migrator.deploy.alongside import RowsAndSpeed
from migrator.deploy.copy_speed import CopySpeeds
from migrator.deploy.errors import DeployError
from migrator.deploy.request import DeployRequest, RequestState
from migrator.deploy.runner import Runner
from migrator.deploy.settings import DatabaseSettings
from migrator.deploy.store import DeployStore
from migrator.deploy.suppressions import SuppressionStore
from migrator.errors import MigratorError
from migrator.schema.errors import SchemaError
from migrator.throttle.store import RatioStore
from router.accounts import AccountTooPowerful
from router.errors import DatabaseError, RouteError, ServerFailed, ServerNotFound, UnknownBranch
from router.hosts import LocalHost
from router.model import Account, Branch, Flavor, User
from router.secrets import TOKEN_PREFIX, SecretsFile
from router.servers.programs import default_cache, find_server
from router.state import open_state
from router.store import BranchStore

log = structlog.get_logger()

ADMIN_USER = "headgate_admin"
BRANCH_USER = "headgate_branch"
FLAVOR_FILE = "flavor"


@contextlib.asynccontextmanager
async def open_service(settings: Settings, config: str = "") -> AsyncIterator[Service]:
    """Bring everything up that control needs, and take it down again at the end.

    `config` is the file to read again when asked to. Raises StartRefused with what to mend when it cannot be
    brought up.
    """
    async with contextlib.AsyncExitStack() as stack:
        try:
            stack.enter_context(sole_owner(settings.state_dir))
            service = await _assemble(settings, config, stack)
        except (
            ServerNotFound,
            ServerFailed,
            AccountTooPowerful,
            MigratorError,
            DatabaseError,
            OSError,
        ) as error:
            raise StartRefused(str(error)) from error
        yield service


@dataclass(frozen=True, slots=True)
class _Ground:
    """What everything else stands on: the state database, the servers, the workers, the branches."""

    settings: Settings
    secrets: SecretsFile
    engine: AsyncEngine
    branch_store: BranchStore
    deploy_store: DeployStore
    host: LocalHost
    production: Production
    workers: Workers
    watched: Watched
    branches: Branches
    targets: Targets

    @property
    def database(self) -> str:
        return self.production.database

    async def requests(self) -> Sequence[DeployRequest]:
        return await self.deploy_store.all(self.database)

    async def needed(self) -> Collection[str]:
        """Return the branches that must not sleep though they have no clients."""
        return into(await self.requests())

    async def number_of(self, branch: str) -> int | None:
        """Return the number of the open deploy request of a branch."""
        mine = [request for request in await self.requests() if request.branch == branch]
        return next((request.number for request in mine if request.state is RequestState.OPEN), None)


@dataclass(frozen=True, slots=True)
class _Kept:
    """What people have decided and done, and what was measured, as the state database keeps it."""

    token: str = field(repr=False)
    databases: Databases
    people: People
    journal: Journal
    speeds: CopySpeeds
    lints: Lints
    handovers: HandOvers


async def _assemble(settings: Settings, config: str, stack: contextlib.AsyncExitStack) -> Service:
    ground = await _lay_ground(settings, stack)
    kept = await _open_kept(ground)
    branches, targets, workers = ground.branches, ground.targets, ground.workers
    passwords = Passwords(
        ground.database,
        ground.branch_store,
        roles=lambda: branches.production.roles,
        changed=workers.refresh_routes,
    )
    throttles = await _open_throttles(ground)
    seeds = Seeds(branches, targets, settings.state_dir)
    runner, deploys, standing = await _deploying(ground, kept, seeds)

    async def routes() -> tuple[list[User], list[Branch]]:
        return await passwords.users(), await branches.routes()

    await stack.enter_async_context(workers.serving(routes, branches.wake))
    return Service(
        settings=settings,
        config=config,
        token=kept.token,
        host=ground.host,
        branches=branches,
        targets=targets,
        standing=standing,
        expiry=Expiry(branches, standing, deploys),
        sleep=Sleep(branches, workers.connections, ground.needed),
        seeds=seeds,
        passwords=passwords,
        deploys=deploys,
        runner=runner,
        workers=workers,
        throttles=throttles,
        databases=kept.databases,
        people=kept.people,
        journal=kept.journal,
        recommendations=await _open_recommendations(ground, kept),
        watched=ground.watched,
        speeds=kept.speeds,
        drift=await _open_drift(ground, deploys),
        lints=kept.lints,
    )


async def _lay_ground(settings: Settings, stack: contextlib.AsyncExitStack) -> _Ground:
    state = settings.state_dir
    secrets = SecretsFile(state / "secrets.json")
    engine = open_state(state / "state.db")
    stack.push_async_callback(engine.dispose)
    branch_store, deploy_store = BranchStore(engine), DeployStore(engine)
    await branch_store.prepare()
    await deploy_store.prepare()
    host = await _local_host(settings, secrets)
    await host.remove_leftovers()
    stack.push_async_callback(host.stop_all)
    production = await open_production(settings.production, host, secrets)
    (state / FLAVOR_FILE).write_text(host.programs.flavor)
    await prove(production)
    for warning in await warnings_of(production):
        log.warning("production.warned", reason=warning)

    workers = Workers(
        settings.run_dir / "control.sock", greeting=greeting(production.traffic), limits=settings.proxy
    )
    watched = Watched(engine, settings.usage)
    await watched.prepare(workers)
    branches = Branches(
        settings.servers,
        branch_store,
        host,
        production,
        Account(BRANCH_USER, secrets.get(BRANCH_USER)),
        changed=workers.refresh_routes,
    )
    await branches.prepare()
    targets = Targets(settings, branches, workers, Account(MIGRATOR_USER, secrets.get(MIGRATOR_USER)))
    stack.push_async_callback(targets.close)
    stores = branch_store, deploy_store
    return _Ground(settings, secrets, engine, *stores, host, production, workers, watched, branches, targets)


async def _open_kept(ground: _Ground) -> _Kept:
    engine, settings = ground.engine, ground.settings
    token = ground.secrets.get("token", TOKEN_PREFIX)
    usual = DatabaseSettings(revert_window_s=settings.migrator.revert_window_s)
    databases, suppressions = Databases(ground.database, engine, usual), SuppressionStore(engine)
    people, journal, speeds = People(engine, token), Journal(engine), CopySpeeds(engine)
    handovers = HandOvers(engine)
    for store in (databases, suppressions, people, journal, speeds, handovers):
        await store.prepare()
    lints = Lints(
        ground.database,
        suppressions,
        ground.branches,
        settings.lint,
        databases.settings,
        ground.number_of,
    )
    return _Kept(token, databases, people, journal, speeds, lints, handovers)


async def _deploying(ground: _Ground, kept: _Kept, seeds: Seeds) -> tuple[Runner, Deploys, Standing]:
    branches, targets, settings = ground.branches, ground.targets, ground.settings
    rows = await make_migration_rows(ground.engine, branches, ground.requests, kept.databases)

    async def delete_branch(request: DeployRequest) -> None:
        await _delete_deployed(standing, request)

    runner = Runner(
        ground.database,
        ground.deploy_store,
        operations_on(targets, settings.migrator, targets.definers),
        delete_branch,
        RowsAndSpeed(rows, kept.speeds),
    )
    decided, watched = kept.databases.settings, ground.watched
    checking = Checking(branches, targets, decided, kept.lints, watched, kept.speeds, ground.requests)
    deploys = Deploys(ground.deploy_store, checking.check, runner.notify, decided, kept.people.administrators)
    standing = Standing(
        branches,
        targets,
        ground.workers,
        deploys,
        seeds,
        lint=kept.lints.errors,
        settings=decided,
        watched=watched,
        handovers=kept.handovers,
    )
    await standing.take_up()
    return runner, deploys, standing


async def _delete_deployed(standing: Standing, request: DeployRequest) -> None:
    """Delete the branch of a request that is done; raises DeployError when it has to stay."""
    try:
        await standing.delete_deployed(request)
    except (NotFound, UnknownBranch):
        return
    except (ControlError, DatabaseError, RouteError, SchemaError, ServerFailed) as error:
        raise DeployError(str(error)) from error


async def _open_throttles(ground: _Ground) -> Throttles:
    configured = await ground.targets.get((await ground.branches.configured()).name)
    throttles = Throttles(ground.database, RatioStore(ground.engine), configured.throttle)
    await throttles.prepare()
    ground.workers.metrics.others.append(throttles.metrics)
    return throttles


async def _open_drift(ground: _Ground, deploys: Deploys) -> DriftWatch:
    store = DriftStore(ground.engine, ground.database)
    await store.prepare()
    return DriftWatch(store, ground.branches, deploys)


async def _open_recommendations(ground: _Ground, kept: _Kept) -> Recommendations:
    store = RecommendationStore(ground.engine)
    await store.prepare()
    source = Source(
        ground.branches,
        ground.targets,
        ground.deploy_store,
        kept.databases,
        ground.watched.usage,
        ground.settings.production.replicas,
        ground.settings.usage.shapes_max,
    )
    return Recommendations(store, source, ground.branches)


async def _local_host(settings: Settings, secrets: SecretsFile) -> LocalHost:
    flavor = Flavor(settings.servers.flavor)
    _check_flavor(settings.state_dir, flavor)
    programs = await find_server(flavor, configured=settings.servers.program, fetch=settings.servers.fetch)
    admin = Account(ADMIN_USER, secrets.get(ADMIN_USER))
    return LocalHost(programs, settings.state_dir / "servers", default_cache(), admin)


def _check_flavor(state: Path, flavor: Flavor) -> None:
    """Refuse a state folder whose servers are of the other flavour: their data cannot be read by this one."""
    marker = state / FLAVOR_FILE
    kept = marker.read_text() if marker.exists() else flavor
    if kept != flavor:
        raise StartRefused(
            f"the state folder {state} holds {kept} servers, and servers.flavor is {str(flavor)!r}: set "
            f"HEADGATE_SERVERS_FLAVOR={kept}, or choose another folder with HEADGATE_STATE"
        )
