"""I make up pairs of schemas and prove the way from one to the other and back, on both servers.

    python -m tests.migrator.schema.pairs --pairs 2000

prints what was proved, each failure with its explanation, and last one JSON object. It ends with 1 when a
failure has no explanation, or less is proved than each server's share.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from random import Random
from types import MappingProxyType

from migrator.schema.diff import diff
from migrator.schema.errors import ProofFailed
from migrator.schema.introspect import open_reader, read_schema
from migrator.schema.model import Schema
from migrator.schema.verify import prove
from router.database import Connection, quote_name
from router.errors import DatabaseError
from router.model import Flavor, Server
from tests.migrator.schema.corpus import table_statements
from tests.migrator.schema.tables import make_family, make_table
from tests.support.servers import running_server, session_folder

SHARE = MappingProxyType({Flavor.MYSQL: 0.995, Flavor.MARIADB: 0.96})
TOLD_EVERY = 100
SIDES = ("pair_before", "pair_after")
NAME = re.compile(r"(CREATE TABLE )(?:`(?:[^`]|``)+`|\w+)")

# Why a way cannot be proved although nothing is wrong: what the server says → what it means.
EXPLAINED: Mapping[str, str] = MappingProxyType(
    {
        r"(?m)^\+.*KEY_BLOCK_SIZE=\d+": "MariaDB leaves a table's former KEY_BLOCK_SIZE on its indexes",
    }
)


@dataclass
class Outcome:
    """What came of the pairs on one server; a failure has its explanation, or the whole story without one."""

    pairs: int = 0
    proved: int = 0
    not_taken: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    unexplained: list[str] = field(default_factory=list)

    @property
    def share(self) -> float:
        return self.proved / max(1, self.pairs)


def sides(seed: int, flavor: Flavor) -> tuple[list[str], list[str]]:
    """Return the statements of both sides of a pair: made up, out of the corpus, or a family of tables."""
    random = Random(seed)
    kind = seed % 10
    if kind == 9:
        return make_family(random), make_family(random)
    if kind in (6, 7, 8):
        corpus = table_statements(flavor)
        one, other = (NAME.sub(r"\1t", random.choice(corpus), count=1) for _ in SIDES)
        return [one], [other]
    return [make_table(random, flavor)], [make_table(random, flavor)]


async def read_side(link: Connection, database: str, statements: list[str]) -> Schema | None:
    """Make a side of a pair and read it; None when the server does not take it."""
    try:
        await link.execute("SET SESSION foreign_key_checks = 0")
        await link.execute(f"DROP DATABASE IF EXISTS {quote_name(database)}")
        await link.execute(f"CREATE DATABASE {quote_name(database)}")
        await link.execute(f"USE {quote_name(database)}")
        await link.execute("SET SESSION foreign_key_checks = 1")
        for statement in statements:
            await link.execute(statement)
    except DatabaseError:
        return None
    schema = await read_schema(link, database)
    return None if schema.opaque else schema


async def run(server: Server, seeds: Iterator[int], pairs: int) -> Outcome:
    """Prove pairs until there are enough that the server takes."""
    outcome = Outcome()
    async with await open_reader(server) as link:
        while outcome.pairs < pairs:
            seed = next(seeds)
            made = sides(seed, server.flavor)
            before, after = [await read_side(link, *side) for side in zip(SIDES, made, strict=True)]
            if before is None or after is None:
                outcome.not_taken += 1
                continue
            outcome.pairs += 1
            if outcome.pairs % TOLD_EVERY == 0:
                print(f"{server.flavor}: {outcome.proved} of {outcome.pairs - 1} pairs", file=sys.stderr)
            failure = await fails(link, before, after)
            if failure is None:
                outcome.proved += 1
            elif explanation := explained(failure):
                outcome.failures[explanation] += 1
            else:
                outcome.failures["?"] += 1
                outcome.unexplained.append(f"pair {seed}: {made[0]} → {made[1]}\n{failure}")
        for database in SIDES:
            await link.execute(f"DROP DATABASE IF EXISTS {quote_name(database)}")
    return outcome


async def fails(link: Connection, before: Schema, after: Schema) -> str | None:
    """Return why the way from one schema to the other and back cannot be proved, None when it can."""
    plan = diff(before, after)
    try:
        proof = await prove(link, before, plan, after)
    except ProofFailed as failure:
        return f"there: {failure}\n{failure.statement}"
    return None if proof.no_way_back is None else f"back: {proof.no_way_back}"


def explained(failure: str) -> str | None:
    """Return what a failure means, if it is a known one."""
    return next((meaning for said, meaning in EXPLAINED.items() if re.search(said, failure)), None)


async def run_all(flavors: list[Flavor], pairs: int, seed: int) -> dict[str, Outcome]:
    """Run on a server of each flavour."""
    found = {}
    with session_folder() as folder:
        for flavor in flavors:
            async with running_server(flavor, folder / f"{flavor}-pairs", production=False) as local:
                found[str(flavor)] = await run(local.server, iter(range(seed, sys.maxsize)), pairs)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=2000, help="per server")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--server", type=Flavor, choices=list(Flavor), action="append")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    found = asyncio.run(run_all(options.server or list(Flavor), options.pairs, options.seed))
    good = True
    for name, outcome in found.items():
        print(f"{name}: {outcome.proved} of {outcome.pairs} pairs proved, there and back")
        for story in outcome.unexplained:
            print(f"  {story}")
        for meaning, count in outcome.failures.most_common():
            print(f"  {count} × {meaning}")
        good &= not outcome.unexplained and outcome.share >= SHARE[Flavor(name)]
    facts = {
        name: {"pairs": o.pairs, "proved": o.proved, "share": round(o.share, 4), "failures": o.failures}
        for name, o in found.items()
    }
    print(json.dumps(facts))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
