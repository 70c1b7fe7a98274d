"""I am the fixtures of the proxy's tests: a worker in front of each kind of server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from router.model import Branch, PoolMode
from router.servers.process import LocalServer
from tests.support.arena import Arena, new_arena
from tests.support.proxy import Proxy, production, running_proxy, user
from tests.support.servers import fresh_schema


def open_branch(main: Branch, name: str = "dev") -> Branch:
    """A branch on the same server and schema where everything is allowed."""
    return replace(main, name=name, production=False, safe_migrations=False)


@pytest.fixture(scope="session")
async def shop(server: LocalServer) -> AsyncIterator[str]:
    """The schema behind the branches of `proxy`."""
    async with fresh_schema(server, "shop") as name:
        yield name


@pytest.fixture(scope="session", params=list(PoolMode), ids=str)
def pool_mode(request: pytest.FixtureRequest) -> PoolMode:
    """Each way to keep backends in turn."""
    mode: PoolMode = request.param
    return mode


@pytest.fixture(scope="session")
async def proxy(
    server: LocalServer, shop: str, pool_mode: PoolMode, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Proxy]:
    """A worker with a safe branch `main` and an open branch `dev` of database `shop`."""
    main = replace(production(server.server, shop), pool_mode=pool_mode)
    folder: Path = tmp_path_factory.mktemp("proxy")
    users = [user("app"), user("dev", branch="dev")]
    async with running_proxy(folder, [main, open_branch(main)], users) as running:
        yield running


@pytest.fixture(scope="session")
async def shared_arena(
    server: LocalServer,
    shop: str,
    pool_mode: PoolMode,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Arena]:
    """A worker between clients and a server where everything can be made to go wrong."""
    folder = tmp_path_factory.mktemp("arena")
    async with new_arena(server, shop, pool_mode, folder, max_connect_errors="0") as arena:
        yield arena


@pytest.fixture
async def arena(shared_arena: Arena) -> AsyncIterator[Arena]:
    """The arena, which must be as good as new behind each test."""
    yield shared_arena
    await shared_arena.recover()


@pytest.fixture(scope="session")
async def impatient_arena(
    mysql: LocalServer, pool_mode: PoolMode, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Arena]:
    """An arena whose worker soon gives up to connect."""
    folder = tmp_path_factory.mktemp("impatient")
    settings = {"connect_timeout_s": "0.5", "max_connect_errors": "0"}
    async with (
        fresh_schema(mysql) as schema,
        new_arena(mysql, schema, pool_mode, folder, **settings) as it,
    ):
        yield it


@pytest.fixture
async def impatient(impatient_arena: Arena) -> AsyncIterator[Arena]:
    """The same, which must be as good as new behind each test as well."""
    yield impatient_arena
    await impatient_arena.recover()
