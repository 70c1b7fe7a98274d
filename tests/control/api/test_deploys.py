"""Branches and deploy requests through the API, with real servers of both families."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from router.database import Connection
from router.errors import ConnectionLost
from router.model import LOCAL, Flavor
from tests.support.servers import until
from tests.support.service import Running, running_service

COUNTS = ("number", "num_comments", "into_branch_shard_count", "into_branch_keyspace_count")
OPERATION_COUNTS = ("progress_percentage", "rows_copied", "rows_total", "rows_per_second")


@pytest.fixture(params=list(Flavor), ids=str)
async def running(request: pytest.FixtureRequest, server_folder: Path) -> AsyncIterator[Running]:
    async with running_service(server_folder / f"deploys-{request.param}", request.param) as running:
        await running.on_production(
            "CREATE TABLE customers (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(50) NOT NULL)",
            "INSERT INTO customers (name) VALUES ('Ada'), ('Bo'), ('Chen')",
            "CREATE TABLE notes (body TEXT)",
        )
        yield running


async def columns(running: Running, table: str) -> list[str]:
    async with await Connection.open(running.admin, database="shop") as connection:
        return [str(row[0]) for row in await connection.fetch_all(f"SHOW COLUMNS FROM {table}")]


def is_well_formed(request: Any) -> None:
    """Check what clients in other languages rely on: no nulls where values must be, integers as integers."""
    for key in COUNTS:
        assert type(request[key]) is int, key
    deployment = request["deployment"]
    assert deployment is not None
    assert deployment["state"] == request["deployment_state"]
    assert type(deployment["deploy_request_number"]) is int
    for operation in deployment["deploy_operations"]:
        for key in OPERATION_COUNTS:
            assert type(operation[key]) is int, key
        assert operation["eta_seconds"] is None or type(operation["eta_seconds"]) is int


async def refused(running: Running, method: str, path: str, body: Any = None) -> str:
    answer = await running.call(method, path, body, expect=422)
    assert answer["code"] == "unprocessable"
    return str(answer["message"])


async def test_a_change_travels_to_production_and_back_through_the_api(running: Running) -> None:
    call = running.call
    made = await call("POST", "/branches", {"name": "add-phone"}, expect=201)
    assert (made["state"], made["ready"], made["production"], made["parent_branch"]) == (
        "ready",
        True,
        False,
        "main",
    )
    assert (await call("GET", "/branches/add-phone/diff"))["data"] == []
    nothing = await call("POST", "/deploy-requests", {"branch": "add-phone", "notes": "a phone"}, expect=201)
    is_well_formed(nothing)
    assert nothing["deployment_state"] == "no_changes"
    assert "no longer differs" in await refused(running, "POST", "/deploy-requests/1/deploy")
    await running.on_branch(
        "add-phone",
        "ALTER TABLE customers ADD COLUMN phone VARCHAR(32)",
        "CREATE TABLE coupons (code VARCHAR(20) PRIMARY KEY)",
    )
    changes = (await call("GET", "/branches/add-phone/diff"))["data"]
    assert sorted(change["name"] for change in changes) == ["coupons", "customers"]
    assert any("+" in change["raw"] and "phone" in change["raw"] for change in changes)
    tables = [table["name"] for table in (await call("GET", "/branches/main/schema"))["data"]]
    assert sorted(tables) == ["customers", "notes"]

    shown = (await call("GET", "/deploy-requests/1/diff"))["data"]
    assert sorted(change["name"] for change in shown) == ["coupons", "customers"]
    created = await call("GET", "/deploy-requests/1")
    is_well_formed(created)
    assert (created["number"], created["state"], created["deployment_state"]) == (1, "open", "ready")
    assert created["notes"] == "a phone"
    assert "already has the open deploy request 1" in await refused(
        running, "POST", "/deploy-requests", {"branch": "add-phone"}
    )
    for verb in ("apply-deploy", "cancel", "revert", "skip-revert"):
        assert "state ready" in await refused(running, "POST", f"/deploy-requests/1/{verb}")

    is_well_formed(await call("POST", "/deploy-requests/1/deploy"))
    deployed = await running.request_until(1, "complete_pending_revert", "complete_error")
    is_well_formed(deployed)
    assert deployed["deployment"]["problem"] is None
    assert deployed["deployment"]["deployment_revert_request"]["waiting_period_end_at"]
    assert await columns(running, "customers") == ["id", "name", "phone"]
    assert await columns(running, "coupons") == ["code"]
    assert await refused(running, "POST", "/deploy-requests/1/deploy")
    assert await refused(running, "PATCH", "/deploy-requests/1", {"state": "closed"})

    await running.on_production("INSERT INTO customers (name, phone) VALUES ('Dara', '555')")
    await until(lambda: may_be_reverted(running))
    await call("POST", "/deploy-requests/1/revert")
    is_well_formed(await running.request_until(1, "complete_revert", "complete_revert_error"))
    assert await columns(running, "customers") == ["id", "name"]
    async with await Connection.open(running.admin, database="shop") as connection:
        assert await connection.fetch_value("SELECT name FROM customers WHERE id = 4") == "Dara"
    operations = (await call("GET", "/deploy-requests/1/operations"))["data"]
    assert sorted(one["table_name"] for one in operations) == ["coupons", "customers"]
    steps = (await call("GET", "/deploy-requests/1/history"))["data"]
    assert [step["after"] for step in steps][-1] == "complete_revert"
    assert steps[0]["before"] is None
    assert (await call("GET", "/deploy-requests?state=open"))["data"] == []
    assert [one["number"] for one in (await call("GET", "/deploy-requests?branch=add-phone"))["data"]] == [1]
    assert await refused(running, "POST", "/deploy-requests/1/revert")

    await call("DELETE", "/branches/add-phone", expect=204)
    await call("GET", "/branches/add-phone", expect=404)
    assert running.service.branches._host.names() == ["production", "scratch"]
    is_well_formed(await call("GET", "/deploy-requests/1"))


async def may_be_reverted(running: Running) -> bool:
    request = await running.call("GET", "/deploy-requests/1")
    return request["deployment"]["revert_blocked"] is None


async def cleared_away(running: Running) -> bool:
    return not (await running.service.deploys.get("shop", 1)).under_way


async def test_a_revert_is_taken_back_through_the_api_until_its_window_ends(running: Running) -> None:
    call = running.call
    await call("POST", "/branches", {"name": "add-phone"}, expect=201)
    await running.on_branch(
        "add-phone",
        "ALTER TABLE customers ADD COLUMN phone VARCHAR(32)",
        "CREATE TABLE coupons (code VARCHAR(20) PRIMARY KEY)",
    )
    await call("POST", "/deploy-requests", {"branch": "add-phone"}, expect=201)
    await call("POST", "/deploy-requests/1/deploy")
    await running.request_until(1, "complete_pending_revert", "complete_error")
    assert "cannot be redone" in await refused(running, "POST", "/deploy-requests/1/redo")
    await running.on_production("UPDATE customers SET phone = '555' WHERE id = 2")
    for name in ("Dara", "Eli"):
        await until(lambda: may_be_reverted(running))
        await call("POST", "/deploy-requests/1/revert")
        reverted = await running.request_until(1, "complete_revert", "complete_revert_error")
        is_well_formed(reverted)
        assert reverted["deployment"]["redo_until"]
        assert await columns(running, "customers") == ["id", "name"]
        await running.on_production(f"INSERT INTO customers (name) VALUES ('{name}')")
        await until(lambda: may_be_reverted(running))
        await call("POST", "/deploy-requests/1/redo")
        redone = await running.request_until(1, "complete_pending_revert", "complete_revert")
        is_well_formed(redone)
        assert redone["deployment"]["redo_until"] is None
        assert await columns(running, "customers") == ["id", "name", "phone"]
        assert await columns(running, "coupons") == ["code"]
    async with await Connection.open(running.admin, database="shop") as connection:
        rows = await connection.fetch_all("SELECT name, phone FROM customers ORDER BY id")
        assert rows == [("Ada", None), ("Bo", "555"), ("Chen", None), ("Dara", None), ("Eli", None)]
        await until(lambda: may_be_reverted(running))
        await call("POST", "/deploy-requests/1/revert")
        await running.request_until(1, "complete_revert", "complete_revert_error")
        await call("POST", "/deploy-requests/1/skip-revert")

        async def cleared() -> bool:
            return sorted(await connection.fetch_all("SHOW TABLES")) == [("customers",), ("notes",)]

        await until(cleared)
    assert "can no longer be taken back" in await refused(running, "POST", "/deploy-requests/1/redo")
    assert await columns(running, "customers") == ["id", "name"]


async def test_the_same_branch_is_deployed_again_at_once_after_a_revert(running: Running) -> None:
    call = running.call
    await call("POST", "/branches", {"name": "again"}, expect=201)
    await running.on_branch("again", "ALTER TABLE customers ADD COLUMN phone VARCHAR(32)")
    await call("POST", "/deploy-requests", {"branch": "again"}, expect=201)
    await call("POST", "/deploy-requests/1/deploy")
    await running.request_until(1, "complete_pending_revert", "complete_error")
    await until(lambda: may_be_reverted(running))
    await call("POST", "/deploy-requests/1/revert")
    assert (await running.request_until(1, "complete_revert"))["deployment"]["redo_until"]
    made = await call("POST", "/deploy-requests", {"branch": "again"}, expect=201)
    assert [one["table_name"] for one in made["deployment"]["deploy_operations"]] == ["customers"]
    await call("POST", "/deploy-requests/2/deploy")
    await running.request_until(2, "complete_pending_revert", "complete_error")
    assert await columns(running, "customers") == ["id", "name", "phone"]
    assert (await call("GET", "/deploy-requests/1"))["deployment"]["redo_until"] is None
    assert "can no longer be taken back" in await refused(running, "POST", "/deploy-requests/1/redo")


async def test_rows_that_do_not_fit_are_listed_and_exactly_these_are_lost_when_told_to(
    running: Running,
) -> None:
    call = running.call
    await call("POST", "/branches", {"name": "longer"}, expect=201)
    await running.on_branch("longer", "ALTER TABLE customers MODIFY name VARCHAR(200) NOT NULL")
    await call("POST", "/deploy-requests", {"branch": "longer"}, expect=201)
    await call("POST", "/deploy-requests/1/deploy")
    await running.request_until(1, "complete_pending_revert", "complete_error")
    await running.on_production(
        "UPDATE customers SET name = REPEAT('x', 60) WHERE id = 2",
        "INSERT INTO customers (id, name) VALUES (9, REPEAT('y', 60)), (10, 'Eli')",
    )
    listed: list[Any] = []

    async def found() -> bool:
        listed[:] = (await call("GET", "/deploy-requests/1/misfits"))["data"]
        return len(listed) == 2

    await until(found)
    assert [each["row"].split()[0] for each in listed] == ["id=2", "id=9"]
    assert {each["table_name"] for each in listed} == {"customers"}
    assert "do not fit the old definition" in await refused(running, "POST", "/deploy-requests/1/revert")
    # What comes after the list was read is not given up.
    body = {"force": True, "misfits": listed[:1]}
    await call("POST", "/deploy-requests/1/revert", body)
    failed = await running.request_until(1, "complete_revert", "complete_revert_error")
    assert "id=9" in str(failed["deployment"]["problem"])
    assert "id=2" not in str(failed["deployment"]["problem"])
    await until(found)
    await call("POST", "/deploy-requests/1/revert", {"force": True})
    reverted = await running.request_until(1, "complete_revert", "complete_revert_error")
    assert reverted["deployment"]["problem"] is None
    async with await Connection.open(running.admin, database="shop") as connection:
        rows = await connection.fetch_all("SELECT id, name FROM customers ORDER BY id")
    assert rows == [(1, "Ada"), (2, "Bo"), (3, "Chen"), (10, "Eli")]


async def test_a_cut_over_that_waits_for_somebody_is_forced_through_the_api(running: Running) -> None:
    call = running.call
    await call("POST", "/branches", {"name": "waits"}, expect=201)
    await running.on_branch("waits", "ALTER TABLE customers ADD COLUMN phone VARCHAR(32)")
    await call("POST", "/deploy-requests", {"branch": "waits", "auto_cutover": False}, expect=201)
    assert "cannot be forced in state ready" in await refused(
        running, "POST", "/deploy-requests/1/force-cutover"
    )
    await call("POST", "/deploy-requests/1/deploy")
    await running.request_until(1, "pending_cutover", "complete_error")
    traffic = running.service.branches.production.traffic
    async with await Connection.open(traffic, database="shop") as holder:
        await holder.execute("START TRANSACTION")
        await holder.fetch_all("SELECT * FROM customers")
        await call("POST", "/deploy-requests/1/apply-deploy")

        async def waits() -> bool:
            [operation] = (await call("GET", "/deploy-requests/1/operations"))["data"]
            return bool(operation["table_locked"])

        await until(waits)
        forced = await call("POST", "/deploy-requests/1/force-cutover")
        assert forced["deployment_state"] == "in_progress_cutover"
        await running.request_until(1, "complete_pending_revert", "complete_error")
        with pytest.raises(ConnectionLost):
            await holder.fetch_all("SELECT 1")
    assert await columns(running, "customers") == ["id", "name", "phone"]


async def test_one_deployment_runs_at_a_time_and_the_next_is_told_what_it_waits_for(running: Running) -> None:
    call = running.call
    for name, change in (("first", "ADD COLUMN a INT"), ("second", "ADD COLUMN b INT")):
        await call("POST", "/branches", {"name": name}, expect=201)
        await running.on_branch(name, f"ALTER TABLE customers {change}")
        await call("POST", "/deploy-requests", {"branch": name, "auto_cutover": False}, expect=201)
    await call("POST", "/deploy-requests/1/deploy")
    await running.request_until(1, "pending_cutover")
    await call("POST", "/deploy-requests/2/deploy")
    waiting = await call("GET", "/deploy-requests/2")
    assert waiting["deployment_state"] == "queued"
    assert [one["deploy_request_number"] for one in waiting["deployment"]["preceding_deployments"]] == [1]
    assert "while deploy request 2 is under way" in await refused(running, "DELETE", "/branches/second")
    assert "cancel it first" in await refused(running, "PATCH", "/deploy-requests/2", {"state": "closed"})
    await call("POST", "/deploy-requests/1/apply-deploy")
    await running.request_until(1, "complete_pending_revert")
    assert await columns(running, "customers") == ["id", "name", "a"]
    await call("POST", "/deploy-requests/1/skip-revert")
    await running.request_until(1, "complete")
    await running.request_until(2, "pending_cutover")
    await call("POST", "/deploy-requests/2/cancel")
    await running.request_until(2, "complete_cancel")
    assert await columns(running, "customers") == ["id", "name", "a"]
    async with await Connection.open(running.admin, database="shop") as connection:
        assert sorted(str(name) for (name,) in await connection.fetch_all("SHOW TABLES")) == [
            "customers",
            "notes",
        ]


async def test_what_cannot_be_deployed_is_refused_with_a_sentence(running: Running) -> None:
    call = running.call
    await call("POST", "/branches", {"name": "keyless"}, expect=201)
    await call("POST", "/branches", {"name": "late"}, expect=201)
    await running.on_branch("keyless", "ALTER TABLE notes ADD COLUMN at DATETIME")
    await running.on_branch("late", "ALTER TABLE customers MODIFY name VARCHAR(60) NOT NULL")
    # Production moves meanwhile.
    await running.on_production("ALTER TABLE customers MODIFY name VARCHAR(70) NOT NULL")
    made = await call("POST", "/deploy-requests", {"branch": "late"}, expect=201)
    assert (made["state"], made["deployment_state"]) == ("open", "error")
    conflict = await refused(running, "POST", "/deploy-requests/1/deploy")
    assert conflict == made["deployment"]["problem"]
    assert "customers" in conflict
    assert "varchar(60)" in conflict.lower()
    assert "rebase the branch" in conflict.lower()
    keyless = await call("POST", "/deploy-requests", {"branch": "keyless"}, expect=201)
    assert "table 'notes' has no unique key" in keyless["deployment"]["problem"]
    assert [one["deployment_state"] for one in (await call("GET", "/deploy-requests"))["data"]] == [
        "error"
    ] * 2


async def test_a_request_whose_branch_is_deleted_says_so_and_does_no_harm(running: Running) -> None:
    call = running.call
    await call("POST", "/branches", {"name": "gone"}, expect=201)
    await running.on_branch("gone", "ALTER TABLE customers ADD COLUMN x INT")
    await call("POST", "/deploy-requests", {"branch": "gone"}, expect=201)
    await call("DELETE", "/branches/gone", expect=204)
    shown = await call("GET", "/deploy-requests/1")
    assert (shown["branch_deleted"], shown["branch_deleted_by"]["display_name"]) == (True, "local")
    assert "no branch 'gone'" in await refused(running, "POST", "/deploy-requests/1/deploy")
    assert (await call("GET", "/deploy-requests/1"))["deployment_state"] == "error"
    closed = await call("PATCH", "/deploy-requests/1", {"state": "closed"})
    assert closed["state"] == "closed"
    assert "is closed" in await refused(running, "POST", "/deploy-requests/1/deploy")


async def test_a_change_is_made_at_once_when_that_is_asked_for_and_possible(running: Running) -> None:
    call = running.call
    await call("POST", "/branches", {"name": "at-once"}, expect=201)
    await running.on_branch(
        "at-once", "ALTER TABLE customers ADD COLUMN phone VARCHAR(32), ADD COLUMN fax INT"
    )
    made = await call("POST", "/deploy-requests", {"branch": "at-once"}, expect=201)
    deployment = made["deployment"]
    [operation] = deployment["deploy_operations"]
    assert (deployment["instant_ddl_eligible"], deployment["instant_ddl"]) == (True, False)
    assert (deployment["ddl_strategy"], operation["ddl_method"]) == ("revertible", "shadow")
    assert [remark["loses_data"] for remark in operation["revert_forecast"]] == [True, True]
    await call("POST", "/deploy-requests/1/deploy", {"instant_ddl": True})
    deployed = await running.request_until(1, "complete_pending_revert", "complete_error")
    is_well_formed(deployed)
    assert deployed["deployment"]["instant_ddl"] is True
    [operation] = deployed["deployment"]["deploy_operations"]
    assert (operation["ddl_method"], operation["revertible"]) == ("instant", True)
    assert await columns(running, "customers") == ["id", "name", "phone", "fax"]
    await until(lambda: may_be_reverted(running))
    await call("POST", "/deploy-requests/1/revert")
    await running.request_until(1, "complete_revert", "complete_revert_error")
    assert await columns(running, "customers") == ["id", "name"]

    await call("POST", "/branches", {"name": "longer"}, expect=201)
    await running.on_branch("longer", "ALTER TABLE customers MODIFY COLUMN name TEXT NOT NULL")
    made = await call("POST", "/deploy-requests", {"branch": "longer", "ddl_strategy": "auto"}, expect=201)
    assert made["deployment"]["instant_ddl_eligible"] is False
    [remark] = made["deployment"]["deploy_operations"][0]["revert_forecast"]
    assert (remark["error_number"], remark["loses_data"]) == (1406, False)
    assert "cannot be deployed instantly" in await refused(
        running, "POST", "/deploy-requests/2/deploy", {"instant_ddl": True}
    )


async def test_a_column_that_goes_at_once_is_gone_for_good(running: Running) -> None:
    call = running.call
    await call("POST", "/branches", {"name": "shorter"}, expect=201)
    await running.on_branch("shorter", "ALTER TABLE customers DROP COLUMN name")
    await call("POST", "/deploy-requests", {"branch": "shorter"}, expect=201)
    assert "needs to be confirmed" in await refused(running, "POST", "/deploy-requests/1/deploy")
    await call("POST", "/deploy-requests/1/confirm")
    await call("POST", "/deploy-requests/1/deploy", {"ddl_strategy": "instant"})
    deployed = await running.request_until(1, "complete", "complete_error")
    [operation] = deployed["deployment"]["deploy_operations"]
    assert (operation["ddl_method"], operation["revertible"]) == ("instant", False)
    assert await columns(running, "customers") == ["id"]
    assert "cannot be reverted" in await refused(running, "POST", "/deploy-requests/1/revert")


async def test_values_are_altered_only_when_that_is_allowed(running: Running) -> None:
    call = running.call
    await running.on_production(
        "CREATE TABLE prices (id INT PRIMARY KEY, price DECIMAL(9,3))",
        "INSERT INTO prices VALUES (1, 1.255), (2, 2)",
    )
    await call("POST", "/branches", {"name": "cents"}, expect=201)
    await running.on_branch("cents", "ALTER TABLE prices MODIFY COLUMN price DECIMAL(9,2)")
    made = await call("POST", "/deploy-requests", {"branch": "cents"}, expect=201)
    assert any("more than 2 digits behind the point" in text for text in made["deployment"]["warnings"])
    await call("POST", "/deploy-requests/1/confirm")
    await call("POST", "/deploy-requests/1/deploy")
    failed = await running.request_until(1, "complete_pending_revert", "complete_error")
    assert "id=1" in failed["deployment"]["problem"]
    assert "allow_lossy" in failed["deployment"]["problem"]
    assert "deploy-request unblock shop 1" in await refused(running, "POST", "/deploy-requests/1/deploy")
    await running.service.deploys.complete("shop", 1, LOCAL)
    await until(lambda: cleared_away(running))
    await call("POST", "/deploy-requests/1/deploy", {"allow_lossy": True})
    deployed = await running.request_until(1, "complete_pending_revert", "complete_error")
    assert deployed["deployment"]["problem"] is None
    async with await Connection.open(running.admin, database="shop") as connection:
        rounded = await connection.fetch_all("SELECT CAST(price AS CHAR) FROM prices ORDER BY id")
    assert rounded == [("1.26",), ("2.00",)]


async def test_a_view_goes_with_the_table_it_is_made_of_and_back(running: Running) -> None:
    call = running.call
    await call("POST", "/branches", {"name": "names"}, expect=201)
    await running.on_branch(
        "names",
        "ALTER TABLE customers ADD COLUMN phone VARCHAR(32)",
        "CREATE SQL SECURITY INVOKER VIEW phones AS SELECT name, phone FROM customers",
    )
    made = await call("POST", "/deploy-requests", {"branch": "names"}, expect=201)
    shown = [(one["operation_name"], one["table_name"]) for one in made["deployment"]["deploy_operations"]]
    assert shown == [("ALTER", "customers"), ("CREATE", "phones")]
    await call("POST", "/deploy-requests/1/deploy")
    deployed = await running.request_until(1, "complete_pending_revert", "complete_error")
    assert deployed["deployment"]["problem"] is None
    async with await Connection.open(running.admin, database="shop") as connection:
        assert len(await connection.fetch_all("SELECT name, phone FROM phones")) == 3
        await until(lambda: may_be_reverted(running))
        await call("POST", "/deploy-requests/1/revert")
        await running.request_until(1, "complete_revert", "complete_revert_error")
        assert await connection.fetch_all("SHOW TABLES LIKE 'phones'") == []
    assert await columns(running, "customers") == ["id", "name"]
