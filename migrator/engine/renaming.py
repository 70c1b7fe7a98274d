"""I am an operation that is one RENAME there and one RENAME back, decided by names after a crash."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod

import structlog

from conf.settings import MigratorSettings
from migrator.engine import statements
from migrator.engine.blockers import find_blocker
from migrator.engine.cutover import TrafficGate
from migrator.engine.failpoints import reach
from migrator.engine.journal import Record
from migrator.engine.operation import CutOver, Phase, Status
from migrator.engine.owned import BACKOFF_S, Owned, Told
from migrator.engine.shadow import exists
from migrator.errors import MigratorError, NotNow, OwnershipUnknown, WrongPhase
from router.database import Connection, quote_name
from router.errors import ConnectionLost, DatabaseError
from router.model import Server

log = structlog.get_logger()

TABLE_EXISTS = 1050
BEFORE = (Phase.PENDING, Phase.READY, Phase.FAILED, Phase.CANCELLED)


class Renaming(Owned, ABC):
    """What creating and dropping a table have in common."""

    def __init__(
        self,
        operation: str,
        server: Server,
        schema: str,
        table: str,
        target_sql: str,
        gate: TrafficGate | None,
        settings: MigratorSettings,
    ) -> None:
        super().__init__(operation, server, schema, table, target_sql)
        self._gate, self._settings = gate, settings

    async def prepare(self) -> None:
        """Go on from whatever was persisted and return when READY, or at once when already past it."""
        async with Told(self):
            record = await self._resolved()
            if record.phase is Phase.FAILED:
                raise WrongPhase(record.failure or "this operation has failed", hint="cancel it")
            if record.phase is Phase.PENDING:
                setup = statements.session(self._server.flavor)
                async with await Connection.open(self._server, setup=setup) as link:
                    await self._make_ready(link, record)
                await self._save(phase=Phase.READY)
            elif record.phase in (Phase.FINALIZED, Phase.CANCELLED):
                await self._drop_leftovers(record)

    async def cut_over(self) -> CutOver:
        """Rename, trying again with growing pauses; returns when REVERTIBLE."""
        async with Told(self):
            record = await self._resolved(Phase.READY, Phase.REVERTIBLE)
            if record.phase is Phase.REVERTIBLE:
                return CutOver(0.0, 0)
            return await self._rename(Phase.READY, Phase.CUTTING, Phase.REVERTIBLE)

    async def revert(self) -> CutOver:
        """Rename back; REVERTIBLE becomes REVERTED."""
        async with Told(self):
            record = await self._resolved(Phase.REVERTIBLE, Phase.REVERTED)
            if record.phase is Phase.REVERTED:
                return CutOver(0.0, 0)
            return await self._rename(Phase.REVERTIBLE, Phase.REVERTING, Phase.REVERTED)

    async def finalize(self) -> None:
        """Drop the table that is not wanted, if there is one; ends in FINALIZED."""
        async with Told(self):
            record = await self._resolved(Phase.REVERTIBLE, Phase.REVERTED, Phase.FINALIZED)
            if record.phase is not Phase.FINALIZED:
                unwanted = self._unwanted(record)
                record = await self._save(phase=Phase.FINALIZED, shadow="", old=unwanted)
            await self._drop_leftovers(record)

    async def cancel(self) -> None:
        """Give up before the rename and leave nothing behind; ends in CANCELLED."""
        async with Told(self):
            record = await self._resolved(*BEFORE)
            if record.phase is not Phase.CANCELLED:
                record = await self._save(phase=Phase.CANCELLED, old="")
            await self._drop_leftovers(record)

    def status(self) -> Status:
        """Say what is going on, from memory."""
        record = self._record
        return Status(
            phase=record.phase if record else Phase.PENDING,
            activity=self._activity,
            failure=self._failure or (record.failure if record else None),
        )

    @abstractmethod
    async def _make_ready(self, link: Connection, record: Record) -> None:
        """Do what is to be done before the rename."""

    @abstractmethod
    def _ends(self, record: Record) -> tuple[str, str]:
        """Return the names before and after the rename there."""

    @abstractmethod
    def _unwanted(self, record: Record) -> str:
        """Return the table that the end of the operation drops, in the phase before."""

    async def _resolved(self, *phases: Phase) -> Record:
        """Open the record; find out whether a rename that was about to happen did."""
        record = await self._open()
        if record.phase in (Phase.CUTTING, Phase.REVERTING):
            there = record.phase is Phase.CUTTING
            happened = await self._ask_names(record)
            if there:
                phase = Phase.REVERTIBLE if happened else Phase.READY
            else:
                phase = Phase.REVERTIBLE if happened else Phase.REVERTED
            record = await self._save(phase=phase)
        if phases and record.phase not in phases:
            raise WrongPhase(f"the operation is {record.phase}", hint=f"it must be {' or '.join(phases)}")
        return record

    async def _ask_names(self, record: Record) -> bool:
        """Wait until nobody can rename any more, then say whether the table is where the rename puts it."""
        await self._journal.end_lock_connections()
        before, after = self._ends(record)
        setup = statements.session(self._server.flavor)
        async with await Connection.open(self._server, setup=setup) as link:
            found = await exists(link, self._schema, before), await exists(link, self._schema, after)
        if found[0] == found[1]:
            raise OwnershipUnknown(
                f"{'both' if found[0] else 'none'} of {before} and {after} exist in {self._schema!r}",
                hint="somebody renamed, made or dropped one of them: look before doing anything",
            )
        return found[1]

    async def _rename(self, former: Phase, ahead: Phase, done: Phase) -> CutOver:
        there = ahead is Phase.CUTTING
        for attempts in range(1, 1_000_000):
            self._activity = "renaming"
            try:
                return CutOver(await self._rename_once(former, ahead, done), attempts)
            except (NotNow, ConnectionLost) as error:
                record = self._record
                assert record is not None
                if record.phase is ahead:
                    happened = await self._ask_names(record)
                    if happened is there:
                        await self._save(phase=done)
                        return CutOver(0.0, attempts)
                    await self._save(phase=former)
                pause_s = BACKOFF_S[min(attempts, len(BACKOFF_S)) - 1]
                self._activity = f"trying again in {pause_s:g} s: {error}"
                log.info("cutover.postponed", operation=self.id, reason=str(error), attempt=attempts)
                await asyncio.sleep(pause_s)
        raise AssertionError("unreachable")

    async def _rename_once(self, former: Phase, ahead: Phase, done: Phase) -> float:
        record = self._record
        assert record is not None
        before, after = self._ends(record)
        if ahead is Phase.REVERTING:
            before, after = after, before
        setup = [*statements.session(self._server.flavor), "SET SESSION lock_wait_timeout = 1"]
        async with (
            await Connection.open(self._server, setup=setup) as link,
            await Connection.open(self._server, setup=setup) as second,
        ):
            blocker = await find_blocker(second, self._schema, before, link.thread_id)
            if blocker is not None:
                raise NotNow(blocker)
            gate = self._gate
            if gate is not None:
                await gate.close([(self._schema, self._table)])
            try:
                self._record = await self._journal.save(phase=ahead, lock_connections=[link.thread_id])
                reach("before-rename")
                started = time.monotonic()
                await self._run(link, second, before, after, former)
                reach("after-rename")
                took_ms = (time.monotonic() - started) * 1000
                await self._save(phase=done)
                return took_ms
            finally:
                if gate is not None:
                    await asyncio.shield(gate.open())

    async def _run(
        self, link: Connection, second: Connection, before: str, after: str, former: Phase
    ) -> None:
        schema = quote_name(self._schema)
        sql = (
            f"RENAME TABLE {schema}.{quote_name(before)} TO {schema}.{quote_name(after)} "
            f"/* {statements.tag(self.id)} */"
        )
        running = asyncio.ensure_future(link.execute(sql))
        try:
            ended, _ = await asyncio.wait({running}, timeout=self._settings.lock_wait_ms / 1000)
            if not ended:
                await second.execute(f"KILL QUERY {link.thread_id}")
            await running
        except ConnectionLost:
            raise
        except DatabaseError as error:
            # The server says that it did not: no need to ask the names.
            await self._save(phase=former)
            if error.errno == TABLE_EXISTS:
                raise MigratorError(
                    f"there is a table {self._schema}.{after} now",
                    hint="rename it or drop it, then try again",
                ) from error
            raise NotNow(f"{before} is in use: {error.message}") from error
        finally:
            if not running.done():
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
