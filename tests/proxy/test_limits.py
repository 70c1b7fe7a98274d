from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from conf.settings import ProxySettings
from proxy.client import PREPARED_BYTES_MAX
from proxy.wire.constants import MAX_FRAME, Capability, Command
from proxy.wire.framing import PacketReader, frame
from proxy.wire.handshake import LOGIN_PACKET_BYTES_MAX
from proxy.wire.packets import ErrPacket
from router.database import Connection
from router.model import PoolMode
from router.servers.process import LocalServer
from tests.support.proxy import Proxy, production, running_proxy, user
from tests.support.proxy import limits as changed_limits
from tests.support.raw_client import USUAL, RawClient, raw_client
from tests.support.servers import until

USUAL_LIMITS = ProxySettings(workers=1)


@pytest.fixture(scope="session", params=list(PoolMode), ids=str)
async def limited(
    request: pytest.FixtureRequest,
    server: LocalServer,
    shop: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Proxy]:
    """A worker whose limits change with each test."""
    folder: Path = tmp_path_factory.mktemp("limited")
    branch = replace(production(server.server, shop), pool_mode=request.param)
    async with running_proxy(folder, [branch], [user(), user("second")]) as proxy:
        yield proxy


def limits(proxy: Proxy, **changes: object) -> contextlib.AbstractAsyncContextManager[None]:
    """Other limits for a while."""
    return changed_limits(proxy, USUAL_LIMITS, **changes)


async def last_words(client: RawClient) -> tuple[int | None, ErrPacket | None]:
    """Wait until the connection is closed, and return the number and text of the error before that."""
    data = b""
    with contextlib.suppress(ConnectionError):
        while piece := await client.reader.read(65536):
            data += piece
    packets = PacketReader().feed(data)
    if not packets:
        return None, None
    number, payload = packets[-1]
    return number, ErrPacket.parse(payload)


# -- packets ------------------------------------------------------------------------------------------------


def statement(size: int) -> bytes:
    """A statement whose packet's payload has this many bytes."""
    return b"SELECT LENGTH('" + b"x" * (size - len(b"\x03SELECT LENGTH('')")) + b"')"


async def test_a_packet_must_be_shorter_than_max_allowed_packet(limited: Proxy) -> None:
    # Both servers take one byte less than the limit, and not the limit itself.
    longest = 1 << 20
    async with limits(limited, max_allowed_packet=longest), raw_client(limited.port) as client:
        packets = await client.run(Command.QUERY, statement(longest - 1))
        assert packets[0] == b"\1"
        client.send(Command.QUERY, statement(longest))
        number, error = await last_words(client)
        if error is not None:
            # Who is still sending may see no more than a reset.
            words = "Got a packet bigger than 'max_allowed_packet' bytes"
            assert (number, error) == (1, ErrPacket(1153, "08S01", words))
    async with raw_client(limited.port) as client:
        assert await client.query("SELECT 1") == [[b"1"]]


async def test_a_packet_of_several_frames_is_cut_off_where_it_becomes_too_long(limited: Proxy) -> None:
    async with limits(limited, max_allowed_packet=MAX_FRAME + (1 << 20)):
        async with raw_client(limited.port) as client:
            client.writer.write(b"\xff\xff\xff\0\x03SELECT '" + b"x" * (MAX_FRAME - 9))
            client.writer.write(b"\xff\xff\xff\1" + b"x" * (2 << 20))
            _, error = await last_words(client)
            # The server may have left before: it has a limit too, which may be smaller.
            assert error is None or error.errno in (1153, 1105)
        async with raw_client(limited.port) as client:
            assert await client.query("SELECT 1") == [[b"1"]]


async def test_a_login_packet_must_be_short(limited: Proxy) -> None:
    for length in (LOGIN_PACKET_BYTES_MAX + 1, 0xFFFFFF):
        reader, writer = await asyncio.open_connection("127.0.0.1", limited.port)
        await reader.read(4096)
        writer.write(length.to_bytes(3, "little") + b"\1")
        answer = await reader.read()
        assert ErrPacket.parse(answer[4:]).errno == 1043
        writer.close()


# -- time ---------------------------------------------------------------------------------------------------


async def test_a_silent_client_is_disconnected(limited: Proxy) -> None:
    async with limits(limited, wait_timeout_s=1.0), raw_client(limited.port) as client:
        assert await client.query("SELECT 1") == [[b"1"]]
        began_s = time.monotonic()
        number, error = await last_words(client)
        assert time.monotonic() - began_s > 0.9
        # Only some clients know what to do with an error that nobody asked for.
        assert error is None or (number, error.errno) == (0, 4031)


async def test_an_interactive_client_has_its_own_patience(limited: Proxy) -> None:
    capabilities = USUAL | Capability.DEPRECATE_EOF | Capability.INTERACTIVE
    async with (
        limits(limited, wait_timeout_s=60.0, interactive_timeout_s=1.0),
        raw_client(limited.port) as program,
        raw_client(limited.port, capabilities=capabilities) as person,
    ):
        await last_words(person)
        assert await program.query("SELECT 1") == [[b"1"]]


async def test_a_client_that_works_is_not_silent(limited: Proxy) -> None:
    async with limits(limited, wait_timeout_s=2.0), raw_client(limited.port) as client:
        assert await client.query("SELECT SLEEP(4)") == [[b"0"]]
        assert await client.query("SELECT 1") == [[b"1"]]


async def test_a_transaction_left_open_is_rolled_back(limited: Proxy, server: LocalServer, shop: str) -> None:
    async with await Connection.open(server.server, database=shop) as connection:
        await connection.execute("CREATE TABLE left_open (id INT PRIMARY KEY)")
        try:
            async with (
                limits(limited, idle_transaction_timeout_s=3.0),
                raw_client(limited.port) as client,
                raw_client(limited.port) as idle,
            ):
                assert await idle.query("SELECT 1") == [[b"1"]]
                await client.query("BEGIN")
                await client.query("INSERT INTO left_open VALUES (1)")
                number, error = await last_words(client)
                assert error is None or (number, error.errno) == (0, 1205)
                await connection.execute("SET SESSION innodb_lock_wait_timeout = 60")
                await connection.execute("INSERT INTO left_open VALUES (1)")
                assert await idle.query("SELECT COUNT(*) FROM left_open") == [[b"1"]]
        finally:
            await connection.execute("DROP TABLE left_open")


async def test_a_client_that_stops_in_a_packet_is_disconnected(limited: Proxy) -> None:
    async def stop(beginning: bytes) -> None:
        async with raw_client(limited.port) as client:
            client.writer.write(beginning)
            number, error = await last_words(client)
            assert number == 1
            assert error == ErrPacket(1159, "08S01", "Got timeout reading communication packets")

    async with limits(limited, net_read_timeout_s=0.5):
        beginnings = (b"\x20\0\0\0\x03SELECT 1", b"\x20\0", b"\0\0\x10\0\x03SELECT '" + b"x" * 300_000)
        await asyncio.gather(*(stop(beginning) for beginning in beginnings))


async def test_a_client_that_takes_nothing_is_disconnected(limited: Proxy, server: LocalServer) -> None:
    async with (
        limits(limited, net_write_timeout_s=1.0),
        raw_client(limited.port) as client,
        await Connection.open(server.server) as connection,
    ):
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        many = " UNION ALL ".join(["SELECT REPEAT('x', 1000000)"] * 60)
        client.send(Command.QUERY, many.encode())

        async def over() -> bool:
            rows = await connection.fetch_all("SELECT info FROM information_schema.processlist")
            return not any("'x', 1000000" in (row[0] or "") for row in rows)

        await until(lambda: client.writer.transport.get_write_buffer_size() == 0)
        await asyncio.sleep(0.2)
        await until(over)
        client.writer.transport.resume_reading()  # type: ignore[attr-defined]
        assert await client.gone()


# -- numbers ------------------------------------------------------------------------------------------------


async def test_a_client_prepares_only_so_many_statements(limited: Proxy) -> None:
    async with limits(limited, max_prepared_statements=3), raw_client(limited.port) as client:
        assert (await client.error(Command.STMT_PREPARE, b"SELECT FROM")).errno == 1064
        numbers = [await client.prepare("SELECT 1") for _ in range(3)]
        error = await client.error(Command.STMT_PREPARE, b"SELECT 2")
        assert error == ErrPacket(
            1461, "42000", "Can't create more than max_prepared_stmt_count statements (current value: 3)"
        )
        for number in numbers:
            assert len(await client.execute(number)) == 4
        client.send(Command.STMT_CLOSE, numbers[0].to_bytes(4, "little"))
        await client.prepare("SELECT 2")
        assert (await client.error(Command.STMT_PREPARE, b"SELECT 3")).errno == 1461
        await client.run(Command.RESET_CONNECTION)
        await client.prepare("SELECT 3")


async def test_a_client_has_prepared_statements_of_so_many_bytes_only(limited: Proxy) -> None:
    async with raw_client(limited.port) as client:
        long = b"SELECT '" + b"a" * 60_000 + b"'"
        numbers = [await client.prepare(long.decode()) for _ in range(PREPARED_BYTES_MAX // len(long))]
        error = await client.error(Command.STMT_PREPARE, long)
        assert (error.errno, error.sqlstate) == (1461, "42000")
        assert str(PREPARED_BYTES_MAX) in error.message
        assert len(await client.execute(numbers[0])) == 4
        client.send(Command.STMT_CLOSE, numbers[0].to_bytes(4, "little"))
        await client.prepare(long.decode())
        assert (await client.error(Command.STMT_PREPARE, long)).errno == 1461
        await client.run(Command.RESET_CONNECTION)
        await client.prepare(long.decode())


async def test_connections_beyond_the_limit_are_refused_before_anything_is_read(limited: Proxy) -> None:
    async with (
        limits(limited, max_connections=1, admin_connections=0),
        raw_client(limited.port),
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", limited.port)
        data = await reader.read()
        # In place of the greeting, so without a SQLSTATE.
        assert data == frame(b"\xff\x10\x04Too many connections")
        writer.close()


@contextlib.asynccontextmanager
async def scarce(server: LocalServer, schema: str, folder: Path, backends: int) -> AsyncIterator[Proxy]:
    """A worker with so many backends for all its clients."""
    branch = replace(production(server.server, schema), pool_mode=PoolMode.TRANSACTION)
    environment = {
        "HEADGATE_PROXY_WORKERS": "1",
        "HEADGATE_PROXY_MAX_BACKEND_CONNECTIONS": str(backends),
        "HEADGATE_PROXY_QUERY_WAIT_TIMEOUT_S": "1.5",
    }
    async with running_proxy(folder, [branch], [user()], environment=environment) as proxy:
        yield proxy


async def test_a_statement_waits_only_so_long_for_a_backend(
    server: LocalServer, shop: str, tmp_path: Path
) -> None:
    async with (
        scarce(server, shop, tmp_path, 1) as proxy,
        raw_client(proxy.port) as holder,
        raw_client(proxy.port) as waiter,
    ):
        await holder.query("BEGIN")
        began_s = time.monotonic()
        error = await waiter.error(Command.QUERY, b"SELECT 1")
        assert time.monotonic() - began_s > 1.4
        assert (error.errno, error.sqlstate) == (1040, "08004")
        assert "main" in error.message
        await holder.query("COMMIT")
        assert await waiter.query("SELECT 2") == [[b"2"]]


async def test_clients_share_only_so_many_backends(server: LocalServer, shop: str, tmp_path: Path) -> None:
    async with scarce(server, shop, tmp_path, 2) as proxy, contextlib.AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(raw_client(proxy.port)) for _ in range(12)]
        seen: set[bytes | None] = set()

        async def work(client: RawClient) -> None:
            for _ in range(5):
                [[thread]] = await client.query("SELECT CONNECTION_ID() FROM (SELECT SLEEP(0.005)) AS pause")
                seen.add(thread)

        await asyncio.gather(*(work(client) for client in clients))
        assert len(seen) <= 2
