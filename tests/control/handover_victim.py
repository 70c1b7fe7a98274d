"""I hand the programs of one schema over in a process of my own, so that a failpoint can kill me."""

from __future__ import annotations

import asyncio
import sys
from functools import partial
from pathlib import Path

import msgspec

from control.handovers import HandOvers
from control.ownership import hand_over
from router.model import Server
from router.state import open_state


class Orders(msgspec.Struct):
    """What to hand over, and where."""

    server: Server
    schema: str
    former: str
    definer: str
    state: str
    branch_id: str


async def carry(orders: Orders) -> None:
    """Do it all; a failpoint ends it early."""
    engine = open_state(Path(orders.state))
    handovers = HandOvers(engine)
    await handovers.prepare()
    note = partial(handovers.note, orders.branch_id)
    await hand_over(orders.server, orders.schema, orders.former, orders.definer, note)
    await engine.dispose()


if __name__ == "__main__":
    asyncio.run(carry(msgspec.json.decode(sys.stdin.read(), type=Orders)))
