from __future__ import annotations

import asyncio
import os

import pytest

from router.model import Flavor
from tests.drivers.expected import surprises
from tests.drivers.matrix import DIRECT, Ways, differences, run_ways
from tests.drivers.programs import DRIVERS, Program
from tests.drivers.table import MODES, PAGE, Seen, page, without_versions
from tests.support.toolchains import missing

# "all": a missing toolchain fails the run; "write": besides, the page is written anew.
WANTED = os.environ.get("HEADGATE_DRIVERS", "")

CELLS = [(driver.name, flavor) for driver in DRIVERS.values() for flavor in driver.flavors]


@pytest.mark.parametrize(("name", "flavor"), CELLS, ids=[f"{name}-{flavor}" for name, flavor in CELLS])
async def test_a_driver_cannot_tell_headgate_from_the_server(
    name: str,
    flavor: Flavor,
    ways: Ways,
    programs: dict[str, asyncio.Task[Program]],
    seen: dict[str, Seen],
) -> None:
    lacking = missing(DRIVERS[name].tools)
    if lacking and not WANTED:
        pytest.skip(f"{name} is left out: {', '.join(lacking)} is not on this machine")
    assert not lacking, (
        f"{', '.join(lacking)} is not on this machine, and HEADGATE_DRIVERS={WANTED} wants all"
    )
    program = await asyncio.shield(programs[name])
    results = await run_ways(ways, program.command, program.environment)
    direct = results[DIRECT]
    assert not surprises(direct), "\n".join(surprises(direct))
    differing = {mode: differences(direct, results[mode]) for mode in MODES}
    assert not any(differing.values()), "\n".join(
        [f"{name} on {flavor} can tell Headgate from the server:"]
        + [f"  mode {mode}: {difference}" for mode in MODES for difference in differing[mode]]
    )
    seen[name].version = program.version
    for mode in MODES:
        seen[name].same[flavor, mode] = len(direct)


def test_the_page_says_what_this_run_saw(seen: dict[str, Seen], mysql_ways: Ways, mariadb_ways: Ways) -> None:
    ran = {name for name, one in seen.items() if len(one.same) == len(MODES) * len(DRIVERS[name].flavors)}
    if ran != set(DRIVERS):
        assert not WANTED, "the whole matrix must have been run"
        pytest.skip(f"not the whole matrix was run; missing: {', '.join(sorted(set(DRIVERS) - ran))}")
    servers = {Flavor.MYSQL: mysql_ways.version, Flavor.MARIADB: mariadb_ways.version}
    now = page(DRIVERS, seen, servers)
    if WANTED == "write":
        PAGE.write_text(now)
    assert without_versions(PAGE.read_text()) == without_versions(now), (
        "make drivers writes docs/drivers.md anew"
    )
