"""I am an operation whose table changes places with another one, and back; each follows the other."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence

import structlog

from conf.settings import MigratorSettings
from migrator.engine.companions.companions import Companion, Names
from migrator.engine.companions.stock import companions_for
from migrator.engine.ground.failpoints import reach
from migrator.engine.ground.journal import Record, read_server_identity
from migrator.engine.ground.operation import CutOver, Phase
from migrator.engine.ground.owned import Owned, Told
from migrator.engine.rows.follow import Follower
from migrator.engine.swap.cutover import TrafficGate
from migrator.engine.swap.final import check_misfits, told_misfits
from migrator.engine.swap.part import Part, Swap, Way, has_happened
from migrator.engine.swap.sentry import remove_sentry
from migrator.engine.swap.swapping import swap
from migrator.engine.table import statements
from migrator.engine.table.shape import fingerprint, read_shape, show_create
from migrator.errors import MigratorError, NotNow, OwnershipUnknown
from router.database import Connection
from router.errors import DatabaseError
from router.model import Server

log = structlog.get_logger()

UTC = "+00:00"
NAMING_PAUSES_S = (0.2, 0.5, 1.0, 2.0, 5.0)


class Swapped(Owned, ABC):
    """What an operation does to swap its table, alone or as a Member of a group."""

    def __init__(
        self,
        operation: str,
        server: Server,
        schema: str,
        table: str,
        target_sql: str,
        gate: TrafficGate,
        settings: MigratorSettings,
    ) -> None:
        super().__init__(operation, server, schema, table, target_sql)
        self.gate: TrafficGate | None = gate
        self.settings = settings
        self.hold_s = settings.garbage_hold_s
        self._follower: Follower | None = None
        self._rows_total = 0
        self._zone = UTC
        self._given_up: frozenset[str] = frozenset()

    async def cut_over(self) -> CutOver:
        """Put the new table in place, trying again with growing pauses; returns when REVERTIBLE."""
        return await self._go(Way.FORTH)

    async def revert(self) -> CutOver:
        """Put the old table back with everything written since; REVERTIBLE becomes REVERTED."""
        return await self._go(Way.BACK)

    def misfits(self) -> dict[str, str]:
        """Return the rows that the table that is not in use has no place for: their keys, and for people."""
        if (follower := self._follower) is None:
            return {}
        key = follower.pair.key
        return {
            str(key.dump(each)): f"{key.text(each)} ({error.message})"
            for each, error in follower.quarantined.items()
        }

    def give_up(self, rows: Collection[str]) -> None:
        """Let the next swap back lose rows of these keys, and no others.

        They come back as they were when they last fitted, or not at all.
        """
        self._given_up = frozenset(rows)

    async def redo(self) -> CutOver:
        """Take a revert back, with everything written since; REVERTED becomes REVERTIBLE again."""
        return await self._go(Way.AGAIN)

    # --- what comes before a swap, and after it -----------------------------------------------------------

    @abstractmethod
    async def _copy_and_verify(self, record: Record) -> None:
        """Make the new table ready, and follow."""

    @abstractmethod
    async def _follow_former(self, record: Record) -> Follower:
        """Keep the table that is not in use current from the moment of the swap on."""

    @abstractmethod
    async def _stop_comparing(self) -> None:
        """Compare the tables no more."""

    async def _keep_current(self, record: Record) -> None:
        """Follow after a swap; after a swap back only who takes that back needs it, and maybe nobody does."""
        try:
            await self._follow_former(record)
            if record.phase is Phase.REVERTED:
                await self._must_follow().catch_up()
        except OwnershipUnknown:
            raise
        except MigratorError as error:
            if record.phase is not Phase.REVERTED:
                raise
            await self._stop_following()
            self._activity = f"the revert cannot be taken back: {error}"

    def _must_follow(self) -> Follower:
        assert self._follower is not None
        return self._follower

    async def _stop_following(self) -> None:
        await self._stop_comparing()
        if self._follower is not None:
            follower, self._follower = self._follower, None
            await follower.stop()

    # --- swapping, alone or with others --------------------------------------------------------------------

    async def _go(self, way: Way) -> CutOver:
        async with Told(self):
            if not await self.ready_for(way):
                return CutOver(0.0, 0)
            return await swap([self], way, self.gate, self.settings)

    @property
    def rows(self) -> int:
        """About how many rows there are to copy; known once it is prepared or sized."""
        return self._rows_total

    async def size(self) -> None:
        """Find out about how many rows there are to copy; remember the definition that was checked."""
        async with Told(self):
            record = await self._open()
            setup = statements.session(self._server.flavor)
            async with await Connection.open(self._server, setup=setup) as link:
                if (shape := await read_shape(link, self._schema, self._table)) is None:
                    return
                self._rows_total = shape.rows
                # Its turn may come hours later.
                if record.phase is Phase.PENDING and not record.definition:
                    definition = fingerprint(await show_create(link, self._schema, self._table))
                    await self._save(definition=definition)

    async def ready_for(self, way: Way) -> bool:
        """Resolve what was interrupted and follow; False when this way has been gone already."""
        record = await self._resolved(await self._known(way.before, way.ahead, way.done))
        if record.phase is way.done:
            await self._keep_current(record)
            return False
        if way is not Way.FORTH:
            await self._follow_former(record)
        elif self._follower is None:
            await self._copy_and_verify(record)
        return True

    async def part(self, way: Way) -> Part:
        """Say what is to be done; raises MigratorError when it must not be."""
        async with Told(self):
            await self._stop_comparing()
            record, follower = await self._known(way.before), self._must_follow()
            follower.background.check()
            loses = [key for key in follower.quarantined if follower.pair.key.dump(key) in self._given_up]
            check_misfits(follower, way, loses)
            return Part(
                journal=self.journal,
                way=way,
                schema=self._schema,
                live=self._table,
                renames=self._swap_of(record, way).renames,
                follower=follower,
                swap=self._swap_of(record, way),
                zone=self._zone,
                definition=await self._live_definition(way),
                identity=self._identity(record, way),
                companions=self._companions(record, way),
                loses=loses,
            )
        raise AssertionError("unreachable")

    async def ask_names(self, way: Way) -> bool:
        """After an interrupted swap: wait until nobody can do it any more, then see what happened."""
        record, happened = self._record_now, False
        between = self._swap_of(record, way)

        async def ask(connection: Connection) -> None:
            nonlocal happened
            happened = await has_happened(connection, between, await self._identity_on(connection, way))

        await self.journal.end_lock_connections()
        await self.journal.using(ask)
        await remove_sentry(self.journal, between)
        await self._tidy(record, way, happened=happened)
        return happened

    async def _tidy(self, record: Record, way: Way, *, happened: bool) -> None:
        """Take triggers and keys off the table that is not in use, as the owner: names change hands."""
        companions = self._companions(record, way)

        async def work(owner: Connection) -> None:
            await owner.execute("SET SESSION sql_mode = 'STRICT_ALL_TABLES'")
            for companion in companions:
                await (companion.settle(owner) if happened else companion.abandon(owner))

        if companions:
            await self.journal.as_owner(work)

    async def swapped(self, way: Way) -> None:
        """The swap is done, and recorded: follow the other way."""
        self._given_up, self.forced = frozenset(), False
        record = await self.reread()
        reach("reverted" if way is Way.BACK else "swapped")
        between = self._swap_of(record, way)
        async with await Connection.open(self._server, setup=statements.session(self._server.flavor)) as link:
            # On MariaDB somebody who waited for the table may have got it before us: never unseen.
            if not await has_happened(link, between, await self._identity_on(link, way)):
                raise OwnershipUnknown(f"the names of {self._table} are as they were before")
        await self._keep_current(record)

    async def stop_following(self) -> None:
        """The swap is done: what followed one table must not write to it any more."""
        await self._stop_following()

    def _swap_of(self, record: Record, way: Way) -> Swap:
        if way.forward:
            return Swap(self._schema, self._table, record.shadow, record.old)
        return Swap(self._schema, self._table, record.old, record.shadow)

    def _identity(self, record: Record, way: Way) -> str:
        return record.old_identity if way.forward else record.new_identity

    async def _identity_on(self, link: Connection, way: Way) -> str:
        """Return the number that the live table had before, '' when another server gave it."""
        record = self._record_now
        known = await read_server_identity(link) == record.server_identity
        return self._identity(record, way) if known else ""

    def _companions(self, record: Record, way: Way) -> Sequence[Companion]:
        between = self._swap_of(record, way)
        names = Names(between.schema, between.live, between.incoming, between.outgoing)
        return companions_for(self.id, names, record.companions, forward=way.forward)

    async def _drop_leftovers(self, record: Record) -> None:
        if record.phase is Phase.FINALIZED and (record.shadow or record.old):
            await self._name_companions(record)
        await super()._drop_leftovers(record)

    async def _name_companions(self, record: Record) -> None:
        """Give triggers and foreign keys their own names: nothing beside the table has them any more."""
        names = Names(self._schema, self._table, "", record.old or record.shadow)
        companions = companions_for(self.id, names, record.companions, forward=bool(record.old))

        async def finalize(owner: Connection) -> None:
            # What the server prints must not be in quotes of somebody's taste.
            await owner.execute("SET SESSION sql_mode = 'STRICT_ALL_TABLES'")
            for companion in companions:
                await companion.settle(owner)
                await companion.finalize(owner)

        for pause_s in (*NAMING_PAUSES_S, None):
            try:
                await self.journal.as_owner(finalize)
                return
            except (NotNow, DatabaseError) as error:
                if pause_s is None:
                    raise
                log.info("companions.postponed", operation=self.id, table=self._table, reason=str(error))
                await asyncio.sleep(pause_s)

    async def _live_definition(self, way: Way) -> str:
        if way is Way.FORTH:
            return self._record_now.definition
        async with await Connection.open(self._server, setup=statements.session(self._server.flavor)) as link:
            return fingerprint(await show_create(link, self._schema, self._table))

    async def _resolved(self, record: Record) -> Record:
        """Find out whether a swap that was about to happen did."""
        way = Way.of(record.phase)
        if way is None:
            return record
        await self._stop_following()
        happened = await self.ask_names(way)
        phase = way.done if happened else way.before
        log.info("operation.resolved", operation=self.id, table=self._table, phase=str(phase))
        return await self._save(phase=phase)

    def _revert_blocked(self) -> str | None:
        follower = self._follower
        if follower is None or not follower.quarantined:
            return None
        way = Way.AGAIN if self._record_now.phase is Phase.REVERTED else Way.BACK
        return told_misfits(follower, way, list(follower.quarantined))
