from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from proxy import channel
from proxy.wire.constants import Capability, Command
from proxy.wire.framing import frame
from proxy.wire.packets import ErrPacket
from router.database import Connection
from router.model import Address, Branch, PoolMode
from router.servers.process import LocalServer
from tests.support.proxy import Proxy, production, running_proxy, user
from tests.support.raw_client import USUAL, RawClient, raw_client
from tests.support.servers import fresh_schema, until

MODERN = USUAL | Capability.DEPRECATE_EOF
THREAD = "SELECT 0 + CONNECTION_ID()"


@pytest.fixture(scope="module")
async def schema(server: LocalServer) -> AsyncIterator[str]:
    async with fresh_schema(server) as name:
        async with await Connection.open(server.server, database=name) as connection:
            await connection.execute("CREATE TABLE things (id INT PRIMARY KEY, v TEXT)")
        yield name


@contextlib.asynccontextmanager
async def sharing(folder: Path, server: LocalServer, schema: str, **limits: object) -> AsyncIterator[Proxy]:
    """A worker with these limits in front of a branch whose clients share backends."""
    environment = {f"HEADGATE_PROXY_{name.upper()}": str(value) for name, value in limits.items()}
    async with running_proxy(
        folder,
        [shared(server, schema)],
        [user()],
        environment={"HEADGATE_LOG_LEVEL": "warning", **environment},
    ) as proxy:
        yield proxy


def shared(server: LocalServer, schema: str) -> Branch:
    branch = production(server.server, schema)
    return replace(branch, safe_migrations=False, pool_mode=PoolMode.TRANSACTION, local_infile=True)


def pool_of(proxy: Proxy, holds: Callable[[channel.PoolStats], bool]) -> asyncio.Task[channel.Stats]:
    """Wait for a report from now on in which the branch's pool is so."""
    before = len(proxy.control.received)
    return asyncio.ensure_future(
        proxy.control.wait_for(
            channel.Stats,
            lambda stats: (
                proxy.control.received.index(stats) >= before
                and any(holds(branch.pool) for branch in stats.branches)
            ),
        )
    )


async def test_many_clients_share_few_backends(server: LocalServer, schema: str, tmp_path: Path) -> None:
    async with sharing(tmp_path, server, schema, max_backend_connections=3) as proxy:
        clients = [await RawClient.connect(proxy.port, capabilities=MODERN) for _ in range(20)]
        threads: set[bytes | None] = set()

        async def work(client: RawClient) -> None:
            for _ in range(20):
                await client.query("BEGIN")
                [[thread]] = await client.query(THREAD)
                threads.add(thread)
                await client.query("COMMIT")

        await asyncio.gather(*map(work, clients))
        assert len(threads) <= 3
        for client in clients:
            client.close()
        stats = await pool_of(proxy, lambda pool: pool.idle == 3)
        assert stats.branches[0].in_transaction == 0


async def test_who_waits_is_served_in_order(server: LocalServer, schema: str, tmp_path: Path) -> None:
    async with contextlib.AsyncExitStack() as stack:
        proxy = await stack.enter_async_context(sharing(tmp_path, server, schema, max_backend_connections=1))
        clients = [
            await stack.enter_async_context(raw_client(proxy.port, capabilities=MODERN)) for _ in range(5)
        ]
        await clients[0].query("BEGIN")
        order: list[int] = []

        async def ask(number: int) -> None:
            await clients[number].query("DO SLEEP(0.01)")
            order.append(number)

        tasks = []
        for number in (3, 1, 4, 2):
            waiting = len(tasks) + 1
            tasks.append(asyncio.ensure_future(ask(number)))
            await pool_of(proxy, lambda pool, waiting=waiting: pool.waiting == waiting)
        await clients[0].query("COMMIT")
        await asyncio.gather(*tasks)
        assert order == [3, 1, 4, 2]


async def test_a_client_goes_on_with_the_backend_it_had(
    server: LocalServer, schema: str, tmp_path: Path
) -> None:
    async with (
        sharing(tmp_path, server, schema) as proxy,
        raw_client(proxy.port, capabilities=MODERN) as one,
        raw_client(proxy.port, capabilities=MODERN) as two,
    ):
        first, second = await one.query(THREAD), await two.query(THREAD)
        assert first != second
        for _ in range(5):
            assert await one.query(THREAD) == first
            assert await two.query(THREAD) == second


async def test_a_backend_of_another_class_makes_room(
    server: LocalServer, schema: str, tmp_path: Path
) -> None:
    async with (
        sharing(tmp_path, server, schema, max_backend_connections=1) as proxy,
        raw_client(proxy.port, capabilities=MODERN) as one,
        raw_client(proxy.port, capabilities=USUAL) as two,
    ):
        for _ in range(3):
            assert await one.query("SELECT 1") == [[b"1"]]
            assert await two.query("SELECT 1") == [[b"1"]]


async def test_who_leaves_a_transaction_open_holds_no_lock(
    server: LocalServer, schema: str, tmp_path: Path
) -> None:
    async with sharing(tmp_path, server, schema, max_backend_connections=1) as proxy:
        async with raw_client(proxy.port, capabilities=MODERN) as client:
            await client.query("BEGIN")
            await client.query("INSERT INTO things VALUES (1, 'a')")
            client.close()
        async with await Connection.open(server.server, database=schema) as connection:
            await connection.execute("INSERT INTO things VALUES (1, 'b')")
            await connection.execute("DELETE FROM things")
        async with raw_client(proxy.port, capabilities=MODERN) as client:
            assert await client.query("SELECT COUNT(*) FROM things") == [[b"0"]]


async def test_who_is_pinned_and_why_is_told(server: LocalServer, schema: str, tmp_path: Path) -> None:
    async with (
        sharing(tmp_path, server, schema) as proxy,
        raw_client(proxy.port, capabilities=MODERN) as client,
    ):
        await client.query("CREATE TEMPORARY TABLE temp (a INT)")
        await client.query("SELECT GET_LOCK('pinning', 0)")

        def told(stats: channel.Stats) -> bool:
            return any(branch.pinned for branch in stats.branches)

        stats = await proxy.control.wait_for(channel.Stats, told)
        [pinned] = stats.branches[0].pinned or []
        assert pinned.user == "app"
        assert "temporary table" in pinned.reasons
        await pool_of(proxy, lambda pool: pool.pinned.get("named lock") == 1)


async def test_a_schema_that_is_not_there_is_told_at_login(
    server: LocalServer, schema: str, tmp_path: Path
) -> None:
    async with sharing(tmp_path, server, schema) as proxy:
        with pytest.raises(Exception, match="Unknown database"):
            await RawClient.connect(proxy.port, database="nope_nope")
        async with raw_client(proxy.port, database="shop") as client:
            assert await client.query("SELECT DATABASE()") == [[schema.encode()]]
        async with raw_client(proxy.port, database="information_schema") as client:
            assert await client.query("SELECT DATABASE()") == [[b"information_schema"]]


async def test_a_server_that_is_not_there_is_told_at_login(
    server: LocalServer, schema: str, tmp_path: Path
) -> None:
    branch = shared(server, schema)
    assert branch.server is not None
    gone = replace(branch.server, address=replace(branch.server.address, socket="/nowhere/at/all.sock"))
    async with running_proxy(tmp_path, [replace(branch, server=gone)], [user()]) as proxy:
        with pytest.raises(Exception, match="cannot be reached"):
            await RawClient.connect(proxy.port)


async def test_idle_backends_that_die_are_replaced_unnoticed(
    server: LocalServer, schema: str, tmp_path: Path
) -> None:
    async with (
        sharing(tmp_path, server, schema) as proxy,
        raw_client(proxy.port, capabilities=MODERN) as client,
        await Connection.open(server.server) as connection,
    ):
        for _ in range(5):
            [[thread]] = await client.query(THREAD)
            await connection.execute(f"KILL {int(thread or 0)}")
            await pool_of(proxy, lambda pool: pool.linked + pool.active == 0)
            assert await client.query("SELECT 1") == [[b"1"]]


async def test_old_and_unused_backends_are_closed(server: LocalServer, schema: str, tmp_path: Path) -> None:
    async with (
        sharing(tmp_path, server, schema, backend_idle_timeout_s=1, min_backend_connections=1) as proxy,
        contextlib.AsyncExitStack() as stack,
    ):
        for _ in range(4):
            client = await stack.enter_async_context(raw_client(proxy.port, capabilities=MODERN))
            await client.query("SELECT 1")
        await pool_of(proxy, lambda pool: pool.linked == 4)
        await pool_of(proxy, lambda pool: pool.linked + pool.idle == 1)
        assert await client.query("SELECT 1") == [[b"1"]]


async def test_a_backend_is_replaced_when_its_time_is_over(
    server: LocalServer, schema: str, tmp_path: Path
) -> None:
    async with (
        sharing(tmp_path, server, schema, backend_lifetime_s=1) as proxy,
        raw_client(proxy.port, capabilities=MODERN) as client,
    ):
        first = await client.query(THREAD)

        async def replaced() -> bool:
            return await client.query(THREAD) != first

        await until(replaced)


async def test_a_transaction_left_idle_is_rolled_back(
    server: LocalServer, schema: str, tmp_path: Path
) -> None:
    async with (
        sharing(tmp_path, server, schema, idle_transaction_timeout_s=1) as proxy,
        raw_client(proxy.port, capabilities=MODERN) as idle,
        raw_client(proxy.port, capabilities=MODERN) as busy,
    ):
        await idle.query("BEGIN")
        await idle.query("INSERT INTO things VALUES (2, 'a')")
        await busy.query("SELECT 1")
        assert await idle.gone()
        assert await busy.query("SELECT COUNT(*) FROM things") == [[b"0"]]


async def test_who_stops_within_a_packet_is_cut_off(server: LocalServer, schema: str, tmp_path: Path) -> None:
    async with (
        sharing(tmp_path, server, schema, net_read_timeout_s=1) as proxy,
        raw_client(proxy.port, capabilities=MODERN) as client,
    ):
        client.writer.write(frame(b"\x03SELECT 1")[:-3])
        header = await client.reader.readexactly(4)
        error = ErrPacket.parse(await client.reader.readexactly(header[0]))
        assert (error.errno, error.sqlstate) == (1159, "08S01")
        assert await client.gone()


async def test_a_packet_that_is_too_long_is_refused_by_its_header(
    server: LocalServer, schema: str, tmp_path: Path
) -> None:
    async with (
        sharing(tmp_path, server, schema, max_allowed_packet=1_000_000) as proxy,
        raw_client(proxy.port, capabilities=MODERN) as client,
    ):
        client.writer.write((2_000_000).to_bytes(3, "little") + b"\0\x03SELECT")
        header = await client.reader.readexactly(4)
        error = ErrPacket.parse(await client.reader.readexactly(header[0]))
        assert (error.errno, error.sqlstate) == (1153, "08S01")
        assert await client.gone()


async def test_a_file_of_the_clients_is_passed_on_where_it_may_be(
    server: LocalServer, schema: str, tmp_path: Path
) -> None:
    async with await Connection.open(server.server) as connection:
        await connection.execute("SET GLOBAL local_infile = ON")
    load = b"LOAD DATA LOCAL INFILE 'x' INTO TABLE things FIELDS TERMINATED BY ','"
    async with sharing(tmp_path, server, schema) as proxy:
        async with raw_client(proxy.port, capabilities=MODERN | Capability.LOCAL_FILES) as client:
            client.send(Command.QUERY, load)
            header = await client.reader.readexactly(4)
            assert (await client.reader.readexactly(header[0]))[:1] == b"\xfb"
            client.writer.write(frame(b"10,a\n11,b\n", 2) + frame(b"12,c\n", 3) + frame(b"", 4))
            assert (await client.answer(Command.QUERY))[0][:2] == b"\0\3"
            assert await client.query("SELECT COUNT(*) FROM things") == [[b"3"]]
            client.send(Command.QUERY, load)
            await client.reader.readexactly(header[0] + 4)
            client.writer.write(frame(b"20,a\n", 2))
            client.close()
        async with raw_client(proxy.port, capabilities=MODERN) as client:
            assert await client.query("SELECT COUNT(*) FROM things WHERE id < 20") == [[b"3"]]
            assert (await client.error(Command.QUERY, load)).errno in (1148, 3948, 4166)
            await client.query("DELETE FROM things")


async def test_a_branch_that_moves_takes_its_clients_leave_between_transactions(
    server: LocalServer, schema: str, tmp_path: Path
) -> None:
    async with (
        sharing(tmp_path, server, schema) as proxy,
        raw_client(proxy.port, capabilities=MODERN) as idle,
        raw_client(proxy.port, capabilities=MODERN) as busy,
    ):
        await idle.query("SELECT 1")
        await busy.query("BEGIN")
        branch = shared(server, schema)
        assert branch.server is not None
        replica = replace(branch.server, public_key="/of/another.pem")
        await proxy.publish([replace(branch, replicas=(replica,))], [user()])
        for _ in range(3):
            assert await idle.query("SELECT 1") == [[b"1"]], "another replica is nothing to it"
        await proxy.publish([replace(branch, server=replace(branch.server, version="1.2.3"))], [user()])
        for _ in range(3):
            assert await idle.query("SELECT 1") == [[b"1"]], "the same server by a fuller name"
        await proxy.publish([replace(branch, server=replica)], [user()])
        assert await idle.gone()
        assert await busy.query("SELECT 1") == [[b"1"]]
        await busy.query("COMMIT")
        assert await busy.gone()


async def test_who_gets_a_warning_with_every_statement_does_not_keep_others_waiting(
    server: LocalServer, schema: str, tmp_path: Path
) -> None:
    async with (
        sharing(tmp_path, server, schema, max_backend_connections=1, query_wait_timeout_s=30) as proxy,
        raw_client(proxy.port) as warned,
        raw_client(proxy.port) as waiting,
    ):
        for _ in range(5):
            await warned.query("SELECT CAST('x' AS SIGNED)")
            assert await waiting.query("SELECT 1") == [[b"1"]]


async def test_who_waits_in_vain_is_told_how_many_clients_keep_theirs_and_why(
    server: LocalServer, schema: str, tmp_path: Path
) -> None:
    async with (
        sharing(tmp_path, server, schema, max_backend_connections=1, query_wait_timeout_s=0.3) as proxy,
        raw_client(proxy.port) as keeping,
        raw_client(proxy.port) as waiting,
    ):
        await keeping.query("CREATE TEMPORARY TABLE mine (id INT)")
        await keeping.query("SELECT GET_LOCK('mine', 0)")
        with pytest.raises(Exception, match=r"of 1 in this worker 1 are pinned \(1 by .*, 1 by .*\)"):
            await waiting.query("SELECT 1")


@contextlib.asynccontextmanager
async def door(path: Path, server: LocalServer) -> AsyncIterator[Door]:
    """Pass connections to a Unix socket on to a server, but for those that are turned away."""
    found = Door(server.server.address.socket or "")
    listening = await asyncio.start_unix_server(found.enter, str(path))
    yield found
    listening.close()
    found.cut()


class Door:
    """What stands before a server: the next `closed` connections come to nothing."""

    def __init__(self, path: str) -> None:
        self.closed = 0
        self._path = path
        self._writers: list[asyncio.StreamWriter] = []

    async def enter(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        if self.closed:
            self.closed -= 1
            writer.close()
            return
        to_server = await asyncio.open_unix_connection(self._path)
        self._writers.append(to_server[1])
        await asyncio.gather(self._copy(reader, to_server[1]), self._copy(to_server[0], writer))

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
        writer.close()

    def cut(self) -> None:
        """End all connections."""
        for writer in self._writers:
            writer.close()
        self._writers.clear()


async def test_a_connection_that_fails_is_the_failure_of_one_who_waits(
    server: LocalServer, schema: str, tmp_path: Path
) -> None:
    path = tmp_path / "door"
    branch = shared(server, schema)
    assert branch.server is not None
    behind = replace(branch, server=replace(branch.server, address=Address("", 0, str(path))))
    environment = {
        "HEADGATE_LOG_LEVEL": "warning",
        "HEADGATE_PROXY_MAX_BACKEND_CONNECTIONS": "1",
        "HEADGATE_PROXY_MIN_BACKEND_CONNECTIONS": "0",
    }
    async with (
        door(path, server) as way,
        running_proxy(tmp_path / "proxy", [behind], [user()], environment=environment) as proxy,
        raw_client(proxy.port) as one,
        raw_client(proxy.port) as other,
    ):
        for client in (one, other):
            assert await client.query("SELECT 1") == [[b"1"]]
        way.closed = 1
        gone = pool_of(proxy, lambda pool: pool.active + pool.linked + pool.idle == 0)
        way.cut()
        await gone
        answers = await asyncio.gather(one.query("SELECT 2"), other.query("SELECT 2"), return_exceptions=True)
        assert [answer for answer in answers if not isinstance(answer, Exception)] == [[[b"2"]]]


async def test_clients_that_come_at_once_may_all_learn_what_the_server_has(
    server: LocalServer, schema: str, tmp_path: Path
) -> None:
    environment = {"HEADGATE_LOG_LEVEL": "warning", "HEADGATE_PROXY_MAX_BACKEND_CONNECTIONS": "20"}
    log = tmp_path / "log"
    async with running_proxy(
        tmp_path / "proxy", [shared(server, schema)], [user()], environment=environment, log=log
    ) as proxy:
        clients = await asyncio.gather(*(RawClient.connect(proxy.port) for _ in range(20)))
        answers = await asyncio.gather(*(client.query("SELECT SLEEP(0.2)") for client in clients))
        assert answers == [[[b"0"]]] * 20
        for client in clients:
            client.close()
    assert "errand.failed" not in log.read_text()
