"""A production server that only pretends, but is honest about its tables: none appears or goes unseen.

A table has the rows ever written to its name and a shape; operations make, swap and drop tables as the
engine's do, remember their phases as the server would, and refuse what the engine refuses.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from migrator.deploy.request import DeployRequest, OperationRecord
from migrator.engine.ground.operation import CutOver, Operation, Phase, Status
from migrator.errors import MigratorError, WrongPhase


@dataclass
class Table:
    """A table: `shape` is the id of the operation that made it, or empty."""

    shape: str
    rows: set[int] = field(default_factory=set)


@dataclass
class Journal:
    """What the server has written down about one operation."""

    table: str
    phase: Phase = Phase.PENDING
    shadow: Table | None = None
    old: Table | None = None


@dataclass
class Server:
    """Tables by name, journals by operation, and what is to go wrong."""

    tables: dict[str, Table]
    journals: dict[str, Journal] = field(default_factory=dict)
    failing: set[tuple[str, str]] = field(default_factory=set)
    steps_left: int | None = None
    resumed: asyncio.Event | None = None
    written: int = 0

    def write(self, table: str) -> None:
        """Have an application write a row."""
        self.written += 1
        self.tables[table].rows.add(self.written)

    async def step(self) -> None:
        """Let a moment pass in which the process may be killed, or others be faster."""
        await asyncio.sleep(0)
        if self.steps_left is not None:
            self.steps_left -= 1
            if self.steps_left < 0:
                # One that was killed never goes on.
                await (self.resumed or asyncio.Event()).wait()

    @property
    def stopped(self) -> bool:
        """Whether the process has come to where it was to be killed, or held."""
        return self.steps_left is not None and self.steps_left < 0

    async def make(self, request: DeployRequest, record: OperationRecord) -> Operation:
        """Take up an operation where it was left."""
        await self.step()
        return PretendedAlter(record.id, self, self.journals.setdefault(record.id, Journal(record.table)))


class PretendedAlter:
    """An ALTER TABLE by way of a shadow table."""

    def __init__(self, id: str, server: Server, journal: Journal) -> None:  # noqa: A002
        self.id = id
        self._server = server
        self._journal = journal

    def status(self) -> Status:
        return Status(self._journal.phase)

    def force(self) -> None:
        pass

    async def close(self) -> None:
        pass

    async def prepare(self) -> None:
        await self._begin("prepare")
        journal = self._journal
        if journal.phase is not Phase.PENDING:
            return
        busy = [
            id_
            for id_, each in self._server.journals.items()
            if each.table == journal.table and (each.shadow or each.old)
        ]
        assert not busy, f"{journal.table} is worked on by {busy} already"
        journal.shadow = Table(self.id, set(self._server.tables[journal.table].rows))
        journal.phase = Phase.READY
        await self._server.step()

    async def cut_over(self) -> CutOver:
        await self._swap("cut over", Phase.READY, Phase.REVERTIBLE)
        return CutOver(1.0, 1)

    async def revert(self) -> CutOver:
        await self._swap("revert", Phase.REVERTIBLE, Phase.REVERTED)
        return CutOver(1.0, 1)

    async def redo(self) -> CutOver:
        await self._swap("redo", Phase.REVERTED, Phase.REVERTIBLE)
        return CutOver(1.0, 1)

    async def finalize(self) -> None:
        await self._begin("finalize")
        self._need(Phase.REVERTIBLE, Phase.REVERTED, Phase.FINALIZED)
        self._journal.phase = Phase.FINALIZED
        self._journal.shadow = self._journal.old = None
        await self._server.step()

    async def cancel(self) -> None:
        await self._begin("cancel")
        self._need(Phase.PENDING, Phase.READY, Phase.CANCELLED)
        self._journal.phase = Phase.CANCELLED
        self._journal.shadow = None
        await self._server.step()

    async def _swap(self, verb: str, before: Phase, after: Phase) -> None:
        await self._begin(verb)
        self._need(before, after)
        journal, tables = self._journal, self._server.tables
        if journal.phase is after:
            return
        live = tables[journal.table]
        incoming = journal.old if verb == "revert" else journal.shadow
        assert incoming is not None
        # What followed the live table is complete when it is locked.
        incoming.rows |= live.rows
        tables[journal.table] = incoming
        journal.shadow, journal.old = (live, None) if verb == "revert" else (None, live)
        journal.phase = after
        await self._server.step()

    async def _begin(self, verb: str) -> None:
        await self._server.step()
        if (verb, self._journal.table) in self._server.failing:
            raise MigratorError(f"{verb} of {self._journal.table} fails")

    def _need(self, *phases: Phase) -> None:
        if self._journal.phase not in phases:
            raise WrongPhase(f"{self._journal.table} is {self._journal.phase}")
