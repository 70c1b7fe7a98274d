"""I keep an operation's state on the production server, and make sure that one process alone works on it.

The owner holds a named lock on a connection that it must ping: a process that dies, freezes or is cut off
loses the lock by the server's own clock. Whoever takes over raises the epoch, and every writing transaction
begins by checking it, so a former owner that wakes up cannot write any more.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from migrator.engine.ground.operation import Phase
from migrator.engine.ground.session import REPEATABLE, Session, end_thread, uptime_s
from migrator.engine.log.events import Position
from migrator.engine.table.statements import QUIET, STATE, session
from migrator.errors import LostOwnership, MigratorError, NotNow, Refused
from migrator.processes import ask_transactions, processes
from router.database import Connection, Row, Statement
from router.errors import ConnectionLost, DatabaseError
from router.model import Flavor, Server

OWNER_TIMEOUT_S = 20
PING_S = 4.0
RETRY_S = 30.0

# Our own sessions that sit idle in a transaction for this long: their process is frozen or cut off.
FROZEN_S = 8
TRANSACTIONS = "SELECT trx_mysql_thread_id FROM information_schema.INNODB_TRX"
# For how long an owner who does not ping keeps the lock.
LEASE_S = 15

SERVER_IDENTITY = {
    Flavor.MYSQL: "@@server_uuid",
    Flavor.MARIADB: "CONCAT_WS('|', @@hostname, @@port, @@datadir, @@server_id)",
}

_Work = Callable[[Connection], Awaitable[None]]

_FIELDS = (
    "kind, table_schema, table_name, target_sql, phase, shadow, old, definition, key_columns, "
    "server_identity, start_file, start_offset, flip_file, flip_offset, lock_connections, verified, failure, "
    "options, companions, swap_group, start_gtid, flip_gtid, old_identity, new_identity"
)


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of an operation; see schema.sql."""

    kind: str
    table_schema: str
    table_name: str
    target_sql: str
    phase: Phase
    shadow: str
    old: str
    definition: str
    key_columns: str | None
    server_identity: str
    start: Position | None
    flip: Position | None
    lock_connections: tuple[int, ...]
    verified: bool
    failure: str | None
    options: str | None = None
    companions: str | None = None
    swap_group: str = ""
    start_gtid: str | None = None
    flip_gtid: str | None = None
    old_identity: str = ""
    new_identity: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be changed in a record: `texts` by columns' names, and `clears` what else is kept of it."""

    texts: Mapping[str, str | int | None] = field(default_factory=dict)
    phase: Phase | None = None
    start: Position | None = None
    flip: Position | None = None
    lock_connections: Sequence[int] | None = None
    clears: Sequence[str] = ()

    @property
    def assignments(self) -> tuple[str, list[object]]:
        """The SET clause and its values."""
        changes: dict[str, object] = dict(self.texts)
        if self.phase is not None:
            changes["phase"] = self.phase.value
        for name, position in (("start", self.start), ("flip", self.flip)):
            if position is not None:
                changes |= {f"{name}_file": position.file, f"{name}_offset": position.offset}
        assignments = [f"{name} = %s" for name in changes]
        if self.lock_connections is not None:
            changes["lock_connections"] = ",".join(map(str, self.lock_connections))
            assignments += ["lock_connections = %s", "locked_at = UTC_TIMESTAMP()"]
        return ", ".join(assignments), list(changes.values())


async def read_server_identity(connection: Connection) -> str:
    """Return what stays the same for one server and its binary log, and differs on any other."""
    return str(await connection.fetch_value(f"SELECT {SERVER_IDENTITY[connection.server.flavor]}"))


class Journal:
    """One operation's row, owned by this process between `open` and `close`."""

    def __init__(self, server: Server, operation: str) -> None:
        self.server, self.operation = server, operation
        self.epoch = 0
        self.record: Record | None = None
        self._identity = ""
        self._control = Session(server, session(server.flavor))
        self._owner: Connection | None = None
        self._using = asyncio.Lock()
        self._owning = asyncio.Lock()

    async def open(self, *, kind: str, schema: str, table: str, target_sql: str) -> Record:
        """Become the owner, recording the operation when it is new; returns what is known of it."""
        async with self._owning:
            await self._own()
        async with self._using:
            connection = await self._control.get()
            await connection.execute(
                f"INSERT INTO {STATE}.operation (id, kind, table_schema, table_name, target_sql, phase) "
                "SELECT %s, %s, %s, %s, %s, %s FROM DUAL "
                f"WHERE NOT EXISTS (SELECT 1 FROM {STATE}.operation WHERE id = %s)",
                *(self.operation, kind, schema, table, target_sql, Phase.PENDING.value, self.operation),
            )
            await self._raise_epoch(connection)
            record = await self._read(connection)
            if (record.kind, record.table_schema, record.table_name) != (kind, schema, table):
                raise Refused(f"operation {self.operation!r} is already recorded for another table")
            await self._end_lock_connections(connection, record)
        return record

    async def save(
        self,
        texts: Mapping[str, str | int | None] | None = None,
        *,
        phase: Phase | None = None,
        start: Position | None = None,
        flip: Position | None = None,
        lock_connections: Sequence[int] | None = None,
    ) -> Record:
        """Change the record, `texts` by columns' names; raises LostOwnership when it is not ours any more."""
        change = Change(texts or {}, phase, start, flip, lock_connections)

        async def write(connection: Connection) -> None:
            await self.write(connection, change)

        await self.guarded(write)
        assert self.record is not None
        return self.record

    async def save_with(self, others: Sequence[Journal], changes: Sequence[Change]) -> None:
        """Change this record and others in one transaction: `changes` are ours, then theirs in order."""
        journals = [self, *others]

        async def write(connection: Connection) -> None:
            for journal in others:
                await journal.check(connection)
            for journal, change in zip(journals, changes, strict=True):
                await journal.write(connection, change)

        await self.guarded(write)

    async def write(self, connection: Connection, change: Change) -> None:
        """Change the record in a transaction that `guarded` has begun."""
        if change.lock_connections is not None:
            # Numbers of threads mean something on the server that gave them only.
            identity = await read_server_identity(connection)
            change = replace(change, texts={**change.texts, "server_identity": identity})
        assignments, values = change.assignments
        sql = f"UPDATE {STATE}.operation SET {assignments} WHERE id = %s"
        await connection.execute(sql, *values, self.operation)
        for table in change.clears:
            await connection.execute(f"DELETE FROM {STATE}.{table} WHERE id = %s", self.operation)
        await self._read(connection)

    async def guarded(self, work: _Work) -> None:
        """Run `work`, which may be repeated, in a transaction that only the owner can commit."""
        deadline = asyncio.get_running_loop().time() + RETRY_S
        async with self._using:
            while True:
                try:
                    connection = await self._control.get()
                    async with connection.transaction():
                        await self.check(connection)
                        await work(connection)
                    return
                except DatabaseError as error:
                    repeatable = isinstance(error, ConnectionLost) or error.errno in REPEATABLE
                    if not repeatable or asyncio.get_running_loop().time() > deadline:
                        raise
                    await asyncio.sleep(0.2)

    async def check(self, connection: Connection) -> None:
        """Make the connection's transaction one that ends before anybody takes the operation over."""
        sql, *values = self.claim
        self.confirm(await connection.fetch_all(sql, *values))

    @property
    def claim(self) -> Statement:
        """The statement of `check`, for whoever sends it along with others; `confirm` takes its answer."""
        identity = SERVER_IDENTITY[self.server.flavor]
        sql = f"SELECT {identity} FROM {STATE}.epoch WHERE id = %s AND epoch = %s LOCK IN SHARE MODE"
        return sql, self.operation, self.epoch

    def confirm(self, found: Sequence[Row]) -> None:
        """Raise unless the transaction that `claim` was part of may be committed."""
        if not found:
            raise self._lost()
        self._check_identity(str(found[0][0]))

    async def check_server(self, connection: Connection) -> None:
        """Raise NotNow when a connection is to another server than the one that was followed."""
        self._check_identity(await read_server_identity(connection))

    def _check_identity(self, identity: str) -> None:
        if self._identity and identity != self._identity:
            raise NotNow(
                "another server answers under this address: what is recorded there says how to go on"
            )

    def stay_on(self, identity: str) -> None:
        """Let no transaction write on any server but this one: what we remember is true there only."""
        self._identity = identity

    async def fetch_all(self, sql: str, *args: object) -> list[tuple[object, ...]]:
        """Read something on the control connection, once more when it was lost."""
        async with self._using:
            try:
                return await (await self._control.get()).fetch_all(sql, *args)
            except ConnectionLost:
                return await (await self._control.get()).fetch_all(sql, *args)

    async def execute(self, sql: str) -> None:
        """Run a statement on the control connection, as it is and only once."""
        async with self._using:
            await (await self._control.get()).execute(sql)

    async def reread(self) -> Record:
        """Return what is known of the operation now; a cancelled change may or may not have happened."""

        async def read(connection: Connection) -> None:
            await self._read(connection)

        await self.guarded(read)
        assert self.record is not None
        return self.record

    async def renew(self) -> None:
        """Return when no transaction of ours that was cut off can be committed any more."""
        async with self._using:
            raising = asyncio.ensure_future(self._raise_epoch(await self._control.get()))
            try:
                await asyncio.shield(raising)
            except asyncio.CancelledError:
                # Half of it would leave us without knowing our own epoch.
                await asyncio.gather(raising, return_exceptions=True)
                raise

    async def end_lock_connections(self) -> None:
        """Make sure that no connection recorded for a cut-over can still rename anything."""
        async with self._using:
            connection = await self._control.get()
            assert self.record is not None
            await self._end_lock_connections(connection, self.record)

    async def using(self, work: _Work) -> None:
        """Run `work` on the control connection."""
        async with self._using:
            await work(await self._control.get())

    async def as_owner(self, work: _Work) -> None:
        """Run `work`, which no transaction can undo, so that nobody else's can come in between.

        It runs on the connection that holds the owner's lock: the server executes nothing more on it once
        the lock is lost.
        """
        async with self._owning:
            owner = await self._owned()
            await work(owner)

    async def keep_owning(self) -> None:
        """Ping the owner's lock until cancelled; raises LostOwnership when somebody else has it."""
        while True:
            await asyncio.sleep(PING_S)
            async with self._owning:
                # The server may be away: then nobody else can have the lock either.
                with suppress(ConnectionLost):
                    await (await self._owned()).fetch_value("SELECT 1")

    async def _owned(self) -> Connection:
        """Return the connection that holds the lock, and check that nobody had it in between."""
        if self._owner is None or self._owner.closed:
            await self._lock(of_epoch=self.epoch)
        assert self._owner is not None
        await self._check_epoch(self._owner, self.epoch)
        return self._owner

    async def _own(self) -> None:
        """Hold the lock; an earlier call may have got it already and been cancelled later."""
        if self._owner is not None:
            with suppress(ConnectionLost):
                await self._owner.fetch_value("SELECT 1")
                return
        await self._lock()

    async def _check_epoch(self, connection: Connection, epoch: int) -> None:
        sql = f"SELECT 1 FROM {STATE}.epoch WHERE id = %s AND epoch = %s"
        if not await connection.fetch_value(sql, self.operation, epoch):
            raise self._lost()

    async def forget(self) -> None:
        """Remove everything but the record itself, whose phase says how it ended."""

        async def remove(connection: Connection) -> None:
            for table in ("chunk", "stream_position", "followed", "quarantine", "fence"):
                await connection.execute(f"DELETE FROM {STATE}.{table} WHERE id = %s", self.operation)

        await self.guarded(remove)

    async def close(self) -> None:
        """Give the operation up; the record stays."""
        self._identity = ""
        await self._control.close()
        if self._owner is not None:
            await self._owner.close()
            self._owner = None

    def _lost(self) -> LostOwnership:
        return LostOwnership(f"another process has taken over {self.operation!r}")

    async def _raise_epoch(self, connection: Connection) -> None:
        """Shut former owners out; waits for a transaction that one of them still runs."""
        deadline = asyncio.get_running_loop().time() + RETRY_S
        while True:
            try:
                await connection.execute(
                    f"INSERT INTO {STATE}.epoch (id, epoch) VALUES (%s, 1) "
                    "ON DUPLICATE KEY UPDATE epoch = epoch + 1",
                    self.operation,
                )
                break
            except DatabaseError as error:
                if error.errno not in REPEATABLE or asyncio.get_running_loop().time() > deadline:
                    raise
                for thread in await self._frozen(connection):
                    await end_thread(connection, thread)
        self.epoch = int(
            await connection.fetch_value(f"SELECT epoch FROM {STATE}.epoch WHERE id = %s", self.operation)
        )

    async def _frozen(self, connection: Connection) -> list[int]:
        """Return sessions of ours that do nothing in a transaction; none when the server cannot tell now."""
        try:
            transactions = await ask_transactions(connection, TRANSACTIONS)
        except ConnectionLost:
            raise
        except DatabaseError:
            return []
        open_ = {int(thread) for (thread,) in transactions}
        user = connection.server.account.user
        return [
            each.id
            for each in await processes(connection)
            if each.id in open_ and each.user == user and each.command == "Sleep" and each.age_s >= FROZEN_S
        ]

    async def _lock(self, *, of_epoch: int | None = None) -> None:
        """Get the owner's lock; there is no need to wait for it when the epoch is over."""
        # This connection drops tables, too: none in use, and none that a foreign key of another refers to.
        setting = f"wait_timeout = {LEASE_S}, SESSION lock_wait_timeout = 1, SESSION foreign_key_checks = 1"
        owner = await Connection.open(
            self.server, setup=[QUIET, f"SET SESSION {setting}"], timeout_s=OWNER_TIMEOUT_S + 10.0
        )
        digest = hashlib.sha256(self.operation.encode()).hexdigest()[:40]
        try:
            if of_epoch is not None:
                await self._check_epoch(owner, of_epoch)
            got = await owner.fetch_value("SELECT GET_LOCK(%s, %s)", f"headgate:{digest}", OWNER_TIMEOUT_S)
        except BaseException:
            owner.abort()
            raise
        if got != 1:
            await owner.close()
            raise LostOwnership(
                f"another process is working on {self.operation!r}",
                hint="only one control process may run migrations on a server",
            )
        if self._owner is not None:
            self._owner.abort()
        self._owner = owner

    async def _read(self, connection: Connection) -> Record:
        row = await connection.fetch_one(
            f"SELECT {_FIELDS} FROM {STATE}.operation WHERE id = %s", self.operation
        )
        if row is None:
            raise MigratorError(f"the record of operation {self.operation!r} is gone from {STATE}.operation")
        kind, schema, table, target_sql, phase, shadow, old, definition, key_columns, identity = row[:10]
        start_file, start_offset, flip_file, flip_offset, threads, verified, failure = row[10:17]
        options, companions, swap_group, start_gtid, flip_gtid, old_identity, new_identity = row[17:]
        self.record = Record(
            kind=kind,
            table_schema=schema,
            table_name=table,
            target_sql=target_sql,
            phase=Phase(phase),
            shadow=shadow,
            old=old,
            definition=definition,
            key_columns=key_columns,
            server_identity=identity,
            start=Position.of(start_file, int(start_offset)) if start_file else None,
            flip=Position.of(flip_file, int(flip_offset)) if flip_file else None,
            lock_connections=tuple(int(n) for n in threads.split(",") if n),
            verified=bool(verified),
            failure=failure,
            options=options,
            companions=companions,
            swap_group=swap_group,
            start_gtid=start_gtid,
            flip_gtid=flip_gtid,
            old_identity=old_identity,
            new_identity=new_identity,
        )
        return self.record

    async def _end_lock_connections(self, connection: Connection, record: Record) -> None:
        """Make sure that no connection of a former owner can still rename anything."""
        if not record.lock_connections or record.server_identity != await read_server_identity(connection):
            return
        age_s = await connection.fetch_value(
            f"SELECT TIMESTAMPDIFF(SECOND, locked_at, UTC_TIMESTAMP()) FROM {STATE}.operation WHERE id = %s",
            self.operation,
        )
        if await uptime_s(connection) + 1 >= int(age_s or 0):
            for thread in record.lock_connections:
                await end_thread(connection, thread)
