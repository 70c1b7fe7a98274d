"""KILL by our own connection ids: one's own connections in any worker, and nobody else's."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from proxy.peers import connection_ids, worker_of
from proxy.wire.constants import Command
from proxy.wire.framing import Packet, PacketReader
from router.database import Connection
from router.model import PoolMode, Role
from router.servers.process import LocalServer
from tests.support.proxy import Proxy, production, running_proxy, user
from tests.support.raw_client import RawClient, raw_client
from tests.support.servers import fresh_schema

WORKERS = 2


@pytest.fixture(scope="module", params=list(PoolMode), ids=str)
async def crowd(
    request: pytest.FixtureRequest, server: LocalServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Proxy]:
    """Two workers with users of several roles."""
    async with fresh_schema(server, "shop") as schema:
        main = replace(production(server.server, schema), pool_mode=request.param)
        dev = replace(main, name="dev", production=False)
        users = [
            replace(user("app"), role=Role.READWRITER),
            replace(user("other"), role=Role.READWRITER),
            user("root"),
            user("dev", branch="dev"),
        ]
        folder: Path = tmp_path_factory.mktemp("crowd")
        async with running_proxy(folder, [main, dev], users, workers=WORKERS) as proxy:
            yield proxy


def number(client: RawClient) -> int:
    """The connection id that the client was greeted with."""
    return client.handshake.greeting.connection_id


@contextlib.asynccontextmanager
async def in_each_worker(proxy: Proxy, name: str) -> AsyncIterator[dict[int, RawClient]]:
    """One client of a user in each worker."""
    clients: dict[int, RawClient] = {}
    surplus = []
    try:
        while len(clients) < WORKERS:
            client = await RawClient.connect(proxy.port, user=name)
            if clients.setdefault(worker_of(number(client)), client) is not client:
                surplus.append(client)
        yield clients
    finally:
        for client in (*clients.values(), *surplus):
            client.close()


@pytest.mark.parametrize("killer", range(WORKERS))
async def test_a_statement_is_ended_from_any_worker_and_its_session_goes_on(
    crowd: Proxy, killer: int
) -> None:
    async with in_each_worker(crowd, "app") as clients, raw_client(crowd.port, user="app") as sleeper:
        await sleeper.query("SET @mine = 7")
        sleeping = asyncio.ensure_future(sleeper.query("SELECT SLEEP(30), 1 FROM DUAL WHERE SLEEP(30) = 0"))
        await clients[killer].query("SELECT 1")
        while not sleeping.done():
            await clients[killer].query(f"KILL QUERY {number(sleeper)}")
            await asyncio.wait([sleeping], timeout=0.05)
        # SLEEP returns 1 when it is interrupted in MySQL; MariaDB ends the statement with an error.
        assert sleeping.exception() is None or "1317" in str(sleeping.exception())
        assert await sleeper.query("SELECT @mine") == [[b"7"]]


@pytest.mark.parametrize("form", ["KILL {}", "KILL CONNECTION {}", "/* by id */ kill {}"])
async def test_a_connection_of_ones_own_is_ended(crowd: Proxy, form: str) -> None:
    async with in_each_worker(crowd, "app") as clients:
        first, second = clients[0], clients[1]
        await second.query("BEGIN")
        await first.query(form.format(number(second)))
        assert await second.gone()
        missing = await first.error(Command.QUERY, form.format(number(second)).encode())
        assert missing.errno == 1094


async def test_somebody_elses_connection_is_not_ended(crowd: Proxy) -> None:
    async with in_each_worker(crowd, "app") as clients, raw_client(crowd.port, user="other") as other:
        for client in clients.values():
            for statement in (f"KILL {number(client)}", f"KILL QUERY {number(client)}"):
                assert (await other.error(Command.QUERY, statement.encode())).errno == 1095
            assert await client.query("SELECT 1") == [[b"1"]]


async def test_an_administrator_ends_others_within_reach(crowd: Proxy) -> None:
    async with (
        in_each_worker(crowd, "app") as clients,
        raw_client(crowd.port, user="dev") as dev,
        raw_client(crowd.port, user="root") as root,
    ):
        for client in clients.values():
            refused = await dev.error(Command.QUERY, f"KILL {number(client)}".encode())
            assert refused.errno == 1095, "an administrator of another branch"
            await root.query(f"KILL {number(client)}")
            assert await client.gone()


async def test_the_command_does_the_same_as_the_statement(crowd: Proxy) -> None:
    async with in_each_worker(crowd, "app") as clients:
        first, second = clients[0], clients[1]
        await first.run(Command.PROCESS_KILL, number(second).to_bytes(4, "little"))
        assert await second.gone()


async def test_numbers_of_servers_reach_nobody(crowd: Proxy) -> None:
    async with raw_client(crowd.port, user="root") as root:
        [[thread]] = await root.query("SELECT CONNECTION_ID() + 0")
        for stranger in (1, int(thread or 0), 2**32 - 1):
            assert (await root.error(Command.QUERY, f"KILL {stranger}".encode())).errno == 1094
        assert await root.query("SELECT 1") == [[b"1"]]


@pytest.mark.parametrize(
    "question",
    [
        "SELECT CONNECTION_ID()",
        " select connection_id ( ) ;",
        "SELECT CONNECTION_ID() AS me",
        "SELECT Connection_Id() `me`",
    ],
)
async def test_a_program_that_asks_for_its_number_is_told_the_one_that_kill_takes(
    crowd: Proxy, question: str
) -> None:
    async with raw_client(crowd.port) as client:
        ours = str(number(client)).encode()
        assert await client.query(question) == [[ours]]
        prepared = await client.prepare(question)
        rows = [packet for packet in await client.execute(prepared) if packet[:1] == b"\0"]
        assert int.from_bytes(rows[0][2:10], "little") == number(client)


async def test_many_kills_at_once_cost_the_server_few_connections(crowd: Proxy, server: LocalServer) -> None:
    ask = "SHOW GLOBAL STATUS LIKE 'Connections'"
    async with (
        await Connection.open(server.server) as watch,
        in_each_worker(crowd, "app") as clients,
        raw_client(crowd.port, user="app") as victim,
    ):
        killer = clients[worker_of(number(victim))]
        assert await victim.query("SELECT 1") == await killer.query("SELECT 1")
        before = int((await watch.fetch_one(ask) or ("", 0))[1])
        victim.send(Command.QUERY, b"SELECT SLEEP(5)")
        await asyncio.sleep(0)
        for _ in range(200):
            killer.send(Command.QUERY, b"KILL QUERY %d" % number(victim))
        reader, answers = PacketReader(), list[Packet]()
        while len(answers) < 200:
            data = await killer.reader.read(65536)
            assert data
            answers += reader.feed(data)
        assert {payload[0] for _, payload in answers} == {0}
        await victim.answer(Command.QUERY)
        assert await victim.query("SELECT 2") == [[b"2"]]
        assert int((await watch.fetch_one(ask) or ("", 0))[1]) - before < 20


def test_every_worker_gives_its_own_numbers() -> None:
    for worker in range(64):
        ids = connection_ids(worker)
        assert {worker_of(next(ids)) for _ in range(100)} == {worker}
    assert worker_of(12) == -1
