"""What Rails notes of its migrations, from production to a branch and back with a deploy request."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from router.database import Connection
from router.model import Flavor
from tests.support.service import Running, running_service

VERSIONS = "SELECT version FROM schema_migrations ORDER BY version"


@pytest.fixture(params=list(Flavor), ids=str)
async def running(request: pytest.FixtureRequest, server_folder: Path) -> AsyncIterator[Running]:
    async with running_service(server_folder / f"rails-{request.param}", request.param) as running:
        await running.on_production(
            "CREATE TABLE customers (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(50) NOT NULL)",
            "INSERT INTO customers (name) VALUES ('Ada')",
            "CREATE TABLE schema_migrations (version VARCHAR(255) PRIMARY KEY)",
            "INSERT INTO schema_migrations VALUES ('1'), ('2')",
        )
        await running.call("PATCH", "", {"migration_framework": "rails"})
        yield running


async def versions(running: Running, branch: str = "main") -> list[str]:
    server = running.admin if branch == "main" else await running.service.branches.wake(branch)
    async with await Connection.open(server, database="shop") as link:
        return [str(row[0]) for row in await link.fetch_all(VERSIONS)]


async def migrate(running: Running, branch: str, version: int) -> None:
    """Run a migration on a branch, as Rails does."""
    await running.on_branch(
        branch,
        f"ALTER TABLE customers ADD COLUMN c{version} INT",
        f"INSERT INTO schema_migrations VALUES ('{version}')",
    )


async def storage_is_told(running: Running, number: int) -> None:
    """See that what a deployment will take is told before it starts."""
    told = await running.call("GET", f"/deploy-requests/{number}/storage-check")
    assert told["enough_storage"]
    assert told["storage_bytes_needed"] > 0
    report = told["storage_report"]
    assert [table["table_name"] for table in report["tables"]] == ["customers"]
    assert report["free_bytes"] > told["storage_bytes_needed"]
    assert "are free there" in report["sentence"]
    # No copy was large enough yet to tell how long the next one takes.
    assert told["estimate"] is None


async def test_migrations_are_done_on_production_once_they_cannot_be_reverted(running: Running) -> None:
    call = running.call
    for name in ("one", "two"):
        await call("POST", "/branches", {"name": name}, expect=201)
    assert await versions(running, "one") == ["1", "2"]
    await migrate(running, "one", 3)
    await migrate(running, "two", 4)

    await call("POST", "/deploy-requests", {"branch": "one"}, expect=201)
    await call("POST", "/deploy-requests/1/deploy")
    await running.request_until(1, "complete_pending_revert")
    assert await versions(running) == ["1", "2"]
    # A branch made now has the new table, and so the migration that made it.
    await call("POST", "/branches", {"name": "three"}, expect=201)
    assert await versions(running, "three") == ["1", "2", "3"]
    await call("DELETE", "/branches/one", expect=204)
    await call("POST", "/deploy-requests/1/skip-revert")
    await running.request_until(1, "complete")
    assert await versions(running) == ["1", "2", "3"]
    steps = (await call("GET", "/deploy-requests/1/history"))["data"]
    assert steps[-1]["reason"] == "1 row copied to schema_migrations"

    # A branch that is rebased gets production's tables as they are, and so the migrations that made them.
    await call("POST", "/branches/two/rebase")
    assert await versions(running, "two") == ["1", "2", "3", "4"]

    # What is reverted was never run.
    await call("POST", "/deploy-requests", {"branch": "two"}, expect=201)
    await storage_is_told(running, 2)
    await call("POST", "/deploy-requests/2/deploy")
    await running.request_until(2, "complete_pending_revert")
    await call("POST", "/deploy-requests/2/revert")
    await running.request_until(2, "complete_revert")
    await call("POST", "/deploy-requests/2/skip-revert")
    assert await versions(running) == ["1", "2", "3"]
