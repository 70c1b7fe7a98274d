from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from control.demo import shop
from router.database import Connection
from router.servers.process import LocalServer
from tests.support.servers import fresh_schema

# Of both flavours: the rows are the same everywhere.
CHECKSUMS = [("c", 20_000, 43_065_450_090_317), ("o", 200_000, 429_842_628_898_214)]

COUNTS = {"customers": 20_000, "products": 500, "orders": 200_000, "order_items": 400_000}


@pytest.fixture(scope="module")
async def filled(server: LocalServer) -> AsyncIterator[str]:
    """A schema with the whole shop."""
    async with fresh_schema(server) as schema:
        async with await Connection.open(server.server) as connection:
            await shop.fill(connection, schema)
        yield schema


@pytest.fixture
async def in_shop(server: LocalServer, filled: str) -> AsyncIterator[Connection]:
    async with await Connection.open(server.server, database=filled) as opened:
        yield opened


@pytest.fixture
async def connection(server: LocalServer, database: str) -> AsyncIterator[Connection]:
    async with await Connection.open(server.server, database=database) as opened:
        yield opened


async def test_the_shop_is_filled_once(in_shop: Connection, filled: str) -> None:
    connection = in_shop
    for table, rows in COUNTS.items():
        assert await connection.fetch_value(f"SELECT COUNT(*) FROM {table}") == rows
    await connection.execute("DELETE FROM products WHERE id = 1")
    await shop.fill(connection, filled)
    assert await connection.fetch_value("SELECT COUNT(*) FROM products") == 499

    assert (
        await connection.fetch_value(
            "SELECT COUNT(*) FROM orders o JOIN (SELECT order_id, SUM(price * quantity) AS total "
            "FROM order_items GROUP BY order_id) i ON i.order_id = o.id WHERE o.total = i.total"
        )
        == COUNTS["orders"]
    ), "an order's total must be the sum of its items"
    assert await connection.fetch_one(
        "SELECT MIN(c), MAX(c) FROM (SELECT COUNT(*) AS c FROM orders GROUP BY customer_id) AS per_customer"
    ) == (10, 10)
    assert await connection.fetch_one("SELECT name, orders FROM customer_orders WHERE customer_id = 7") == (
        "Gül Abe",
        10,
    )
    stock = await connection.fetch_value("SELECT stock FROM products WHERE id = 2")
    await connection.execute("CALL restock('P00002', 5)")
    await connection.execute("UPDATE products SET price = price + 1 WHERE id = 2")
    assert await connection.fetch_one("SELECT stock, price_changes FROM products WHERE id = 2") == (
        stock + 5,
        1,
    )


async def test_the_same_rows_are_made_every_time(in_shop: Connection) -> None:
    rows = await in_shop.fetch_all(
        "SELECT 'c', COUNT(*), SUM(CRC32(CONCAT_WS('|', id, email, name, city, created_at))) FROM customers "
        "UNION ALL SELECT 'o', COUNT(*), SUM(CRC32(CONCAT_WS('|', id, customer_id, status, total, note, "
        "created_at))) FROM orders"
    )
    assert [(str(table), int(count), int(digest)) for table, count, digest in rows] == CHECKSUMS


async def test_an_interrupted_fill_is_completed(connection: Connection, database: str) -> None:
    for table in ("customers", "products"):
        await connection.execute(shop.TABLES[table])
    await connection.execute(shop.ROWS["customers"])
    await shop.fill(connection, database, orders=3000)
    assert await connection.fetch_value("SELECT COUNT(*) FROM order_items") == 3000 * shop.ITEMS_PER_ORDER
    assert await connection.fetch_value("SELECT COUNT(*) FROM customers") == COUNTS["customers"]


async def test_a_schema_with_other_tables_is_left_alone(connection: Connection, database: str) -> None:
    await connection.execute("CREATE TABLE precious (id INT PRIMARY KEY)")
    with pytest.raises(shop.NotEmpty, match="'precious'"):
        await shop.fill(connection, database)
    assert await connection.fetch_all("SHOW TABLES") == [("precious",)]
