"""Triggers, routines and events are deployed and reverted through the API, on both servers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from router.database import Connection, Row
from router.model import Flavor
from tests.support.servers import until
from tests.support.service import Running, running_service

PROGRAMS = (
    "SELECT TRIGGER_NAME, DEFINER, ACTION_STATEMENT, SQL_MODE, ACTION_ORDER FROM information_schema.TRIGGERS "
    "WHERE TRIGGER_SCHEMA = 'shop' UNION ALL "
    "SELECT ROUTINE_NAME, DEFINER, ROUTINE_DEFINITION, SQL_MODE, 0 FROM information_schema.ROUTINES "
    "WHERE ROUTINE_SCHEMA = 'shop' UNION ALL "
    "SELECT EVENT_NAME, DEFINER, EVENT_DEFINITION, STATUS, 0 FROM information_schema.EVENTS "
    "WHERE EVENT_SCHEMA = 'shop' ORDER BY 1"
)


@pytest.fixture(params=list(Flavor), ids=str)
async def running(request: pytest.FixtureRequest, server_folder: Path) -> AsyncIterator[Running]:
    async with running_service(server_folder / f"programs-{request.param}", request.param) as running:
        await running.on_production(
            "CREATE TABLE orders (id INT PRIMARY KEY AUTO_INCREMENT, cents INT NOT NULL)",
            "CREATE TABLE log (n INT PRIMARY KEY AUTO_INCREMENT, what VARCHAR(40))",
            "CREATE USER owner ACCOUNT LOCK",
            "GRANT SELECT, INSERT, UPDATE, DELETE, TRIGGER, EVENT, EXECUTE ON shop.* TO owner",
            "CREATE DEFINER = owner TRIGGER orders_log AFTER INSERT ON orders FOR EACH ROW "
            "INSERT INTO log (what) VALUES (CONCAT('cents ', NEW.cents))",
            "CREATE DEFINER = owner PROCEDURE total() SELECT SUM(cents) FROM orders",
            "CREATE DEFINER = owner PROCEDURE unused() SELECT 1",
            "CREATE DEFINER = owner EVENT tidy ON SCHEDULE EVERY 1 DAY STARTS '2037-01-01 00:00:00' DISABLE "
            "DO DELETE FROM log",
            "INSERT INTO orders (cents) VALUES (150)",
        )
        yield running


async def programs(running: Running) -> list[Row]:
    async with await Connection.open(running.admin) as connection:
        return await connection.fetch_all(PROGRAMS)


async def logged(running: Running) -> list[str]:
    async with await Connection.open(running.admin, database="shop") as connection:
        return [str(row[0]) for row in await connection.fetch_all("SELECT what FROM log ORDER BY n")]


async def test_programs_and_the_table_they_belong_to_are_deployed_and_reverted(running: Running) -> None:
    call = running.call
    before = await programs(running)
    await call("POST", "/branches", {"name": "euros"}, expect=201)
    await running.on_branch(
        "euros",
        "DROP TRIGGER orders_log",
        "ALTER TABLE orders ADD COLUMN currency CHAR(3) NOT NULL DEFAULT 'EUR'",
        "CREATE TRIGGER orders_log AFTER INSERT ON orders FOR EACH ROW "
        "INSERT INTO log (what) VALUES (CONCAT(NEW.cents, ' ', NEW.currency))",
        "CREATE TRIGGER log_upper BEFORE INSERT ON log FOR EACH ROW SET NEW.what = UPPER(NEW.what)",
        "DROP PROCEDURE total",
        "CREATE PROCEDURE total() SELECT currency, SUM(cents) FROM orders GROUP BY currency",
        "DROP PROCEDURE unused",
        "CREATE FUNCTION euros(cents INT) RETURNS DECIMAL(10,2) DETERMINISTIC RETURN cents / 100",
        "CREATE VIEW in_euros AS SELECT id, euros(cents) AS price FROM orders",
        "ALTER EVENT tidy DO DELETE FROM log WHERE n < 1000",
    )
    made = await call("POST", "/deploy-requests", {"branch": "euros"}, expect=201)
    shown = [(one["operation_name"], one["table_name"]) for one in made["deployment"]["deploy_operations"]]
    assert shown == [
        ("ALTER", "orders"),
        ("CREATE", "euros"),
        ("ALTER", "total"),
        ("CREATE", "in_euros"),
        ("CREATE", "log_upper"),
        ("ALTER", "tidy"),
        ("DROP", "unused"),
    ]
    await call("POST", "/deploy-requests/1/deploy")
    deployed = await running.request_until(1, "complete_pending_revert", "complete_error", "error")
    assert deployed["deployment"]["problem"] is None
    await running.on_production("INSERT INTO orders (cents) VALUES (20)")
    assert await logged(running) == ["cents 150", "20 EUR"]
    there = {str(row[0]).removesuffix("__hg1"): row for row in await programs(running)}
    assert there.keys() == {"orders_log", "log_upper", "total", "euros", "tidy"}
    former = {str(row[0]): row for row in before}
    for name in ("orders_log", "total", "tidy"):
        assert there[name][2] != former[name][2]
    # What was changed has no longer the rights of who had made it.
    assert {row[1] for row in there.values()} == {"headgate_definer@%"}
    assert there["tidy"][3] == "DISABLED"

    async def may_be_reverted() -> bool:
        found = await call("GET", "/deploy-requests/1")
        return found["deployment"]["revert_blocked"] is None

    await until(may_be_reverted)
    await call("POST", "/deploy-requests/1/revert")
    reverted = await running.request_until(1, "complete_revert", "complete_revert_error")
    assert reverted["deployment"]["problem"] is None
    assert await programs(running) == before
    await running.on_production("INSERT INTO orders (cents) VALUES (7)")
    assert await logged(running) == ["cents 150", "20 EUR", "cents 7"]


async def test_programs_have_their_own_names_when_the_window_is_over(running: Running) -> None:
    call = running.call
    await call("POST", "/branches", {"name": "twice"}, expect=201)
    await running.on_branch(
        "twice",
        "ALTER TABLE orders MODIFY cents BIGINT NOT NULL",
        "DROP TRIGGER orders_log",
        "CREATE TRIGGER orders_log AFTER INSERT ON orders FOR EACH ROW INSERT INTO log (what) VALUES ('x')",
        "CREATE TRIGGER another BEFORE INSERT ON orders FOR EACH ROW SET NEW.cents = NEW.cents + 1",
    )
    await call("POST", "/deploy-requests", {"branch": "twice"}, expect=201)
    await call("POST", "/deploy-requests/1/deploy")
    await running.request_until(1, "complete_pending_revert", "complete_error")
    await call("POST", "/deploy-requests/1/skip-revert")
    done = await running.request_until(1, "complete", "complete_error")
    assert done["deployment"]["problem"] is None
    names = {str(row[0]) for row in await programs(running)}
    assert names == {"another", "orders_log", "tidy", "total", "unused"}
    await call("POST", "/deploy-requests", {"branch": "twice"}, expect=201)
    await running.request_until(2, "no_changes")


async def test_a_program_that_both_sides_changed_is_a_conflict(running: Running) -> None:
    await running.call("POST", "/branches", {"name": "mine"}, expect=201)
    await running.on_branch("mine", "DROP PROCEDURE total", "CREATE PROCEDURE total() SELECT 1")
    await running.on_production("DROP PROCEDURE total", "CREATE PROCEDURE total() SELECT 2")
    await running.call("POST", "/deploy-requests", {"branch": "mine"}, expect=201)
    made = await running.request_until(1, "error")
    problem = made["deployment"]["problem"]
    assert "the branch changed procedure 'total', and production changed it since" in problem
