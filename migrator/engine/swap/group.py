"""I carry the operations of one deployment together: copied one after another, swapped by one statement."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from migrator.engine.companions.stock import related
from migrator.engine.ground.operation import CutOver, Operation, Redoable
from migrator.engine.swap.part import Way
from migrator.engine.swap.swapping import Member, NotTogether, swap
from migrator.errors import WrongPhase
from router.model import Flavor

log = structlog.get_logger()

TOGETHER_MAX = 8
ATTEMPTS_MAX = 5


class Group:
    """All operations of a deployment, in the order in which they depend on each other.

    MySQL renames any number of locked tables in one atomic statement. MariaDB does not: the connection that
    renames waits for the first table only, and writers could get the others before it. There, and when too
    many tables, foreign keys between them or too many failed attempts speak against it, tables are swapped
    one after another. Operations that swap nothing, such as views, follow in their order.
    """

    def __init__(self, operations: Sequence[Operation]) -> None:
        self._operations = operations
        self._members = [operation for operation in operations if isinstance(operation, Member)]
        self.apart = self._why_apart()

    def _why_apart(self) -> str | None:
        """Why the tables are not swapped at once, None when they are."""
        members = self._members
        if len(members) > TOGETHER_MAX:
            return f"more than {TOGETHER_MAX} tables would be locked at once"
        if any(member.journal.server.flavor is Flavor.MARIADB for member in members):
            return "MariaDB renames no locked tables"
        return None

    async def prepare(self) -> None:
        """Make all ready, one at a time, the smallest first; those that are ready go on following."""
        for member in self._members:
            await member.size()
        sizes = {member.id: member.rows for member in self._members}
        for operation in sorted(self._operations, key=lambda each: sizes.get(each.id, 0)):
            await operation.prepare()

    async def cut_over(self) -> CutOver:
        """Swap all; raises MigratorError when one cannot be: then others may have been."""
        return await self._go(Way.FORTH)

    async def revert(self) -> CutOver:
        """Swap all back, in the opposite order."""
        return await self._go(Way.BACK)

    @property
    def redoable(self) -> bool:
        """Whether a revert of all of it can be taken back."""
        return all(isinstance(operation, Redoable) for operation in self._operations)

    async def redo(self) -> CutOver:
        """Take a revert back; raises MigratorError when one cannot be: then others may have been."""
        return await self._go(Way.AGAIN)

    def force(self) -> None:
        """Kill whoever holds one of the tables for long."""
        for operation in self._operations:
            operation.force()

    async def _go(self, way: Way) -> CutOver:
        ordered = self._operations if way.forward else self._operations[::-1]
        waiting = [member for member in self._members if await member.ready_for(way)]
        if self.apart is None and _refer_to_each_other(waiting):
            self.apart = "a foreign key of one refers to another, and moves with each"
        if len(waiting) < 2 or self.apart:
            return await self._one_after_another(ordered, way)
        others = [operation for operation in ordered if operation not in waiting]
        before = CutOver(0.0, 0) if way.forward else await self._one_after_another(others, way)
        try:
            together = await self._together(waiting, way)
        except NotTogether as error:
            self.apart = f"all at once failed {ATTEMPTS_MAX} times: {error.message}"
            log.warning("group.apart", operation=waiting[0].id, reason=self.apart)
            return await self._one_after_another(ordered, way)
        after = await self._one_after_another(others, way) if way.forward else before
        return CutOver(max(together.lock_ms, after.lock_ms), max(together.attempts, after.attempts))

    async def _together(self, members: Sequence[Member], way: Way) -> CutOver:
        gate = next((member.gate for member in members if member.gate is not None), None)
        return await swap(members, way, gate, members[0].settings, attempts_max=ATTEMPTS_MAX)

    async def _one_after_another(self, operations: Sequence[Operation], way: Way) -> CutOver:
        longest_ms, attempts = 0.0, 0
        for number, operation in enumerate(operations):
            if self.apart:
                for later in operations[number + 1 :]:
                    if isinstance(later, Member):
                        later.tell(f"waits for other tables, one after another: {self.apart}")
            cut = await _alone(operation, way)
            longest_ms, attempts = max(longest_ms, cut.lock_ms), max(attempts, cut.attempts)
        return CutOver(longest_ms, attempts)


async def _alone(operation: Operation, way: Way) -> CutOver:
    if way is Way.AGAIN:
        if not isinstance(operation, Redoable):
            raise WrongPhase("the revert of one of the operations cannot be taken back")
        return await operation.redo()
    return await (operation.cut_over() if way is Way.FORTH else operation.revert())


def _refer_to_each_other(members: Sequence[Member]) -> bool:
    records = [member.journal.record for member in members]
    return related(
        {
            (record.table_schema, record.table_name): record.companions
            for record in records
            if record is not None
        }
    )
