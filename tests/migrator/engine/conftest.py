"""I prepare servers for the engine's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from migrator.engine.ground.state import prepare_state
from router.database import Connection
from router.servers.process import LocalServer
from tests.support.time_limit import limit


def pytest_itemcollected(item: pytest.Item) -> None:
    """Fail a test that hangs."""
    limit(item)


@pytest.fixture
async def connection(server: LocalServer, database: str) -> AsyncIterator[Connection]:
    """A connection to the test's own schema on a server that is ready for migrations."""
    await prepare_state(server.server)
    async with await Connection.open(server.server, database=database) as opened:
        yield opened
