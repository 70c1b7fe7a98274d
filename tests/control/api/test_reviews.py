"""How deploy requests are reviewed, confirmed, steered and found through the API."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from control.api.app import make_app
from router.model import Flavor
from tests.support.service import Running, running_service

O = "/v1/organizations/local"  # noqa: E741 - as the API's description calls it


@pytest.fixture(scope="module")
async def running(server_folder: Path) -> AsyncIterator[Running]:
    async with running_service(server_folder / "reviews", Flavor.MARIADB) as running:
        await running.on_production(
            "CREATE TABLE customers (id INT PRIMARY KEY, name VARCHAR(50) NOT NULL, fax VARCHAR(20))",
            "CREATE TABLE orders (id INT PRIMARY KEY, customer_id INT NOT NULL)",
        )
        yield running


@contextlib.asynccontextmanager
async def calling(running: Running, name: str, access: str) -> AsyncIterator[Running]:
    """The same service, called with a token of one's own."""
    made = (await running.http.post(f"{O}/service-tokens", json={"name": name, "access": access})).json()
    transport = httpx.ASGITransport(make_app(running.service))
    headers = {"Authorization": f"{made['id']}:{made['token']}"}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://headgate", headers=headers, timeout=60
    ) as client:
        yield Running(running.settings, running.service, client)


async def proposed(running: Running, branch: str, *statements: str, **body: Any) -> str:
    """Make a branch, change it, open a deploy request, and return its path."""
    await running.call("POST", "/branches", {"name": branch}, expect=201)
    await running.on_branch(branch, *statements)
    made = await running.call("POST", "/deploy-requests", {"branch": branch, **body}, expect=201)
    assert made["deployment_state"] == "ready", made["deployment"]["problem"]
    return f"/deploy-requests/{made['number']}"


async def test_approvals_are_required_counted_refused_and_dismissed(running: Running) -> None:
    await running.call("PATCH", "", {"require_approval_for_deploy": True})
    async with calling(running, "ada", "admin") as ada, calling(running, "bo", "admin") as bo:
        one = await proposed(ada, "add-phone", "ALTER TABLE customers ADD COLUMN phone VARCHAR(32)")
        refused = await ada.call("POST", f"{one}/deploy", expect=422)
        assert "needs an approval" in refused["message"]
        refused = await ada.call("POST", f"{one}/reviews", {"state": "approved"}, expect=403)
        assert refused["code"] == "unauthorized"
        await ada.call("POST", f"{one}/reviews", {"body": "please"}, expect=201)
        await ada.call("POST", f"{one}/reviews", {"body": " "}, expect=422)
        made = await bo.call("POST", f"{one}/reviews", {"state": "approved", "body": "`ok`"}, expect=201)
        assert (made["state"], made["html_body"]) == ("approved", "<p><code>ok</code></p>")
        shown = await ada.call("GET", one)
        assert (shown["approved"], shown["num_comments"]) == (True, 2)
        assert shown["deployment"]["approvals_missing"] is None

        await ada.on_branch("add-phone", "ALTER TABLE customers MODIFY COLUMN phone VARCHAR(40)")
        await ada.call("GET", f"{one}/diff")
        shown = await ada.call("GET", one)
        assert not shown["approved"]
        listed = (await ada.call("GET", f"{one}/reviews"))["data"]
        approvals = [each for each in listed if each["state"] == "approved"]
        assert [each["dismissed_at"] is not None for each in approvals] == [True]
        assert "what is proposed has changed" in listed[-1]["body"]
        await ada.call("PATCH", one, {"state": "closed"})
        assert (await ada.call("GET", one))["closed_by"]["display_name"] == "ada"
    await running.call("PATCH", "", {"require_approval_for_deploy": False})


async def test_what_loses_data_is_confirmed_first(running: Running) -> None:
    one = await proposed(running, "no-fax", "ALTER TABLE customers DROP COLUMN fax")
    deployment = (await running.call("GET", one))["deployment"]
    asked = deployment["unconfirmed"]
    assert asked
    entry = next(each for each in deployment["findings"] if each["key"] in asked)
    assert (entry["level"], entry["table_name"], entry["confirmed"]) == ("confirm", "customers", False)
    assert deployment["lint_errors"] == []
    refused = await running.call("POST", f"{one}/deploy", expect=422)
    assert "headgate deploy-request confirm shop" in refused["message"]
    await running.call("POST", f"{one}/confirm", {"keys": ["NONSENSE::"]}, expect=422)
    confirmed = await running.call("POST", f"{one}/confirm", {"keys": asked})
    assert confirmed["deployment"]["unconfirmed"] == []
    await running.call("POST", f"{one}/deploy")
    number = confirmed["number"]
    await running.request_until(number, "complete_pending_revert")
    await running.call("POST", f"{one}/skip-revert")
    await running.request_until(number, "complete")


async def test_a_gated_deployment_holds_the_queue_which_says_so(running: Running) -> None:
    first = await proposed(
        running, "gated", "ALTER TABLE customers ADD COLUMN a INT", auto_cutover=False, notes="*first*"
    )
    second = await proposed(running, "behind", "ALTER TABLE orders ADD COLUMN b INT", auto_cutover=True)
    await running.call("POST", f"{first}/deploy")
    number = int(first.rpartition("/")[2])
    await running.request_until(number, "pending_cutover")
    queued = (await running.call("POST", f"{second}/deploy"))["deployment"]
    assert (queued["queue_position"], queued["queue_paused"]) == (1, True)
    assert f"headgate deploy-request apply shop {number}" in queued["queue_pause_reason"]
    line = (await running.call("GET", "/deploy-queue"))["data"]
    assert [each["deploy_request_number"] for each in line] == [number, number + 1]
    assert [each["queue_position"] for each in line] == [None, 1]

    cancelled = await running.call("POST", f"{second}/cancel")
    assert cancelled["deployment_state"] == "cancelled"
    assert cancelled["deployment"]["cancelled_actor"]["display_name"] == "local"
    beside = await running.call("POST", f"{second}/deploy", {"strategy": "parallel"})
    assert beside["deployment"]["strategy"] == "parallel"
    await running.request_until(number + 1, "complete_pending_revert")

    gone_on = await running.call("PUT", f"{first}/auto-apply", {"enable": True})
    assert gone_on["deployment"]["auto_cutover"] is True
    done = await running.request_until(number, "complete_pending_revert")
    assert done["deployment"]["actor"]["display_name"] == "local"
    for one in (first, second):
        await running.call("POST", f"{one}/skip-revert")


async def test_how_a_request_is_carried_out_can_be_switched(running: Running) -> None:
    one = await proposed(running, "switched", "ALTER TABLE orders ADD COLUMN c INT")
    for path, field in (
        ("auto-apply", "auto_cutover"),
        ("auto-delete-branch", "auto_delete_branch"),
        ("aggressive-cutover", "aggressive_cutover"),
    ):
        for enable in (True, False):
            shown = await running.call("PUT", f"{one}/{path}", {"enable": enable})
            assert shown["deployment"][field] is enable
    await running.call("PUT", f"{one}/auto-apply", {}, expect=400)
    for verb in ("retry", "complete-deploy", "apply-deploy", "force-cutover", "revert", "redo"):
        refused = await running.call("POST", f"{one}/{verb}", expect=422)
        assert refused["code"] == "unprocessable"


async def test_lists_are_filtered_and_all_has_the_types_that_clients_expect(running: Running) -> None:
    listed = (await running.call("GET", "/deploy-requests"))["data"]
    numbers = [each["number"] for each in listed]
    assert numbers == sorted(numbers, reverse=True)

    async def found(query: str) -> list[str]:
        return [each["branch"] for each in (await running.call("GET", f"/deploy-requests?{query}"))["data"]]

    assert await found("state=open") == ["switched"]
    assert set(await found("state=deployed")) == {"no-fax", "gated", "behind"}
    assert await found("branch=gated&into_branch=main") == ["gated"]
    assert await found("deployed_at=2001-01-01") == []
    assert set(await found("running_at=2001-01-01..")) == {"no-fax", "gated", "behind"}
    refused = await running.call("GET", "/deploy-requests?deployed_at=then", expect=422)
    assert "is no time" in refused["message"]
    for each in listed:
        deployment = each["deployment"]
        assert isinstance(each["num_comments"], int)
        assert isinstance(deployment["lint_errors"], list)
        assert deployment["state"] == each["deployment_state"]
        for one in deployment["deploy_operations"]:
            assert type(one["progress_percentage"]) is int
            assert one["syntax_highlighted_ddl"].startswith('<span class="kw">')
        for name, value in {**each, **deployment}.items():
            assert not name.endswith("_at") or value is None or value.endswith("Z"), name
    gated = next(each for each in listed if each["branch"] == "gated")
    assert gated["html_body"] == "<p>*first*</p>"
    for name in ("queued_at", "submitted_at", "started_at", "ready_to_cutover_at", "cutover_at"):
        assert gated["deployment"][name] is not None, name


async def test_the_steps_of_a_request_say_who_took_them(running: Running) -> None:
    (gated,) = (await running.call("GET", "/deploy-requests?branch=gated"))["data"]
    steps = (await running.call("GET", f"/deploy-requests/{gated['number']}/history"))["data"]
    assert [step["after"] for step in steps][:4] == ["pending", "ready", "queued", "submitting"]
    assert {step["actor"] for step in steps} == {"local", "headgate"}
    assert steps[2]["by"]["type"] == "User"
