"""I am what all operations share: a record on the server that this process owns, and errors told as ours."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import structlog

from migrator.engine.ground.garbage import discard
from migrator.engine.ground.journal import Journal, Record
from migrator.engine.ground.operation import Phase, Status
from migrator.engine.ground.session import CROWDED, REPEATABLE, is_read_only
from migrator.engine.log.events import Position
from migrator.engine.table import statements
from migrator.engine.table.shadow import exists
from migrator.errors import LostOwnership, MigratorError, NotNow, OwnershipUnknown, WrongPhase
from router.database import Connection, quote_name
from router.errors import ConnectionLost, DatabaseError
from router.model import Server

log = structlog.get_logger()

DROP_PAUSES_S = (0.2, 0.5, 1.0, 2.0, 5.0)


class Owned:
    """One operation's record, opened when first needed and owned until `close`."""

    kind = ""
    hold_s = 0.0
    """How long tables that are not needed any more are kept."""

    def __init__(self, operation: str, server: Server, schema: str, table: str, target_sql: str) -> None:
        self.id = operation
        self._server, self._schema, self._table, self._target_sql = server, schema, table, target_sql
        self.journal = Journal(server, operation)
        self._record: Record | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._activity = ""
        self._failure: str | None = None
        self.forced = False

    @property
    def table(self) -> str:
        """The table's name."""
        return self._table

    async def reread(self) -> Record:
        """Return what is known of the operation now."""
        self._record = await self.journal.reread()
        return self._record

    def tell(self, activity: str) -> None:
        """Say what is being done."""
        self._activity = activity

    def force(self) -> None:
        """Kill whoever holds the table for long, from the next attempt of this cut-over on."""
        self.forced = True

    def status(self) -> Status:
        """Say what is going on, from memory."""
        record = self._record
        return Status(
            phase=record.phase if record else Phase.PENDING,
            activity=self._activity,
            failure=self._failure or (record.failure if record else None),
            revert_blocked=self._no_way_back(),
        )

    def _no_way_back(self) -> str | None:
        """Say why what was done cannot be undone, None when it can."""
        return None

    async def close(self) -> None:
        """Stop background work; what is persisted stays for a later `prepare`."""
        await self._stop_following()
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
            self._keeper = None
        await self.journal.close()
        self._record = None

    async def _stop_following(self) -> None:
        """Stop what runs in the background."""

    async def _open(self) -> Record:
        """Own the operation."""
        if self._record is None:
            self._record = await self.journal.open(
                kind=self.kind, schema=self._schema, table=self._table, target_sql=self._target_sql
            )
            self._keeper = asyncio.get_running_loop().create_task(self.journal.keep_owning())
        else:
            await self.reread()
        return self._record_now

    @property
    def _record_now(self) -> Record:
        # Several operations' records are changed together, so what the journal read last is newest.
        record = self.journal.record or self._record
        assert record is not None
        return record

    async def _save(
        self,
        *,
        phase: Phase | None = None,
        start: Position | None = None,
        flip: Position | None = None,
        **texts: str | int | None,
    ) -> Record:
        self._record = await self.journal.save(texts, phase=phase, start=start, flip=flip)
        if phase is not None:
            log.info("operation.moved", operation=self.id, table=self._table, phase=str(phase))
        return self._record

    async def _known(self, *phases: Phase) -> Record:
        return self._expected(await self._open(), *phases)

    def _expected(self, record: Record, *phases: Phase) -> Record:
        if record.phase not in phases:
            raise WrongPhase(f"the operation is {record.phase}", hint=f"it must be {' or '.join(phases)}")
        return record

    async def _drop_leftovers(self, record: Record) -> None:
        """Give up the tables whose names are still recorded, then forget everything but the record."""
        names = sorted({record.shadow, record.old} - {""})
        if self.hold_s <= 0:
            for name in names:
                await self._drop(name)
        elif names:
            await self._discard(names)
        await self.journal.forget()
        if record.shadow or record.old:
            await self._save(shadow="", old="")
        self._activity = ""

    async def _discard(self, names: Sequence[str]) -> None:
        """Let tables be dropped when they have been kept for as long as the settings say."""

        async def record(connection: Connection) -> None:
            there = [name for name in names if await exists(connection, self._schema, name)]
            await discard(connection, self.id, self._schema, self._table, there, self.hold_s)
            # In one transaction: from here on they are the collector's, and not ours any more.
            await connection.execute(
                f"UPDATE {statements.STATE}.operation SET shadow = '', old = '' WHERE id = %s", self.id
            )

        await self.journal.guarded(record)

    async def _drop(self, name: str) -> None:
        quoted = f"{quote_name(self._schema)}.{quote_name(name)}"

        async def drop(owner: Connection) -> None:
            await owner.execute(f"DROP TABLE IF EXISTS {quoted} /* {statements.tag(self.id)} */")

        for pause_s in (*DROP_PAUSES_S, None):
            try:
                await self.journal.as_owner(drop)
                return
            except DatabaseError as error:
                passing = isinstance(error, ConnectionLost) or error.errno in REPEATABLE
                if pause_s is None or not passing:
                    raise
                await asyncio.sleep(pause_s)

    async def _failed(self, error: BaseException) -> None:
        """Turn a server's error into one of ours; before the cut-over most errors end the operation."""
        if isinstance(error, ConnectionLost):
            raise error  # nothing is decided: what is persisted is true, and can be gone on from
        if isinstance(error, DatabaseError) and (error.errno in CROWDED | REPEATABLE or is_read_only(error)):
            # As if the server were away: a lock that was not had in time may be had the next time.
            raise ConnectionLost(error.errno, error.message) from error
        ours = error
        if isinstance(error, DatabaseError):
            ours = MigratorError(f"the server refused a statement of the migration: {error}")
            ours.__cause__ = error
        if not isinstance(ours, MigratorError):
            raise error
        record = self._record
        early = record is not None and record.phase in (Phase.PENDING, Phase.COPYING, Phase.READY)
        passing = isinstance(ours, LostOwnership | OwnershipUnknown | WrongPhase | NotNow)
        if early and not passing:
            await self._stop_following()
            with suppress(DatabaseError, MigratorError):
                await self._save(phase=Phase.FAILED, failure=str(ours))
        self._failure = str(ours)
        raise ours


class Told:
    """Makes a server's errors ours, and keeps a failure that is final."""

    def __init__(self, operation: Owned) -> None:
        self._operation = operation

    async def __aenter__(self) -> None:
        return None

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is None or isinstance(error, asyncio.CancelledError):
            return
        await self._operation._failed(error)
