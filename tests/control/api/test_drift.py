"""Changes of production by hand are found, shown, taken or undone, through the API, on both servers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from migrator.deploy.approval import ReviewState
from router.model import LOCAL, Access, Actor, ActorKind, Flavor
from tests.support.service import Running, running_service

COLLEAGUE = Actor("colleague", "Bo", ActorKind.USER, Access.ADMIN)


@pytest.fixture(params=list(Flavor), ids=str)
async def running(request: pytest.FixtureRequest, server_folder: Path) -> AsyncIterator[Running]:
    async with running_service(server_folder / f"drift-{request.param}", request.param) as running:
        await running.on_production(
            "CREATE USER owner ACCOUNT LOCK",
            "GRANT SELECT ON shop.* TO owner",
            "CREATE TABLE orders (id INT PRIMARY KEY, note VARCHAR(20))",
            "CREATE TABLE other (id INT PRIMARY KEY)",
            "CREATE TABLE legacy (id INT PRIMARY KEY)",
        )
        # Production may have been looked at before there were tables.
        if (await drift(running))["state"] == "open":
            await running.call("POST", "/drift/adopt")
        assert (await drift(running))["state"] == "none"
        yield running


async def drift(running: Running) -> Any:
    return await running.call("GET", "/drift")


async def test_a_change_by_hand_is_shown_and_open_requests_are_checked_again(running: Running) -> None:
    call = running.call
    await call("POST", "/branches", {"name": "notes"}, expect=201)
    await running.on_branch("notes", "ALTER TABLE orders MODIFY note VARCHAR(60)")
    await call("POST", "/deploy-requests", {"branch": "notes"}, expect=201)
    deploys = running.service.deploys
    await deploys.review("shop", 1, COLLEAGUE, ReviewState.APPROVED)
    await running.on_production(
        "ALTER TABLE orders MODIFY note VARCHAR(99)", "CREATE PROCEDURE mine() SELECT 1"
    )
    found = await drift(running)
    assert (found["state"], found["tables"], found["programs"]) == ("open", ["orders"], ["procedure mine"])
    assert "varchar(99)" in found["diff"][0]["raw"]
    assert found["affected"] == [1]
    request = await call("GET", "/deploy-requests/1")
    assert request["deployment_state"] == "error"
    assert "orders" in request["deployment"]["problem"]
    (approval,) = [each for each in await deploys.reviews("shop", 1) if each.state is ReviewState.APPROVED]
    assert approval.dismissed_at is not None
    taken = await call("POST", "/drift/adopt")
    assert taken["state"] == "adopted"
    assert (await drift(running))["state"] == "none"
    refused = await call("POST", "/drift/adopt", expect=422)
    assert "there is no drift" in refused["message"]


async def test_drift_is_undone_by_a_deploy_request_or_by_hand(running: Running) -> None:
    call = running.call
    await running.on_production(
        "ALTER TABLE orders ADD COLUMN extra INT",
        "CREATE TABLE stray (id INT PRIMARY KEY)",
        "CREATE DEFINER = owner VIEW strays AS SELECT id FROM stray",
        "DROP TABLE legacy",
    )
    found = await drift(running)
    assert found["tables"] == ["legacy", "orders", "stray"]
    made = await call("POST", "/drift/undo")
    assert (made["branch"], made["deploy_request"]) == (f"undo-drift-{found['number']}", 1)
    # It looks as if one table had become the other.
    await running.service.deploys.confirm("shop", 1, LOCAL)
    await call("POST", "/deploy-requests/1/deploy")
    deployed = await running.request_until(1, "complete_pending_revert", "complete_error", "error")
    assert deployed["deployment"]["problem"] is None
    assert (await drift(running))["state"] == "none"
    await call("POST", "/deploy-requests/1/skip-revert")
    await running.request_until(1, "complete")
    assert (await drift(running))["state"] == "none"
    await running.on_production("ALTER TABLE other ADD COLUMN x INT")
    assert (await drift(running))["tables"] == ["other"]
    await running.on_production("ALTER TABLE other DROP COLUMN x")
    assert (await drift(running))["state"] == "none"


async def test_only_the_drift_that_was_looked_at_is_adopted(running: Running) -> None:
    call = running.call
    await running.on_production("ALTER TABLE orders ADD COLUMN extra INT")
    seen = await drift(running)
    await running.on_production("ALTER TABLE orders ADD COLUMN unseen INT")
    refused = await call("POST", "/drift/adopt", {"digest": seen["digest"]}, expect=409)
    assert refused["code"] == "conflict"
    assert refused["message"].endswith("look again with: headgate database drift shop")
    # Who does not say it means what was found last, which is the second column by now, and no third one.
    await running.on_production("ALTER TABLE orders ADD COLUMN later INT")
    await call("POST", "/drift/adopt", expect=409)
    found = await drift(running)
    assert (found["number"], found["state"]) == (seen["number"], "open")
    assert found["digest"] != seen["digest"]
    await running.on_production("ALTER TABLE other ADD COLUMN x INT")
    await call("POST", "/drift/adopt", {"digest": found["digest"]}, expect=409)
    await running.on_production("ALTER TABLE other DROP COLUMN x")
    assert (await drift(running))["digest"] == found["digest"]
    adopted = await call("POST", "/drift/adopt", {"digest": found["digest"]})
    assert adopted["state"] == "adopted"
    assert (await drift(running))["state"] == "none"
