"""I measure how long large schemas take: to read, to compare, to check a change of, to clone.

`python -m bench.schema` measures both families of servers; `--flavor` chooses one. The last line is one JSON
object; docs/performance.md says what its keys are.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Final

from bench.report import AT_MOST, met, say
from migrator.deploy.review import review
from migrator.engine.forecast import forecast
from migrator.engine.ground.state import prepare_state
from migrator.schema.clone import clone_schema, drop_database
from migrator.schema.diff import diff
from migrator.schema.introspect import open_reader, read_schema
from migrator.schema.model import Schema
from migrator.schema.parse import parse_create
from migrator.schema.serial import from_json, to_json
from router.database import Connection, quote_name
from router.model import Flavor, Server
from tests.support.servers import free_port, running_server, session_folder

TARGETS: Final = {
    "read_1000_s": (AT_MOST, 3.0),
    "diff_1000_s": (AT_MOST, 0.5),
    "checks_5_s": (AT_MOST, 5.0),
    "growth": (AT_MOST, 1.3),
    "clone_100_s": (AT_MOST, 2.0),
}
SMALL, USUAL, LARGE = 100, 1000, 5000
ROUNDS: Final = 5
CHANGED: Final = 5
COLUMNS: Final = (
    "`customer` bigint unsigned NOT NULL",
    "`email` varchar(190) NOT NULL",
    "`state` enum('new','paid','sent') NOT NULL DEFAULT 'new'",
    "`price` decimal(10,2) NOT NULL DEFAULT 0.00",
    "`note` text",
    "`seen_at` datetime(3) DEFAULT NULL",
    "`made_at` timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP",
    "`flags` int NOT NULL DEFAULT 0",
    "`payload` json DEFAULT NULL",
)


def statements(count: int) -> Iterator[str]:
    """Return what makes a schema with so many tables: every third refers to its neighbour, some have more."""
    yield "SET SESSION foreign_key_checks = 0"
    for number in range(count):
        lines = ["`id` bigint unsigned NOT NULL AUTO_INCREMENT", *COLUMNS[: 4 + number % 6]]
        lines += ["PRIMARY KEY (`id`)", "KEY `by_email` (`email`,`state`)"]
        if number % 3 == 1:
            lines.append(
                f"CONSTRAINT `fk_{number}` FOREIGN KEY (`customer`) REFERENCES `table_{number - 1}` (`id`)"
            )
        if number % 4 == 0:
            lines.append("UNIQUE KEY `once` (`customer`,`email`)")
        yield f"CREATE TABLE `table_{number}` ({', '.join(lines)})"
    for number in range(0, count, 50):
        yield f"CREATE VIEW `view_{number}` AS SELECT `id`, `email` FROM `table_{number}`"
        yield (
            f"CREATE TRIGGER `trigger_{number}` BEFORE INSERT ON `table_{number}` "
            "FOR EACH ROW SET NEW.`email` = LOWER(NEW.`email`)"
        )
        yield f"CREATE PROCEDURE `procedure_{number}`() SELECT COUNT(*) FROM `table_{number}`"


async def make(server: Server, database: str, count: int) -> None:
    """Make a database with so many tables."""
    async with await Connection.open(server) as connection:
        await connection.execute(f"CREATE DATABASE {quote_name(database)}")
        await connection.execute(f"USE {quote_name(database)}")
        for statement in statements(count):
            await connection.execute(statement)


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


async def cost(server: Server, database: str, count: int) -> float:
    """Return the microseconds that a table takes to be read and compared."""
    found = await read(server, database)
    other = changed(found)

    async def once() -> None:
        again = await read(server, database)
        diff(again, other)

    return await seconds(once) / count * 1e6


def changed(schema: Schema) -> Schema:
    """Return the schema with another definition of some tables."""
    tables = dict(schema.tables)
    for name in list(tables)[:CHANGED]:
        table = tables[name]
        column = replace(table.columns[-1], name="added", comment="'added'")
        tables[name] = replace(table, columns=(*table.columns, column))
    return replace(schema, tables=tables)


async def check_five(production: Server, scratch: Server, base: str, branch: str) -> None:
    """Do all that a deploy request for five tables makes control do."""
    parse_create.cache_clear()
    before = from_json(base)
    async with await open_reader(scratch) as link, await open_reader(production) as live:
        theirs, ours = await asyncio.gather(read_schema(link, branch), read_schema(live, "shop_1000"))
        found = await review(
            link,
            base=before,
            branch=theirs,
            production=ours,
            forecast=partial(forecast, production, scratch, "shop_1000"),
        )
    if len(found.operations) != CHANGED or found.problem:
        raise RuntimeError(f"the checks should have found {CHANGED} changes: {found}")


async def measure(flavor: Flavor) -> dict[str, float]:
    """Measure one family of servers."""
    figures: dict[str, float] = {}
    with session_folder() as folder:
        async with (
            running_server(flavor, folder / "production", port=free_port()) as local,
            running_server(flavor, folder / "scratch", production=False) as beside,
        ):
            production, scratch = local.server, beside.server
            await prepare_state(production)
            for count in (SMALL, USUAL, LARGE):
                await make(production, f"shop_{count}", count)
                say(f"{flavor}: {count} tables are there")
            figures["read_1000_s"] = await seconds(lambda: read(production, "shop_1000"))
            found = await read(production, "shop_1000")
            other = changed(from_json(to_json(found)))

            async def compare() -> None:
                diff(found, other)

            figures["diff_1000_s"] = await seconds(compare)
            small = await read(production, "shop_100")

            async def clone() -> None:
                async with await open_reader(scratch) as link:
                    await clone_schema(small, link, "clone")

            took = []
            for _ in range(ROUNDS):
                began = time.perf_counter()
                await clone()
                took.append(time.perf_counter() - began)
                async with await Connection.open(scratch) as link:
                    await drop_database(link, "clone")
            figures["clone_100_s"] = statistics.median(took)
            figures["checks_5_s"] = await checks(production, scratch, found)
            costs = [await cost(production, f"shop_{count}", count) for count in (SMALL, LARGE)]
            figures["us_per_table_100"], figures["us_per_table_5000"] = costs
            figures["growth"] = costs[1] / costs[0]
    return {name: round(value, 3) for name, value in figures.items()}


async def checks(production: Server, scratch: Server, schema: Schema) -> float:
    """Return how long the checks of a change of five tables take."""
    async with await open_reader(scratch) as link:
        await clone_schema(schema, link, "branch")
        base = to_json(await read_schema(link, "branch"))
        await link.execute("USE branch")
        for number in range(CHANGED):
            await link.execute(f"ALTER TABLE table_{number * 7} ADD COLUMN added varchar(40) DEFAULT NULL")
    return await seconds(lambda: check_five(production, scratch, base, "branch"))


def worst(found: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Return each figure of the family that does worst."""
    return {key: max(figures[key] for figures in found.values()) for key in TARGETS}


async def main(arguments: argparse.Namespace) -> int:
    """Measure and print the JSON line."""
    started = time.monotonic()
    found = {}
    for flavor in arguments.flavor or list(Flavor):
        found[str(flavor)] = await measure(Flavor(flavor))
        say(f"{flavor}: {json.dumps(found[str(flavor)])}")
    figures = worst(found)
    report = {
        **figures,
        "targets_met": {key: met(TARGETS, key, figures[key]) for key in TARGETS},
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
        "--flavor", action="append", choices=list(Flavor), help="measure this family; may be repeated"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(asyncio.run(main(parse())))
