"""Several deploy requests carried at once, and what failed carried once more, with real servers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conf.settings import Settings, ThrottleSettings
from migrator.throttle.ratio import WHOLE_DATABASE
from router.database import Connection
from router.model import Flavor
from tests.support import service as support
from tests.support.servers import until
from tests.support.service import Running, running_service

ENDS = ("complete_pending_revert", "complete_error", "error", "ready")


@pytest.fixture(params=list(Flavor), ids=str)
async def running(request: pytest.FixtureRequest, server_folder: Path) -> AsyncIterator[Running]:
    async with running_service(server_folder / f"several-{request.param}", request.param) as running:
        await running.on_production(
            *(
                f"CREATE TABLE {table} (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(50))"
                for table in ("customers", "orders", "tags")
            ),
            *(f"INSERT INTO {table} (name) VALUES ('a'), ('b')" for table in ("customers", "orders", "tags")),
        )
        yield running


async def propose(running: Running, branch: str, *changes: str, **how: Any) -> None:
    await running.call("POST", "/branches", {"name": branch}, expect=201)
    await running.on_branch(branch, *changes)
    await running.call("POST", "/deploy-requests", {"branch": branch, **how}, expect=201)


async def names(running: Running, table: str) -> list[str]:
    async with await Connection.open(running.admin, database="shop") as connection:
        return [str(name) for (name,) in await connection.fetch_all(f"SELECT name FROM {table} ORDER BY id")]


async def columns(running: Running, table: str) -> list[str]:
    async with await Connection.open(running.admin, database="shop") as connection:
        return [str(row[0]) for row in await connection.fetch_all(f"SHOW COLUMNS FROM {table}")]


async def test_others_go_on_beside_the_queue_and_behind_a_window_and_none_undoes_another(
    running: Running,
) -> None:
    call = running.call
    await call("PATCH", "", {"release_queue_in_window": True})
    await propose(running, "a", "ALTER TABLE customers ADD COLUMN a INT")
    await propose(running, "b", "ALTER TABLE orders ADD COLUMN b INT", auto_cutover=False)
    await propose(running, "c", "ALTER TABLE tags ADD COLUMN c INT", auto_cutover=True)
    await propose(running, "d", "ALTER TABLE customers ADD COLUMN d INT")
    await call("POST", "/deploy-requests/1/deploy")
    await running.request_until(1, *ENDS)
    # Its window is open, and the next one is carried all the same, for it changes another table.
    await call("POST", "/deploy-requests/2/deploy")
    await running.request_until(2, "pending_cutover", "complete_error")
    # That one waits for its apply; a third runs beside it.
    await call("POST", "/deploy-requests/3/deploy", {"strategy": "parallel"})
    assert (await running.request_until(3, *ENDS))["deployment_state"] == "complete_pending_revert"
    # A fourth touches what the first could still take back.
    await call("POST", "/deploy-requests/4/deploy")
    waiting = (await call("GET", "/deploy-requests/4"))["deployment"]
    assert {one["deploy_request_number"] for one in waiting["preceding_deployments"]} == {1, 2}

    await running.on_production(
        *(f"INSERT INTO {table} (name) VALUES ('new')" for table in ("customers", "orders", "tags"))
    )

    async def revertible() -> bool:
        shown = await call("GET", "/deploy-requests/1")
        return shown["deployment"]["revert_blocked"] is None

    await until(revertible)
    await call("POST", "/deploy-requests/1/revert")
    await running.request_until(1, "complete_revert", "complete_revert_error")
    assert (await call("GET", "/deploy-requests/2"))["deployment_state"] == "pending_cutover"
    await call("POST", "/deploy-requests/2/apply-deploy")
    await running.request_until(2, "complete_pending_revert", "complete_error")
    # Nobody is left in its way; and its proposal is as it was before the first one came and went.
    assert (await running.request_until(4, *ENDS))["deployment_state"] == "complete_pending_revert"
    assert await columns(running, "customers") == ["id", "name", "d"]
    assert await columns(running, "orders") == ["id", "name", "b"]
    assert await columns(running, "tags") == ["id", "name", "c"]
    for table in ("customers", "orders", "tags"):
        assert await names(running, table) == ["a", "b", "new"]


async def test_what_was_ready_is_not_copied_again_and_the_branch_goes_in_the_end(running: Running) -> None:
    call = running.call
    await propose(
        running,
        "both",
        "ALTER TABLE customers ADD COLUMN phone INT",
        "ALTER TABLE orders ADD COLUMN phone INT",
        auto_cutover=False,
        auto_delete_branch=True,
    )
    await call("POST", "/deploy-requests/1/deploy")
    await running.request_until(1, "pending_cutover", *ENDS)
    await running.on_production("ALTER TABLE orders ADD COLUMN by_hand INT")
    await call("POST", "/deploy-requests/1/apply-deploy")
    failed = await running.request_until(1, *ENDS)
    assert failed["deployment_state"] == "complete_error"
    assert "orders" in failed["deployment"]["problem"]
    assert await columns(running, "customers") == ["id", "name"]
    before = {one["table_name"]: one["id"] for one in failed["deployment"]["deploy_operations"]}
    # What somebody did by hand is looked at, and kept.
    await running.on_production(
        "UPDATE orders SET by_hand = 7 WHERE id = 1", "INSERT INTO customers (name) VALUES ('new')"
    )
    await call("POST", "/deploy-requests/1/retry")
    await running.request_until(1, "pending_cutover", *ENDS)
    await call("POST", "/deploy-requests/1/apply-deploy")
    done = await running.request_until(1, *ENDS)
    assert done["deployment"]["problem"] is None
    after = {one["table_name"]: one["id"] for one in done["deployment"]["deploy_operations"]}
    # MariaDB swaps one table after the other: the first was swapped, and swapped back.
    kept = running.settings.servers.flavor == Flavor.MYSQL
    assert (after["customers"] == before["customers"]) is kept
    assert after["orders"] != before["orders"]
    assert await names(running, "customers") == ["a", "b", "new"]
    assert await columns(running, "orders") == ["id", "name", "by_hand", "phone"]
    async with await Connection.open(running.admin, database="shop") as connection:
        assert await connection.fetch_value("SELECT by_hand FROM orders WHERE id = 1") == 7
    await call("POST", "/deploy-requests/1/skip-revert")
    ended = await running.request_until(1, "complete")
    assert ended["branch_deleted"] is True
    await call("GET", "/branches/both", expect=404)


async def test_who_holds_a_table_too_long_is_killed_without_anybody_asking(running: Running) -> None:
    call = running.call
    await call("PATCH", "", {"cutover_retry_s": 1.0})
    await propose(running, "a", "ALTER TABLE customers ADD COLUMN a INT")
    traffic = running.service.branches.production.traffic
    async with await Connection.open(traffic, database="shop") as holder:
        await holder.execute("START TRANSACTION")
        await holder.fetch_all("SELECT * FROM customers")
        await call("POST", "/deploy-requests/1/deploy")
        assert (await running.request_until(1, *ENDS))["deployment_state"] == "complete_pending_revert"
    assert await columns(running, "customers") == ["id", "name", "a"]


@pytest.mark.parametrize("by_hand", [False, True])
async def test_a_copy_goes_on_after_a_restart_unless_somebody_changed_the_table_meanwhile(
    server_folder: Path, by_hand: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def throttled(settings: Settings) -> Settings:
        return replace(settings, throttle=ThrottleSettings())

    folder = server_folder / f"restarted-{by_hand}"
    with monkeypatch.context() as patch:
        patch.setattr(support, "remove_servers", lambda folder: None)
        await _be_stopped_while_copying(folder, throttled)
    async with running_service(folder, Flavor.MYSQL, throttled) as running:
        if by_hand:
            await running.on_production("ALTER TABLE customers ADD COLUMN by_hand INT")
        await running.service.throttles.change(WHOLE_DATABASE, paused=False)
        done = await running.request_until(1, *ENDS)
        assert done["deployment_state"] == ("complete_error" if by_hand else "complete_pending_revert")
        assert await columns(running, "customers") == ["id", "name", "by_hand" if by_hand else "a"]
        assert await names(running, "customers") == ["a", "b"]


async def _be_stopped_while_copying(folder: Path, throttled: Callable[[Settings], Settings]) -> None:
    async with running_service(folder, Flavor.MYSQL, throttled) as running:
        await running.on_production(
            "CREATE TABLE customers (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(50))",
            "INSERT INTO customers (name) VALUES ('a'), ('b')",
        )
        await propose(running, "a", "ALTER TABLE customers ADD COLUMN a INT")
        await running.service.throttles.change(WHOLE_DATABASE, paused=True)
        await running.call("POST", "/deploy-requests/1/deploy")
        await running.request_until(1, "in_progress")
