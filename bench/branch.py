"""I measure how soon a new branch of 100 tables answers its first query, from the request to make it.

Branches are made through the API; the query is asked as a client of the branch asks it, without the proxy.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import replace
from pathlib import Path
from typing import Final

from router.database import Connection
from router.model import Flavor
from tests.support.servers import until
from tests.support.service import Running, running_service

TABLES: Final = 100
ROUNDS: Final = 3
TABLE: Final = (
    "CREATE TABLE t{number} (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(50) NOT NULL, parent INT, "
    "at DATETIME, price DECIMAL(10,2), KEY (parent), KEY (at, price))"
)


async def measure(flavor: Flavor, folder: Path) -> dict[str, float]:
    """Return the seconds by how it is made.

    `unready_s` is without a server that is kept ready, and `ready_s` with one, the medians of some branches;
    `first_s` is that of a branch which is asked for while the first such server is being made.
    """
    async with running_service(folder / "branches", flavor) as running:
        branches = running.service.branches
        await running.on_production(*(TABLE.format(number=number) for number in range(TABLES)))
        unready = [await _one(running, f"alone-{number}") for number in range(ROUNDS)]
        branches.adjust(replace(branches.settings, spare=True), branches.production)
        # As control does when it starts.
        await branches.offer_default()
        first_s = await _one(running, "first")
        ready = []
        for number in range(ROUNDS):
            await until(lambda: branches.spare.server is not None, timeout_s=60)
            ready.append(await _one(running, f"branch-{number}"))
    return {
        "unready_s": statistics.median(unready),
        "first_s": first_s,
        "ready_s": statistics.median(ready),
    }


async def _one(running: Running, name: str) -> float:
    began_s = time.monotonic()
    await running.call("POST", "/branches", {"name": name}, expect=201)
    server = await running.service.branches.wake(name)
    async with await Connection.open(server, database="shop") as connection:
        await connection.fetch_value("SELECT COUNT(*) FROM t42")
    took_s = time.monotonic() - began_s
    await running.call("DELETE", f"/branches/{name}", expect=204)
    return took_s
