from __future__ import annotations

import asyncio
import contextlib
import ssl
from dataclasses import replace
from pathlib import Path

import pymysql
import pytest

from conf.settings import ProxySettings
from proxy.listener import STRANGER_PATIENCE_S
from proxy.wire.commands import HandshakeResponse, SslRequest
from proxy.wire.constants import Capability
from proxy.wire.errors import ServerRefused
from proxy.wire.framing import frame
from proxy.wire.handshake import ClientHandshake, ClientState
from proxy.wire.packets import ErrPacket, Greeting
from router.model import Account, Address, Branch, Role, Server
from router.servers.process import LocalServer
from tests.support.proxy import PASSWORD, Proxy, production, running_proxy, user
from tests.support.raw_client import USUAL, RawClient, raw_client


async def refused(port: int, **options: object) -> ServerRefused:
    with pytest.raises(ServerRefused) as caught:
        await RawClient.connect(port, **options)  # type: ignore[arg-type]
    return caught.value


async def test_a_wrong_password_and_an_unknown_user_look_the_same(proxy: Proxy) -> None:
    wrong = await refused(proxy.port, password="wrong")
    unknown = await refused(proxy.port, user="nobody")
    assert (wrong.errno, wrong.sqlstate) == (unknown.errno, unknown.sqlstate) == (1045, "28000")
    assert wrong.message == unknown.message.replace("nobody", "app")
    assert wrong.message == "Access denied for user 'app'@'127.0.0.1' (using password: YES)"
    assert "(using password: NO)" in (await refused(proxy.port, password="")).message


async def test_a_wrong_password_does_not_tell_which_branches_exist(proxy: Proxy) -> None:
    assert (await refused(proxy.port, user="app.nope", password="wrong")).errno == 1045


async def test_an_unknown_branch_is_named_to_who_may_know(proxy: Proxy) -> None:
    error = await refused(proxy.port, user="app.nope")
    assert error.errno == 1049
    assert "'nope'" in error.message


async def test_an_unknown_database_is_the_servers_own_error(proxy: Proxy) -> None:
    error = await refused(proxy.port, database="no_such_database")
    assert (error.errno, error.sqlstate) == (1049, "42000")


@pytest.mark.parametrize("database", ["", "shop", "@primary"])
async def test_every_name_of_the_database_leads_to_its_schema(proxy: Proxy, shop: str, database: str) -> None:
    async with raw_client(proxy.port, database=database) as client:
        assert await client.query("SELECT DATABASE()") == [[shop.encode()]]


async def test_a_user_name_chooses_the_branch(proxy: Proxy) -> None:
    for name, refuses in (("app", True), ("app.dev", False), ("app.shop.dev", False), ("dev", False)):
        async with raw_client(proxy.port, user=name) as client:
            if refuses:
                assert (await client.error(3, b"CREATE TABLE x.y (a INT)")).errno == 1105
            else:
                assert (await client.error(3, b"CREATE TABLE nope_at_all.y (a INT)")).errno == 1049
    assert (await refused(proxy.port, user="dev.main")).errno == 1049


@pytest.mark.parametrize("early", [b"", b"x"])
async def test_tls_may_begin_in_the_segment_that_asks_for_it(proxy: Proxy, early: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    handshake = ClientHandshake("app", PASSWORD, USUAL, "shop", tls=True)
    request = handshake.receive(await reader.read(4096))
    assert handshake.state is ClientState.TLS_WANTED
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    to_us, from_us = ssl.MemoryBIO(), ssl.MemoryBIO()
    inside = context.wrap_bio(to_us, from_us)
    with pytest.raises(ssl.SSLWantReadError):
        inside.do_handshake()
    writer.write(request + from_us.read())  # one segment
    while True:
        try:
            inside.do_handshake()
            break
        except ssl.SSLWantReadError:
            writer.write(from_us.read())
            to_us.write(await reader.read(65536))
    writer.write(from_us.read())
    inside.write(handshake.tls_started())
    writer.write(from_us.read())
    while handshake.state is not ClientState.DONE:
        to_us.write(await reader.read(65536))
        try:
            reply = handshake.receive(inside.read())
        except ssl.SSLWantReadError:
            continue
        if reply:
            inside.write(reply)
            writer.write(from_us.read())
    writer.close()


async def test_pymysql_logs_in_with_tls_and_without(proxy: Proxy) -> None:
    def work(**options: object) -> bool:
        connection = pymysql.connect(
            host="127.0.0.1", port=proxy.port, user="app", password=PASSWORD, **options
        )
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT REPEAT('x', 3000000)")
            assert cursor.fetchone() == ("x" * 3000000,)
            return bool(connection._secure)

    assert await asyncio.to_thread(work, ssl={"check_hostname": False})
    assert not await asyncio.to_thread(work, ssl_disabled=True)


@pytest.mark.parametrize(
    "data",
    [
        frame(b"\x85\xa6\x3f", 1),
        frame(bytes(32), 1),
        frame(b"\x03SELECT 1", 1),
        frame(b"\x03SELECT 1", 0),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
        b"\xff\xff\xff\x01",
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
async def test_a_login_that_is_none_is_cut_off(proxy: Proxy, data: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    await reader.read(4096)
    writer.write(data)
    answer = b""
    with contextlib.suppress(OSError):
        writer.write_eof()
        answer = await reader.read()
    assert not answer or ErrPacket.parse(answer[4:]).errno in (1043, 1045)
    writer.close()
    async with raw_client(proxy.port) as client:
        assert await client.query("SELECT 1") == [[b"1"]]


async def test_a_refused_client_that_goes_on_is_not_served(proxy: Proxy) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    handshake = ClientHandshake("app", "wrong", USUAL, "shop")
    writer.write(handshake.receive(await reader.read(4096)))
    writer.write(frame(b"\x03SELECT 'served'"))
    try:
        assert b"served" not in await reader.read()
    except ConnectionResetError:
        pass
    writer.close()


async def test_each_connection_has_its_own_number_and_nonce(proxy: Proxy) -> None:
    greetings = []
    for _ in range(3):
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        greetings.append(Greeting.parse((await reader.read(4096))[4:]))
        writer.close()
    assert len({greeting.connection_id for greeting in greetings}) == 3
    assert len({greeting.nonce for greeting in greetings}) == 3
    never = Capability.QUERY_ATTRIBUTES | Capability.OPTIONAL_METADATA | Capability.MULTI_FACTOR
    assert not greetings[0].capabilities & never


async def test_what_cannot_be_served_is_refused_clearly(server: LocalServer, tmp_path: Path) -> None:
    good = server.server

    def at(name: str, place: Server | None) -> Branch:
        return Branch("shop", name, "shop", name == "main", True, False, place)

    branches = [
        production(good, "mysql"),
        at("nowhere", Server(good.flavor, good.version, Address(socket="/nonexistent.sock"), good.account)),
        at("stranger", Server(good.flavor, good.version, good.address, Account("nobody", "secret word"))),
        at("asleep", None),
    ]
    environment = {
        "HEADGATE_PROXY_MAX_CONNECTIONS": "1",
        "HEADGATE_PROXY_ADMIN_CONNECTIONS": "1",
        "HEADGATE_PROXY_CONNECT_TIMEOUT_S": "1",
    }
    plain = replace(user("plain"), role=Role.READWRITER)
    async with running_proxy(tmp_path, branches, [user(), plain], environment=environment) as proxy:
        for name, words in (
            ("nowhere", "cannot be reached"),
            ("stranger", "does not let the proxy in"),
            ("asleep", "is asleep"),
        ):
            error = await refused(proxy.port, user=f"app.{name}")
            assert error.errno == 1105
            assert words in error.message
            assert "secret word" not in error.message
        async with raw_client(proxy.port, user="plain"):
            full = await refused(proxy.port, user="plain")
            assert (full.errno, full.sqlstate, full.message) == (1040, "08004", "Too many connections")
            async with raw_client(proxy.port):
                # Nobody has said who it is yet, so the error is of the kind that comes before a greeting.
                full = await refused(proxy.port)
                assert (full.errno, full.sqlstate, full.message) == (1040, "", "Too many connections")


async def test_a_login_that_never_comes_is_cut_off(server: LocalServer, tmp_path: Path) -> None:
    environment = {"HEADGATE_PROXY_CONNECT_TIMEOUT_S": "0.2"}
    async with running_proxy(
        tmp_path, [production(server.server, "mysql")], [user()], environment=environment
    ) as proxy:
        for data in (b"", b"\x20\0", frame(SslRequest(USUAL | Capability.SSL, 1, 45).build(), 1)):
            reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
            writer.write(data)
            async with asyncio.timeout(120):
                await reader.read()
            writer.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        needed = Capability.PROTOCOL_41 | Capability.SECURE_CONNECTION | Capability.PLUGIN_AUTH
        writer.write(frame(HandshakeResponse(USUAL | needed, 1, 45, "app", b"").build(), 1))
        async with asyncio.timeout(120):
            await reader.read()
        writer.close()


async def test_many_from_one_address_do_not_lock_out_who_comes_from_another(
    server: LocalServer, tmp_path: Path
) -> None:
    room = {"HEADGATE_PROXY_MAX_UNAUTHENTICATED": "8"}
    branches = [production(server.server, "mysql")]
    async with running_proxy(tmp_path, branches, [user()], environment=room) as proxy:
        crowd = [await asyncio.open_connection("127.0.0.1", proxy.port) for _ in range(8)]
        greetings = [await reader.read(4096) for reader, _ in crowd]
        other, other_writer = await asyncio.open_connection(
            "127.0.0.1", proxy.port, local_addr=("127.0.0.2", 0)
        )
        try:
            assert Greeting.parse((await other.read(4096))[4:])
            assert all(greetings)
            # The oldest had to go for it.
            assert await crowd[0][0].read() == b""
            assert not crowd[-1][0].at_eof()
        finally:
            for _, writer in (*crowd, (other, other_writer)):
                writer.close()


async def test_who_says_nothing_does_not_lock_others_out(server: LocalServer, tmp_path: Path) -> None:
    async with running_proxy(tmp_path, [production(server.server, "mysql")], [user()]) as proxy:
        silent = [
            await asyncio.open_connection("127.0.0.1", proxy.port)
            for _ in range(ProxySettings().max_unauthenticated)
        ]
        try:
            async with asyncio.timeout(STRANGER_PATIENCE_S * 5):
                while True:
                    with contextlib.suppress(ServerRefused):
                        async with raw_client(proxy.port) as client:
                            assert await client.query("SELECT 1") == [[b"1"]]
                            break
            # Only the oldest had to go.
            greetings = [await reader.read(1) for reader, _ in silent]
            assert all(greetings)
            await silent[0][0].read()
            assert not silent[-1][0].at_eof()
        finally:
            for _, writer in silent:
                writer.close()
