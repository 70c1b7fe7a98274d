"""I carry one operation in a process of my own, so that a failpoint can kill me."""

from __future__ import annotations

import asyncio
import sys

import msgspec

from migrator.engine.ground import journal
from router.model import Account, Address, Flavor, Server
from tests.migrator.engine.ledger import alter


class Orders(msgspec.Struct):
    """What to do, and where."""

    flavor: str
    version: str
    socket: str
    user: str
    password: str
    schema: str
    target: str
    revert: bool
    finalize: bool = False


async def carry(orders: Orders) -> None:
    """Do it all; a failpoint ends it early."""
    server = Server(
        Flavor(orders.flavor),
        orders.version,
        Address(socket=orders.socket),
        Account(orders.user, orders.password),
    )
    operation = alter(server, orders.schema, orders.target, rows=200)
    await operation.prepare()
    await operation.cut_over()
    # Long enough for a flush and a saved position of the way back.
    await asyncio.sleep(2.5)
    if orders.revert:
        await operation.revert()
    if orders.finalize:
        await operation.finalize()
    await operation.close()


if __name__ == "__main__":
    # A victim that is stopped loses its lock soon.
    journal.LEASE_S, journal.PING_S = 2, 0.5
    asyncio.run(carry(msgspec.json.decode(sys.argv[1], type=Orders)))
