"""I have the operations of one deploy request in hand, as far as this process has taken them up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime

from migrator.deploy.request import DeployRequest, OperationRecord
from migrator.engine.ground.operation import Losing, Operation, Phase, Status
from migrator.engine.swap.group import Group
from migrator.errors import WrongPhase
from router.clock import now

FAILURE_POLL_S = 1.0

MakeOperation = Callable[[DeployRequest, OperationRecord], Awaitable[Operation]]
"""Makes what carries an operation out, going on from whatever was persisted of it."""


class Held:
    """The operations of one request: taken up when they are needed, put down together."""

    def __init__(self, make_operation: MakeOperation) -> None:
        self._make_operation = make_operation
        self._operations: dict[str, Operation] = {}

    async def all(self, request: DeployRequest) -> Sequence[Operation]:
        """Return all operations of the request, in its order."""
        for record in request.operations:
            if record.id not in self._operations:
                self._operations[record.id] = await self._make_operation(request, record)
        return [self._operations[record.id] for record in request.operations]

    async def put_down(self) -> None:
        """Stop all work; what is persisted stays for the next time."""
        operations, self._operations = self._operations, {}
        for operation in operations.values():
            await operation.close()

    def force(self) -> None:
        """Kill whoever is in the way of a swap."""
        for operation in self._operations.values():
            operation.force()

    def status(self, request: DeployRequest) -> dict[str, Status]:
        """Return how far each operation is, as far as it has been taken up."""
        return {
            record.id: self._operations[record.id].status()
            for record in request.operations
            if record.id in self._operations
        }

    def misfits(self, request: DeployRequest) -> dict[str, Mapping[str, str]]:
        """Return, by operation, the rows that a revert or a redo has no place for: keys, and for people."""
        return {
            record.id: rows
            for record in request.operations
            if isinstance(operation := self._operations.get(record.id), Losing)
            and (rows := operation.misfits())
        }

    def revert_blocked(self, request: DeployRequest, giving_up: Collection[str] = ()) -> str | None:
        """Say why the engine cannot revert the request now; of operations in `giving_up` rows may be lost."""
        states = self.status(request)
        if len(states) < len(request.operations):
            return "it is being taken up again after a restart: try again in a moment"
        reasons = [
            f"table {record.table!r}: {reason}"
            for record in request.operations
            if (reason := states[record.id].revert_blocked) and record.id not in giving_up
        ]
        return "; ".join(reasons) or None

    def ready(self, request: DeployRequest) -> tuple[str, ...]:
        """Return the ids of the operations that have everything ready for the swap, and are sound."""
        return tuple(
            id_
            for id_, status in self.status(request).items()
            if status.phase is Phase.READY and status.failure is None
        )

    async def follow(self, request: DeployRequest, until: datetime | None) -> None:
        """Keep the operations at work until a moment, or for ever; what has stopped is taken up again.

        Raises MigratorError when it cannot be.
        """
        while True:
            operations = await self.all(request)
            for operation in operations:
                await operation.prepare()
            while not any(operation.status().failure for operation in operations):
                left_s = seconds_until(until)
                if until is not None and left_s <= 0:
                    return
                await asyncio.sleep(FAILURE_POLL_S if until is None else min(left_s, FAILURE_POLL_S))
            await self.put_down()

    async def undo(self, request: DeployRequest, keeping: Collection[str] = ()) -> str:
        """Leave production as it was: give up what is not swapped, swap back what is.

        Returns what stays changed because it was done for good, with the reason; empty when nothing does.

        What is not swapped of the operations in `keeping` stays for another try. Killed anywhere in here, it
        is begun again: what is given up stays so, and what is swapped back is not swapped back twice.
        """
        swapped: list[Operation] = []
        for operation in reversed(await self.all(request)):
            if operation.id in keeping:
                continue
            try:
                await operation.cancel()
            except WrongPhase:
                swapped.append(operation)
        reverted = [operation for operation in swapped if operation.status().phase is Phase.REVERTIBLE]
        # Rows that do not fit can be corrected; nothing ever leads back from what was done for good.
        for_good = {
            operation.id: reason
            for operation in reverted
            if (reason := operation.status().revert_blocked) and not isinstance(operation, Losing)
        }
        await Group([each for each in reverted[::-1] if each.id not in for_good]).revert()
        for operation in swapped:
            await operation.finalize()
        return "; ".join(for_good.values())


def seconds_until(moment: datetime | None) -> float:
    """Return how long it is until a moment, 0 when it is past or there is none."""
    return max((moment - now()).total_seconds(), 0.0) if moment else 0.0
