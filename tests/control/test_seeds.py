"""Branches with rows, on both servers: exact, of one moment, sampled with parents, masked, or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from migrator.engine import seeding as module
from migrator.engine.seeding import Seeding
from router.database import Connection, Row
from router.model import Flavor
from router.records import BranchState
from tests.support.servers import until
from tests.support.service import Running, running_service

TABLES = (
    "CREATE TABLE customers (id INT PRIMARY KEY AUTO_INCREMENT, email VARCHAR(80) NOT NULL UNIQUE, "
    "name VARCHAR(60), phone VARCHAR(20), referrer INT, "
    "FOREIGN KEY (referrer) REFERENCES customers (id))",
    "CREATE TABLE orders (id BIGINT PRIMARY KEY AUTO_INCREMENT, customer INT NOT NULL, total DECIMAL(8,2), "
    "email VARCHAR(80), doubled DECIMAL(9,2) AS (total * 2) STORED, "
    "FOREIGN KEY (customer) REFERENCES customers (id))",
    "CREATE TABLE items (order_id BIGINT NOT NULL, line INT NOT NULL, note TEXT, "
    "PRIMARY KEY (order_id, line), FOREIGN KEY (order_id) REFERENCES orders (id))",
    "CREATE TABLE loose (a INT, b VARCHAR(10))",
    "CREATE TABLE words (word VARCHAR(30) CHARACTER SET latin1 PRIMARY KEY, many INT)",
    "CREATE TABLE odd (id INT PRIMARY KEY, f FLOAT, d DOUBLE, t TIME(3), at DATETIME(6), ts TIMESTAMP NULL, "
    "day DATE, y YEAR, bits BIT(64), e ENUM('a', 'b', 'ü'), s SET('x', 'y', 'z'), j JSON, raw BLOB, "
    "fixed BINARY(4), place GEOMETRY, big BIGINT UNSIGNED, dec_ DECIMAL(30,10), "
    "l1 TEXT CHARACTER SET latin1)",
    "CREATE TRIGGER counted BEFORE INSERT ON words FOR EACH ROW SET NEW.many = NEW.many + 1000",
)
ODD = (
    "SET SESSION sql_mode = ''",
    "SET SESSION time_zone = '+05:00'",
    "INSERT INTO odd VALUES (0 + 1, 0.1, 0.1, '-00:30:00.250', '0000-00-00', '2026-03-01 01:02:03', "
    "'0000-00-00', 1999, b'1000000000000000000000000000000000000000000000000000000000000001', 'ü', 'x,z', "
    "'{\"a\": [1, 2.5]}', x'00ff27', x'00ff', ST_GeomFromText('POINT(1 2)'), 18446744073709551615, "
    "0.1234567891, 'é')",
    "INSERT INTO odd (id, f, e, t) VALUES (2, 16777217, 'nothing', '-838:59:59'), "
    "(3, 3.4e38, NULL, '100:00:00')",
)
LOOK_AT_ODD = (
    "SELECT id, HEX(f), f * 1e10, d, CAST(t AS CHAR), CAST(at AS CHAR), UNIX_TIMESTAMP(ts), "
    "CAST(day AS CHAR), y, HEX(bits), e + 0, s + 0, CAST(j AS CHAR), HEX(raw), HEX(fixed), HEX(place), big, "
    "dec_, HEX(l1) FROM odd ORDER BY id"
)
CUSTOMERS, ORDERS = 3000, 6000
NUMBERS = (
    "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < {count}) SELECT {what} FROM n"
)


@pytest.fixture(scope="module", params=list(Flavor), ids=str)
async def here(request: pytest.FixtureRequest, server_folder: Path) -> AsyncIterator[Running]:
    """A service of each family whose production has rows of all kinds."""
    deep = (
        "SET SESSION cte_max_recursion_depth = 100000"
        if request.param is Flavor.MYSQL
        else "SET SESSION max_recursive_iterations = 100000"
    )
    customers = NUMBERS.format(
        count=CUSTOMERS, what="i, CONCAT('c', i, '@example.org'), 'Ada', '555', NULLIF(i DIV 2, 0)"
    )
    orders = NUMBERS.format(
        count=ORDERS, what=f"i, 1 + i % {CUSTOMERS}, i, CONCAT('c', 1 + i % {CUSTOMERS}, '@example.org')"
    )
    async with running_service(server_folder / f"seeds-{request.param}", request.param) as running:
        await running.on_production(
            *TABLES[:-1],
            deep,
            f"INSERT INTO customers {customers}",
            f"INSERT INTO orders (id, customer, total, email) {orders}",
            "INSERT INTO items SELECT id, 1, 'first' FROM orders UNION ALL SELECT id, 2, NULL FROM orders",
            "INSERT INTO loose VALUES (1, 'a'), (1, 'a'), (NULL, NULL)",
            "INSERT INTO words VALUES ('ä', 1), ('z', 2)",
            TABLES[-1],
            *ODD,
        )
        yield running


async def ask(running: Running, branch: str, query: str) -> list[Row]:
    service = running.service
    server = service.branches.production.migrator if branch == "main" else await service.branches.wake(branch)
    setup = ["SET SESSION time_zone = '+00:00'"]
    async with await Connection.open(server, database="shop", setup=setup) as connection:
        return await connection.fetch_all(query)


async def made(running: Running, name: str, **wish: Any) -> Any:
    begun = await running.call("POST", "/branches", {"name": name, **wish}, expect=201)
    assert (begun["ready"], begun["state"]) == (False, "pending")
    found: Any = None

    async def ready() -> bool:
        nonlocal found
        found = await running.call("GET", f"/branches/{name}")
        return bool(found["ready"])

    await until(ready, timeout_s=60)
    return found


async def test_all_rows_arrive_as_they_are(here: Running) -> None:
    found = await made(here, "whole", seed_data="last_successful_backup")
    assert found["seeding"] is None
    for table in ("customers", "orders", "items", "loose", "words"):
        query = f"SELECT * FROM {table} ORDER BY 1, 2"
        assert await ask(here, "whole", query) == await ask(here, "main", query), table
    assert await ask(here, "whole", LOOK_AT_ODD) == await ask(here, "main", LOOK_AT_ODD)
    # The trigger is there, and has not fired for what was copied; counters go on behind the rows.
    await here.on_branch("whole", "INSERT INTO words VALUES ('y', 1)")
    assert await ask(here, "whole", "SELECT many FROM words WHERE word = 'y'") == [(1001,)]
    await here.on_branch("whole", "INSERT INTO orders (customer, total) VALUES (1, 1)")
    assert await ask(here, "whole", "SELECT MAX(id) FROM orders") == [(ORDERS + 1,)]
    assert not (await here.call("GET", "/branches/whole/diff"))["data"]
    await here.call("DELETE", "/branches/whole", expect=204)


async def test_a_sample_has_the_parents_of_its_rows_and_is_masked(here: Running) -> None:
    masks = [
        *("customers.email=email", "orders.email=email", "customers.name=name", "customers.phone=null"),
        *("items.note=fixed:removed", "orders.total=number:10"),
    ]
    await made(here, "sampled", seed_data="sample", rows=200, masks=masks)
    counts = {
        table: int((await ask(here, "sampled", f"SELECT COUNT(*) FROM {table}"))[0][0])
        for table in ("customers", "orders", "items", "loose")
    }
    assert counts["items"] == 200
    assert 200 <= counts["orders"] <= 400
    assert 200 <= counts["customers"] < CUSTOMERS
    assert counts["loose"] == 3
    for child, column, parent in (
        ("orders", "customer", "customers"),
        ("items", "order_id", "orders"),
        ("customers", "referrer", "customers"),
    ):
        orphans = await ask(
            here,
            "sampled",
            f"SELECT COUNT(*) FROM {child} c LEFT JOIN {parent} p ON p.id = c.{column} "
            f"WHERE c.{column} IS NOT NULL AND p.id IS NULL",
        )
        assert orphans == [(0,)], (child, column)
    # From all over the table, not only its beginning.
    assert (await ask(here, "sampled", "SELECT MAX(id) FROM orders"))[0][0] > ORDERS * 0.9
    said = await ask(here, "sampled", "SELECT COUNT(*), SUM(email LIKE 'c%@example.org') FROM customers")
    assert (said[0][0], int(said[0][1])) == (counts["customers"], 0)
    # The same value became the same thing in both tables, so that joins meet.
    met = await ask(
        here,
        "sampled",
        "SELECT COUNT(*) FROM orders o JOIN customers c ON c.id = o.customer WHERE c.email <> o.email",
    )
    assert met == [(0,)]
    assert await ask(here, "sampled", "SELECT COUNT(phone) FROM customers") == [(0,)]
    assert {row[0] for row in await ask(here, "sampled", "SELECT note FROM items")} == {"removed", None}
    (off,) = await ask(here, "sampled", "SELECT MAX(ABS(total - id) / id), SUM(total <> id) FROM orders")
    assert float(off[0]) <= 0.11
    assert int(off[1]) > counts["orders"] / 2
    await here.call("DELETE", "/branches/sampled", expect=204)


async def test_the_rows_are_of_one_moment(here: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    copied = Seeding._copy
    began = asyncio.Event()
    go_on = asyncio.Event()

    async def slowly(self: Seeding, *arguments: Any) -> None:
        began.set()
        await go_on.wait()
        await copied(self, *arguments)

    monkeypatch.setattr(Seeding, "_copy", slowly)
    begun = await here.call("POST", "/branches", {"name": "moment", "seed_data": "all"}, expect=201)
    await began.wait()
    await here.on_production(
        "INSERT INTO customers (id, email) VALUES (100000, 'later@example.org')",
        "INSERT INTO orders (id, customer) VALUES (100000, 100000)",
    )
    shown = await here.call("GET", "/branches/moment")
    assert shown["seeding"]["rows_total"] > CUSTOMERS + ORDERS
    assert begun["id"] == shown["id"]
    refusal = await here.call("POST", "/branches", {"name": "below", "parent_branch": "moment"}, expect=422)
    assert "still being made" in refusal["message"]
    go_on.set()
    await until(lambda: here.service.seeds._under_way == {}, timeout_s=60)
    assert await ask(here, "moment", "SELECT COUNT(*) FROM orders") == [(ORDERS,)]
    await here.on_production(
        "DELETE FROM orders WHERE id = 100000", "DELETE FROM customers WHERE id = 100000"
    )
    await here.call("DELETE", "/branches/moment", expect=204)


async def test_what_cannot_be_copied_leaves_nothing_and_says_why(
    here: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    for wish, reason in (
        ({"seed_data": "all", "rows": 5}, "takes no number of rows"),
        ({"rows": 5}, "belong to a copy"),
        ({"seed_data": "sample", "rows": 5, "percent": 5}, "not both"),
        ({"seed_data": "sample", "percent": 101}, "at most 100 percent"),
        ({"seed_data": "all", "masks": ["customers.mail=email"]}, "no such column"),
        ({"seed_data": "all", "masks": ["customers.email=null"]}, "may not be NULL"),
        ({"seed_data": "all", "masks": ["orders.customer=hash"]}, "goes by this column"),
        ({"seed_data": "all", "masks": ["orders.total=email"]}, "it is no text"),
    ):
        answer = await here.call("POST", "/branches", {"name": "never", **wish}, expect=422)
        assert reason in answer["message"]
    monkeypatch.setattr(module, "SIZE_RATIO", 1e15)
    await here.call("POST", "/branches", {"name": "never", "seed_data": "all"}, expect=201)
    await until(lambda: here.service.seeds._under_way == {}, timeout_s=60)
    gone = await here.call("GET", "/branches/never", expect=404)
    assert "all rows need about" in gone["message"]
    assert [record.name for record in await here.service.branches.all()] == ["main"]
    monkeypatch.undo()
    # Two values that a mask makes alike, where they must differ.
    await here.call(
        "POST",
        "/branches",
        {"name": "never", "seed_data": "all", "masks": ["customers.email=fixed:x"]},
        expect=201,
    )
    await until(lambda: here.service.seeds._under_way == {}, timeout_s=60)
    gone = await here.call("GET", "/branches/never", expect=404)
    assert "the branch does not take rows of table 'customers'" in gone["message"]


async def test_deleting_a_branch_stops_its_copy(here: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    began = asyncio.Event()

    async def hang(self: Seeding, *arguments: Any) -> None:
        began.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(Seeding, "_copy", hang)
    await here.call("POST", "/branches", {"name": "halted", "seed_data": "sample"}, expect=201)
    await began.wait()
    (halted,) = [record for record in await here.service.branches.all() if record.name == "halted"]
    assert halted.state is BranchState.PENDING
    await here.call("DELETE", "/branches/halted", expect=204)
    assert here.service.seeds._under_way == {}
    assert [record.name for record in await here.service.branches.all()] == ["main"]
