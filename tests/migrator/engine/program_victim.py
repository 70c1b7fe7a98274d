"""I change one trigger, routine or event in a process of my own, so that a failpoint can kill me."""

from __future__ import annotations

import asyncio
import sys

import msgspec

from migrator.engine.direct.program import ChangeProgram
from migrator.engine.ground import journal
from migrator.schema.model import Code
from tests.migrator.engine import victims


class Orders(victims.Orders):
    """To change a program, step by step."""

    code: Code
    steps: list[str]


async def carry(orders: Orders) -> None:
    """Do it all; a failpoint ends it early."""
    code = orders.code
    operation = ChangeProgram(
        f"program-{code.name}", orders.server, orders.schema, code.kind, code.name, code, table=code.table
    )
    for step in orders.steps:
        await getattr(operation, step)()
    await operation.close()


if __name__ == "__main__":
    journal.LEASE_S, journal.PING_S = 2, 0.5
    asyncio.run(carry(msgspec.json.decode(sys.argv[1], type=Orders)))
