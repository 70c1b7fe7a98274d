"""I put the control process together; every dependency is passed in here."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from conf.load import load
from conf.reload import Reload, reload
from conf.settings import ProductionSettings, Settings
from control.branches import MAIN, Branches, Production
from control.databases import Databases
from control.errors import ControlError, StartRefused
from control.journal import Journal
from control.owner import sole_owner
from control.passwords import Passwords
from control.people import People
from control.replicas import usable_replicas
from control.throttles import Throttles
from control.workers import Workers
from migrator.deploy.actions import USUAL, Check, Deploys, Findings, How
from migrator.deploy.lifecycle import RUNNING
from migrator.deploy.queue import queued
from migrator.deploy.request import DeployRequest, OperationKind, OperationRecord, RequestState
from migrator.deploy.review import review
from migrator.deploy.runner import MakeOperation, Runner
from migrator.deploy.settings import DatabaseSettings, SettingRefused
from migrator.deploy.store import DeployStore
from migrator.engine.checks.preflight import check_server
from migrator.engine.direct.choose import Strategy
from migrator.engine.direct.direct import Direct
from migrator.engine.direct.view import ChangeView
from migrator.engine.forecast import forecast
from migrator.engine.ground.garbage import Collector, Garbage, waiting
from migrator.engine.ground.operation import Operation
from migrator.engine.ground.state import prepare_state
from migrator.engine.migration import OnlineAlter
from migrator.engine.swap.create import CreateTable
from migrator.engine.swap.drop import DropTable
from migrator.errors import MigratorError
from migrator.schema.errors import SchemaError
from migrator.schema.introspect import open_reader
from migrator.throttle.store import RatioStore
from migrator.throttle.throttler import Throttle
from router.accounts import (
    AccountTooPowerful,
    make_migrator_account,
    make_role_accounts,
    make_traffic_account,
    prove_no_ddl,
    warn_of_migrator,
)
from router.database import Connection, quote_name
from router.errors import DatabaseError, RouteError, ServerFailed, ServerNotFound
from router.hosts import PRODUCTION, LocalHost
from router.model import Account, Address, Branch, Flavor, PoolMode, Role, Server, ServerTls, TlsMode, User
from router.routines import warn_of_programs
from router.secrets import TOKEN_PREFIX, SecretsFile
from router.servers.programs import default_cache, find_server
from router.store import BranchStore, now, open_state

log = structlog.get_logger()

ADMIN_USER = "headgate_admin"
BRANCH_USER = "headgate_branch"
ROLE_USERS = {
    Role.READER: "headgate_reader",
    Role.WRITER: "headgate_writer",
    Role.REPLICATION: "headgate_replication",
}
"""Accounts of the embedded production server for roles that need one of their own."""
FLAVOR_FILE = "flavor"
WATCH_S = 1.0


class Service:
    """Everything the control process does, as the API and the command line see it."""

    def __init__(
        self,
        settings: Settings,
        branches: Branches,
        passwords: Passwords,
        deploys: Deploys,
        runner: Runner,
        workers: Workers,
        throttles: Throttles,
        host: LocalHost,
        token: str,
        config: str = "",
        *,
        databases: Databases,
        people: People,
        journal: Journal,
        collector: Collector,
    ) -> None:
        self._host = host
        self._collector = collector
        self._settings = settings
        self._config = config
        self.branches = branches
        self.passwords = passwords
        self.deploys = deploys
        self.runner = runner
        self.workers = workers
        self.throttles = throttles
        self.token = token
        self.databases = databases
        self.people = people
        self.journal = journal
        self.organization = settings.control.organization
        self.base_url = f"http://{settings.control.host}:{settings.control.port}"
        # What listens everywhere is reached on this machine at least.
        everywhere = settings.proxy.host in {"", "0.0.0.0", "::"}  # noqa: S104 - compared, not bound
        self.proxy_host = "127.0.0.1" if everywhere else settings.proxy.host
        self.proxy_port = settings.proxy.port
        self.started_at: datetime = now()

    async def create_deploy_request(
        self, branch: str, into_branch: str, notes: str, auto_cutover: bool, actor: str, how: How = USUAL
    ) -> DeployRequest:
        """Open a deploy request for a branch, into its parent unless said otherwise."""
        origin = await self.branches.get(branch)
        target = await self.branches.get(into_branch or origin.parent or MAIN)
        if origin.name == target.name:
            raise ControlError(
                f"branch {branch!r} cannot be deployed into itself: name a branch made from it"
            )
        if not target.production:
            raise ControlError(f"branch {target.name!r} is not production: deploy requests go into {MAIN!r}")
        how = replace(how, strategy=how.strategy or Strategy(self._settings.migrator.strategy))
        return await self.deploys.create(
            origin.database, origin.name, target.name, notes, auto_cutover, actor, how
        )

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

    async def delete_branch(self, name: str) -> None:
        """Delete a branch that no deployment needs, and cut off its clients."""
        record = await self.branches.get(name)
        self.branches.check_deletable(record)
        for request in await self.deploys.all(record.database):
            waiting = request.deployment_state in RUNNING or queued([request])
            if request.branch == name and waiting and request.cut_over_at is None:
                raise ControlError(
                    f"branch {name!r} is being deployed by deploy request {request.number}: wait, or cancel "
                    f"it with: headgate deploy-request cancel {record.database} {request.number}"
                )
        self.workers.cut_off(record.database, name)
        await self.branches.delete(name)

    async def reload(self) -> Reload:
        """Read the configuration again and take what can be taken, at no client's cost.

        Raises ConfError with all mistakes, or StartRefused when an account is too powerful; then nothing is
        taken.
        """
        outcome = reload(self._settings, load(self._config or None))
        production = _with_settings(self.branches.production, outcome.settings.production)
        try:
            await _prove(production)
        except (AccountTooPowerful, DatabaseError) as error:
            raise StartRefused(str(error)) from error
        self._settings = outcome.settings
        self.branches.adjust(outcome.settings.servers, production)
        await self.workers.change_limits(outcome.settings.proxy)
        log.info("configuration.reloaded", taken=outcome.taken, waiting=outcome.waiting)
        return outcome

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
            group.create_task(self.branches.put_idle_to_sleep())
            group.create_task(self._watch_replicas())
            group.create_task(self._collector.run())
            group.create_task(self.throttles.learn())
            if self.branches.production.embedded:
                group.create_task(self._keep_production_running())

    async def _watch_replicas(self) -> None:
        """Have clients read from those replicas only that are close enough behind."""
        while True:
            production, settings = self.branches.production, self._settings.production
            usable = await usable_replicas(
                production.migrator, settings.replicas, lag_max_s=settings.replica_lag_max_s
            )
            usable = tuple(replace(server, account=production.traffic.account) for server in usable)
            if usable != production.replicas and production is self.branches.production:
                log.warning("replicas.changed", usable=[str(server.address) for server in usable])
                self.branches.adjust(self._settings.servers, replace(production, replicas=usable))
                await self.workers.refresh_routes()
            await asyncio.sleep(WATCH_S)

    async def _keep_production_running(self) -> None:
        """Start the embedded production server again when it has died."""
        while True:
            await asyncio.sleep(WATCH_S)
            try:
                if self._host.asleep(PRODUCTION):
                    log.error("production.died")
                    await self._host.wake(PRODUCTION)
            except ServerFailed as error:
                log.error("production.not_started", reason=str(error))


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


async def _assemble(settings: Settings, config: str, stack: contextlib.AsyncExitStack) -> Service:
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
    production = await _production(settings.production, host, secrets)
    (state / FLAVOR_FILE).write_text(host.programs.flavor)
    await _prove(production)
    for warning in await _warnings(production):
        log.warning("production.warned", reason=warning)
    await prepare_state(production.migrator)

    workers = Workers(
        settings.run_dir / "control.sock",
        greeting=greeting(production.traffic),
        limits=settings.proxy,
    )
    branches = Branches(
        settings.servers,
        branch_store,
        host,
        production,
        Account(BRANCH_USER, secrets.get(BRANCH_USER)),
        changed=workers.refresh_routes,
        connections=workers.connections,
    )
    await branches.prepare()
    passwords = Passwords(
        production.database,
        branch_store,
        roles=lambda: branches.production.roles,
        changed=workers.refresh_routes,
    )
    throttle = _throttle(settings, production, workers)
    stack.push_async_callback(throttle.close)
    throttles = Throttles(production.database, RatioStore(engine), throttle)
    await throttles.prepare()
    workers.metrics.others.append(throttles.metrics)
    runner = Runner(
        production.database,
        deploy_store,
        _operations(settings, production, workers, throttle),
        settings.migrator.revert_window_s,
    )

    deploys = Deploys(deploy_store, _checking(branches, production), runner.notify)

    async def routes() -> tuple[list[User], list[Branch]]:
        return await passwords.users(), await branches.routes()

    await stack.enter_async_context(workers.serving(routes, branches.wake))
    token = secrets.get("token", TOKEN_PREFIX)
    usual = DatabaseSettings(revert_window_s=settings.migrator.revert_window_s)
    databases = Databases(production.database, engine, usual)
    people, journal = People(engine, token), Journal(engine)
    for kept in (databases, people, journal):
        await kept.prepare()
    collector = Collector(production.migrator, throttle)
    return Service(
        settings,
        branches,
        passwords,
        deploys,
        runner,
        workers,
        throttles,
        host,
        token,
        config,
        databases=databases,
        people=people,
        journal=journal,
        collector=collector,
    )


def _throttle(settings: Settings, production: Production, workers: Workers) -> Throttle:
    """Return the throttle of everything that is copied on production."""
    return Throttle(
        settings.throttle,
        workers.signal(production.database, MAIN),
        production.migrator,
        replicas=settings.production.replicas,
        idle_target_s=settings.migrator.chunk_target_ms / 1000,
    )


def _checking(branches: Branches, production: Production) -> Check:
    """Return what looks at a change as the databases are now."""

    async def check(database: str, branch: str, into_branch: str) -> Findings:
        try:
            base, theirs, ours = (
                await branches.base(branch),
                await branches.read(branch),
                await branches.read(into_branch),
            )
        except (RouteError, ControlError, SchemaError) as error:
            return Findings({}, (), f"{error} {getattr(error, 'hint', '')}".strip())
        async with branches.scratch() as server, await open_reader(server) as scratch:
            return await review(
                scratch,
                base=base,
                branch=theirs,
                production=ours,
                forecast=partial(forecast, production.migrator, server, production.schema),
            )

    return check


def _operations(
    settings: Settings, production: Production, workers: Workers, throttle: Throttle
) -> MakeOperation:
    """Return what turns a recorded operation into one that can be carried out."""
    server, schema = production.migrator, production.schema

    async def make(request: DeployRequest, record: OperationRecord) -> Operation:
        gate = workers.gate(request.database, request.into_branch)
        if record.view:
            return ChangeView(record.id, server, schema, record.table, record.target or "", settings.migrator)
        if record.kind is OperationKind.DROP:
            return DropTable(record.id, server, schema, record.table, gate, settings.migrator)
        assert record.target is not None
        if record.kind is OperationKind.CREATE:
            return CreateTable(record.id, server, schema, record.table, record.target, settings.migrator)
        choice = request.choice(record)
        if choice is not None and choice.way is not None:
            place = record.id, server, schema, record.table, record.target
            return Direct(*place, choice.way, gate, settings.migrator)
        return OnlineAlter(
            record.id,
            server,
            schema,
            record.table,
            record.target,
            gate,
            throttle.for_request(request.number),
            settings.migrator,
            renames=record.renames,
            allow_lossy=request.allow_lossy,
        )

    return make


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


async def _production(settings: ProductionSettings, host: LocalHost, secrets: SecretsFile) -> Production:
    schema = settings.schema or settings.database
    if settings.host or settings.socket:
        return await _external(settings, schema, host)
    embedded = await host.wake(PRODUCTION)
    traffic = Account(settings.proxy_user, secrets.get(settings.proxy_user))
    migrator = Account(settings.migrator_user, secrets.get(settings.migrator_user))
    async with await Connection.open(embedded) as admin:
        await admin.execute(f"CREATE DATABASE IF NOT EXISTS {quote_name(schema)}")
        await make_traffic_account(admin, traffic, schema)
        await make_migrator_account(admin, migrator, schema)
        accounts = {role: Account(user, secrets.get(user)) for role, user in ROLE_USERS.items()}
        await make_role_accounts(admin, accounts, schema)
    production = Production(
        settings.database,
        schema,
        replace(embedded, account=traffic),
        replace(embedded, account=migrator),
        embedded=True,
        accounts=accounts,
    )
    return _with_settings(production, settings)


async def _prove(production: Production) -> None:
    """See that no account which clients work with can change the schema."""
    for role, account in {Role.READWRITER: production.traffic.account, **production.accounts}.items():
        server = replace(production.traffic, account=account)
        refusal = await prove_no_ddl(server, production.schema, role)
        log.info("account.proved", account=account.user, refusal=refusal)


async def _warnings(production: Production) -> list[str]:
    """Return what the operator of production should know before anything goes wrong."""
    proved = [production.traffic.account.user, *(account.user for account in production.accounts.values())]
    return [
        *await check_server(production.migrator),
        *await warn_of_migrator(production.migrator),
        *await warn_of_programs(production.migrator, production.schema, proved),
    ]


async def _external(settings: ProductionSettings, schema: str, host: LocalHost) -> Production:
    """Return the production server that the configuration names; it must be one we can work with."""
    address = Address(settings.host, settings.port, settings.socket or None)
    traffic = Account(settings.proxy_user, settings.proxy_password)
    migrator = Account(settings.migrator_user, settings.migrator_password)
    tls = ServerTls(TlsMode(settings.tls), settings.tls_ca, settings.tls_certificate, settings.tls_key)
    server = await _describe(Server(Flavor.MYSQL, "", address, migrator, tls, settings.public_key))
    if server.flavor is not host.programs.flavor:
        raise StartRefused(
            f"production is {server.flavor} {server.version}, but local servers are "
            f"{host.programs.flavor}: set servers.flavor to {str(server.flavor)!r}"
        )
    if _release(host.programs.version) != _release(server.version):
        log.warning(
            "production.differs",
            reason=f"production is {server.version}, branch and scratch servers are "
            f"{host.programs.version}: what only one of them knows cannot be tried or proved",
        )
    production = Production(settings.database, schema, replace(server, account=traffic), server)
    return _with_settings(production, settings)


def _with_settings(production: Production, settings: ProductionSettings) -> Production:
    """Return production as its clients are to find it: what may change while Headgate runs."""
    named = {
        Role.READER: Account(settings.reader_user, settings.reader_password),
        Role.WRITER: Account(settings.writer_user, settings.writer_password),
        Role.REPLICATION: Account(settings.replication_user, settings.replication_password),
    }
    accounts = production.accounts if production.embedded else {}
    return replace(
        production,
        accounts={**accounts, **{role: account for role, account in named.items() if account.user}},
        pool_mode=PoolMode(settings.pool_mode),
        require_tls=settings.require_secure_transport,
        local_infile=settings.local_infile,
        replica_fallback=settings.replica_fallback,
    )


def _release(version: str) -> list[str]:
    """Return the numbers that tell releases apart: 9.7.4-2 is release 9.7."""
    return version.split("-")[0].split(".")[:2]


async def _describe(server: Server) -> Server:
    """Return the server with the flavour and version it says it has."""
    async with await Connection.open(server) as connection:
        version = str(await connection.fetch_value("SELECT VERSION()"))
    flavor = Flavor.MARIADB if "mariadb" in version.lower() else Flavor.MYSQL
    return replace(server, flavor=flavor, version=version)


def greeting(server: Server) -> str:
    """Return the version told to clients: production's numbers, which drivers look at, and our name.

    MariaDB before 11 puts 5.5.5 in front, as its replicas expect; Connector/J asks for the variables that
    such a server has, and cannot log in when it is told 10.
    """
    numbers = server.version.split("-")[0]
    if server.flavor is Flavor.MYSQL:
        return f"{numbers}-headgate"
    prefix = "5.5.5-" if int(numbers.split(".")[0]) < 11 else ""
    return f"{prefix}{numbers}-MariaDB-headgate"
