"""I am an operation that is one RENAME there and one RENAME back, decided by names after a crash."""

from __future__ import annotations

import asyncio
import itertools
import time
from abc import ABC, abstractmethod

import structlog

from conf.settings import MigratorSettings
from migrator.engine.ground.blockers import clear_way
from migrator.engine.ground.failpoints import reach
from migrator.engine.ground.journal import Record, read_server_identity
from migrator.engine.ground.operation import CutOver, Phase, again_in
from migrator.engine.ground.owned import Owned, Told
from migrator.engine.swap.cutover import TrafficGate
from migrator.engine.swap.part import Part, Way
from migrator.engine.swap.swapping import BACKOFF_S
from migrator.engine.table import statements
from migrator.engine.table.identity import identity_of
from migrator.engine.table.shadow import exists
from migrator.errors import MigratorError, NotNow, OwnershipUnknown, SourceChanged, WrongPhase
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
        self.gate, self.settings = gate, settings
        self.hold_s = settings.garbage_hold_s

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
                    table = await identity_of(link, self._schema, self._ends(self._record_now)[0])
                    identity = await read_server_identity(link)
                await self._save(phase=Phase.READY, old_identity=table, server_identity=identity)
            elif record.phase in (Phase.FINALIZED, Phase.CANCELLED):
                await self._drop_leftovers(record)

    async def cut_over(self) -> CutOver:
        """Rename, trying again with growing pauses; returns when REVERTIBLE."""
        return await self._go(Way.FORTH)

    async def revert(self) -> CutOver:
        """Rename back; REVERTIBLE becomes REVERTED."""
        return await self._go(Way.BACK)

    async def redo(self) -> CutOver:
        """Rename once more; REVERTED becomes REVERTIBLE again."""
        return await self._go(Way.AGAIN)

    async def _go(self, way: Way) -> CutOver:
        async with Told(self):
            if not await self.ready_for(way):
                return CutOver(0.0, 0)
            return await self._rename(way)

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

    @abstractmethod
    async def _make_ready(self, link: Connection, record: Record) -> None:
        """Do what is to be done before the rename."""

    @abstractmethod
    def _ends(self, record: Record) -> tuple[str, str]:
        """Return the names before and after the rename there."""

    @abstractmethod
    def _unwanted(self, record: Record) -> str:
        """Return the table that the end of the operation drops, in the phase before."""

    # --- together with others -------------------------------------------------------------------------------

    @property
    def rows(self) -> int:
        """There are no rows to copy."""
        return 0

    async def size(self) -> None:
        """There is nothing to find out."""

    async def ready_for(self, way: Way) -> bool:
        """Resolve what was interrupted; False when this way has been gone already."""
        return (await self._resolved(way.before, way.done)).phase is way.before

    async def part(self, way: Way) -> Part:
        """Say what is to be renamed; raises MigratorError when there is a table of that name."""
        before, after = self._names(way)
        async with await Connection.open(self._server) as link:
            if await exists(link, self._schema, after):
                raise self._taken(after)
            await self._check_same(link, way)
        return Part(
            journal=self.journal, way=way, schema=self._schema, live=self._table, renames=((before, after),)
        )

    async def ask_names(self, way: Way) -> bool:
        """After an interrupted swap: wait until nobody can do it any more, then see what happened."""
        return await self._is_there(self._record_now) is way.forward

    async def swapped(self, way: Way) -> None:
        """The swap is done, and recorded."""
        self.forced = False
        await self.reread()

    async def stop_following(self) -> None:
        """There is nothing that follows."""

    def _names(self, way: Way) -> tuple[str, str]:
        before, after = self._ends(self._record_now)
        return (before, after) if way.forward else (after, before)

    async def _check_same(self, link: Connection, way: Way) -> None:
        """Raise SourceChanged when the table is not the one that was there when all was made ready."""
        record = self._record_now
        if way is not Way.FORTH or not record.old_identity:
            return
        if await read_server_identity(link) != record.server_identity:
            return  # another server after a failover gives other numbers
        before, _ = self._ends(record)
        if await identity_of(link, self._schema, before) not in ("", record.old_identity):
            raise SourceChanged(
                f"{self._schema}.{before} is another table now: somebody emptied it, or made it anew",
                hint="cancel this deployment and start a new one",
            )

    def _taken(self, name: str) -> MigratorError:
        return MigratorError(
            f"there is a table {self._schema}.{name} now", hint="rename it or drop it, then try again"
        )

    async def _resolved(self, *phases: Phase) -> Record:
        """Open the record; find out whether a rename that was about to happen did."""
        record = await self._open()
        if (way := Way.of(record.phase)) is not None:
            happened = await self._is_there(record) is way.forward
            record = await self._save(phase=way.done if happened else way.before)
        return self._expected(record, *phases) if phases else record

    async def _is_there(self, record: Record) -> bool:
        """Wait until nobody can rename any more, then say whether the table is where the rename puts it."""
        await self.journal.end_lock_connections()
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

    async def _rename(self, way: Way) -> CutOver:
        for attempts in itertools.count(1):
            self._activity = "renaming"
            try:
                return CutOver(await self._rename_once(way), attempts)
            except (NotNow, ConnectionLost) as error:
                if self._record_now.phase is way.ahead:
                    if await self.ask_names(way):
                        await self._save(phase=way.done)
                        return CutOver(0.0, attempts)
                    await self._save(phase=way.before)
                pause_s = BACKOFF_S[min(attempts, len(BACKOFF_S)) - 1]
                self._activity = again_in(pause_s, error)
                log.info("cutover.postponed", operation=self.id, reason=str(error), attempt=attempts)
                await asyncio.sleep(pause_s)
        raise AssertionError("unreachable")

    async def _rename_once(self, way: Way) -> float:
        before, after = self._names(way)
        setup = [*statements.session(self._server.flavor), "SET SESSION lock_wait_timeout = 1"]
        async with (
            await Connection.open(self._server, setup=setup) as link,
            await Connection.open(self._server, setup=setup) as second,
        ):
            await self._check_same(second, way)
            where = [(self._schema, before)]
            await clear_way(second, where, {link.thread_id}, end_for=self.id if self.forced else None)
            gate = self.gate
            if gate is not None:
                await gate.close([(self._schema, self._table)])
            try:
                self._record = await self.journal.save(phase=way.ahead, lock_connections=[link.thread_id])
                reach("before-rename")
                started = time.monotonic()
                await self._run(link, second, before, after, way)
                reach("after-rename")
                took_ms = (time.monotonic() - started) * 1000
                await self._save(phase=way.done)
                return took_ms
            finally:
                if gate is not None:
                    await asyncio.shield(gate.open())

    async def _run(self, link: Connection, second: Connection, before: str, after: str, way: Way) -> None:
        schema = quote_name(self._schema)
        sql = (
            f"RENAME TABLE {schema}.{quote_name(before)} TO {schema}.{quote_name(after)} "
            f"/* {statements.tag(self.id)} */"
        )
        running = asyncio.ensure_future(link.execute(sql))
        try:
            ended, _ = await asyncio.wait({running}, timeout=self.settings.lock_wait_ms / 1000)
            if not ended:
                await second.execute(f"KILL QUERY {link.thread_id}")
            await running
        except ConnectionLost:
            raise
        except DatabaseError as error:
            # The server says that it did not: no need to ask the names.
            await self._save(phase=way.before)
            if error.errno == TABLE_EXISTS:
                raise self._taken(after) from error
            raise NotNow(f"{before} is in use: {error.message}") from error
        finally:
            if not running.done():
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
