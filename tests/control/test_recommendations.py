"""Recommendations from a look at production to the deploy request that follows one, on both servers."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from control.index_usage import read_counters
from control.recommendation_store import observations
from control.recommendations import Recommendations
from proxy.channel import Shapes, ShapeSeen
from router.clock import now
from router.model import Flavor
from router.state import open_state
from tests.support.service import Running, running_service

PATH = "/schema-recommendations"


@pytest.fixture(params=list(Flavor), ids=str)
async def running(request: pytest.FixtureRequest, server_folder: Path) -> AsyncIterator[Running]:
    async with running_service(server_folder / f"advice-{request.param}", request.param) as running:
        await running.on_production(
            "CREATE TABLE customers (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(50) NOT NULL, town INT, "
            "KEY by_name (name), KEY by_name_again (name), KEY by_town (town)) AUTO_INCREMENT = 1500000001",
            "INSERT INTO customers (name, town) VALUES ('Ada', 1), ('Bo', 2), ('Chen', 3)",
            "CREATE TABLE forgotten (id INT PRIMARY KEY, n INT, KEY by_n (n))",
            "CREATE TABLE schema_migrations (version VARCHAR(20) PRIMARY KEY)",
        )
        yield running


async def look(running: Running) -> dict[tuple[str, str], Any]:
    """Look at production and return what is open then, by type and table."""
    await running.call("POST", PATH + "/refresh")
    found = (await running.call("GET", PATH + "?state=open"))["data"]
    return {(each["recommendation_type"], each["table_name"]): each for each in found}


async def long_ago(running: Running) -> None:
    """Let everything that was counted so far have been counted forty days ago."""
    engine = open_state(running.settings.state_dir / "state.db")
    async with engine.begin() as connection:
        moment = now() - timedelta(days=40)
        await connection.execute(observations.update().values(since=moment))
        used = observations.c.last_at.is_not(None)
        await connection.execute(observations.update().where(used).values(last_at=moment))
    await engine.dispose()


async def test_a_recommendation_becomes_a_branch_a_deploy_request_and_is_done(
    running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = running.call
    found = await look(running)
    duplicate = found["duplicate_index", "customers"]
    assert duplicate["ddl_statement"] == "ALTER TABLE `customers` DROP INDEX `by_name_again`"
    assert set(found) == {("duplicate_index", "customers"), ("sequence_overflow", "customers")}
    assert duplicate["number"] in (1, 2)
    assert await call("GET", f"{PATH}/{duplicate['number']}") == duplicate

    done = await call("POST", f"{PATH}/{duplicate['number']}/apply", {"deploy_request": True})
    branch, request = done["schema_recommendation"]["branch"], done["deploy_request"]
    assert branch == f"recommendation-{duplicate['number']}"
    [change] = (await call("GET", f"/branches/{branch}/diff"))["data"]
    assert "-  KEY `by_name_again` (`name`)" in change["raw"]
    await call("POST", f"/deploy-requests/{request['number']}/deploy")
    await running.request_until(request["number"], "complete_pending_revert")
    assert ("duplicate_index", "customers") not in await look(running)
    after = await call("GET", f"{PATH}/{duplicate['number']}")
    assert after["state"] == "applied"
    assert after["closed_by_deploy_request"]["number"] == request["number"]
    gone = await call("POST", f"{PATH}/{duplicate['number']}/apply", expect=422)
    assert f"deploy request {request['number']} has done it" in gone["message"]

    await call("POST", f"/deploy-requests/{request['number']}/revert")
    await running.request_until(request["number"], "complete_revert")
    again = (await look(running))["duplicate_index", "customers"]
    assert (again["number"], again["closed_by_deploy_request"]) == (duplicate["number"], None)

    # What is dismissed is never recommended again, not even if somebody was taking it up.
    number = (await look(running))["sequence_overflow", "customers"]["number"]
    change = Recommendations._change

    async def dismissed_meanwhile(self: Recommendations, *how: Any) -> None:
        await call("POST", f"{PATH}/{number}/dismiss", {"reason": "it ends next year"})
        await change(self, *how)

    with monkeypatch.context() as patch:
        patch.setattr(Recommendations, "_change", dismissed_meanwhile)
        done = await call("POST", f"{PATH}/{number}/apply")
    dismissed = done["schema_recommendation"]
    assert dismissed["branch"] == f"recommendation-{number}"
    assert (dismissed["state"], dismissed["dismissed_reason"]) == ("dismissed", "it ends next year")
    assert dismissed["dismissed_by"]["display_name"] == "local"
    assert ("sequence_overflow", "customers") not in await look(running)
    again = await running.call("POST", f"{PATH}/{number}/dismiss", expect=422)
    assert "it was dismissed" in again["message"]
    await running.call("GET", f"{PATH}/99", expect=404)


async def test_what_was_not_used_for_weeks_is_recommended_to_go(running: Running) -> None:
    counted = await read_counters(running.service.branches.production.migrator, "shop", now())
    assert counted is not None
    assert counted.reads["customers", "by_town"] == 0
    # Used once, long ago; by_town is used again today.
    await running.on_production("SELECT * FROM customers FORCE INDEX (by_name) WHERE name = 'Ada'")
    assert not any(kind.startswith("unused") for kind, _ in await look(running))
    await long_ago(running)
    await running.on_production("ALTER TABLE customers DROP INDEX by_name_again")
    await running.on_production("SELECT * FROM customers FORCE INDEX (by_town) WHERE town = 2")
    found = await look(running)
    assert set(found) >= {("unused_table", "forgotten"), ("unused_index", "customers")}
    assert "`by_name`" in found["unused_index", "customers"]["ddl_statement"]
    assert "40 days" in found["unused_table", "forgotten"]["reason"]
    assert ("unused_table", "schema_migrations") not in found

    # The proxy has seen a statement that names the one in a hint, and uses the other.
    text = "SELECT name FROM customers FORCE INDEX (by_name), forgotten"
    seen = ShapeSeen("shop", "main", "web", "read", text, 0, 0)
    running.service.watched.usage.record(Shapes(time.time(), [seen]))
    assert set(await look(running)) == {("sequence_overflow", "customers"), ("unused_index", "forgotten")}
    stale = [each for each in (await running.call("GET", PATH))["data"] if each["state"] == "stale"]
    wanted = ["duplicate_index", "unused_index", "unused_table"]
    assert sorted(each["recommendation_type"] for each in stale) == wanted
