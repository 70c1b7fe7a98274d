"""I make, wake, put to sleep and delete branches."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import structlog

from conf.settings import ServersSettings
from control.errors import ControlError, NotFound
from migrator.schema.clone import clone_schema
from migrator.schema.introspect import open_reader, read_schema
from migrator.schema.model import Schema
from migrator.schema.serial import from_json, to_json
from migrator.schema.verify import drop_leftovers
from router.accounts import make_branch_account
from router.database import Connection
from router.hosts import SCRATCH, LocalHost
from router.model import Account, Branch, PoolMode, Role, Server, check_name
from router.secrets import new_id
from router.store import BranchRecord, BranchState, BranchStore, now

log = structlog.get_logger()

MAIN = "main"
SLEEP_CHECK_S = 1.0
SERVER_PREFIX = "branch-"


@dataclass(frozen=True, slots=True)
class Production:
    """The production server, as the proxy and as the migrator reach it."""

    database: str
    schema: str
    traffic: Server
    migrator: Server
    embedded: bool = False
    accounts: Mapping[Role, Account] = field(default_factory=dict)
    pool_mode: PoolMode = PoolMode.TRANSACTION
    require_tls: bool = False
    local_infile: bool = False
    replicas: tuple[Server, ...] = ()
    replica_fallback: bool = True

    @property
    def roles(self) -> frozenset[Role]:
        """The roles that users may have here."""
        return frozenset({Role.READWRITER, Role.ADMIN, *self.accounts})


class Branches:
    """The branches of the production database and the local servers they live on.

    `changed` is awaited whenever the routing table is no longer what the workers have; it returns when they
    have the new one. `connections` answers
    how many clients a branch has now.
    """

    def __init__(
        self,
        settings: ServersSettings,
        store: BranchStore,
        host: LocalHost,
        production: Production,
        branch_account: Account,
        *,
        changed: Callable[[], Awaitable[None]],
        connections: Callable[[str, str], int],
    ) -> None:
        self._settings = settings
        self._store = store
        self._host = host
        self.production = production
        self._account = branch_account
        self._changed = changed
        self._connections = connections
        self._used: dict[str, float] = {}
        # What proofs of a killed process left behind is dropped once, before the first proof of this one.
        self._scratch_cleaning = asyncio.Lock()
        self._scratch_clean = False
        self._users: Counter[str] = Counter()

    def adjust(self, settings: ServersSettings, production: Production) -> None:
        """Go on with other settings, and with production as its clients are to find it from now on."""
        self._settings = settings
        self.production = production

    async def prepare(self) -> None:
        """Make sure that the production branch is known, and clear away branches that were half made."""
        records = {record.name: record for record in await self._store.branches(self.production.database)}
        if MAIN not in records:
            moment = now()
            await self._store.add_branch(
                BranchRecord(
                    id=new_id(),
                    database=self.production.database,
                    name=MAIN,
                    parent=None,
                    production=True,
                    safe_migrations=True,
                    state=BranchState.READY,
                    base=None,
                    created_at=moment,
                    updated_at=moment,
                )
            )
        for record in records.values():
            if record.state is BranchState.PENDING:
                log.warning("branch.half_made_removed", branch=record.name)
                await self._remove(record)
        known = {_server_name(record) for record in records.values()}
        for name in self._host.names():
            if name.startswith(SERVER_PREFIX) and name not in known:
                log.warning("branch.leftover_removed", server=name)
                await self._host.delete(name)

    def check_database(self, database: str) -> None:
        """Raise NotFound unless `database` is the one we serve."""
        if database != self.production.database:
            raise NotFound(f"there is no database {database!r} here: there is {self.production.database!r}")

    async def all(self) -> Sequence[BranchRecord]:
        """Return all branches, oldest first."""
        return await self._store.branches(self.production.database)

    async def get(self, name: str) -> BranchRecord:
        """Return one branch, or raise UnknownBranch."""
        return await self._store.branch(self.production.database, name)

    async def create(self, name: str, parent: str = "") -> BranchRecord:
        """Make a branch on a server of its own with its parent's schema, and remember that as its base."""
        check_name("branch", name)
        origin = await self.get(parent or MAIN)
        moment = now()
        record = BranchRecord(
            id=new_id(),
            database=self.production.database,
            name=name,
            parent=origin.name,
            production=False,
            safe_migrations=False,
            state=BranchState.PENDING,
            base=None,
            created_at=moment,
            updated_at=moment,
        )
        await self._store.add_branch(record)
        try:
            schema = await self.read(origin.name)
            server = await self._host.wake(_server_name(record))
            async with await Connection.open(server) as connection:
                await make_branch_account(connection, self._account, self.production.schema)
            # As the developers' own account: what they find on the branch is theirs to change.
            async with await open_reader(replace(server, account=self._account)) as connection:
                for left_out in await clone_schema(schema, connection, self.production.schema):
                    log.warning("branch.incomplete", branch=name, reason=left_out)
                # As this server prints it, which may be of another release than its parent's.
                base = await read_schema(connection, self.production.schema)
        except BaseException:
            await asyncio.shield(self._remove(record))
            raise
        self._used[name] = time.monotonic()
        record = await self._store.save_branch(replace(record, state=BranchState.READY, base=to_json(base)))
        log.info(
            "branch.created", branch=name, parent=origin.name, duration_s=(now() - moment).total_seconds()
        )
        await self._changed()
        return record

    async def delete(self, name: str) -> None:
        """Delete a development branch, its server and its passwords."""
        record = await self.get(name)
        self.check_deletable(record)
        await self._remove(record)
        await self._changed()

    def check_deletable(self, record: BranchRecord) -> None:
        """Raise ControlError when the branch may not be deleted at all."""
        if record.production:
            raise ControlError(f"branch {record.name!r} is production: it cannot be deleted")

    def asleep(self, record: BranchRecord) -> bool:
        """Whether the branch's server does not run now; the next login wakes it."""
        return not record.production and self._host.asleep(_server_name(record))

    async def read(self, name: str) -> Schema:
        """Read the schema of a branch as it is now; a sleeping branch is woken for it."""
        record = await self.get(name)
        with self._in_use(name):
            server = self.production.migrator if record.production else await self._wake(record)
            async with await open_reader(server) as connection:
                return await read_schema(connection, self.production.schema)

    async def base(self, name: str) -> Schema:
        """Return the schema that a branch had when it was made."""
        record = await self.get(name)
        if record.base is None:
            raise ControlError(f"branch {name!r} has no base to compare with: it is production")
        return from_json(record.base)

    @contextlib.asynccontextmanager
    async def scratch(self) -> AsyncIterator[Server]:
        """Keep the scratch server awake while the body runs."""
        with self._in_use(SCRATCH):
            server = await self._host.wake(SCRATCH)
            async with self._scratch_cleaning:
                if not self._scratch_clean:
                    await drop_leftovers(server)
                    self._scratch_clean = True
            yield server

    async def wake(self, name: str) -> Server:
        """Return the server of a branch, running, with the account for its clients."""
        record = await self.get(name)
        if record.production:
            return self.production.traffic
        return replace(await self._wake(record), account=self._account)

    async def routes(self) -> list[Branch]:
        """Return the branches as the routing table has them."""
        return [self._route(record) for record in await self.all() if record.state is not BranchState.PENDING]

    def _route(self, record: BranchRecord) -> Branch:
        branch = Branch(
            database=record.database,
            name=record.name,
            schema=self.production.schema,
            production=record.production,
            safe_migrations=record.safe_migrations,
            sleepable=not record.production,
            server=self.production.traffic if record.production else self._address(record),
            pool_mode=PoolMode(self._settings.pool_mode),
            local_infile=True,
        )
        if not record.production:
            return branch
        return replace(
            branch,
            pool_mode=self.production.pool_mode,
            require_tls=self.production.require_tls,
            local_infile=self.production.local_infile,
            accounts=self.production.accounts,
            replicas=self.production.replicas,
            replica_fallback=self.production.replica_fallback,
        )

    async def put_idle_to_sleep(self) -> None:
        """Stop the servers that nobody has used for a while, again and again until cancelled."""
        while True:
            await asyncio.sleep(SLEEP_CHECK_S)
            for record in await self.all():
                if record.production or record.state is not BranchState.READY:
                    continue
                if self._connections(record.database, record.name):
                    self._used[record.name] = time.monotonic()
                await self._sleep_if_idle(record.name, _server_name(record))
            await self._sleep_if_idle(SCRATCH, SCRATCH)

    async def _sleep_if_idle(self, name: str, server_name: str) -> None:
        def in_use() -> bool:
            used = self._used.setdefault(name, time.monotonic())
            return self._users[name] > 0 or time.monotonic() - used <= self._settings.sleep_after_s

        if not in_use() and not self._host.asleep(server_name):
            await self._host.sleep(server_name, unless=in_use)

    @contextlib.contextmanager
    def _in_use(self, name: str) -> Iterator[None]:
        self._users[name] += 1
        try:
            yield
        finally:
            self._users[name] -= 1
            self._used[name] = time.monotonic()

    async def _wake(self, record: BranchRecord) -> Server:
        if record.state is BranchState.PENDING:
            raise ControlError(f"branch {record.name!r} is still being made: try again in a moment")
        self._used[record.name] = time.monotonic()
        slept = self._host.asleep(_server_name(record))
        server = await self._host.wake(_server_name(record))
        if slept:
            # Who may log in to a MariaDB server may have changed the password that the branch's users share.
            async with await Connection.open(server) as admin:
                await make_branch_account(admin, self._account, self.production.schema)
        return server

    async def _remove(self, record: BranchRecord) -> None:
        await self._store.delete_branch(record)
        await self._host.delete(_server_name(record))

    def _address(self, record: BranchRecord) -> Server | None:
        local = self._host.server(_server_name(record))
        return replace(local, account=self._account) if local else None


def _server_name(record: BranchRecord) -> str:
    return SERVER_PREFIX + record.id
