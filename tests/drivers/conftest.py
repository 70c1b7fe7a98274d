"""I am the fixtures of the driver matrix: the ways to each server, programs being built, what was seen."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from router.model import Flavor
from tests.drivers.matrix import Ways, open_ways
from tests.drivers.programs import DRIVERS, Program
from tests.drivers.table import MODES, Seen
from tests.support.toolchains import missing


@pytest.fixture(scope="session")
async def programs() -> AsyncIterator[dict[str, asyncio.Task[Program]]]:
    """Every driver's program, being built from the start, so that tests of the first run meanwhile."""
    able = {name: driver for name, driver in DRIVERS.items() if not missing(driver.tools)}
    tasks = {name: asyncio.ensure_future(driver.build()) for name, driver in able.items()}
    yield tasks
    for task in tasks.values():
        task.cancel()
    for task in tasks.values():
        with contextlib.suppress(BaseException):
            await task


@pytest.fixture(scope="session")
async def mysql_ways(server_folder: Path) -> AsyncIterator[Ways]:
    """The ways to a MySQL server."""
    async with open_ways(Flavor.MYSQL, server_folder / "drivers-mysql", MODES) as ways:
        yield ways


@pytest.fixture(scope="session")
async def mariadb_ways(server_folder: Path) -> AsyncIterator[Ways]:
    """The ways to a MariaDB server."""
    async with open_ways(Flavor.MARIADB, server_folder / "drivers-mariadb", MODES) as ways:
        yield ways


@pytest.fixture
def ways(flavor: Flavor, request: pytest.FixtureRequest) -> Ways:
    """The ways to a server of the flavour that the test names."""
    found: Ways = request.getfixturevalue(f"{flavor}_ways")
    return found


@pytest.fixture(scope="session")
def seen() -> dict[str, Seen]:
    """What this run saw of each driver."""
    return {name: Seen() for name in DRIVERS}
