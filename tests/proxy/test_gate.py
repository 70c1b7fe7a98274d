from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator

import pytest

from proxy import channel
from proxy.gate import HELD_BYTES_MAX, Gate, GateReport
from proxy.wire.constants import Command
from proxy.wire.framing import frame
from router.database import Connection
from router.servers.process import LocalServer
from tests.support.proxy import Proxy
from tests.support.raw_client import raw_client

ids = itertools.count(1)


class Waiter:
    def __init__(self, went: list[Waiter]) -> None:
        self.went = went

    def released(self) -> None:
        self.went.append(self)


def a_gate(reports: list[GateReport], **options: int) -> Gate:
    settings = {"hold_ms": 10_000, "max_held": 100, **options}
    return Gate(["orders", "a$b"], opened=reports.append, **settings)


async def test_waiters_go_on_in_order_when_it_opens() -> None:
    reports: list[GateReport] = []
    went: list[Waiter] = []
    gate = a_gate(reports)
    waiters = [Waiter(went) for _ in range(5)]
    assert all(gate.hold(waiter, 100) for waiter in waiters)
    gate.forget(waiters[2])
    assert went == []
    gate.open()
    gate.open()
    assert went == [waiters[0], waiters[1], waiters[3], waiters[4]]
    [report] = reports
    assert (report.held, report.overflowed, report.by_timer) == (5, 0, False)


async def test_it_opens_by_itself() -> None:
    reports: list[GateReport] = []
    went: list[Waiter] = []
    opened = asyncio.Event()
    gate = Gate(
        ["t"], hold_ms=20, max_held=9, opened=lambda report: (reports.append(report), opened.set())[1]
    )
    waiter = Waiter(went)
    gate.hold(waiter, 1)
    async with asyncio.timeout(120):
        await opened.wait()
    assert went == [waiter]
    assert reports[0].by_timer
    assert reports[0].longest_hold_ms >= 15


async def test_it_has_room_for_so_many_and_so_much() -> None:
    reports: list[GateReport] = []
    gate = a_gate(reports, max_held=2)
    went: list[Waiter] = []
    assert gate.hold(Waiter(went), HELD_BYTES_MAX - 1)
    assert not gate.hold(Waiter(went), 2)
    last = Waiter(went)
    assert gate.hold(last, 1)
    assert not gate.hold(Waiter(went), 0)
    gate.forget(last)
    assert gate.hold(Waiter(went), 0)
    gate.open()
    assert reports[0].overflowed == 2


@pytest.mark.parametrize(
    ("statement", "concerned"),
    [
        (b"SELECT * FROM orders", True),
        (b"select * from ORDERS where id=1", True),
        (b"SELECT * FROM `orders`", True),
        (b"SELECT * FROM shop.orders o", True),
        (b"INSERT INTO orders(id) VALUES(1)", True),
        (b"SELECT 'orders'", True),
        (b"SELECT * FROM orders_old", False),
        (b"SELECT * FROM my_orders", False),
        (b"SELECT * FROM customers", False),
        (b"SELECT * FROM a$b", True),
        (b"SELECT * FROM a$bc", False),
    ],
)
async def test_it_concerns_statements_that_mention_a_table(statement: bytes, concerned: bool) -> None:
    gate = a_gate([])
    assert gate.concerns(statement) is concerned
    gate.open()


@contextlib.asynccontextmanager
async def shut(proxy: Proxy, shop: str, **options: int) -> AsyncIterator[channel.GateClosed]:
    """Shut the gate of `main` in front of table `things`, and open it at the end."""
    number = next(ids)
    settings = {"hold_ms": 10_000, "max_held": 100, **options}
    proxy.control.send(channel.GateClose(number, "shop", "main", [(shop, "things")], **settings))
    yield await proxy.control.wait_for(channel.GateClosed, lambda closed: closed.id == number)
    proxy.control.send(channel.GateOpen(number))
    await proxy.control.wait_for(channel.GateOpened, lambda opened: opened.id == number)


@pytest.fixture
async def things(server: LocalServer, shop: str, proxy: Proxy) -> AsyncIterator[None]:
    async with await Connection.open(server.server, database=shop) as connection:
        await connection.execute("CREATE TABLE things (id INT PRIMARY KEY, v LONGTEXT)")
        yield
        await connection.execute("DROP TABLE things")


@pytest.mark.usefixtures("things")
async def test_a_statement_on_a_held_table_waits_for_the_gate(proxy: Proxy, shop: str) -> None:
    async with raw_client(proxy.port) as held, raw_client(proxy.port) as free:
        async with shut(proxy, shop) as closed:
            assert closed.busy == 0
            waiting = asyncio.ensure_future(held.query("SELECT COUNT(*) FROM things"))
            for _ in range(20):
                assert await free.query("SELECT 1") == [[b"1"]]
            assert not waiting.done()
        assert await waiting == [[b"0"]]
        opened = proxy.control.all(channel.GateOpened)[-1]
        assert (opened.held, opened.by_timer) == (1, False)


@pytest.mark.usefixtures("things")
async def test_a_transaction_under_way_passes_the_gate(proxy: Proxy, shop: str) -> None:
    async with raw_client(proxy.port) as client:
        await client.query("BEGIN")
        await client.query("INSERT INTO things VALUES (1, 'a')")
        async with shut(proxy, shop) as closed:
            assert closed.busy == 1
            assert await client.query("SELECT COUNT(*) FROM things") == [[b"1"]]
            await client.query("COMMIT")
            waiting = asyncio.ensure_future(client.query("SELECT COUNT(*) FROM things"))
            await asyncio.sleep(0)
        assert await waiting == [[b"1"]]


@pytest.mark.usefixtures("things")
async def test_who_locks_tables_passes_the_gate(proxy: Proxy, shop: str) -> None:
    async with raw_client(proxy.port) as client:
        await client.query("LOCK TABLES things WRITE")
        async with shut(proxy, shop):
            assert await client.query("SELECT COUNT(*) FROM things") == [[b"0"]]
            await client.query("UNLOCK TABLES")


@pytest.mark.usefixtures("things")
async def test_a_prepared_statement_waits_for_the_gate(proxy: Proxy, shop: str) -> None:
    async with raw_client(proxy.port) as client:
        statement = await client.prepare("SELECT COUNT(*) FROM things")
        async with shut(proxy, shop):
            waiting = asyncio.ensure_future(client.execute(statement))
            await asyncio.sleep(0.02)
            assert not waiting.done()
        await waiting


@pytest.mark.usefixtures("things")
async def test_a_client_that_leaves_while_held_takes_nothing_with_it(proxy: Proxy, shop: str) -> None:
    async with shut(proxy, shop):
        async with raw_client(proxy.port) as client:
            client.send(Command.QUERY, b"INSERT INTO things VALUES (7, 'gone')")
        async with raw_client(proxy.port) as other:
            await other.query("SELECT 1")
            await proxy.control.wait_for(channel.Stats, lambda stats: len(stats.branches) > 0)

        def connections(stats: channel.Stats) -> bool:
            return all(branch.connections == 0 for branch in stats.branches)

        await proxy.control.wait_for(channel.Stats, connections)
    async with raw_client(proxy.port) as client:
        assert await client.query("SELECT COUNT(*) FROM things") == [[b"0"]]


@pytest.mark.usefixtures("things")
async def test_a_long_statement_waits_for_the_gate(proxy: Proxy, shop: str) -> None:
    async with raw_client(proxy.port) as client:
        async with shut(proxy, shop):
            text = b"INSERT INTO things VALUES (1, '" + b"x" * 900_000 + b"')"
            client.writer.write(frame(b"\x03" + text))
            waiting = asyncio.ensure_future(client.answer(Command.QUERY))
            await asyncio.sleep(0.05)
            assert not waiting.done()
        assert (await waiting)[0][0] == 0
        assert await client.query("SELECT LENGTH(v) FROM things") == [[b"900000"]]


@pytest.mark.usefixtures("things")
async def test_a_gate_without_room_lets_pass(proxy: Proxy, shop: str) -> None:
    async with raw_client(proxy.port) as client:
        async with shut(proxy, shop, max_held=0):
            assert await client.query("SELECT COUNT(*) FROM things") == [[b"0"]]
        assert proxy.control.all(channel.GateOpened)[-1].overflowed == 1


async def test_a_gate_for_an_unknown_branch_is_shut_at_once(proxy: Proxy) -> None:
    number = next(ids)
    proxy.control.send(channel.GateClose(number, "shop", "nope", [("s", "t")], hold_ms=10, max_held=1))
    closed = await proxy.control.wait_for(channel.GateClosed, lambda closed: closed.id == number)
    assert closed.busy == 0
