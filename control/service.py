"""I am everything the control process does, as the API and the command line see it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

import structlog

from conf.load import load
from conf.reload import Reload, reload
from conf.settings import Settings
from control.branches import Branches
from control.databases import Databases
from control.drift import DriftWatch
from control.errors import ControlError, StartRefused
from control.expiry import Expiry
from control.journal import Journal
from control.lints import Lints
from control.passwords import Passwords
from control.people import People
from control.production import prove, with_settings
from control.recommendations import Recommendations
from control.replicas import usable_replicas
from control.seeds import Seeds
from control.sleep import Sleep
from control.standing import Standing
from control.storage import Costs, costs_of
from control.targets import Targets, check_target
from control.throttles import Throttles
from control.watched import Watched
from control.workers import Workers
from migrator.deploy.actions import Deploys
from migrator.deploy.copy_speed import CopySpeeds
from migrator.deploy.how import USUAL, How
from migrator.deploy.request import DeployRequest, RequestState
from migrator.deploy.runner import Runner
from migrator.deploy.settings import SettingRefused
from migrator.engine.direct.choose import Strategy
from migrator.engine.ground.garbage import Garbage, waiting
from router.accounts import AccountTooPowerful
from router.clock import now
from router.database import Connection
from router.errors import DatabaseError, ServerFailed
from router.hosts import PRODUCTION, LocalHost
from router.model import Actor

log = structlog.get_logger()

WATCH_S = 1.0
EVERYWHERE: Final = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - compared, not bound


@dataclass(kw_only=True, eq=False, repr=False)
class Service:
    """Everything the control process does, as the API and the command line see it.

    `settings` are those that hold now, `config` the file to read again when asked to. `token` is the one in
    the state folder of this machine.
    """

    settings: Settings
    config: str
    token: str
    host: LocalHost
    branches: Branches
    targets: Targets
    standing: Standing
    expiry: Expiry
    sleep: Sleep
    seeds: Seeds
    passwords: Passwords
    deploys: Deploys
    runner: Runner
    workers: Workers
    throttles: Throttles
    databases: Databases
    people: People
    journal: Journal
    recommendations: Recommendations
    speeds: CopySpeeds
    drift: DriftWatch
    lints: Lints
    watched: Watched
    started_at: datetime = field(default_factory=now)

    @property
    def organization(self) -> str:
        """The one organization there is."""
        return self.settings.control.organization

    @property
    def base_url(self) -> str:
        """Where the API is reached."""
        return f"http://{self.settings.control.host}:{self.settings.control.port}"

    @property
    def proxy_host(self) -> str:
        """Where clients reach the proxy; what listens everywhere is reached on this machine at least."""
        host = self.settings.proxy.host
        return "127.0.0.1" if host in EVERYWHERE else host

    @property
    def proxy_port(self) -> int:
        """The port of the proxy."""
        return self.settings.proxy.port

    async def create_deploy_request(
        self, branch: str, into_branch: str, notes: str, actor: Actor, how: How = USUAL
    ) -> DeployRequest:
        """Open a deploy request for a branch, into its parent unless said otherwise."""
        origin = await self.branches.get(branch)
        target = await self.branches.get(into_branch or origin.parent or (await self.branches.default()).name)
        if origin.name == target.name:
            raise ControlError(
                f"branch {branch!r} cannot be deployed into itself: name a branch made from it"
            )
        check_target(target)
        how = replace(how, strategy=how.strategy or Strategy(self.settings.migrator.strategy))
        return await self.deploys.create(origin.database, origin.name, target.name, notes, actor, how)

    async def change_settings(self, changes: Mapping[str, Any]) -> None:
        """Change settings of the database, all or none. Raises SettingRefused with every mistake."""
        allowed = self.databases.settings().allow_foreign_keys
        if changes.get("allow_foreign_keys", allowed) != allowed:
            database = self.branches.production.database
            for request in await self.deploys.all(database):
                if request.state is RequestState.OPEN:
                    raise SettingRefused(
                        "allow_foreign_keys cannot be changed while a deploy request is open that was "
                        "checked by it: deploy it, or close it with: "
                        f"headgate deploy-request close {database} {request.number}"
                    )
        await self.databases.change(changes)
        self.runner.notify()

    async def reload(self) -> Reload:
        """Read the configuration again and take what can be taken, at no client's cost.

        Raises ConfError with all mistakes, or StartRefused when an account is too powerful; then nothing is
        taken.
        """
        outcome = reload(self.settings, load(self.config or None))
        production = with_settings(self.branches.production, outcome.settings.production)
        try:
            await prove(production)
        except (AccountTooPowerful, DatabaseError) as error:
            raise StartRefused(str(error)) from error
        self.settings = outcome.settings
        self.branches.adjust(outcome.settings.servers, production)
        await self.workers.change_limits(outcome.settings.proxy)
        log.info("configuration.reloaded", taken=outcome.taken, waiting=outcome.waiting)
        return outcome

    async def costs(self, request: DeployRequest) -> Costs:
        """Say what room and time the copies of a deploy request will take, as its target is now."""
        return await costs_of(request, await self.targets.get(request.into_branch), self.speeds)

    async def garbage(self) -> list[Garbage]:
        """List the tables of production that wait to be dropped."""
        production = self.branches.production
        async with await Connection.open(
            production.migrator, setup=["SET time_zone = '+00:00'"]
        ) as connection:
            return [each for each in await waiting(connection) if each.schema == production.schema]

    async def not_ready(self) -> str | None:
        """Say why clients cannot be served now, or None when they can."""
        if not self.workers.connected:
            return "no proxy worker is connected yet"
        try:
            async with await Connection.open(self.branches.production.traffic, timeout_s=3) as connection:
                await connection.fetch_value("SELECT 1")
        except DatabaseError as error:
            return f"production does not answer: {error}"
        return None

    async def run(self) -> None:
        """Do the work that nobody asks for: carry deploy requests, put idle branches to sleep."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.runner.run(self.deploys))
            group.create_task(self.sleep.run())
            group.create_task(self._watch_replicas())
            group.create_task(self.targets.run())
            group.create_task(self.expiry.run())
            group.create_task(self.seeds.run())
            group.create_task(self.branches.spare.run())
            group.create_task(self.branches.offer_default())
            group.create_task(self.recommendations.run())
            group.create_task(self.drift.run())
            group.create_task(self.watched.run(self._follow))
            if self.branches.production.embedded:
                group.create_task(self._keep_production_running())

    async def _follow(self, database: str, branch: str) -> None:
        """Do what is due when the definitions of a branch have changed."""
        await self.branches.note_changed(branch)
        await self.deploys.follow(database, branch)

    async def _watch_replicas(self) -> None:
        """Have clients read from those replicas only that are close enough behind."""
        while True:
            production, settings = self.branches.production, self.settings.production
            usable = await usable_replicas(
                production.migrator, settings.replicas, lag_max_s=settings.replica_lag_max_s
            )
            usable = tuple(replace(server, account=production.traffic.account) for server in usable)
            if usable != production.replicas and production is self.branches.production:
                log.warning("replicas.changed", usable=[str(server.address) for server in usable])
                self.branches.adjust(self.settings.servers, replace(production, replicas=usable))
                await self.workers.refresh_routes()
            await asyncio.sleep(WATCH_S)

    async def _keep_production_running(self) -> None:
        """Start the embedded production server again when it has died."""
        while True:
            await asyncio.sleep(WATCH_S)
            try:
                if self.host.asleep(PRODUCTION):
                    log.error("production.died")
                    await self.host.wake(PRODUCTION)
            except (ServerFailed, OSError) as error:
                log.error("production.not_started", reason=str(error))
