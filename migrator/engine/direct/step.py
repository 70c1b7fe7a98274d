"""I am an operation that is one statement there and one back, decided by the definition after a crash.

What the definition is before and after is found out on an empty copy, so that a look at it says whether the
statement has happened.
"""

from __future__ import annotations

import asyncio
import json
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable
from dataclasses import asdict, dataclass

import structlog

from conf.settings import MigratorSettings
from migrator.engine.ground.blockers import clear_way
from migrator.engine.ground.failpoints import reach
from migrator.engine.ground.journal import Record
from migrator.engine.ground.operation import CutOver, Phase, again_in
from migrator.engine.ground.owned import Owned, Told
from migrator.engine.ground.session import REPEATABLE
from migrator.engine.swap.cutover import TrafficGate
from migrator.engine.table import statements
from migrator.errors import MigratorError, NotNow, OwnershipUnknown, SourceChanged, WrongPhase
from migrator.processes import processes
from router.database import Connection
from router.errors import ConnectionLost, DatabaseError
from router.model import Server

log = structlog.get_logger()

PAUSES_S = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
WATCH_S = 0.02
BEFORE = (Phase.PENDING, Phase.READY, Phase.FAILED, Phase.CANCELLED)


# It needs what the other operations of the deployment bring.
LATER = "later"


@dataclass(frozen=True, slots=True)
class Ends:
    """Digests of the definition: as it is, as the change makes it, and as the end of the window leaves it."""

    before: str
    after: str
    finished: str | None = None


class Step(Owned, ABC):
    """What changing a table at once, a view, and a trigger, routine or event have in common."""

    def __init__(
        self,
        operation: str,
        server: Server,
        schema: str,
        table: str,
        target_sql: str,
        gate: TrafficGate | None,
        settings: MigratorSettings | None,
    ) -> None:
        super().__init__(operation, server, schema, table, target_sql)
        self._gate, self._settings = gate, settings or MigratorSettings()

    async def prepare(self) -> None:
        """Go on from whatever was persisted and return when READY, or at once when already past it."""
        async with Told(self):
            record = await self._resolved()
            if record.phase is Phase.FAILED:
                raise WrongPhase(record.failure or "this operation has failed", hint="cancel it")
            if record.phase is Phase.PENDING:
                self._activity = "trying it on an empty table"
                async with await self._connect() as link:
                    ends = await self._make_ready(link, record)
                options = json.loads(self._record_now.options or "{}") | {"ends": asdict(ends)}
                # What it was tried on is gone, and its name free for anybody: nothing of that name is ours.
                told = json.dumps(options)
                await self._save(phase=Phase.READY, definition=ends.before, options=told, shadow="")
                self._activity = ""
                reach("direct-ready")
            elif record.phase in (Phase.FINALIZED, Phase.CANCELLED):
                await self._drop_leftovers(record)

    async def cut_over(self) -> CutOver:
        """Make the change, trying again with growing pauses; returns when REVERTIBLE."""
        async with Told(self):
            record = await self._resolved(Phase.READY, Phase.REVERTIBLE)
            if record.phase is Phase.REVERTIBLE:
                return CutOver(0.0, 0)
            if self._ends(record).after == LATER:
                async with await self._connect() as link:
                    ends = await self._make_ready(link, record, later=False)
                options = json.loads(self._record_now.options or "{}") | {"ends": asdict(ends)}
                await self._save(options=json.dumps(options), shadow="")
            return await self._go(Phase.READY, Phase.CUTTING, Phase.REVERTIBLE)

    async def revert(self) -> CutOver:
        """Undo the change; REVERTIBLE becomes REVERTED."""
        async with Told(self):
            record = await self._resolved(Phase.REVERTIBLE, Phase.REVERTED)
            if record.phase is Phase.REVERTED:
                return CutOver(0.0, 0)
            if (reason := self._no_way_back()) is not None:
                raise WrongPhase(reason, hint="undo it with a new branch and deploy request")
            return await self._go(Phase.REVERTIBLE, Phase.REVERTING, Phase.REVERTED)

    async def again(self) -> CutOver:
        """Make the change once more, because the rest could not be undone; REVERTED becomes REVERTIBLE.

        What a revert has dropped stays gone, so this is no way for people to take a revert back.
        """
        async with Told(self):
            record = await self._resolved(Phase.REVERTED, Phase.REVERTIBLE)
            if record.phase is Phase.REVERTIBLE:
                return CutOver(0.0, 0)
            return await self._go(Phase.REVERTED, Phase.REDOING, Phase.REVERTIBLE)

    async def finalize(self) -> None:
        """Do what is left for the end of the window; ends in FINALIZED."""
        async with Told(self):
            record = await self._resolved(Phase.REVERTIBLE, Phase.REVERTED, Phase.FINALIZED)
            if record.phase is Phase.REVERTIBLE and self._ends(record).finished is not None:
                await self._finish(record)
            if record.phase is not Phase.FINALIZED:
                record = await self._save(phase=Phase.FINALIZED)
            await self._drop_leftovers(record)

    async def cancel(self) -> None:
        """Give up before the change and leave nothing behind; ends in CANCELLED."""
        async with Told(self):
            record = await self._resolved(*BEFORE)
            if record.phase is not Phase.CANCELLED:
                record = await self._save(phase=Phase.CANCELLED)
            await self._drop_leftovers(record)

    # --- what a kind of change must say --------------------------------------------------------------------

    @abstractmethod
    async def _make_ready(self, link: Connection, record: Record, *, later: bool = True) -> Ends:
        """Try the change on something empty and return what the definition is before and after it.

        With `later`, the end may be LATER: it is asked for once more when its turn has come.
        """

    @property
    def _used(self) -> tuple[str, str]:
        """The table whose users are in the way."""
        return self._schema, self._table

    @abstractmethod
    async def _digest(self, link: Connection) -> str | None:
        """Return the digest of the definition as it is, None when there is none."""

    @abstractmethod
    async def _change(self, link: Connection, second: Connection, phase: Phase) -> None:
        """Run the statement for CUTTING, REVERTING or FINALIZED on `link`; `second` can end it."""

    # --- steps ---------------------------------------------------------------------------------------------

    async def _connect(self) -> Connection:
        setup = [*statements.session(self._server.flavor), "SET SESSION lock_wait_timeout = 1"]
        return await Connection.open(self._server, database=self._schema, setup=setup)

    def _ends(self, record: Record) -> Ends:
        return Ends(**json.loads(record.options or "{}")["ends"])

    async def _resolved(self, *phases: Phase) -> Record:
        """Open the record; find out whether a change that was about to happen did."""
        record = await self._open()
        if record.phase in (Phase.CUTTING, Phase.REVERTING, Phase.REDOING):
            former = Phase.READY if record.phase is Phase.CUTTING else Phase.REVERTED
            phase = Phase.REVERTIBLE if await self._ask_definition(record) else former
            log.info("operation.resolved", operation=self.id, table=self._table, phase=str(phase))
            record = await self._save(phase=phase)
        return self._expected(record, *phases) if phases else record

    async def _ask_definition(self, record: Record) -> bool:
        """Wait until nobody can run the statement any more, then say whether the change is there."""
        await self.journal.end_lock_connections()
        ends = self._ends(record)
        async with await self._connect() as link:
            digest = await self._digest(link)
        if digest not in (ends.before, ends.after):
            raise OwnershipUnknown(
                f"{self._schema}.{self._table} is neither as it was before the change nor as after it",
                hint="somebody changed or dropped it: look before doing anything",
            )
        return digest == ends.after

    async def _go(self, former: Phase, ahead: Phase, done: Phase) -> CutOver:
        there = ahead is not Phase.REVERTING
        attempts = 0
        while True:
            attempts += 1
            self._activity = "changing the definition"
            try:
                lock_ms = await self._attempt(former, ahead, done)
            except (NotNow, ConnectionLost) as error:
                if self._record_now.phase is ahead:
                    changed = await self._ask_definition(self._record_now)
                    if changed is there:
                        await self._save(phase=done)
                        self._activity = ""
                        return CutOver(0.0, attempts)
                    await self._save(phase=former)
                await self._pause(attempts, error)
                continue
            self._activity, self.forced = "", False
            return CutOver(lock_ms, attempts)

    async def _pause(self, attempts: int, error: Exception) -> None:
        pause_s = PAUSES_S[min(attempts, len(PAUSES_S)) - 1]
        self._activity = again_in(pause_s, error)
        log.info("change.postponed", operation=self.id, reason=str(error), attempt=attempts)
        await asyncio.sleep(pause_s)

    async def _attempt(self, former: Phase, ahead: Phase, done: Phase) -> float:
        ends = self._ends(self._record_now)
        async with await self._connect() as link, await self._connect() as second:
            await self._clear(link, second)
            forward = ahead is not Phase.REVERTING
            expected = ends.before if forward else ends.after
            if await self._digest(second) != expected:
                raise SourceChanged(
                    f"the definition of {self._schema}.{self._table} changed during the deployment",
                    hint="cancel this deployment and start a new one",
                )
            gate = self._gate
            if gate is not None:
                await gate.close([self._used])
            try:
                self._record = await self.journal.save(phase=ahead, lock_connections=[link.thread_id])
                reach("before-direct")
                started = time.monotonic()
                try:
                    await self._change(link, second, Phase.CUTTING if forward else ahead)
                except MigratorError:
                    # The server says that it did not.
                    await self._save(phase=former)
                    raise
                reach("after-direct")
                took_ms = (time.monotonic() - started) * 1000
                await self._save(phase=done)
                return took_ms
            finally:
                if gate is not None:
                    await asyncio.shield(gate.open())

    async def _finish(self, record: Record) -> None:
        """Run what is left for the end; it happened already, or is no longer ours, if the digest says so."""
        ends = self._ends(record)
        attempts = 0
        while True:
            attempts += 1
            self._activity = "finishing"
            try:
                async with await self._connect() as link, await self._connect() as second:
                    digest = await self._digest(second)
                    if digest != ends.after:
                        if digest != ends.finished:
                            log.warning("change.not_finished", operation=self.id, table=self._table)
                        return
                    await self._clear(link, second)
                    await self.journal.save(lock_connections=[link.thread_id])
                    reach("before-finish")
                    await self._change(link, second, Phase.FINALIZED)
                    reach("after-finish")
                    return
            except (NotNow, ConnectionLost) as error:
                await self.journal.end_lock_connections()
                await self._pause(attempts, error)

    async def _clear(self, link: Connection, second: Connection) -> None:
        """Give the attempt up before it begins when somebody has used the table for long."""
        await clear_way(second, [self._used], {link.thread_id}, end_for=self.id if self.forced else None)

    async def _watched(self, link: Connection, second: Connection, sql: str) -> None:
        """Run a statement as `_watching` does."""
        await self._watching(link, second, link.execute(f"{sql} /* {statements.tag(self.id)} */"))

    async def _watching(self, link: Connection, second: Connection, work: Awaitable[object]) -> None:
        """Let `link` work, and end its statement when that waits too long for a lock: others wait behind it.

        Raises NotNow then, and MigratorError for what the server refuses.
        """
        limit_s = self._settings.lock_wait_ms / 1000
        running = asyncio.ensure_future(work)
        waiting_since: float | None = None
        try:
            ended, _ = await asyncio.wait({running}, timeout=WATCH_S)
            while not ended:
                found = await processes(second)
                state = next((each.state for each in found if each.id == link.thread_id), "")
                waits = state.startswith("Waiting") and "lock" in state
                waiting_since = (waiting_since or time.monotonic()) if waits else None
                if waiting_since is not None and time.monotonic() - waiting_since >= limit_s:
                    await second.execute(f"KILL QUERY {link.thread_id}")
                ended, _ = await asyncio.wait({running}, timeout=WATCH_S)
            await running
        except ConnectionLost:
            raise
        except DatabaseError as error:
            if error.errno in REPEATABLE:
                raise NotNow(f"{self._table} is in use: {error.message}") from error
            raise MigratorError(
                f"the server refuses to change {self._table} this way: {error}",
                hint="deploy it with strategy revertible, which copies the table",
            ) from error
        finally:
            if not running.done():
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)
