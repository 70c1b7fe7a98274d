"""I measure how long large schemas take: to read, to compare, to check a change of, to make branches of.

`python -m bench.schema` measures all sections on both families of servers; `--only` names some of them,
`--flavor` one family. The last line is one JSON object, each figure that of the family that does worst;
docs/performance.md says what its keys are.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from bench import branch
from bench.report import AT_MOST, met, say
from bench.tables import CHANGED, change, changed, make
from migrator.deploy.review import review
from migrator.engine.forecast import forecast
from migrator.engine.ground.state import prepare_state
from migrator.schema.clone import clone_schema, drop_database
from migrator.schema.diff import diff
from migrator.schema.introspect import open_reader, read_schema
from migrator.schema.model import Schema
from migrator.schema.parse import parse_create
from migrator.schema.serial import from_json, to_json
from router.beside import beside
from router.model import Flavor, Server
from tests.support.servers import free_port, running_server, session_folder

TARGETS: Final = {
    "read_1000_s": (AT_MOST, 3.0),
    "diff_1000_s": (AT_MOST, 0.5),
    "growth": (AT_MOST, 1.3),
    "checks_5_s": (AT_MOST, 5.0),
    "clone_100_s": (AT_MOST, 2.0),
    "branch_100_s": (AT_MOST, 2.0),
}
SMALL, USUAL, LARGE = 100, 1000, 5000
ROUNDS: Final = 5


@dataclass(frozen=True, slots=True)
class Place:
    """Production and a scratch server of one family, and the sizes of the databases made there."""

    production: Server
    scratch: Server
    made: set[int] = field(default_factory=set)

    async def database(self, count: int) -> str:
        """Return a database of production with so many tables."""
        name = f"shop_{count}"
        if count not in self.made:
            await make(self.production, name, count)
            self.made.add(count)
            say(f"{count} tables are there")
        return name


@contextlib.asynccontextmanager
async def place(flavor: Flavor, folder: Path) -> AsyncIterator[Place]:
    """Run the servers of one family."""
    async with (
        running_server(flavor, folder / "production", port=free_port()) as production,
        running_server(flavor, folder / "scratch", production=False) as scratch,
    ):
        await prepare_state(production.server)
        yield Place(production.server, scratch.server)


async def read(server: Server, database: str) -> Schema:
    """Read a schema as a process does that has read none before."""
    parse_create.cache_clear()
    async with await open_reader(server) as reader:
        return await read_schema(reader, database)


async def seconds(work: Callable[[], Awaitable[object]]) -> float:
    """Return how long it takes: the median of some rounds."""
    took = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        await work()
        took.append(time.perf_counter() - began)
    return statistics.median(took)


async def measure_tables(here: Place) -> dict[str, float]:
    """Measure reading and comparing."""
    usual = await here.database(USUAL)
    read_s = await seconds(lambda: read(here.production, usual))
    found = await read(here.production, usual)
    other = changed(from_json(to_json(found)))

    async def compare() -> None:
        diff(found, other)

    diff_s = await seconds(compare)
    small, large = [await cost(here, count) for count in (SMALL, LARGE)]
    return {
        "read_1000_s": read_s,
        "diff_1000_s": diff_s,
        "growth": large / small,
        "us_per_table_100": small,
        "us_per_table_5000": large,
    }


async def cost(here: Place, count: int) -> float:
    """Return the microseconds that a table takes to be read and compared."""
    database = await here.database(count)
    other = changed(await read(here.production, database))

    async def once() -> None:
        diff(await read(here.production, database), other)

    return await seconds(once) / count * 1e6


async def measure_checks(here: Place) -> dict[str, float]:
    """Measure what a deploy request for five tables makes control do, and the copying of a schema."""
    database = await here.database(USUAL)
    schema = await read(here.production, database)
    took, clones = [], []
    async with await open_reader(here.scratch) as link:
        await clone_schema(schema, link, "branch")
        base = to_json(await read_schema(link, "branch"))
        for number in range(ROUNDS):
            # What was proved before would not be proved again.
            await link.execute("USE branch")
            await change(link, number)
            began = time.perf_counter()
            await check(here, base, database)
            took.append(time.perf_counter() - began)
        small = await read(here.production, await here.database(SMALL))
        for _ in range(ROUNDS):
            began = time.perf_counter()
            await clone_schema(small, link, "clone")
            clones.append(time.perf_counter() - began)
            await drop_database(link, "clone")
    return {"checks_5_s": statistics.median(took), "clone_100_s": statistics.median(clones)}


async def check(here: Place, base: str, database: str) -> None:
    """Do all that a deploy request does when it is looked at, in a process that has read nothing before."""
    parse_create.cache_clear()
    async with await open_reader(here.scratch) as link, await open_reader(here.production) as live:
        async with beside(read_schema(live, database)) as reading:
            before, theirs = from_json(base), await read_schema(link, "branch")
            ours = await reading
        found = await review(
            link,
            base=before,
            branch=theirs,
            production=ours,
            forecast=partial(forecast, here.production, here.scratch, database),
        )
    if len(found.operations) != CHANGED or found.problem:
        raise RuntimeError(f"the checks should have found {CHANGED} changes: {found}")


SECTIONS: Final = ("tables", "checks", "branch")


async def measure(flavor: Flavor, sections: list[str]) -> dict[str, float]:
    """Measure some sections on one family of servers."""
    figures: dict[str, float] = {}
    with session_folder() as folder:
        if {"tables", "checks"} & set(sections):
            async with place(flavor, folder) as here:
                if "checks" in sections:
                    figures |= await measure_checks(here)
                if "tables" in sections:
                    figures |= await measure_tables(here)
        if "branch" in sections:
            found = await branch.measure(flavor, folder)
            figures |= {"branch_100_s": max(found.values()), **found}
    return {name: round(value, 3) for name, value in figures.items()}


def worst(found: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Return each figure that has a limit, of the family that does worst."""
    measured = [key for key in TARGETS if all(key in figures for figures in found.values())]
    return {key: max(figures[key] for figures in found.values()) for key in measured}


async def main(arguments: argparse.Namespace) -> int:
    """Measure and print the JSON line."""
    started = time.monotonic()
    found = {}
    for flavor in arguments.flavor or list(Flavor):
        found[str(flavor)] = await measure(Flavor(flavor), arguments.only or list(SECTIONS))
        say(f"{flavor}: {json.dumps(found[str(flavor)])}")
    figures = worst(found)
    report = {
        **figures,
        "targets_met": {key: met(TARGETS, key, value) for key, value in figures.items()},
        "details": found,
        "cores": os.cpu_count(),
        "seconds": round(time.monotonic() - started),
    }
    print(json.dumps(report))
    return 0


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m bench.schema", description=__doc__)
    parser.add_argument(
        "--only", action="append", choices=SECTIONS, help="measure this section; may be repeated"
    )
    parser.add_argument(
        "--flavor", action="append", choices=list(Flavor), help="measure this family; may be repeated"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(asyncio.run(main(parse())))
