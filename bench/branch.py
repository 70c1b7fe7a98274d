"""I measure how soon a new branch answers its first query, from the request to make it; last line: JSON.

On each server: production with 100 tables, and branches made one after the other through the API. The first
starts a server of its own; the others take the one that is kept ready. The query is asked as a client of the
branch asks it, without the proxy.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import time
from dataclasses import replace
from typing import Final

from conf.settings import Settings
from router.database import Connection
from router.model import Flavor
from tests.support.servers import session_folder, until
from tests.support.service import Running, running_service

TABLES: Final = 100
TABLE: Final = (
    "CREATE TABLE t{number} (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(50) NOT NULL, parent INT, "
    "at DATETIME, price DECIMAL(10,2), KEY (parent), KEY (at, price))"
)


def with_spare(settings: Settings) -> Settings:
    """Return settings as they are by default: a server is kept ready."""
    return replace(settings, servers=replace(settings.servers, spare=True))


async def measure(flavor: Flavor, rounds: int) -> dict[str, float]:
    """Return the seconds of the first branch and of those after it, the median."""
    with session_folder() as folder:
        async with running_service(folder / str(flavor), flavor, with_spare) as running:
            await running.on_production(*(TABLE.format(number=number) for number in range(TABLES)))
            first_s = await _one(running, "first")
            rest = []
            for number in range(rounds):
                spare = running.service.branches.spare
                await until(lambda spare=spare: spare.server is not None, timeout_s=60)
                rest.append(await _one(running, f"branch-{number}"))
    return {"first_s": round(first_s, 2), "median_s": round(statistics.median(rest), 2)}


async def _one(running: Running, name: str) -> float:
    began_s = time.monotonic()
    await running.call("POST", "/branches", {"name": name}, expect=201)
    server = await running.service.branches.wake(name)
    async with await Connection.open(server, database="shop") as connection:
        await connection.fetch_value("SELECT COUNT(*) FROM t42")
    took_s = time.monotonic() - began_s
    await running.call("DELETE", f"/branches/{name}", expect=204)
    return took_s


def main() -> None:
    """Measure both servers and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    found = {str(flavor): asyncio.run(measure(flavor, rounds)) for flavor in Flavor}
    sys.stdout.write(json.dumps({"branch_first_query": found, "tables": TABLES}) + "\n")


if __name__ == "__main__":
    main()
