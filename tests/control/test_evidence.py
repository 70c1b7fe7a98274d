"""What the proxy saw decides with what deploy requests may do, on both servers."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from proxy.channel import DefinitionChanged, Shapes, ShapeSeen
from router.model import Flavor
from tests.support.servers import until
from tests.support.service import Running, running_service


@pytest.fixture(scope="module", params=list(Flavor), ids=str)
async def running(request: pytest.FixtureRequest, server_folder: Path) -> AsyncIterator[Running]:
    async with running_service(server_folder / f"evidence-{request.param}", request.param) as running:
        await running.on_production(
            "CREATE TABLE customers (id INT PRIMARY KEY, name VARCHAR(50), nick VARCHAR(20), note TEXT)",
            "CREATE TABLE leftover (id INT PRIMARY KEY)",
        )
        saw(running, "main", "SELECT nick FROM shop.customers WHERE id = ?", 12)
        saw(running, "main", "SELECT name FROM customers", 3)
        saw(running, "main", "SELECT id FROM leftover", 1)
        yield running


def saw(running: Running, branch: str, text: str, count: int) -> None:
    """Let a worker report statements."""
    seen = ShapeSeen("shop", branch, "app", "read", text, count, 0)
    running.service.watched.usage.record(Shapes(time.time(), [seen]))


async def changed(running: Running, branch: str, *statements: str) -> None:
    """Change a branch as a client of the proxy would."""
    await running.on_branch(branch, *statements)
    for statement in statements:
        message = DefinitionChanged("shop", branch, "app", statement, time.time())
        running.service.watched.log.note(message)


async def opened(running: Running, branch: str) -> Any:
    created = await running.call("POST", "/deploy-requests", {"branch": branch}, expect=201)
    return await running.call("GET", f"/deploy-requests/{created['number']}")


async def test_a_statement_that_would_break_is_told_and_must_be_gone_first(running: Running) -> None:
    await running.call("POST", "/branches", {"name": "without"}, expect=201)
    await changed(running, "without", "ALTER TABLE customers DROP COLUMN nick")
    request = await opened(running, "without")
    order = request["deployment"]["deploy_order"]
    assert order["order"] == "code_first"
    [evidence] = order["evidence"]
    assert (evidence["query"], evidence["errno"]) == ("SELECT nick FROM shop.customers WHERE id = ?", 1054)
    assert (evidence["count"], evidence["users"]) == (12, ["app"])
    assert (order["queries_tried"], order["queries_untried"]) == (2, 0)
    codes = {finding["lint_error"] for finding in request["deployment"]["findings"]}
    assert "QUERY_BREAKS" in codes
    assert any(line.startswith("code first") for line in request["deployment"]["order_hints"])


async def test_a_column_that_nobody_uses_may_go_in_either_order(running: Running) -> None:
    await running.call("POST", "/branches", {"name": "tidy"}, expect=201)
    await changed(running, "tidy", "ALTER TABLE customers DROP COLUMN note")
    order = (await opened(running, "tidy"))["deployment"]["deploy_order"]
    assert (order["order"], order["evidence"], order["queries_tried"]) == ("either", [], 2)
    assert "observed traffic" in order["sentence"]


async def test_code_of_the_branch_waits_for_its_schema(running: Running) -> None:
    await running.call("POST", "/branches", {"name": "labels"}, expect=201)
    await changed(running, "labels", "ALTER TABLE customers ADD COLUMN label VARCHAR(9)")
    saw(running, "labels", "SELECT label FROM customers", 2)
    order = (await opened(running, "labels"))["deployment"]["deploy_order"]
    assert order["order"] == "schema_first"
    assert [(each["query"], each["order"]) for each in order["evidence"]] == [
        ("SELECT label FROM customers", "schema_first")
    ]


async def test_what_was_renamed_through_the_proxy_keeps_its_values(running: Running) -> None:
    await running.call("POST", "/branches", {"name": "renaming"}, expect=201)
    await changed(running, "renaming", "ALTER TABLE customers RENAME COLUMN note TO remark")
    request = await opened(running, "renaming")
    statements = " ".join(each["ddl_statement"] for each in request["deployment"]["deploy_operations"])
    assert "RENAME COLUMN" in statements or "CHANGE COLUMN" in statements
    assert "DROP COLUMN" not in statements
    assert request["deployment"]["deploy_order"]["order"] == "neither"


async def test_a_table_that_was_used_lately_is_told_before_it_goes(running: Running) -> None:
    await running.call("POST", "/branches", {"name": "dropping"}, expect=201)
    await changed(running, "dropping", "DROP TABLE leftover")
    request = await opened(running, "dropping")
    [operation] = request["deployment"]["deploy_operations"]
    assert operation["table_recently_used"]
    assert operation["table_recently_used_at"]
    assert request["deployment"]["deploy_order"]["order"] == "code_first"
    assert request["deployment_state"] == "error"
    for rule in ("DROP_TABLE", "QUERY_BREAKS"):
        said = {"lint_error": rule, "table_name": "leftover", "reason": "nobody will ask again"}
        await running.call("POST", "/lint-suppressions", said, expect=201)
    await running.call("POST", f"/deploy-requests/{request['number']}/deploy")
    await running.request_until(request["number"], "complete_pending_revert")


async def test_an_open_request_follows_its_branch_as_soon_as_that_changes(running: Running) -> None:
    await running.call("POST", "/branches", {"name": "moving"}, expect=201)
    await changed(running, "moving", "ALTER TABLE customers ADD COLUMN one INT")
    number = (await opened(running, "moving"))["number"]
    await changed(running, "moving", "ALTER TABLE customers ADD COLUMN two INT")

    async def follows() -> bool:
        stored = await running.service.deploys.get("shop", number)
        return "two" in stored.diff.get("customers", "")

    await until(follows, timeout_s=60)
