"""I make, wake and delete branches."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

import structlog

from conf.settings import ServersSettings
from control.branch_record import SERVER_PREFIX, digest, lasting, purpose_of, route_of, server_name
from control.errors import ControlError, NotFound
from control.idle import Idle
from control.making import Begun, furnish_server, load_triggers
from control.production import Production
from control.scratch import Scratch
from control.spare import Spare
from migrator.schema.errors import SchemaError
from migrator.schema.introspect import open_reader, read_schema
from migrator.schema.model import Schema
from migrator.schema.seed import Wish, plan_seed
from migrator.schema.serial import from_json, to_json
from router.accounts import make_branch_account, make_rows_account
from router.beside import beside
from router.clock import now
from router.database import Connection
from router.errors import DatabaseError, RouteError, ServerFailed, UnknownBranch
from router.hosts import LocalHost
from router.model import SYSTEM, Account, Actor, Branch, PoolMode, Server, check_name
from router.records import BranchRecord, BranchState, Home
from router.secrets import new_id
from router.store import BranchStore

log = structlog.get_logger()

MAIN = "main"
"""What the first branch is called at first: the one on the production server."""


Endow = Callable[[BranchRecord, BranchRecord, Server], Awaitable[None]]
"""Puts rows of its parent's into a branch: takes the parent, the branch, and its server with every right."""


class Branches:
    """The branches of the production database and the local servers they live on.

    `changed` is awaited whenever the routing table is no longer what the workers have; it returns when they
    have the new one.
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
    ) -> None:
        self.settings = settings
        self._store = store
        self._host = host
        self.production = production
        self.account = branch_account
        self._changed = changed
        # Whoever has rows for new and rebased branches adds itself here.
        self.endowments: list[Endow] = []
        # Why branches could not be made, by name, until one of that name is begun again.
        self.failures: dict[str, str] = {}
        # Branches whose definitions were seen to change since somebody looked at them.
        self.stale: set[str] = set()
        self.idle = Idle(host)
        self.spare = Spare(host, SERVER_PREFIX, self._furnish)
        self.scratch = Scratch(host, self.idle)

    def adjust(self, settings: ServersSettings, production: Production) -> None:
        """Go on with other settings, and with production as its clients are to find it from now on."""
        self.settings = settings
        self.production = production

    async def prepare(self) -> None:
        """Make sure that the production branch is known, and clear away branches that were half made."""
        records = await self._store.branches(self.production.database)
        if not any(record.home is Home.CONFIGURED for record in records):
            main = self._new(MAIN, None)
            await self._store.add_branch(
                replace(
                    main,
                    production=True,
                    safe_migrations=True,
                    state=BranchState.READY,
                    home=Home.CONFIGURED,
                    is_default=True,
                )
            )
        for record in records:
            if record.state is BranchState.PENDING:
                log.warning("branch.half_made_removed", branch=record.name)
                self.failures[record.name] = "Headgate was stopped meanwhile, so make it again"
                await self._remove(record)
            elif record.local:
                self._host.designate(server_name(record), purpose_of(record))
                await self._restore_wall(record)
        known = {server_name(record) for record in records}
        for name in self._host.names():
            if name.startswith(SERVER_PREFIX) and name not in known:
                log.warning("branch.leftover_removed", server=name)
                await self._host.delete(name)

    async def _restore_wall(self, record: BranchRecord) -> None:
        """Give the account of a branch its rights again: who changed them may have been killed before that.

        A server that sleeps gets them when it wakes.
        """
        server = self._host.server(server_name(record))
        if record.safe_migrations and server is not None and not self.asleep(record):
            try:
                async with await Connection.open(server) as admin:
                    await make_rows_account(admin, self.account, self.production.schema)
            except DatabaseError as error:
                # Others go on without it.
                log.error("branch.not_guarded", branch=record.name, reason=str(error))

    def check_database(self, database: str) -> None:
        """Raise NotFound unless `database` is the one we serve."""
        if database != self.production.database:
            raise NotFound(f"there is no database {database!r} here: there is {self.production.database!r}")

    async def all(self) -> Sequence[BranchRecord]:
        """Return all branches, oldest first."""
        return await self._store.branches(self.production.database)

    async def get(self, name: str) -> BranchRecord:
        """Return one branch, or raise UnknownBranch."""
        try:
            return await self._store.branch(self.production.database, name)
        except UnknownBranch as error:
            if name in self.failures:
                raise UnknownBranch(f"{error}; it could not be made: {self.failures[name]}") from None
            raise

    async def default(self) -> BranchRecord:
        """Return the branch that others are made from, and deployed into, unless said otherwise."""
        records = await self.all()
        return next((record for record in records if record.is_default), records[0])

    async def set_default(self, record: BranchRecord) -> None:
        """Let a branch be the default from now on, and no other."""
        await self._store.set_default(record)
        await self._changed()

    async def configured(self) -> BranchRecord:
        """Return the branch that lives on the configured production server."""
        return next(record for record in await self.all() if not record.local)

    async def create(
        self,
        name: str,
        parent: str = "",
        *,
        protected: bool = False,
        ttl_s: int | None = None,
        actor: Actor = SYSTEM,
    ) -> BranchRecord:
        """Make a branch on a server of its own with its parent's schema, and remember that as its base.

        With a `ttl_s` it lives for so many seconds.
        """
        begun = await self.begin(name, parent, protected=protected, ttl_s=ttl_s, actor=actor)
        return await self.finish(begun)

    async def begin(
        self,
        name: str,
        parent: str = "",
        *,
        protected: bool = False,
        ttl_s: int | None = None,
        actor: Actor = SYSTEM,
        wish: Wish | None = None,
    ) -> Begun:
        """Make a branch that has its parent's tables and is PENDING still; `wish` says what rows it gets."""
        check_name("branch", name)
        origin = await self.get(parent) if parent else await self.default()
        record = self._new(name, origin)
        seed = str(wish.amount) if wish is not None else ""
        record = replace(record, deletion_protected=protected, seed=seed, actor=actor)
        record = replace(record, **lasting(record, ttl_s or 0))
        ready = await self.spare.take()
        record = replace(record, id=ready.branch_id)
        self.idle.touch(server_name(record))
        try:
            await self._store.add_branch(record)
        except BaseException:
            await asyncio.shield(self.spare.give_back(ready))
            raise
        self.failures.pop(name, None)
        try:
            async with beside(self.read(origin.name)) as reading:
                server = await self._host.wake(server_name(record))
                schema = await reading
            plan = plan_seed(schema, wish) if wish is not None else None
            if not ready.has(schema):
                await self._furnish(server, schema)
        except BaseException:
            await asyncio.shield(self._remove(record))
            raise
        return Begun(record, origin, schema, server, plan)

    async def finish(self, begun: Begun) -> BranchRecord:
        """Let a branch that was begun, and has its rows, be READY; if that fails it is gone."""
        record = begun.record
        try:
            # As this server prints it, which may be of another release than its parent's.
            await load_triggers(begun.server, self.account, self.production.schema, begun.schema)
            # Behind all other rows: they add what is missing.
            for endow in self.endowments:
                await endow(begun.origin, record, begun.server)
            async with await open_reader(replace(begun.server, account=self.account)) as connection:
                text = to_json(await read_schema(connection, self.production.schema))
        except BaseException:
            await asyncio.shield(self._remove(record))
            raise
        self.idle.touch(server_name(record))
        record = await self._store.change_branch(
            record, state=BranchState.READY, base=text, schema_digest=digest(text), schema_at=now()
        )
        duration_s = (now() - record.created_at).total_seconds()
        log.info("branch.created", branch=record.name, parent=begun.origin.name, duration_s=duration_s)
        await self._changed()
        self.offer(begun.schema)
        return record

    def offer(self, schema: Schema) -> None:
        """Have a server made ready with the schema that the next branch will probably get."""
        if self.settings.spare:
            self.spare.want(schema)

    async def offer_default(self) -> None:
        """Have a server made ready for the first branch, from the default branch as it is now."""
        try:
            default = await self.default()
            if self.settings.spare and not self.asleep(default):
                self.offer(await self.read(default.name))
        except (ControlError, DatabaseError, RouteError, SchemaError, ServerFailed, OSError) as error:
            log.warning("spare.not_made", reason=str(error))

    async def _furnish(self, server: Server, schema: Schema) -> None:
        await furnish_server(server, self.account, self.production.schema, schema)

    async def give_up(self, begun: Begun, reason: str) -> None:
        """Remove a branch that was begun, and keep the reason for who asks for it."""
        log.warning("branch.not_made", branch=begun.record.name, reason=reason)
        self.failures[begun.record.name] = reason
        await self._remove(begun.record)

    def _new(self, name: str, origin: BranchRecord | None) -> BranchRecord:
        moment = now()
        return BranchRecord(
            id=new_id(),
            database=self.production.database,
            name=name,
            parent_id=origin.id if origin else None,
            parent=origin.name if origin else None,
            production=False,
            safe_migrations=False,
            state=BranchState.PENDING,
            base=None,
            created_at=moment,
            updated_at=moment,
        )

    async def change(self, record: BranchRecord, **changes: Any) -> BranchRecord:
        """Store changed fields of a branch; return when the workers route by them.

        Raises RouteError when its new name is taken.
        """
        record = await self._store.change_branch(record, **changes)
        if record.local:
            self._host.designate(server_name(record), purpose_of(record))
        await self._changed()
        return record

    async def delete(self, name: str) -> None:
        """Delete a branch with its server and its passwords; whether it may be is asked elsewhere."""
        await self._remove(await self.get(name))
        await self._changed()

    def asleep(self, record: BranchRecord) -> bool:
        """Whether the branch's server does not run now; the next login wakes it."""
        return record.local and self._host.asleep(server_name(record))

    async def read(self, name: str) -> Schema:
        """Read the schema of a branch as it is now; a sleeping branch is woken for it."""
        record = await self.get(name)
        with self.idle.in_use(server_name(record)):
            server = await self.admin(record) if record.local else self.production.migrator
            async with await open_reader(server) as connection:
                return await read_schema(connection, self.production.schema)

    async def refresh(self, name: str) -> Schema:
        """Read the schema of a branch, and note when it is another one than it was."""
        self.stale.discard((await self.get(name)).id)
        schema = await self.read(name)
        record, found = await self.get(name), digest(to_json(schema))
        if record.schema_digest != found:
            await self._store.change_branch(record, schema_digest=found, schema_at=now())
        return schema

    def in_use(self, record: BranchRecord) -> contextlib.AbstractContextManager[None]:
        """Keep the server of a branch from being put to sleep while the body runs."""
        return self.idle.in_use(server_name(record))

    async def note_changed(self, name: str) -> None:
        """Take that the definitions of a branch were seen to change."""
        with contextlib.suppress(UnknownBranch):
            self.stale.add((await self.get(name)).id)

    async def base(self, name: str) -> Schema:
        """Return the schema that a branch had when it was made."""
        record = await self.get(name)
        if record.base is None:
            raise ControlError(f"branch {name!r} has no base to compare with: it is production")
        return from_json(record.base)

    async def wake(self, name: str) -> Server:
        """Return the server of a branch, running, with the account for its clients."""
        record = await self.get(name)
        if not record.local:
            return self.production.traffic
        return replace(await self.admin(record), account=self.account)

    async def admin(self, record: BranchRecord) -> Server:
        """Return the server of a local branch, running, with the account that may do everything there."""
        if record.state is BranchState.PENDING:
            raise ControlError(f"branch {record.name!r} is still being made: try again in a moment")
        name = server_name(record)
        self.idle.touch(name)
        slept = self._host.asleep(name)
        server = await self._host.wake(name)
        if slept:
            # Who may log in to a MariaDB server may have changed the password that the branch's users share.
            make = make_rows_account if record.safe_migrations else make_branch_account
            async with await Connection.open(server) as admin:
                await make(admin, self.account, self.production.schema)
        return server

    async def restart(self, record: BranchRecord) -> Server:
        """Start the server of a local branch again, for the purpose that it has now."""
        name = server_name(record)
        with self.idle.in_use(name):
            return await self._host.restart(name)

    def awake(self, branch_id: str) -> bool:
        """Whether the server of a branch runs; those that are not ours are taken to."""
        name = SERVER_PREFIX + branch_id
        return not self._host.exists(name) or not self._host.asleep(name)

    async def routes(self) -> list[Branch]:
        """Return the branches as the routing table has them."""
        mode = PoolMode(self.settings.pool_mode)
        return [
            route_of(record, self.production, mode, self._address(record))
            for record in await self.all()
            if record.state is not BranchState.PENDING
        ]

    async def _remove(self, record: BranchRecord) -> None:
        await self._store.delete_branch(record)
        await self._host.delete(server_name(record))

    def _address(self, record: BranchRecord) -> Server | None:
        local = self._host.server(server_name(record))
        return replace(local, account=self.account) if local else None
