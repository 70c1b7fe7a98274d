"""Tables that wait to be dropped, through the API and the command that shows them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from conf.settings import MigratorSettings, Settings
from router.database import Connection
from router.model import Flavor
from tests.support.service import Running, running_service

HOLD_S = 3000.0


def holding(settings: Settings) -> Settings:
    return replace(settings, migrator=MigratorSettings(revert_window_s=0.01, garbage_hold_s=HOLD_S))


@pytest.fixture(params=list(Flavor), ids=str)
async def running(request: pytest.FixtureRequest, server_folder: Path) -> AsyncIterator[Running]:
    async with running_service(server_folder / f"garbage-{request.param}", request.param, holding) as running:
        await running.on_production(
            "CREATE TABLE customers (id INT PRIMARY KEY, name VARCHAR(50))",
            "INSERT INTO customers VALUES (1, 'Ada')",
        )
        yield running


async def test_a_table_that_nobody_needs_is_listed_until_it_is_dropped_and_can_be_had_back(
    running: Running,
) -> None:
    call = running.call
    assert (await call("GET", "/garbage"))["data"] == []
    await call("POST", "/branches", {"name": "shorter"}, expect=201)
    await running.on_branch("shorter", "ALTER TABLE customers DROP COLUMN name")
    await call("POST", "/deploy-requests", {"branch": "shorter"}, expect=201)
    await call("POST", "/deploy-requests/1/confirm")
    await call("POST", "/deploy-requests/1/deploy")
    done = await running.request_until(1, "complete", "complete_error")
    [listed] = (await call("GET", "/garbage"))["data"]
    assert listed["type"] == "GarbageTable"
    assert listed["original_table_name"] == "customers"
    assert listed["operation_id"] == done["deployment"]["deploy_operations"][0]["id"]
    since, until = (datetime.fromisoformat(listed[key]) for key in ("created_at", "dropped_after"))
    assert abs((until - since).total_seconds() - HOLD_S) < 2
    async with await Connection.open(running.admin, database="shop") as connection:
        await connection.execute(f"RENAME TABLE `{listed['table_name']}` TO customers_again")
        assert await connection.fetch_all("SELECT * FROM customers_again") == [(1, "Ada")]
