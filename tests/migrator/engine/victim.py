"""I carry one operation in a process of my own, so that a failpoint can kill me."""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress

import msgspec

from migrator.engine.ground import journal
from migrator.engine.ground.failpoints import reach
from migrator.engine.rows import follow
from tests.migrator.engine import victims
from tests.migrator.engine.ledger import alter


class Orders(victims.Orders):
    """To alter a table, and what comes then."""

    target: str
    revert: bool = False
    finalize: bool = False


async def carry(orders: Orders) -> None:
    """Do it all; a failpoint ends it early."""
    operation = alter(orders.server, orders.schema, orders.target, rows=200)
    await operation.prepare()
    await operation.cut_over()
    await two_positions_saved()
    if orders.revert:
        await operation.revert()
    if orders.finalize:
        await operation.finalize()
    await operation.close()


async def two_positions_saved() -> None:
    """Wait for a flush and a saved position of the way back; not for ever, since nobody may be writing."""
    saving = asyncio.Semaphore(0)

    def reached(name: str) -> None:
        reach(name)
        if name == "save-position":
            saving.release()

    follow.reach = reached
    with suppress(TimeoutError):
        async with asyncio.timeout(2.5):
            for _ in range(2):
                await saving.acquire()


if __name__ == "__main__":
    # A victim that is stopped loses its lock soon.
    journal.LEASE_S, journal.PING_S = 2, 0.5
    follow.SAVE_EVERY_S = 0.25
    asyncio.run(carry(msgspec.json.decode(sys.argv[1], type=Orders)))
