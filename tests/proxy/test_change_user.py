from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.wire.auth import sha2_proof, sha2_verifier
from proxy.wire.commands import ChangeUser
from proxy.wire.constants import Command
from proxy.wire.framing import Packet, PacketReader, frame
from proxy.wire.packets import AuthSwitch, ErrPacket
from router.model import User
from router.servers.process import LocalServer
from tests.proxy.conftest import open_branch
from tests.support.proxy import PASSWORD, Proxy, production, running_proxy, user
from tests.support.raw_client import RawClient, raw_client
from tests.support.servers import until

SHA2 = "caching_sha2_password"


async def answer(client: RawClient) -> list[Packet]:
    """Return the packets up to one that waits for the client: a question, an OK or an ERR."""
    reader, found = PacketReader(), list[Packet]()
    while not found or found[-1][1] == b"\x01\x03":
        data = await client.reader.read(65536)
        if not data:
            raise ConnectionResetError
        found += reader.feed(data)
    return found


async def begin(client: RawClient, name: str, database: str = "") -> bytes:
    """Ask to be somebody else, and return the nonce to prove that with."""
    wish = ChangeUser(name, b"a proof by the nonce of before..", database, 45, SHA2, {"program_name": "raw"})
    client.writer.write(frame(wish.build(client.handshake.capabilities)))
    [(sequence, payload)] = await answer(client)
    switch = AuthSwitch.parse(payload)
    assert (sequence, switch.plugin) == (1, SHA2)
    return switch.nonce


async def change(client: RawClient, name: str, database: str = "", password: str = PASSWORD) -> Packet:
    """Ask to be somebody else, prove it, and return the last packet of the answer."""
    client.writer.write(frame(sha2_proof(password, await begin(client, name, database)), 2))
    return (await answer(client))[-1]


async def test_another_user_gets_another_branch_on_the_same_connection(proxy: Proxy, shop: str) -> None:
    async with raw_client(proxy.port) as client:
        number = client.handshake.greeting.connection_id
        await client.query("SET @left_behind = 1")
        await client.query("SET SESSION sql_mode = 'ANSI_QUOTES'")
        assert (await client.error(3, b"CREATE TABLE x.y (a INT)")).errno == 1105
        sequence, ok = await change(client, "dev", "shop")
        assert (sequence, ok[0]) == (4, 0)
        assert (await client.error(3, b"CREATE TABLE nope_at_all.y (a INT)")).errno == 1049
        assert await client.query("SELECT @left_behind, DATABASE()") == [[None, shop.encode()]]
        assert await client.query("SELECT @@sql_mode LIKE '%ANSI_QUOTES%'") == [[b"0"]]
        assert client.handshake.greeting.connection_id == number
        sequence, ok = await change(client, "app")
        assert (sequence, ok[0]) == (4, 0)
        assert (await client.error(3, b"CREATE TABLE x.y (a INT)")).errno == 1105


async def test_a_transaction_does_not_outlive_its_user(proxy: Proxy) -> None:
    async with raw_client(proxy.port, user="dev", database="shop") as client:
        await client.query("CREATE TABLE IF NOT EXISTS left_open (id INT PRIMARY KEY)")
        await client.query("BEGIN")
        await client.query("INSERT INTO left_open VALUES (1)")
        await change(client, "dev", "shop")
        assert await client.query("SELECT COUNT(*) FROM left_open") == [[b"0"]]


@pytest.mark.parametrize(("name", "password"), [("app", "wrong"), ("nobody_at_all", "wrong"), ("dev", "")])
async def test_who_does_not_prove_it_is_cut_off(proxy: Proxy, name: str, password: str) -> None:
    async with raw_client(proxy.port) as client:
        nonce = await begin(client, name)
        client.writer.write(frame(sha2_proof(password, nonce), 2))
        [(_, payload)] = await answer(client)
        if payload == b"\x01\x04":
            # A name nobody has may look like one whose password was chosen.
            client.writer.write(frame(b"\0", 4))
            [(_, payload)] = await answer(client)
        error = ErrPacket.parse(payload)
        assert (error.errno, error.sqlstate) == (1045, "28000")
        client.writer.write(frame(b"\x03SELECT 'served'"))
        assert await client.gone()


async def test_no_nonce_comes_twice(proxy: Proxy) -> None:
    nonces = set()
    async with raw_client(proxy.port) as client:
        nonces.add(client.handshake._nonce)
        for name in ("app", "dev", "app"):
            nonce = await begin(client, name)
            nonces.add(nonce)
            client.writer.write(frame(sha2_proof(PASSWORD, nonce), 2))
            assert [payload[0] for _, payload in await answer(client)] == [1, 0]
    assert len(nonces) == 4


@pytest.mark.parametrize(
    "argument", [b"", b"no end", b"app\0\xff", b"app\0\x20short", b"\xff\xfe\0\0\0", b"a" * 300 + b"\0\0\0"]
)
async def test_a_change_that_is_none_ends_the_connection(proxy: Proxy, argument: bytes) -> None:
    async with raw_client(proxy.port) as client:
        client.send(Command.CHANGE_USER, argument)
        [(sequence, payload)] = await answer(client)
        assert (sequence, ErrPacket.parse(payload).errno) == (1, 1043)
        assert await client.gone()


async def test_a_change_may_leave_out_all_but_the_names(proxy: Proxy) -> None:
    async with raw_client(proxy.port) as client:
        client.send(Command.CHANGE_USER, b"dev\0\0")
        [(_, switch)] = await answer(client)
        client.writer.write(frame(sha2_proof(PASSWORD, AuthSwitch.parse(switch).nonce), 2))
        assert [payload[0] for _, payload in await answer(client)] == [1, 0]
        assert await client.query("SELECT 1") == [[b"1"]]


async def test_commands_that_do_not_wait_for_the_change_are_not_served(proxy: Proxy) -> None:
    async with raw_client(proxy.port) as client:
        wish = ChangeUser("dev", b"", "", 45, SHA2).build(client.handshake.capabilities)
        client.writer.write(frame(wish) + frame(b"\x03SELECT 'served'"))
        data = b""
        while chunk := await client.reader.read(65536):
            data += chunk
        assert b"served" not in data


async def test_a_change_in_pieces_is_a_change(proxy: Proxy) -> None:
    async with raw_client(proxy.port) as client:
        wish = frame(ChangeUser("dev", b"", "", 45, SHA2).build(client.handshake.capabilities))
        for at in range(0, len(wish), 7):
            client.writer.write(wish[at : at + 7])
            await client.writer.drain()
            await asyncio.sleep(0)
        [(_, switch)] = await answer(client)
        proof = frame(sha2_proof(PASSWORD, AuthSwitch.parse(switch).nonce), 2)
        for at in range(len(proof)):
            client.writer.write(proof[at : at + 1])
            await asyncio.sleep(0)
        assert [payload[0] for _, payload in await answer(client)] == [1, 0]
        assert await client.query("SELECT 1") == [[b"1"]]


@pytest.fixture
async def alone(mysql: LocalServer, tmp_path: Path) -> AsyncIterator[Proxy]:
    main = production(mysql.server, "mysql")
    environment = {"HEADGATE_PROXY_CONNECT_TIMEOUT_S": "1"}
    async with running_proxy(
        tmp_path, [main, open_branch(main)], [user(), user("dev")], environment=environment
    ) as proxy:
        yield proxy


async def test_whose_user_changes_or_goes_is_cut_off_at_once(alone: Proxy, mysql: LocalServer) -> None:
    main = production(mysql.server, "mysql")
    branches = [main, open_branch(main)]
    stays, goes, changes = user(), user("dev"), User("other", sha2_verifier(PASSWORD), "shop")
    await alone.publish(branches, [stays, goes, changes])

    async def known() -> bool:
        async with raw_client(alone.port, user="other") as client:
            return await client.query("SELECT 1") == [[b"1"]]

    await until(known)
    async with (
        raw_client(alone.port) as staying,
        raw_client(alone.port, user="dev") as going,
        raw_client(alone.port, user="other") as changing,
        raw_client(alone.port) as midway,
    ):
        # Half a login, as somebody who is about to go.
        nonce = await begin(midway, "dev")
        await alone.publish(branches, [stays, User("other", sha2_verifier("another"), "shop")])
        assert await going.gone()
        assert await changing.gone()
        midway.writer.write(frame(sha2_proof(PASSWORD, nonce), 2))
        data = b""
        while chunk := await midway.reader.read(65536):
            data += chunk
        assert ErrPacket.parse(data[4:]).errno == 1045
        assert await staying.query("SELECT 1") == [[b"1"]]


async def test_who_does_not_go_on_is_cut_off_in_time(alone: Proxy) -> None:
    async with raw_client(alone.port) as client:
        await begin(client, "dev")
        async with asyncio.timeout(120):
            assert await client.gone()
