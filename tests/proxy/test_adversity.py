from __future__ import annotations

import asyncio
import contextlib
import random
import resource
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pymysql
import pytest

from proxy.wire.constants import MAX_FRAME, Capability, Command
from proxy.wire.framing import PacketReader, frame
from proxy.wire.packets import ErrPacket
from router.database import Connection
from router.model import PoolMode
from router.servers.process import LocalServer
from tests.support.arena import Arena, descriptors, new_arena
from tests.support.chaos import chaos
from tests.support.proxy import PASSWORD
from tests.support.raw_client import USUAL, RawClient, raw_client
from tests.support.servers import ADMIN, fresh_schema, until

# -- clients that misbehave ---------------------------------------------------------------------------------


def execute(statement: int, rest: bytes) -> bytes:
    head = bytes((Command.STMT_EXECUTE,)) + statement.to_bytes(4, "little") + b"\0\1\0\0\0"
    return frame(head + rest)


async def reaction(client: RawClient, data: bytes) -> tuple[list[tuple[int, bytes]], bool]:
    """Send bytes, then a statement; return what came before its answer, and whether that came.

    Without words, as servers of one family differ in them.
    """
    client.writer.write(data + frame(b"\x03SELECT 'goes on'"))
    reader, packets = PacketReader(), list[tuple[int, bytes]]()
    went_on = False
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(120):
            while not went_on and (piece := await client.reader.read(65536)):
                packets += reader.feed(piece)
                went_on = packets[-2:-1] == [(3, b"\x07goes on")]
    return [(number, body[:9]) for number, body in (packets[:-4] if went_on else packets)], went_on


RUDE = {
    "empty": frame(b""),
    "out of order": frame(b"\x03SELECT 1", 1),
    "far out of order": frame(b"\x03SELECT 1", 200),
    "empty and out of order": frame(b"", 1),
    "unknown execute": execute(999, b""),
    "short execute": frame(b"\x17\1\0"),
    "unknown fetch": frame(b"\x1c" + (999).to_bytes(4, "little") + (1).to_bytes(4, "little")),
    "short fetch": frame(b"\x1c\1"),
    "short reset": frame(b"\x1a\1"),
    "unknown reset": frame(b"\x1a\x99\0\0\0"),
    "unknown close": frame(b"\x19\x99\0\0\0"),
    "data for an unknown statement": frame(b"\x18\x99\0\0\0\0\0abc"),
    "unknown schema": frame(b"\x02nope_nope"),
    "empty query": frame(b"\x03"),
    "broken text": frame(b"\x03SELECT '\xff\xfe\xc3'"),
    "long comment": frame(b"\x03SELECT /* " + b"x" * 70000 + b" */ FROM"),
    "junk behind ping": frame(b"\x0ejunk"),
    **{
        f"command {number:#x}": frame(bytes((number,)))
        for number in (0x00, 0x0B, 0x0F, 0x10, 0x13, 0x14, 0x1D, 0x22, 0x80, 0xFE, 0xFF)
    },
}

# What a server says to nonsense in the parameters of `SELECT ? + 0`, `execute` having sent it.
PARAMETERS = {
    "no null bitmap": b"",
    "no types, ever": b"\0\0",
    "unknown type": b"\0\1\xc8\0a",
    "cut in the types": b"\0\1\xfd",
    "cut in a value": b"\0\1\xfd\0\x05ab",
    "two types for one": b"\0\1\3\0\xfd\0\1\0\0\0",
    "a length that is NULL": b"\0\1\xfd\0\xfb",
    "a length that is none": b"\0\1\xfd\0\xff",
    "a length without end": b"\0\1\xfd\0\xfe\xff\xff\xff\xff\xff\xff\xff\xff",
    "a length in eight bytes": b"\0\1\xfd\0\xfe\2\0\0\0\0\0\0\0ab",
    "a date of nine bytes": b"\0\1\x07\0\x09aaaaaaaaa",
}


async def direct_client(server: LocalServer) -> RawClient:
    assert server.port is not None
    return await RawClient.connect(server.port, user=ADMIN.user, password=ADMIN.password)


async def both_react(arena: Arena, server: LocalServer, prepare: str, data: Callable[[int], bytes]) -> None:
    """Show that the proxy answers rude bytes as the server does."""
    answers = []
    for client in (await RawClient.connect(arena.proxy.port), await direct_client(server)):
        with contextlib.closing(client):
            statement = await client.prepare(prepare) if prepare else 0
            answers.append(await reaction(client, data(statement)))
    assert answers[0] == answers[1]


@pytest.mark.parametrize("what", RUDE)
async def test_rude_packets_are_answered_as_the_server_does(
    arena: Arena, server: LocalServer, what: str
) -> None:
    await both_react(arena, server, "", lambda _: RUDE[what])


@pytest.mark.parametrize("what", PARAMETERS)
async def test_nonsense_in_parameters_is_answered_as_the_server_does(
    arena: Arena, server: LocalServer, what: str
) -> None:
    await both_react(arena, server, "SELECT ? + 0", lambda number: execute(number, PARAMETERS[what]))


@pytest.mark.parametrize("data", [b"\x19\1", b"\x18\1", b"\x1b"])
async def test_a_packet_that_is_too_short_costs_nothing_but_an_error(arena: Arena, data: bytes) -> None:
    async with raw_client(arena.proxy.port) as client:
        [(number, error)], is_open = await reaction(client, frame(data))
        assert (number, error[:3], is_open) == (1, b"\xff\x2b\x07", True)


async def test_rows_of_a_closed_cursor_are_not_fetched(arena: Arena) -> None:
    async with raw_client(arena.proxy.port) as client:
        statement = await client.prepare("SELECT 1 UNION SELECT 2 UNION SELECT 3")
        number = statement.to_bytes(4, "little")
        await client.execute(statement, cursor=True)
        assert len(await client.run(Command.STMT_FETCH, number + b"\1\0\0\0")) == 2
        await client.run(Command.STMT_RESET, number)
        error = await client.error(Command.STMT_FETCH, number + b"\1\0\0\0")
        assert error.errno in (1326, 1421)
        client.send(Command.STMT_CLOSE, number)
        assert (await client.error(Command.STMT_FETCH, number + b"\1\0\0\0")).errno == 1243
        assert await client.query("SELECT 1") == [[b"1"]]


async def test_statements_with_the_same_text_have_cursors_of_their_own(arena: Arena) -> None:
    async with raw_client(arena.proxy.port) as client:
        first, second = [await client.prepare("SELECT 'a' UNION SELECT 'b' UNION SELECT ?") for _ in range(2)]
        bound = b"\0\1\xfd\0\1"
        await client.execute(first, bound + b"1", cursor=True)
        assert len(await client.execute(second, bound + b"2")) == 6
        more = first.to_bytes(4, "little") + b"\x09\0\0\0"
        assert [row[-1:] for row in (await client.run(Command.STMT_FETCH, more))[:3]] == [b"a", b"b", b"1"]
        for statement in (first, second):
            client.send(Command.STMT_CLOSE, statement.to_bytes(4, "little"))
        assert await client.query("SELECT 1") == [[b"1"]]


async def test_statements_with_the_same_text_have_parameters_of_their_own(arena: Arena) -> None:
    async with raw_client(arena.proxy.port) as client:
        numbers = [await client.prepare("SELECT CONCAT('sent ', ?)") for _ in range(3)]
        for statement in numbers:
            piece = statement.to_bytes(4, "little") + b"\0\0" + str(statement).encode()
            client.send(Command.STMT_SEND_LONG_DATA, piece)
        for statement in numbers:
            packets = await client.execute(statement, b"\0\1\xfd\0")
            assert packets[2].endswith(b"sent " + str(statement).encode())


async def test_nothing_is_served_behind_a_goodbye(arena: Arena) -> None:
    async with raw_client(arena.proxy.port) as client:
        client.writer.write(frame(b"\x01") + frame(b"\x03SELECT 'behind', 'goodbye'") * 3)
        assert b"behind" not in await client.reader.read()


async def test_commands_sent_ahead_are_answered_in_order(arena: Arena) -> None:
    async with raw_client(arena.proxy.port) as client:
        texts = [f"SELECT {number}, REPEAT('x', {number * 7})" for number in range(200)]
        client.writer.write(b"".join(frame(b"\x03" + text.encode()) for text in texts))
        reader, rows = PacketReader(), list[bytes]()
        while len(rows) < 200:
            packets = reader.feed(await client.reader.read(65536))
            rows += [body for number, body in packets if number == 4]
        for number, row in enumerate(rows):
            digits = str(number).encode()
            assert row.startswith(bytes((len(digits),)) + digits)


@pytest.mark.parametrize("extra", [-1, 0, 1])
async def test_a_packet_as_long_as_a_frame_has_an_empty_tail(arena: Arena, extra: int) -> None:
    async with raw_client(arena.proxy.port) as client:
        text = b"SELECT LENGTH('"
        size = MAX_FRAME - 1 - len(text) - 2 + extra
        packets = await client.run(Command.QUERY, text + b"x" * size + b"')")
        assert packets[2] == b"\x08" + str(size).encode()
        assert await client.query("SELECT 1") == [[b"1"]]


async def test_a_row_longer_than_a_frame_is_no_end(arena: Arena) -> None:
    # Its row begins with 0xFE, as the packet does that ends a result.
    async with raw_client(arena.proxy.port) as client:
        [[value]] = await client.query(f"SELECT REPEAT('x', {MAX_FRAME + 10})")
        assert value is not None
        assert len(value) == MAX_FRAME + 10
        assert await client.query("SELECT 1") == [[b"1"]]


@pytest.mark.parametrize("capabilities", [USUAL, USUAL | Capability.DEPRECATE_EOF], ids=str)
async def test_everything_works_a_byte_at_a_time(
    arena: Arena, tmp_path: Path, capabilities: Capability
) -> None:
    arena.between.split(1)
    address = replace(arena.between.address, socket=None, port=arena.proxy.port)
    async with chaos(address, tmp_path) as before:
        before.split(1)
        async with raw_client(before.address.port, capabilities=capabilities) as client:
            assert await client.query("SELECT 'a', NULL UNION SELECT 'b', 2") == [[b"a", None], [b"b", b"2"]]
            assert (await client.error(Command.QUERY, b"SELECT nothing")).errno == 1054
            statement = await client.prepare("SELECT ?")
            packets = await client.execute(statement, b"\0\1\xfd\0\3abc")
            assert any(packet == b"\0\0\3abc" for packet in packets)
            assert await client.query("SET @a = 5") == []
            assert await client.query("SELECT @a") == [[b"5"]]


async def test_tls_works_a_byte_at_a_time(arena: Arena, tmp_path: Path) -> None:
    address = replace(arena.between.address, socket=None, port=arena.proxy.port)
    async with chaos(address, tmp_path) as before:
        before.split(1)

        def work() -> object:
            connection = pymysql.connect(
                host="127.0.0.1",
                port=before.address.port,
                user="app",
                password=PASSWORD,
                ssl={"check_hostname": False},
            )
            with connection, connection.cursor() as cursor:
                cursor.execute("SELECT REPEAT('x', 5000)")
                assert connection._secure
                return cursor.fetchone()

        assert await asyncio.to_thread(work) == ("x" * 5000,)


async def test_many_that_connect_and_vanish_leave_nothing_behind(arena: Arena) -> None:
    async def vanish(number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", arena.proxy.port)
        with contextlib.suppress(ConnectionError):
            match number % 5:
                case 1:
                    await reader.read(10)
                case 2:
                    await reader.read(4096)
                    writer.write(b"\x50\0\0\1half a login")
                case 3:
                    await reader.read(4096)
                    writer.write(frame(bytes(32), 1))
                    await reader.read()
                case 4:
                    await reader.read(4096)
                    writer.write_eof()
        writer.transport.abort()

    for start in range(0, 1000, 100):
        await asyncio.gather(*(vanish(start + number) for number in range(100)))
    await arena.serves()


async def test_many_that_log_in_and_vanish_leave_nothing_behind(arena: Arena) -> None:
    async def vanish(number: int) -> None:
        client = await RawClient.connect(arena.proxy.port)
        if number % 3 == 1:
            client.send(Command.QUERY, b"SELECT SLEEP(0.1), 'unheard'")
        elif number % 3 == 2:
            await client.query("BEGIN")
        client.writer.transport.abort()

    for _ in range(3):
        await asyncio.gather(*(vanish(number) for number in range(30)))
    await arena.serves()


async def test_a_client_that_vanishes_in_a_result_leaves_nothing_behind(arena: Arena) -> None:
    for half_close in (False, True):
        async with raw_client(arena.proxy.port) as client:
            client.send(Command.QUERY, b"SELECT REPEAT('x', 1000000) " + b"UNION ALL SELECT '' " * 50)
            await client.reader.read(1000)
            if half_close:
                client.writer.write_eof()
                await client.gone()
            else:
                client.writer.transport.abort()


async def test_a_client_that_vanishes_in_its_upload_leaves_nothing_behind(arena: Arena) -> None:
    for prepared in (False, True):
        async with raw_client(arena.proxy.port) as client:
            announced = (5_000_000).to_bytes(3, "little") + b"\0"
            command = b"\x16SELECT '" if prepared else b"\x03SELECT '"
            client.writer.write(announced + command + b"x" * 300_000)
            await client.writer.drain()
            client.writer.transport.abort()
        await arena.serves(2)


async def test_a_client_that_vanishes_in_its_file_leaves_nothing_behind(
    arena: Arena, server: LocalServer, shop: str
) -> None:
    async with await Connection.open(server.server, database=shop) as connection:
        await connection.execute("CREATE TABLE file_target (v VARCHAR(99))")
        try:
            capabilities = USUAL | Capability.DEPRECATE_EOF | Capability.LOCAL_FILES
            async with raw_client(arena.proxy.port, capabilities=capabilities) as client:
                client.send(Command.QUERY, b"LOAD DATA LOCAL INFILE 'x' INTO TABLE file_target")
                [(_, request)] = PacketReader().feed(await client.reader.read(4096))
                assert request == b"\xfbx"
                client.writer.write(frame(b"line\n" * 1000, 2))
                client.writer.transport.abort()
            await arena.serves(2)
            await until(_idle(arena))
            rows = await connection.fetch_all("SELECT COUNT(*) FROM file_target")
            assert rows[0][0] == 0
        finally:
            await connection.execute("DROP TABLE file_target")


def _idle(arena: Arena) -> Callable[[], bool]:
    return lambda: arena.own_descriptors() == arena.descriptors


@pytest.mark.parametrize("seed", range(4))
async def test_noise_behind_a_login_harms_nobody(arena: Arena, seed: int) -> None:
    chance = random.Random(seed)

    def noise() -> bytes:
        number = chance.choice([*range(34), 0x80, 0xFF, 3, 22, 23, 24, 28, 23, 24])
        known = chance.randrange(3).to_bytes(4, "little")
        body = bytes((number,)) + chance.choice([b"", known]) + chance.randbytes(chance.randrange(30))
        packet = frame(body, chance.choice([0, 0, 0, 0, 0, 0, 0, 1]))
        return packet[: chance.randrange(len(packet) + 1)] if chance.random() < 0.05 else packet

    async def scream() -> None:
        async with raw_client(arena.proxy.port) as client:
            await client.prepare("SELECT ?, ?")
            client.writer.write(b"".join(noise() for _ in range(40)))
            if chance.random() < 0.5:
                client.writer.write_eof()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.3):
                    await client.gone()

    await asyncio.gather(*(scream() for _ in range(25)))
    await arena.serves()


# -- a machine that misbehaves ------------------------------------------------------------------------------


async def outcome(client: RawClient, sql: str) -> str:
    """Run a statement, and say how that ended."""
    try:
        async with asyncio.timeout(120):
            packets = await client.run(Command.QUERY, sql.encode())
    except ConnectionError:
        return "closed"
    if packets[-1][0] == 0xFF:
        return str(ErrPacket.parse(packets[-1]).errno)
    return "ok"


async def drip(writer: asyncio.StreamWriter) -> None:
    """Send a login so slowly that it never comes to its end."""
    for byte in frame(bytes(200), 1):
        writer.write(bytes((byte,)))
        await asyncio.sleep(0.05)


async def test_who_sends_a_login_byte_by_byte_is_cut_off_and_locks_nobody_out(impatient: Arena) -> None:
    async def be_slow() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", impatient.proxy.port)
        async with asyncio.timeout(120), asyncio.TaskGroup() as tasks:
            dripping = tasks.create_task(drip(writer))
            with contextlib.suppress(ConnectionError):
                await reader.read()
            dripping.cancel()
        writer.close()

    async with asyncio.TaskGroup() as tasks:
        for _ in range(200):
            tasks.create_task(be_slow())
        await impatient.serves()


async def test_a_worker_without_descriptors_serves_again_when_it_has_some(arena: Arena) -> None:
    before = resource.prlimit(arena.pid, resource.RLIMIT_NOFILE)
    now = descriptors(arena.pid)
    async with raw_client(arena.proxy.port) as old:
        resource.prlimit(arena.pid, resource.RLIMIT_NOFILE, (now + 10, before[1]))
        try:
            waiting = [await asyncio.open_connection("127.0.0.1", arena.proxy.port) for _ in range(40)]
            await until(lambda: descriptors(arena.pid) >= now + 9)
            assert await old.query("SELECT 'still here'") == [[b"still here"]]
            for _, writer in waiting:
                writer.transport.abort()
            await arena.serves(2)
        finally:
            resource.prlimit(arena.pid, resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize("mode", PoolMode)
async def test_a_worker_that_is_told_to_end_under_load_breaks_no_statement(
    mysql: LocalServer, tmp_path: Path, mode: PoolMode
) -> None:
    async with fresh_schema(mysql) as schema, new_arena(mysql, schema, mode, tmp_path) as arena:
        async with await Connection.open(mysql.server, database=schema) as connection:
            await connection.execute("CREATE TABLE done (id INT PRIMARY KEY)")
            done = await _hammer(arena)
            rows = await connection.fetch_all("SELECT id FROM done ORDER BY id")
            assert [row[0] for row in rows] == sorted(done)
        await until(lambda: not arena.between.links)


async def _hammer(arena: Arena) -> list[int]:
    """Write from many clients while the worker is told to end, and return what was acknowledged."""
    done: list[int] = []

    async def work(number: int) -> None:
        async with raw_client(arena.proxy.port) as client:
            for turn in range(100_000):
                key = number * 1_000_000 + turn
                step = f"INSERT INTO done VALUES ({key})"
                if turn % 3 == 0:
                    steps = ["BEGIN", step, "SELECT SLEEP(0.01)", "COMMIT"]
                else:
                    steps = [step]
                for sql in steps:
                    result = await outcome(client, sql)
                    if result != "ok":
                        assert result in ("closed", "1053"), (result, sql)
                        assert sql == steps[0], "a transaction was broken"
                        return
                done.append(key)
                if len(done) == 100:
                    arena.proxy.processes[0].send_signal(signal.SIGTERM)

    await asyncio.gather(*(work(number) for number in range(8)))
    assert len(done) >= 100
    assert await arena.proxy.processes[0].wait() == 0
    return done
