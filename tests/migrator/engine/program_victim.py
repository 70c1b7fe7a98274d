"""I change one trigger, routine or event in a process of my own, so that a failpoint can kill me."""

from __future__ import annotations

import asyncio
import sys

import msgspec

from migrator.engine.direct.program import ChangeProgram
from migrator.engine.ground import journal
from migrator.schema.model import Code
from router.model import Account, Address, Flavor, Server


class Orders(msgspec.Struct):
    """What to do, and where."""

    flavor: str
    version: str
    socket: str
    user: str
    password: str
    schema: str
    code: Code
    steps: list[str]


async def carry(orders: Orders) -> None:
    """Do it all; a failpoint ends it early."""
    server = Server(
        Flavor(orders.flavor),
        orders.version,
        Address(socket=orders.socket),
        Account(orders.user, orders.password),
    )
    code = orders.code
    operation = ChangeProgram(
        f"program-{code.name}", server, orders.schema, code.kind, code.name, code, table=code.table
    )
    for step in orders.steps:
        await getattr(operation, step)()
    await operation.close()


if __name__ == "__main__":
    journal.LEASE_S, journal.PING_S = 2, 0.5
    asyncio.run(carry(msgspec.json.decode(sys.argv[1], type=Orders)))
