"""I change one table at once in a process of my own, so that a failpoint can kill me."""

from __future__ import annotations

import asyncio
import sys

import msgspec

from migrator.engine.direct.choose import Shortcut
from migrator.engine.direct.direct import Direct
from migrator.engine.ground import journal
from tests.migrator.engine import victims


class Orders(victims.Orders):
    """To change a table at once, step by step."""

    way: Shortcut
    steps: list[str]


async def carry(orders: Orders) -> None:
    """Do it all; a failpoint ends it early."""
    operation = Direct(f"direct-{orders.schema}", orders.server, orders.schema, "t", "", orders.way, None)
    for step in orders.steps:
        await getattr(operation, step)()
    await operation.close()


if __name__ == "__main__":
    journal.LEASE_S, journal.PING_S = 2, 0.5
    asyncio.run(carry(msgspec.json.decode(sys.argv[1], type=Orders)))
