"""I am the fixtures of the proxy's tests: a worker in front of each kind of server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from router.model import Branch, PoolMode
from router.servers.process import LocalServer
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
