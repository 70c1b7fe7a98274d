"""I know where deploy requests go: each branch with safe migrations, with all that the engine needs there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import structlog

from conf.settings import Settings
from control.branches import Branches
from control.errors import ControlError
from control.workers import BranchGate, Workers
from migrator.deploy.request import DeployRequest
from migrator.engine.checks.preflight import check_server
from migrator.engine.ground.definers import Definers
from migrator.engine.ground.garbage import LOOK_S, Collector
from migrator.engine.ground.state import prepare_state
from migrator.throttle.ratio import Ratios
from migrator.throttle.signals import TrafficSample
from migrator.throttle.throttler import Throttle
from router.accounts import make_definer, make_migrator_account
from router.database import Connection, quote_name
from router.errors import DatabaseError
from router.model import Account, Server
from router.records import BranchRecord

log = structlog.get_logger()

MIGRATOR_USER = "headgate_migrator"
"""Account of the engine on the local servers of branches."""


@dataclass(frozen=True, slots=True)
class Target:
    """A branch as the engine sees it: `server` with the rights of the migrator, and a new gate at each call.

    `branch_id` stays when the branch is renamed.
    """

    branch_id: str
    server: Server
    schema: str
    throttle: Throttle
    collector: Collector
    gate: Callable[[], BranchGate]


class Targets:
    """The branches that deploy requests may go into, each made ready when it is first asked for.

    `account` is the migrator's on local servers. The `ratios` that people set for the throttle hold for all.
    """

    def __init__(self, settings: Settings, branches: Branches, workers: Workers, account: Account) -> None:
        self._settings = settings
        self._branches = branches
        self._workers = workers
        self._account = account
        self.ratios = Ratios()
        # Both by the id of the branch; targets look up in the second what they are called.
        self._ready: dict[str, Target] = {}
        self._names: dict[str, str] = {}
        # Held while a server is made ready, which is done once, whoever asks.
        self._preparing = asyncio.Lock()
        self._appeared = asyncio.Event()

    @property
    def definers(self) -> Definers:
        """Whom views, triggers, routines and events belong to that deployments make or change."""
        production = self._settings.production
        return Definers(f"{quote_name(production.definer_user)}@`%`", production.trusted_definers)

    async def get(self, branch: str) -> Target:
        """Return the target that a branch is; its server is awake then.

        Raises ControlError when no deploy request may go into it, Refused when its server cannot be migrated
        on, and what waking a server raises.
        """
        record = await self._branches.get(branch)
        check_target(record)
        async with self._preparing:
            self._names[record.id] = record.name
            server = await self._awake(record) if record.local else self._branches.production.migrator
            target = self._ready.get(record.id)
            if target is None or target.server != server:
                await check_server(server)
                await prepare_state(server)
                target = self._ready[record.id] = self._make(record, server)
                self._appeared.set()
        return target

    def renamed(self, record: BranchRecord) -> None:
        """Take what a branch is called now."""
        self._names[record.id] = record.name

    async def forget(self, record: BranchRecord) -> None:
        """Stop measuring on the server of a branch that is no target any more."""
        target = self._ready.pop(record.id, None)
        if target is not None:
            self._appeared.set()
            await target.throttle.close()

    async def close(self) -> None:
        """Stop measuring everywhere."""
        for target in self._ready.values():
            await target.throttle.close()

    async def run(self) -> None:
        """Learn what is usual on each target, and drop what nobody needs any more, until cancelled."""
        tending: dict[str, tuple[Target, asyncio.Task[None]]] = {}
        async with asyncio.TaskGroup() as group:
            while True:
                self._appeared.clear()
                for identity, (target, task) in list(tending.items()):
                    if self._ready.get(identity) is not target:
                        task.cancel()
                        del tending[identity]
                for identity, target in self._ready.items():
                    if identity not in tending:
                        tending[identity] = target, group.create_task(self._tend(target))
                await self._appeared.wait()

    async def _tend(self, target: Target) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(target.throttle.run())
            while True:
                # A server that sleeps is not woken for this.
                if self._branches.awake(target.branch_id):
                    try:
                        await target.collector.collect()
                    except DatabaseError as error:
                        log.info("garbage.delayed", reason=str(error))
                await asyncio.sleep(LOOK_S)

    async def _awake(self, record: BranchRecord) -> Server:
        """Wake a local server and see that the engine can work there."""
        admin = await self._branches.admin(record)
        async with await Connection.open(admin) as connection:
            logged = bool(await connection.fetch_value("SELECT @@GLOBAL.log_bin"))
        if not logged:
            # It was left running by a process that was killed before it could start it again with a log.
            admin = await self._branches.restart(record)
        server = replace(admin, account=self._account)
        if record.id not in self._ready or not logged:
            async with await Connection.open(admin) as connection:
                schema = self._branches.production.schema
                await make_migrator_account(connection, self._account, schema)
                await make_definer(connection, self._settings.production.definer_user, schema)
        return server

    def _make(self, record: BranchRecord, server: Server) -> Target:
        identity, database = record.id, record.database
        throttle = Throttle(
            self._settings.throttle,
            _Signal(self._workers, database, identity, self._names),
            server,
            replicas=() if record.local else self._settings.production.replicas,
            idle_target_s=self._settings.migrator.chunk_target_ms / 1000,
        )
        throttle.station.ratios = self.ratios
        return Target(
            identity,
            server,
            self._branches.production.schema,
            throttle,
            Collector(server, throttle),
            lambda: self._workers.gate(database, self._names[identity]),
        )


@dataclass(frozen=True, slots=True)
class _Signal:
    """What the throttle may know of the traffic of a branch, whatever it is called at the moment."""

    workers: Workers
    database: str
    identity: str
    names: Mapping[str, str]

    def sample(self) -> TrafficSample | None:
        return self.workers.traffic.sample(self.database, self.names[self.identity])


def check_target(record: BranchRecord) -> None:
    """Raise ControlError unless deploy requests may go into a branch."""
    if not record.safe_migrations:
        raise ControlError(
            f"branch {record.name!r} takes no deploy requests, because its safe migrations are off: name "
            "another branch with --into, or turn them on with: "
            f"headgate branch safe-migrations enable {record.database} {record.name}"
        )


def into(requests: Iterable[DeployRequest]) -> set[str]:
    """Return the branches that deploy requests go into which wait for their turn or are under way."""
    return {request.into_branch for request in requests if request.active}
