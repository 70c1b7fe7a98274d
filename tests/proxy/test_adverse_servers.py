from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable

import pytest

from proxy.wire.constants import Command
from proxy.wire.errors import ServerRefused
from proxy.wire.framing import frame
from proxy.wire.packets import ErrPacket, OkPacket
from router.model import PoolMode
from tests.support.arena import Arena, descriptors
from tests.support.chaos import Way
from tests.support.raw_client import RawClient, raw_client
from tests.support.servers import until

ANOTHER_OK = frame(OkPacket(status=2).build(), 1)
INACTIVE = frame(ErrPacket(4031, "HY000", "The client was disconnected by the server").build(), 0)


def once(change: Callable[[bytes], bytes], when: bytes = b"") -> Callable[[bytes], bytes]:
    """Change the first chunk that holds these bytes, and none behind it."""
    done = False

    def edit(data: bytes) -> bytes:
        nonlocal done
        if done or when not in data:
            return data
        done = True
        return change(data)

    return edit


async def test_a_server_that_stalls_keeps_only_its_client_waiting(arena: Arena) -> None:
    async with raw_client(arena.proxy.port) as patient:
        await patient.query("BEGIN")
        arena.between.stall(Way.TO_CLIENT)
        patient.send(Command.QUERY, b"SELECT 'late'")
        async with asyncio.timeout(120):
            # Somebody who wants nothing of a server is served meanwhile.
            reader, writer = await asyncio.open_connection("127.0.0.1", arena.proxy.port)
            assert (await reader.read(4096))[4] == 10
            writer.close()
        impatient = asyncio.ensure_future(RawClient.connect(arena.proxy.port))
        arena.between.resume()
        packets = await patient.answer(Command.QUERY)
        assert packets[2] == b"\x04late"
        (await impatient).close()


async def test_a_client_leaves_a_server_that_stalls(arena: Arena) -> None:
    async with raw_client(arena.proxy.port) as client:
        await client.query("BEGIN")
        arena.between.stall()
        client.send(Command.QUERY, b"SELECT 'never read'")
        await client.writer.drain()
        client.writer.transport.abort()
    # The network does not know yet.
    await until(lambda: descriptors(arena.pid) < arena.descriptors + len(arena.between.links))
    arena.between.resume()


@pytest.mark.parametrize("end", ["cut", "reset"])
async def test_a_connection_lost_in_a_statement_is_told(arena: Arena, end: str) -> None:
    async with raw_client(arena.proxy.port) as client:
        await client.query("BEGIN")
        client.send(Command.QUERY, b"SELECT SLEEP(30)")
        await until(lambda: bool(arena.between.links))
        arena.between.edit(Way.TO_SERVER, lambda data: data)
        getattr(arena.between, end)()
        packets = await client.answer(Command.QUERY)
        error = ErrPacket.parse(packets[-1])
        assert error.errno == 1105
        assert "connection to the server was lost" in error.message
        assert await client.gone()


@pytest.mark.parametrize("end", ["cut", "reset"])
async def test_a_connection_lost_in_a_result_ends_the_client(arena: Arena, end: str) -> None:
    async with raw_client(arena.proxy.port) as client:
        client.send(Command.QUERY, b"SELECT REPEAT('x', 1000000) " + b"UNION ALL SELECT '' " * 20)
        await client.reader.readexactly(1000)
        getattr(arena.between, end)()
        assert await client.gone()


async def test_a_connection_lost_while_nothing_ran_is_noticed(arena: Arena) -> None:
    async with raw_client(arena.proxy.port) as client:
        assert await client.query("SELECT 1") == [[b"1"]]
        arena.between.cut()
        await until(lambda: not arena.between.links)
        if arena.mode is PoolMode.TRANSACTION:
            assert await client.query("SELECT 2") == [[b"2"]]
        else:
            assert await client.gone()


LIES: dict[str, Callable[[bytes], bytes]] = {
    "a packet behind the end": lambda data: data + ANOTHER_OK,
    "half a packet behind the end": lambda data: data + b"\x07\0\0",
    "a packet longer than it is": lambda data: b"\x7f" + data[1:],
    "a packet shorter than it is": lambda data: b"\0" + data[1:],
    "numbers that are none": lambda data: data[:3] + b"\x09" + data[4:],
    "no columns": lambda data: data[:4] + b"\xfc\0\0" + data[5:],
    "a request for a file": lambda _: frame(b"\xfb/etc/passwd", 1),
    "garbage": lambda data: os.urandom(len(data)),
    "nothing": lambda data: data[:-1],
    "zeros": lambda data: bytes(len(data)),
    "no end": lambda data: data + data,
}


@pytest.mark.parametrize("lie", LIES)
async def test_a_server_that_lies_harms_nobody_else(arena: Arena, lie: str) -> None:
    mark = b"told-truth"
    async with raw_client(arena.proxy.port) as client, raw_client(arena.proxy.port) as other:
        await client.query("BEGIN")
        await other.query("BEGIN")
        arena.between.edit(Way.TO_CLIENT, once(LIES[lie], mark))
        client.send(Command.QUERY, b"SELECT '" + mark + b"'")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.1):
                await client.gone()
        assert await other.query("SELECT 'mine'") == [[b"mine"]]


async def test_words_of_a_server_that_nobody_asked_for_are_heard_by_nobody(arena: Arena) -> None:
    async with raw_client(arena.proxy.port) as client:
        assert await client.query("SELECT 1") == [[b"1"]]
        # The pool may connect anew meanwhile; those connections heard nothing.
        addressed = set(arena.between.links)
        arena.between.inject(Way.TO_CLIENT, INACTIVE)
        if arena.mode is PoolMode.TRANSACTION:
            await until(lambda: addressed.isdisjoint(arena.between.links))
            assert await client.query("SELECT 2") == [[b"2"]]
        else:
            assert b"SELECT" not in await client.reader.read()


GREETINGS: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "an error without SQLSTATE": (
        lambda _: frame(b"\xff\x10\x04Too many connections"),
        "Too many connections",
    ),
    "an error": (lambda _: frame(ErrPacket(1129, "HY000", "Host is blocked").build()), "Host is blocked"),
    "an error without anything": (lambda _: frame(b"\xff"), ""),
    "another protocol": (lambda _: frame(b"\x09old"), ""),
    "garbage": (lambda data: os.urandom(len(data)), ""),
    "too much": (lambda _: b"\xff\xff\xff\0" + bytes(1000), ""),
    "nothing": (lambda _: frame(b""), ""),
    "no nonce": (lambda data: data[:20], ""),
}


@pytest.mark.parametrize("what", GREETINGS)
async def test_a_greeting_that_is_none_is_told(impatient: Arena, what: str) -> None:
    change, words = GREETINGS[what]
    impatient.between.cut()
    await until(lambda: not impatient.between.links)
    impatient.between.edit(Way.TO_CLIENT, change)
    error = await refusal(impatient.proxy.port)
    assert error.errno in (1105, 1040)
    assert words in error.message


async def refusal(port: int) -> ServerRefused:
    """Say why one cannot be served now: at login, or at the first statement."""
    try:
        async with raw_client(port) as client:
            error = await client.error(Command.QUERY, b"SELECT 1")
            return ServerRefused(error.errno, error.sqlstate, error.message)
    except ServerRefused as refused:
        return refused


async def test_a_server_that_cannot_be_reached_costs_only_patience(impatient: Arena) -> None:
    between, port = impatient.between, impatient.proxy.port
    between.cut()
    await until(lambda: not between.links)
    between.stall()
    assert "does not answer" in (await refusal(port)).message
    between.resume()
    between.refuses = True
    assert "cannot be reached" in (await refusal(port)).message


def unless_failed(packets: list[bytes]) -> list[bytes]:
    """Return an answer's packets; raise ServerRefused when it is an error."""
    if packets[-1][:1] == b"\xff":
        error = ErrPacket.parse(packets[-1])
        raise ServerRefused(error.errno, error.sqlstate, error.message)
    return packets


async def marked(client: RawClient, mark: str) -> None:
    """Run statements whose answers nobody else can have. Raises ServerRefused or ConnectionError."""

    async def query(sql: str) -> list[bytes]:
        return unless_failed(await client.run(Command.QUERY, sql.encode()))

    text = bytes((len(mark),)) + mark.encode()
    await query(f"SET @mark = '{mark}'")
    assert (await query(f"SELECT '{mark}', @mark"))[3] == text * 2
    prepared = unless_failed(await client.run(Command.STMT_PREPARE, f"SELECT '{mark}', ?".encode()))
    number = int.from_bytes(prepared[0][1:5], "little")
    packets = unless_failed(await client.execute(number, b"\0\1\xfd\0" + text))
    assert packets[3] == b"\0\0" + text * 2
    client.send(Command.STMT_CLOSE, number.to_bytes(4, "little"))
    await query("BEGIN")
    assert (await query(f"SELECT REPEAT('{mark}', 20)"))[2][1:] == mark.encode() * 20
    await query("COMMIT")
    unless_failed(await client.run(Command.RESET_CONNECTION))


async def test_no_client_ever_gets_anothers_answer(arena: Arena) -> None:
    turns, faults, over = 0, 0, asyncio.Event()

    async def work(number: int) -> None:
        nonlocal turns, faults
        while not over.is_set():
            try:
                async with raw_client(arena.proxy.port) as client:
                    while not over.is_set():
                        turns += 1
                        await marked(client, f"{number}-{turns}")
            except (ConnectionError, ServerRefused):
                faults += 1

    async def misbehave() -> None:
        for turn in range(16):
            await until(lambda seen=turns: turns > seen + 10)
            match turn % 4:
                case 0:
                    arena.between.reset()
                case 1:
                    arena.between.inject(Way.TO_CLIENT, INACTIVE)
                case 2:
                    arena.between.edit(Way.TO_CLIENT, once(lambda data: data + ANOTHER_OK))
                case 3:
                    # A byte is lost, then all the rest.
                    arena.between.edit(Way.TO_CLIENT, once(lambda data: data[:-1]))
                    await until(lambda seen=turns: turns > seen + 2)
                    arena.between.cut()
        over.set()

    async with asyncio.TaskGroup() as tasks:
        for number in range(10):
            tasks.create_task(work(number))
        tasks.create_task(misbehave())
    assert faults
