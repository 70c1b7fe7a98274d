"""I am the application of the demo: a steady load through the proxy with an ordinary driver.

I play a customer's program, so I use a driver and its pool as any program does, and know nothing of Headgate.
What the server has acknowledged I remember, and check later that it is there.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import aiomysql

from control.demo import shop
from router.database import Connection, quote_name
from router.errors import ConnectionLost
from router.model import Address

CONNECT_RETRY_S = 0.05
CONNECT_GIVE_UP_S = 10.0
STOP_S = 5.0

# Ledger numbers of one run: `run * CLIENTS_MAX + client`.
CLIENTS_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Counters:
    """What the application has seen so far; `longest_stall_ms` is its slowest operation, waiting included."""

    queries: int
    errors: int
    last_error: str
    acknowledged: int
    longest_stall_ms: float


@dataclass(slots=True)
class Remembered:
    """What one client knows about its own writes.

    `credits` holds each customer's value that was acknowledged last, `uncertain` those sent since whose fate
    is unknown because the connection broke during COMMIT.
    """

    number: int
    chance: random.Random
    sequence: int = 0
    acknowledged: set[int] = field(default_factory=set)
    orders: dict[int, tuple[int, Decimal]] = field(default_factory=dict)
    credits: dict[int, Decimal] = field(default_factory=dict)
    uncertain: dict[int, list[Decimal]] = field(default_factory=dict)


class Load:
    """`clients` sessions that together do `rate_per_s` operations a second, reads and transactions mixed.

    An error is counted when a statement fails as an application would see it. A connection that was closed
    while idle is replaced by the pool; while no connection can be made the operation waits.
    """

    def __init__(
        self,
        address: Address,
        user: str,
        password: str,
        schema: str,
        *,
        clients: int,
        rate_per_s: float,
    ) -> None:
        self._where = {
            "host": address.host,
            "port": address.port,
            "unix_socket": address.socket,
            "user": user,
            "password": password,
            "db": schema,
        }
        self._schema = schema
        self._interval_s = clients / rate_per_s
        run = time.time_ns() // 1_000_000 % 1_000_000_000_000
        self._clients = [
            Remembered(run * CLIENTS_MAX + number, random.Random(number))  # noqa: S311 - not a secret
            for number in range(clients)
        ]
        self._pool: Any = None
        self._running: asyncio.Future[None] | None = None
        self._stopping = asyncio.Event()
        self.queries = 0
        self.errors = 0
        self.last_error = ""
        self.longest_stall_ms = 0.0

    @property
    def acknowledged(self) -> int:
        """How many writing transactions the server has acknowledged."""
        return sum(len(client.acknowledged) for client in self._clients)

    @property
    def counters(self) -> Counters:
        """All counters at this moment."""
        return Counters(self.queries, self.errors, self.last_error, self.acknowledged, self.longest_stall_ms)

    def forget_longest_stall(self) -> None:
        """Begin to look for the longest stall anew, as at the start of a deployment."""
        self.longest_stall_ms = 0.0

    async def start(self) -> None:
        """Connect and begin; raises ConnectionLost when the first connection cannot be made."""
        try:
            self._pool = await aiomysql.create_pool(
                **self._where,
                minsize=1,
                maxsize=len(self._clients),
                autocommit=True,
                charset="utf8mb4",
                connect_timeout=CONNECT_GIVE_UP_S,
            )
        except (aiomysql.Error, OSError, EOFError) as error:
            raise ConnectionLost(0, f"the demo's application cannot connect: {error}") from error
        self._stopping.clear()
        self._running = asyncio.ensure_future(self._run())

    async def stop(self) -> None:
        """Let every client finish what it is doing, then disconnect."""
        if self._running is None:
            return
        running, self._running = self._running, None
        self._stopping.set()
        try:
            async with asyncio.timeout(STOP_S):
                await running
        except TimeoutError:
            pass  # a stuck statement was cancelled with its client
        finally:
            self._pool.terminate()
            await self._pool.wait_closed()

    async def verify(self, connection: Connection) -> int:
        """Return how many acknowledged writes are missing on the server or have the wrong effect.

        Ask after `stop`, on a connection straight to the production server.
        """
        await connection.execute(f"USE {quote_name(self._schema)}")
        missing = 0
        for client in self._clients:
            rows = await connection.fetch_all("SELECT sequence FROM ledger WHERE client = %s", client.number)
            missing += len(client.acknowledged - {int(sequence) for (sequence,) in rows})
            missing += await _missing_orders(connection, client)
            missing += await _wrong_credits(connection, client)
        return missing

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for client in self._clients:
                group.create_task(self._live(client))

    async def _live(self, client: Remembered) -> None:
        """Do one operation per interval; after a stall go on at the same pace, not faster."""
        loop = asyncio.get_running_loop()
        due = loop.time() + client.chance.random() * self._interval_s
        while not self._stopping.is_set():
            if (wait := due - loop.time()) > 0:
                try:
                    async with asyncio.timeout(wait):
                        await self._stopping.wait()
                except TimeoutError:
                    pass
                continue
            due = max(due + self._interval_s, loop.time())
            began = time.perf_counter()
            try:
                await self._operate(client)
            except (aiomysql.Error, OSError, EOFError, RuntimeError, AttributeError) as error:
                # A driver whose connection breaks in the middle raises the last three as well.
                self.errors += 1
                self.last_error = f"{type(error).__name__}: {error}"
            finally:
                self.longest_stall_ms = max(self.longest_stall_ms, (time.perf_counter() - began) * 1000)

    async def _operate(self, client: Remembered) -> None:
        operation = self._choose(client)
        raw = await self._connection()
        try:
            async with raw.cursor() as cursor:
                await operation(client, raw, cursor)
        except BaseException:
            raw.close()
            raise
        finally:
            self._pool.release(raw)

    def _choose(self, client: Remembered) -> Callable[[Remembered, Any, Any], Awaitable[None]]:
        dice = client.chance.random()
        if dice < 0.40:
            return self._read_customer
        if dice < 0.60:
            return self._read_orders
        if dice < 0.80:
            return self._place_order
        return self._change_customer

    async def _connection(self) -> Any:
        """Take a connection from the pool; when none can be made go on trying for a while."""
        give_up = time.monotonic() + CONNECT_GIVE_UP_S
        while True:
            try:
                return await self._pool.acquire()
            except (aiomysql.Error, OSError, EOFError):
                if time.monotonic() > give_up or self._stopping.is_set():
                    raise
                await asyncio.sleep(CONNECT_RETRY_S)

    async def _execute(self, cursor: Any, sql: str, *args: object) -> Any:
        await cursor.execute(sql, args)
        self.queries += 1
        return cursor

    async def _read_customer(self, client: Remembered, raw: Any, cursor: Any) -> None:
        customer = client.chance.randint(1, shop.CUSTOMERS)
        await self._execute(
            cursor, "SELECT name, city, credit, visits FROM customers WHERE id = %s", customer
        )
        await cursor.fetchall()

    async def _read_orders(self, client: Remembered, raw: Any, cursor: Any) -> None:
        customer = client.chance.randint(1, shop.CUSTOMERS)
        await self._execute(
            cursor,
            "SELECT o.id, o.status, o.total, p.name, i.quantity FROM orders o "
            "JOIN order_items i ON i.order_id = o.id JOIN products p ON p.id = i.product_id "
            "WHERE o.customer_id = %s ORDER BY o.id DESC LIMIT 20",
            customer,
        )
        await cursor.fetchall()

    async def _place_order(self, client: Remembered, raw: Any, cursor: Any) -> None:
        customer = client.chance.randint(1, shop.CUSTOMERS)
        products = client.chance.sample(range(1, shop.PRODUCTS + 1), shop.ITEMS_PER_ORDER)
        await raw.begin()
        total = Decimal(0)
        prices = []
        for product in products:
            await self._execute(cursor, "SELECT price FROM products WHERE id = %s", product)
            prices.append((await cursor.fetchone())[0])
            total += prices[-1]
        await self._execute(
            cursor, "INSERT INTO orders (customer_id, total) VALUES (%s, %s)", customer, total
        )
        order = int(cursor.lastrowid)
        for position, (product, price) in enumerate(zip(products, prices, strict=True), 1):
            await self._execute(
                cursor,
                "INSERT INTO order_items (order_id, position, product_id, quantity, price) "
                "VALUES (%s, %s, %s, 1, %s)",
                order,
                position,
                product,
                price,
            )
        sequence = await self._note(client, cursor)
        await raw.commit()
        self.queries += 1
        client.acknowledged.add(sequence)
        client.orders[order] = (customer, total)

    async def _change_customer(self, client: Remembered, raw: Any, cursor: Any) -> None:
        """Change a customer that no other client changes, so that the last value is known."""
        clients = len(self._clients)
        share = (shop.CUSTOMERS - 1) // clients
        customer = client.chance.randrange(share) * clients + client.number % CLIENTS_MAX % clients + 1
        await raw.begin()
        sequence = await self._note(client, cursor)
        credit = Decimal(sequence) / 100
        await self._execute(
            cursor, "UPDATE customers SET credit = %s, visits = visits + 1 WHERE id = %s", credit, customer
        )
        client.uncertain.setdefault(customer, []).append(credit)
        await raw.commit()
        self.queries += 1
        del client.uncertain[customer]
        client.credits[customer] = credit
        client.acknowledged.add(sequence)

    async def _note(self, client: Remembered, cursor: Any) -> int:
        client.sequence += 1
        await self._execute(
            cursor, "INSERT INTO ledger (client, sequence) VALUES (%s, %s)", client.number, client.sequence
        )
        return client.sequence


async def _missing_orders(connection: Connection, client: Remembered) -> int:
    missing = 0
    orders = list(client.orders)
    for start in range(0, len(orders), 500):
        some = orders[start : start + 500]
        rows = await connection.fetch_all(
            "SELECT o.id, o.customer_id, o.total, "
            "(SELECT COUNT(*) FROM order_items i WHERE i.order_id = o.id) "
            f"FROM orders o WHERE o.id IN ({', '.join(['%s'] * len(some))})",
            *some,
        )
        found = {row[0]: row[1:] for row in rows}
        missing += sum(found.get(order) != (*client.orders[order], shop.ITEMS_PER_ORDER) for order in some)
    return missing


async def _wrong_credits(connection: Connection, client: Remembered) -> int:
    wrong = 0
    customers = list(client.credits)
    for start in range(0, len(customers), 500):
        some = customers[start : start + 500]
        rows = await connection.fetch_all(
            f"SELECT id, credit FROM customers WHERE id IN ({', '.join(['%s'] * len(some))})", *some
        )
        found = {row[0]: row[1] for row in rows}
        for customer in some:
            possible = [client.credits[customer], *client.uncertain.get(customer, [])]
            wrong += found.get(customer) not in possible
    return wrong
