"""Who gets a place: the limits, load balancers in front, and those who come too often with nothing."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from proxy.wire.constants import Capability
from proxy.wire.errors import ServerRefused
from proxy.wire.framing import PacketReader, frame
from proxy.wire.handshake import ClientHandshake, ClientState
from proxy.wire.packets import ErrPacket, Greeting
from router.model import Role
from router.servers.process import LocalServer
from tests.support.proxy import PASSWORD, Proxy, production, public_key_pem, running_proxy, user
from tests.support.raw_client import USUAL, RawClient, raw_client
from tests.support.servers import until

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
LOCAL = SIGNATURE + b"\x20\0\0\0"


def announced(address: str) -> bytes:
    """A header of version 2 for an IPv4 client."""
    addresses = socket.inet_aton(address) + socket.inet_aton("192.0.2.1") + b"\x30\x39\x0c\xea"
    return SIGNATURE + b"\x21\x11\0\x0c" + addresses


def plain(name: str = "plain") -> object:
    return replace(user(name), role=Role.READWRITER)


async def refused(port: int, **options: object) -> ServerRefused:
    with pytest.raises(ServerRefused) as caught:
        await RawClient.connect(port, **options)  # type: ignore[arg-type]
    return caught.value


async def by_balancer(port: int, header: bytes, *, password: str = PASSWORD, name: str = "app") -> RawClient:
    """Log in behind a header."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    handshake = ClientHandshake(name, password, USUAL | Capability.DEPRECATE_EOF, public_key=public_key_pem())
    try:
        writer.write(header)
        while handshake.state is not ClientState.DONE:
            data = await reader.read(65536)
            if not data:
                raise ConnectionResetError
            writer.write(handshake.receive(data))
    except BaseException:
        writer.close()
        raise
    return RawClient(reader, writer, handshake)


@pytest.fixture(scope="module")
async def balanced(mysql: LocalServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Proxy]:
    """A worker behind load balancers at 127.0.0.0/8."""
    environment = {
        "HEADGATE_PROXY_PROXY_PROTOCOL_NETWORKS": "127.0.0.0/8",
        "HEADGATE_PROXY_MAX_CONNECT_ERRORS": "5",
        "HEADGATE_PROXY_CONNECT_TIMEOUT_S": "1",
    }
    near = replace(user("near"), networks=("203.0.113.0/24",))
    folder = tmp_path_factory.mktemp("balanced")
    main = production(mysql.server, "mysql")
    async with running_proxy(folder, [main], [user(), near], environment=environment) as proxy:
        yield proxy


@pytest.mark.parametrize(
    "header",
    [
        announced("203.0.113.9"),
        b"PROXY TCP4 203.0.113.9 192.0.2.1 12345 3306\r\n",
        b"PROXY TCP6 ::ffff:203.0.113.9 2001:db8::1 12345 3306\r\n",
    ],
)
async def test_a_client_comes_from_where_the_header_says(balanced: Proxy, header: bytes) -> None:
    client = await by_balancer(balanced.port, header, name="near")
    assert await client.query("SELECT 1") == [[b"1"]]
    client.close()
    with pytest.raises(ServerRefused, match=r"'app'@'203\.0\.113\.9'"):
        await by_balancer(balanced.port, header, password="wrong")
    other = header.replace(b"203.0.113.9", b"198.51.100.9").replace(b"\xcb\0\x71\x09", b"\xc6\x33\x64\x09")
    with pytest.raises(ServerRefused, match="1045"):
        await by_balancer(balanced.port, other, name="near")


async def test_the_balancers_own_connections_are_its_own(balanced: Proxy) -> None:
    for header in (LOCAL, b"PROXY UNKNOWN\r\n"):
        # Never blocked, however often they fail.
        for _ in range(6):
            with pytest.raises(ServerRefused, match=r"'app'@'127\.0\.0\.1'"):
                await by_balancer(balanced.port, header, password="wrong")
        client = await by_balancer(balanced.port, header)
        assert await client.query("SELECT 1") == [[b"1"]]
        client.close()


async def test_without_the_header_nothing_is_said(balanced: Proxy) -> None:
    for data in (b"", b"PROXY TCP4 1.2.3.4", SIGNATURE[:5], frame(b"\x85\xa6\xff\x01" + bytes(60), 1)):
        reader, writer = await asyncio.open_connection("127.0.0.1", balanced.port)
        writer.write(data)
        async with asyncio.timeout(120):
            with contextlib.suppress(ConnectionResetError):
                assert await reader.read() == b""
        writer.close()


async def test_a_header_byte_by_byte_is_a_header(balanced: Proxy) -> None:
    for header in (announced("203.0.113.9"), b"PROXY TCP4 203.0.113.9 192.0.2.1 12345 3306\r\n"):
        reader, writer = await asyncio.open_connection("127.0.0.1", balanced.port)
        for at in range(len(header)):
            writer.write(header[at : at + 1])
            await writer.drain()
            await asyncio.sleep(0)
        greeting = await reader.read(4096)
        assert Greeting.parse(greeting[4:]).version
        writer.close()


async def test_whose_logins_fail_too_often_must_wait(balanced: Proxy) -> None:
    bad, good = announced("198.51.100.1"), announced("198.51.100.2")
    for _ in range(6):
        with pytest.raises(ServerRefused) as caught:
            await by_balancer(balanced.port, bad, password="wrong")
    assert caught.value.errno == 1129
    assert "Host '198.51.100.1' is blocked" in caught.value.message
    with pytest.raises(ServerRefused, match="1129"):
        await by_balancer(balanced.port, bad)
    (await by_balancer(balanced.port, good)).close()


async def test_broken_logins_count_and_health_checks_do_not(balanced: Proxy) -> None:
    checked, broken = announced("198.51.100.3"), announced("198.51.100.4")
    for _ in range(20):
        reader, writer = await asyncio.open_connection("127.0.0.1", balanced.port)
        writer.write(checked)
        await reader.read(1)
        writer.close()
    (await by_balancer(balanced.port, checked)).close()
    for _ in range(5):
        reader, writer = await asyncio.open_connection("127.0.0.1", balanced.port)
        writer.write(broken)
        await reader.read(4096)
        writer.write(frame(bytes(40), 1))
        answer = ErrPacket.parse((await reader.read())[4:])
        assert answer.errno == 1043
        writer.close()
    with pytest.raises(ServerRefused, match="1129"):
        await by_balancer(balanced.port, broken)


async def test_from_elsewhere_a_header_is_no_header(proxy: Proxy) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(announced("203.0.113.9"))
    data = await reader.read()
    packets = PacketReader().feed(data)
    assert Greeting.parse(packets[0][1])
    assert [ErrPacket.parse(payload).errno for _, payload in packets[1:]] in ([], [1043])
    writer.close()


async def test_a_user_gets_only_so_many_connections(mysql: LocalServer, tmp_path: Path) -> None:
    environment = {
        "HEADGATE_PROXY_MAX_USER_CONNECTIONS": "2",
        "HEADGATE_PROXY_MAX_CONNECTIONS": "4",
        "HEADGATE_PROXY_ADMIN_CONNECTIONS": "1",
    }
    users = [plain("one"), plain("two"), plain("three"), user("chief")]
    main = production(mysql.server, "mysql")
    async with (
        running_proxy(tmp_path, [main], users, environment=environment) as proxy,  # type: ignore[arg-type]
        raw_client(proxy.port, user="one") as first,
        raw_client(proxy.port, user="one"),
    ):
        error = await refused(proxy.port, user="one")
        assert (error.errno, error.sqlstate) == (1203, "42000")
        assert error.message == "User one already has more than 'max_user_connections' active connections"
        assert (await refused(proxy.port, user="one", password="wrong")).errno == 1045
        async with raw_client(proxy.port, user="two"), raw_client(proxy.port, user="two"):
            assert (await refused(proxy.port, user="three")).errno == 1040
            async with raw_client(proxy.port, user="chief") as chief:
                assert await chief.query("SELECT 1") == [[b"1"]]
                assert (await refused(proxy.port, user="chief")).errno == 1040
        first.close()

        async def room() -> bool:
            with contextlib.suppress(ServerRefused):
                async with raw_client(proxy.port, user="one"):
                    return True
            return False

        await until(room)


@pytest.mark.parametrize(
    ("missing", "errno", "sqlstate"),
    [
        (Capability.PROTOCOL_41, 1043, "08S01"),
        (Capability.SECURE_CONNECTION, 1251, "08004"),
        (Capability.PLUGIN_AUTH, 1251, "08004"),
    ],
)
async def test_clients_of_old_are_told_so(
    proxy: Proxy, missing: Capability, errno: int, sqlstate: str
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    await reader.read(4096)
    needed = Capability.PROTOCOL_41 | Capability.SECURE_CONNECTION | Capability.PLUGIN_AUTH
    head = int(needed & ~missing).to_bytes(4, "little") + bytes(4) + b"\x2d" + bytes(23)
    writer.write(frame(head + b"app\0\x20" + bytes(32) + b"\0", 1) + frame(b"\x03SELECT 'served'"))
    answer = await reader.read()
    error = ErrPacket.parse(answer[4:])
    assert (error.errno, error.sqlstate) == (errno, sqlstate)
    assert b"served" not in answer
    writer.close()


@pytest.mark.parametrize("charset", [0, 1, 63, 255])
async def test_collations_nobody_knows_do_not_matter(proxy: Proxy, charset: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    handshake = ClientHandshake("app", PASSWORD, USUAL, charset=charset)
    while handshake.state is not ClientState.DONE:
        writer.write(handshake.receive(await reader.read(4096)))
    client = RawClient(reader, writer, handshake)
    assert await client.query("SELECT 1") == [[b"1"]]
    client.close()
