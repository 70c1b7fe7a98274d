"""I am the fixtures that tests of every part share: real servers and fresh schemas on them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from router.model import Flavor
from router.servers.process import LocalServer
from tests.support.servers import free_port, fresh_schema, running_server, session_folder

pytest_plugins = ("tests.support.alone",)

# Machines that are busy are no fault of what is tested.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


# The files that take longest: one of them at the end would leave the other workers idle.
LONGEST = (
    *("e2e/test_story.py", "e2e/test_teams.py", "conformance/test_corpus.py", "bench/test_soak.py"),
    *("drivers/test_matrix.py", "control/test_supervisor.py", "migrator/deploy/test_random_lives.py"),
)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files; the rest stays in the order that suits their servers."""
    first = [Path(__file__).parent / name for name in LONGEST]
    items.sort(key=lambda item: item.path not in first)


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    """A folder for data directories that is removed at the end, its servers killed."""
    with session_folder() as folder:
        yield folder


@pytest.fixture(scope="session")
async def mysql(server_folder: Path) -> AsyncIterator[LocalServer]:
    """A running MySQL with a binary log and GTIDs, on a socket and on a TCP port."""
    async with running_server(Flavor.MYSQL, server_folder / "mysql", port=free_port()) as server:
        yield server


@pytest.fixture(scope="session")
async def mariadb(server_folder: Path) -> AsyncIterator[LocalServer]:
    """A running MariaDB with a binary log, on a socket and on a TCP port."""
    async with running_server(Flavor.MARIADB, server_folder / "mariadb", port=free_port()) as server:
        yield server


@pytest.fixture(scope="session", params=list(Flavor), ids=str)
def server(request: pytest.FixtureRequest) -> LocalServer:
    """Each of the two in turn."""
    local: LocalServer = request.getfixturevalue(str(request.param))
    return local


@pytest.fixture
async def database(server: LocalServer) -> AsyncIterator[str]:
    """The name of a fresh, empty schema on `server`."""
    async with fresh_schema(server) as name:
        yield name


@pytest.fixture
async def mysql_database(mysql: LocalServer) -> AsyncIterator[str]:
    """The name of a fresh, empty schema on `mysql`."""
    async with fresh_schema(mysql) as name:
        yield name


@pytest.fixture
async def mariadb_database(mariadb: LocalServer) -> AsyncIterator[str]:
    """The name of a fresh, empty schema on `mariadb`."""
    async with fresh_schema(mariadb) as name:
        yield name
