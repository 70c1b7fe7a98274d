"""I am the running services that tests of control share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import structlog

from router.model import Flavor
from tests.support.service import Running, running_service


@pytest.fixture(scope="session", autouse=True)
def plain_logs() -> Iterator[None]:
    """Print errors without the values of all variables, which takes structlog half a minute."""
    structlog.configure(
        processors=[structlog.processors.format_exc_info, structlog.processors.KeyValueRenderer()]
    )
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
async def running(server_folder: Path) -> AsyncIterator[Running]:
    """A service on the family that starts faster, for tests that change nothing others look at."""
    async with running_service(server_folder / "service", Flavor.MARIADB) as running:
        await running.on_production("CREATE TABLE customers (id INT PRIMARY KEY, name VARCHAR(50) NOT NULL)")
        yield running
