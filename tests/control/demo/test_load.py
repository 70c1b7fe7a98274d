from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from control.demo import shop
from control.demo.load import Load
from router.database import Connection
from router.errors import ConnectionLost
from router.model import Address, Flavor
from router.servers.process import LocalServer
from tests.support.servers import ADMIN, free_port, fresh_schema, running_server, until


@pytest.fixture(scope="module", params=list(Flavor), ids=str)
async def place(
    request: pytest.FixtureRequest, server_folder: Path
) -> AsyncIterator[tuple[LocalServer, str]]:
    """A server of these tests' own with the shop on it, since they kill it."""
    directory = server_folder / f"shop-{request.param}"
    async with (
        running_server(request.param, directory, port=free_port()) as server,
        fresh_schema(server) as schema,
    ):
        async with await Connection.open(server.server) as connection:
            await shop.fill(connection, schema, orders=10_000)
        yield server, schema
    await server.remove()


def new_load(server: LocalServer, schema: str, *, clients: int = 4, rate_per_s: float = 400) -> Load:
    address = Address(port=server.port or 0)
    return Load(address, ADMIN.user, ADMIN.password, schema, clients=clients, rate_per_s=rate_per_s)


async def missing(load: Load, server: LocalServer) -> int:
    async with await Connection.open(server.server) as connection:
        return await load.verify(connection)


async def test_a_steady_load_finds_all_its_writes(place: tuple[LocalServer, str]) -> None:
    server, schema = place
    load = new_load(server, schema)
    await load.start()
    await until(lambda: load.acknowledged > 100)
    await load.stop()
    counters = load.counters
    assert (counters.errors, counters.last_error) == (0, "")
    assert counters.queries > counters.acknowledged > 100
    assert counters.longest_stall_ms > 0
    assert await missing(load, server) == 0


async def test_lost_and_changed_writes_are_noticed(place: tuple[LocalServer, str]) -> None:
    server, schema = place
    load = new_load(server, schema)
    await load.start()
    await until(lambda: load.acknowledged > 50)
    await load.stop()
    client = load._clients[0]
    order, customer = next(iter(client.orders)), next(iter(client.credits))
    async with await Connection.open(server.server, database=schema) as connection:
        await connection.execute("DELETE FROM ledger WHERE client = %s LIMIT 1", client.number)
        assert await load.verify(connection) == 1
        await connection.execute("UPDATE orders SET total = total + 1 WHERE id = %s", order)
        assert await load.verify(connection) == 2
        await connection.execute("UPDATE customers SET credit = -1 WHERE id = %s", customer)
        assert await load.verify(connection) == 3
        await connection.execute("DELETE FROM order_items WHERE order_id = %s LIMIT 1", order)
        assert await load.verify(connection) == 3


async def test_a_killed_server_costs_errors_and_no_acknowledged_write(place: tuple[LocalServer, str]) -> None:
    server, schema = place
    load = new_load(server, schema)
    await load.start()
    await until(lambda: load.acknowledged > 30)
    server.kill()
    await until(lambda: server.pid is None)
    await server.start()
    before = load.acknowledged
    await until(lambda: load.acknowledged > before + 30)
    await load.stop()
    assert load.longest_stall_ms > 20
    assert load.errors < 20
    assert await missing(load, server) == 0


async def test_connections_closed_while_idle_are_no_errors(place: tuple[LocalServer, str]) -> None:
    server, schema = place
    load = new_load(server, schema, clients=1, rate_per_s=20)
    await load.start()
    await until(lambda: load.queries > 3)
    async with await Connection.open(server.server) as connection:
        for _ in range(5):
            before = load.queries
            for idle in list(load._pool._free):
                await connection.execute(f"KILL {idle.thread_id()}")
            await until(lambda before=before: load.queries > before + 1)
    await load.stop()
    assert load.errors == 0, load.last_error


async def test_a_refused_statement_is_counted_with_its_message(place: tuple[LocalServer, str]) -> None:
    server, schema = place
    load = new_load(server, schema)
    await load.start()
    async with await Connection.open(server.server, database=schema) as connection:
        await connection.execute("ALTER TABLE customers RENAME COLUMN visits TO calls")
        await until(lambda: load.errors > 0)
        assert "visits" in load.last_error
        await connection.execute("ALTER TABLE customers RENAME COLUMN calls TO visits")
        before = load.acknowledged
        await until(lambda: load.acknowledged > before + 10)
    await load.stop()
    assert await missing(load, server) == 0


async def test_stopping_twice_and_restarting_go_on_counting(place: tuple[LocalServer, str]) -> None:
    server, schema = place
    load = new_load(server, schema)
    for _ in range(2):
        before = load.acknowledged
        await load.start()
        await until(lambda before=before: load.acknowledged > before + 10)
        await load.stop()
        await load.stop()
    load.forget_longest_stall()
    assert load.longest_stall_ms == 0
    assert await missing(load, server) == 0


async def test_a_load_that_cannot_connect_says_so() -> None:
    load = Load(Address(port=free_port()), "nobody", "secret", "shop", clients=1, rate_per_s=1)
    with pytest.raises(ConnectionLost, match="cannot connect") as failure:
        await asyncio.wait_for(load.start(), 30)
    assert "secret" not in str(failure.value)
