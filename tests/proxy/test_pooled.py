from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from conf.settings import ProxySettings
from proxy import channel
from proxy.wire.constants import Capability, Command
from proxy.wire.framing import PacketReader
from proxy.wire.packets import ErrPacket
from router.database import Connection
from router.model import Account, PoolMode
from router.servers.process import LocalServer
from tests.support.proxy import Proxy, limits, production, running_proxy, user
from tests.support.raw_client import USUAL, RawClient, raw_client
from tests.support.servers import fresh_schema, until

MODERN = USUAL | Capability.DEPRECATE_EOF
WAIT_S = 2.0
QUERY = Command.QUERY
ONE_BACKEND = ProxySettings(workers=1, max_backend_connections=1, query_wait_timeout_s=WAIT_S)


def impatient(proxy: Proxy) -> contextlib.AbstractAsyncContextManager[None]:
    """For as long as a client is to be refused, so that it is soon."""
    return limits(proxy, ONE_BACKEND, query_wait_timeout_s=0.2)


@pytest.fixture(scope="module")
async def schema(server: LocalServer) -> AsyncIterator[str]:
    async with fresh_schema(server) as name:
        async with await Connection.open(server.server, database=name) as connection:
            await connection.execute(
                "CREATE TABLE things (id INT AUTO_INCREMENT PRIMARY KEY, row_count INT, error_count INT,"
                " v LONGTEXT)"
            )
            await connection.execute("CREATE TABLE diagnostics (identity INT, errors TEXT)")
        yield name


@contextlib.asynccontextmanager
async def worker(
    folder: Path, server: LocalServer, schema: str, *, account: Account | None = None, backends: int = 1
) -> AsyncIterator[Proxy]:
    """A worker with few backends for all clients."""
    environment = {
        "HEADGATE_PROXY_MAX_BACKEND_CONNECTIONS": str(backends),
        "HEADGATE_PROXY_QUERY_WAIT_TIMEOUT_S": str(WAIT_S if backends == 1 else 120),
        "HEADGATE_LOG_LEVEL": "warning",
    }
    at = server.server if account is None else replace(server.server, account=account)
    branch = replace(production(at, schema), safe_migrations=False, pool_mode=PoolMode.TRANSACTION)
    async with running_proxy(folder, [branch], [user()], environment=environment) as proxy:
        yield proxy


@pytest.fixture(scope="module")
async def narrow(
    server: LocalServer, schema: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Proxy]:
    """A worker with one backend for all."""
    async with worker(tmp_path_factory.mktemp("pooled"), server, schema) as proxy:
        yield proxy


@pytest.fixture
async def table(server: LocalServer, schema: str) -> AsyncIterator[Connection]:
    """A connection to the server itself, and an empty table."""
    async with await Connection.open(server.server, database=schema) as connection:
        await connection.execute("TRUNCATE things")
        await connection.execute("SET SESSION innodb_lock_wait_timeout = 1")
        yield connection


@contextlib.contextmanager
def stopped(server: LocalServer) -> Iterator[None]:
    """A server that answers nothing for a while."""
    assert server.pid is not None
    os.kill(server.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.pid, signal.SIGCONT)


async def waiting(proxy: Proxy, count: int) -> None:
    """Wait until so many clients wait for a backend."""
    before = len(proxy.control.received)
    await proxy.control.wait_for(
        channel.Stats,
        lambda stats: (
            proxy.control.received.index(stats) >= before
            and any(branch.pool.waiting == count for branch in stats.branches)
        ),
    )


def kill_query(client: RawClient) -> str:
    return f"KILL QUERY {client.handshake.greeting.connection_id}"


async def failure(client: RawClient) -> int:
    """Wait for the answer to a query, and return the number of its error."""
    packets = await client.answer(QUERY)
    assert packets[0][0] == 0xFF, packets
    return ErrPacket.parse(packets[0]).errno


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE things SET row_count = 5, error_count = error_count + 1 WHERE id = 1",
        "INSERT INTO things (row_count) VALUES (5)",
        "SELECT identity, errors FROM diagnostics",
        "SHOW TABLES LIKE 'errors'",
    ],
)
async def test_columns_and_tables_may_be_called_like_questions(
    narrow: Proxy, table: Connection, statement: str
) -> None:
    async with (
        raw_client(narrow.port, capabilities=MODERN) as one,
        raw_client(narrow.port, capabilities=MODERN) as two,
    ):
        await one.query("SELECT 1")
        assert (await one.error(QUERY, b"SELECT nothing")).errno == 1054

        async def free() -> bool:
            return (await two.run(QUERY, b"SELECT 2"))[0][0] != 0xFF

        await until(free)
        await one.query(statement)
        assert await two.query("SELECT 2") == [[b"2"]], "nobody is pinned by a name"


async def test_a_long_statement_killed_while_it_waits_comes_to_nothing(
    narrow: Proxy, table: Connection
) -> None:
    async with (
        raw_client(narrow.port, capabilities=MODERN) as one,
        raw_client(narrow.port, capabilities=MODERN) as two,
    ):
        await one.query("BEGIN")
        two.send(QUERY, b"INSERT INTO things (v) VALUES ('" + b"\1\0\0\0\x0e" * 60_000 + b"')")
        await waiting(narrow, 1)
        await one.query(kill_query(two))
        assert await failure(two) == 1317
        await one.query("COMMIT")
        assert await two.query("SELECT 5") == [[b"5"]], "nothing within it was taken for a command"
        assert await table.fetch_value("SELECT COUNT(*) FROM things") == 0


async def test_a_kill_while_a_backend_is_on_its_way_leaves_its_client_one_backend(
    server: LocalServer, narrow: Proxy
) -> None:
    async with (
        raw_client(narrow.port, capabilities=MODERN) as one,
        raw_client(narrow.port, capabilities=MODERN) as two,
    ):
        await one.query("SET sql_mode = 'ANSI_QUOTES'")
        await two.query("SELECT 2")
        with stopped(server):
            one.send(QUERY, b"SELECT 1")
            await two.query(kill_query(one))
            one.send(Command.RESET_CONNECTION)
            await one.writer.drain()
        reader, answers = PacketReader(), list[bytes]()
        while len(answers) < 2:
            answers += [payload for _, payload in reader.feed(await one.reader.read(65536))]
        assert ErrPacket.parse(answers[0]).errno == 1317
        assert answers[1][0] == 0
        assert await one.query('SELECT "text"') == [[b"text"]]
        assert await two.query("SELECT 2") == [[b"2"]]


async def test_a_session_reset_while_its_backend_is_asked_about_it_takes_nothing_over(
    server: LocalServer, narrow: Proxy
) -> None:
    async with (
        raw_client(narrow.port, capabilities=USUAL) as one,
        raw_client(narrow.port, capabilities=USUAL) as two,
    ):
        await two.query("SELECT 2")
        await one.query("SET sql_mode = 'ANSI_QUOTES'")
        await one.query("SELECT 1")
        with stopped(server):
            two.send(QUERY, b'SELECT "text"')
            await two.writer.drain()
            # A statement is on its way to the proxy: what is sent later comes later.
            async with raw_client(narrow.port, capabilities=USUAL):
                pass
            assert (await one.run(Command.RESET_CONNECTION))[0][0] == 0
        packets = await two.answer(QUERY)
        assert packets[0][0] != 0xFF, "the other's ANSI_QUOTES"
        assert await one.query('SELECT "text"') == [[b"text"]]


async def test_an_execution_fails_whose_parameter_found_no_backend(narrow: Proxy, table: Connection) -> None:
    async with (
        raw_client(narrow.port, capabilities=MODERN) as one,
        raw_client(narrow.port, capabilities=MODERN) as two,
    ):
        statement = await two.prepare("INSERT INTO things (v) VALUES (?)")
        await one.query("BEGIN")
        number = statement.to_bytes(4, "little")
        text = b"\0\1\xfc\0"
        async with impatient(narrow):
            for piece in (b"short", b"long" * 50_000):
                two.send(Command.STMT_SEND_LONG_DATA, number + b"\0\0" + piece)
                two.send(Command.STMT_SEND_LONG_DATA, number + b"\0\0" + piece)
                packets = await two.execute(statement, text)
                assert ErrPacket.parse(packets[0]).errno == 1040
        await one.query("COMMIT")
        two.send(Command.STMT_SEND_LONG_DATA, number + b"\0\0whole")
        assert (await two.execute(statement, text))[0][0] == 0
        assert await table.fetch_all("SELECT v FROM things") == [("whole",)]


async def test_who_leaves_after_an_error_holds_no_lock(narrow: Proxy, table: Connection) -> None:
    await table.execute("INSERT INTO things (id, row_count) VALUES (1, 1)")
    async with raw_client(narrow.port, capabilities=MODERN) as one:
        await one.query("SET autocommit = 0")
        assert (await one.error(QUERY, b"INSERT INTO things (id) VALUES (1)")).errno == 1062
    await table.execute("UPDATE things SET row_count = 2")


async def test_a_transaction_that_an_error_began_is_not_lost_by_a_question(
    narrow: Proxy, table: Connection
) -> None:
    await table.execute("INSERT INTO things (id, row_count) VALUES (1, 1)")
    async with (
        raw_client(narrow.port, capabilities=MODERN) as one,
        raw_client(narrow.port, capabilities=MODERN) as two,
    ):
        await one.query("SET autocommit = 0")
        assert (await one.error(QUERY, b"INSERT INTO things (id) VALUES (1)")).errno == 1062
        async with impatient(narrow):
            for _ in range(5):
                assert (await two.error(QUERY, b"SELECT 2")).errno == 1040
        await one.query("UPDATE things SET row_count = 7 WHERE id = 1")
        await one.query("SHOW WARNINGS")
        await one.query("COMMIT")
    assert await table.fetch_value("SELECT row_count FROM things") == 7


async def test_a_prepared_xa_transaction_outlives_its_connection(narrow: Proxy, table: Connection) -> None:
    async with raw_client(narrow.port, capabilities=MODERN) as one:
        await one.query("XA START 'kept'")
        await one.query("INSERT INTO things (row_count) VALUES (3)")
        await one.query("XA END 'kept'")
        await one.query("XA PREPARE 'kept'")

    async def committed() -> bool:
        with contextlib.suppress(Exception):
            await table.execute("XA COMMIT 'kept'")
        return await table.fetch_value("SELECT COUNT(*) FROM things") == 1

    await until(committed)


async def test_a_long_statement_finds_its_own_generated_key(narrow: Proxy, table: Connection) -> None:
    async with (
        raw_client(narrow.port, capabilities=MODERN) as one,
        raw_client(narrow.port, capabilities=MODERN) as two,
    ):
        await one.query("INSERT INTO things (row_count) VALUES (1)")
        await two.query("INSERT INTO things (row_count) VALUES (2)")
        await one.query(f"INSERT INTO things (v, row_count) VALUES ('{'x' * 100_000}', LAST_INSERT_ID())")
    assert await table.fetch_value("SELECT row_count FROM things WHERE v IS NOT NULL") == 1


async def test_who_tells_the_server_to_tell_nothing_is_not_trusted(narrow: Proxy) -> None:
    for capabilities in (USUAL, MODERN):
        async with (
            raw_client(narrow.port, capabilities=capabilities) as one,
            raw_client(narrow.port, capabilities=capabilities) as two,
        ):
            names = ("system_variables", "state_change", "schema", "transaction_info")
            await one.query(f"SET {', '.join(f'SESSION session_track_{name} = DEFAULT' for name in names)}")
            await one.query("SET sql_mode = 'ANSI_QUOTES'")
            async with impatient(narrow):
                assert (await two.error(QUERY, b'SELECT "text"')).errno == 1040
            one.close()

            async def free(two: RawClient = two) -> bool:
                packets = await two.run(QUERY, b'SELECT "text"')
                return packets[0][0] != 0xFF or ErrPacket.parse(packets[0]).errno != 1040

            await until(free)
            assert await two.query('SELECT "text"') == [[b"text"]]


@pytest.mark.parametrize("setting", ["group_concat_max_len = 4", "div_precision_increment = 0"])
async def test_a_statement_is_not_shared_with_who_prepared_it_otherwise(narrow: Proxy, setting: str) -> None:
    text = "SELECT GROUP_CONCAT(a), CAST(MAX(a / 3000) AS CHAR) FROM (SELECT 1000 a UNION SELECT 2000) x"
    async with (
        raw_client(narrow.port, capabilities=MODERN) as one,
        raw_client(narrow.port, capabilities=MODERN) as two,
    ):
        mine = await one.prepare(text)
        expected = (await one.execute(mine))[-2]
        await two.query(f"SET {setting}")
        theirs = await two.prepare(text)
        assert (await one.execute(mine))[-2] == expected
        assert (await two.execute(theirs))[-2] != expected


async def test_what_there_is_is_shared_when_the_server_takes_no_more(
    server: LocalServer, schema: str, tmp_path: Path
) -> None:
    async with await Connection.open(server.server) as connection:
        await connection.execute("CREATE USER 'few'@'%' IDENTIFIED BY 'few' WITH MAX_USER_CONNECTIONS 2")
        await connection.execute(f"GRANT ALL ON `{schema}`.* TO 'few'@'%'")
    try:
        async with (
            worker(tmp_path, server, schema, account=Account("few", "few"), backends=10) as proxy,
            contextlib.AsyncExitStack() as stack,
        ):
            clients = [
                await stack.enter_async_context(raw_client(proxy.port, capabilities=MODERN)) for _ in range(6)
            ]
            async with asyncio.timeout(120):
                for client in clients * 2:
                    assert await client.query("SELECT 1") == [[b"1"]]
    finally:
        async with await Connection.open(server.server) as connection:
            await connection.execute("DROP USER 'few'@'%'")
