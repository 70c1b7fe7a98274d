from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.prepared import BYTES_MAX, BackendStatements, Meaning
from proxy.wire.constants import Capability, Command, Status
from proxy.wire.packets import ErrPacket
from router.database import Connection
from router.model import PoolMode
from router.servers.process import LocalServer
from tests.support.proxy import Proxy, production, running_proxy, user
from tests.support.raw_client import USUAL, RawClient, raw_client
from tests.support.servers import fresh_schema

HERE = Meaning("shop", ())
MODERN = USUAL | Capability.DEPRECATE_EOF


def key(number: int) -> tuple[bytes, Meaning]:
    return str(number).encode(), HERE


def test_the_statement_used_longest_ago_is_closed_for_a_new_one() -> None:
    known = BackendStatements()
    first, _ = known.add(key(1), 101, 2)
    second, _ = known.add(key(2), 102, 2)
    assert known.get(key(1)) is first
    third, closing = known.add(key(3), 103, 2)
    assert closing == [b"\x19" + (102).to_bytes(4, "little")]
    assert second.gone
    assert not first.gone
    assert known.get(key(3)) is third


def test_a_statement_that_is_held_is_not_closed() -> None:
    known = BackendStatements()
    held, _ = known.add(key(1), 101, 1)
    held.held = 1
    _, closing = known.add(key(2), 102, 1)
    assert closing == []
    assert not held.gone


def test_a_statement_prepared_again_replaces_the_one_before() -> None:
    known = BackendStatements()
    first, _ = known.add(key(1), 101, 5)
    second, closing = known.add(key(1), 201, 5)
    assert first.gone
    assert closing == [b"\x19" + (101).to_bytes(4, "little")]
    assert known.get(key(1)) is second


def test_the_same_text_means_something_else_in_another_schema() -> None:
    known = BackendStatements()
    known.add((b"SELECT * FROM t", HERE), 101, 5)
    assert known.get((b"SELECT * FROM t", Meaning("other", ()))) is None


def test_statements_on_changed_tables_are_forgotten() -> None:
    known = BackendStatements()
    one, _ = known.add((b"SELECT * FROM a", HERE), 101, 5)
    other, _ = known.add((b"SELECT * FROM b", HERE), 102, 5)
    assert known.forget(lambda text: b" a" in text) == [b"\x19" + (101).to_bytes(4, "little")]
    assert one.gone
    assert not other.gone
    known.clear()
    assert other.gone
    assert len(known) == 0


def test_long_statements_make_room_for_each_other() -> None:
    known = BackendStatements()
    half = (b"a" * (BYTES_MAX // 2), HERE)
    first, _ = known.add(half, 101, 200)
    second, _ = known.add((b"b" * (BYTES_MAX // 2), HERE), 102, 200)
    third, closing = known.add((b"c" * 10, HERE), 103, 200)
    assert closing == [b"\x19" + (101).to_bytes(4, "little")]
    assert (first.gone, second.gone, third.gone) == (True, False, False)
    _, closing = known.add(half, 104, 200)
    assert closing == [b"\x19" + (102).to_bytes(4, "little")]
    known.clear()
    assert known.add((b"d" * BYTES_MAX, HERE), 105, 200)[1] == []


@given(st.lists(st.integers(0, 9), max_size=60), st.integers(1, 5))
def test_there_are_never_more_than_allowed(uses: list[int], limit: int) -> None:
    known = BackendStatements()
    closed: set[bytes] = set()
    for number, use in enumerate(uses):
        if known.get(key(use)) is None:
            _, closing = known.add(key(use), number, limit)
            closed |= {payload[1:] for payload in closing}
        assert len(known) <= limit
        found = known.get(key(use))
        assert found is not None
        assert found.number not in closed


@pytest.fixture(scope="module")
async def narrow(server: LocalServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Proxy]:
    """A worker with one backend for all, which keeps three statements."""
    folder: Path = tmp_path_factory.mktemp("prepared")
    environment = {
        "HEADGATE_PROXY_MAX_BACKEND_CONNECTIONS": "1",
        "HEADGATE_PROXY_BACKEND_PREPARED_STATEMENTS": "3",
        "HEADGATE_PROXY_MAX_PREPARED_STATEMENTS": "5",
        "HEADGATE_PROXY_QUERY_WAIT_TIMEOUT_S": "0.3",
        "HEADGATE_LOG_LEVEL": "warning",
    }
    async with fresh_schema(server) as schema:
        async with await Connection.open(server.server, database=schema) as connection:
            await connection.execute("CREATE TABLE things (id INT PRIMARY KEY, v LONGTEXT)")
            await connection.execute("INSERT INTO things VALUES (1, 'a'), (2, 'b'), (3, 'c')")
        branch = replace(
            production(server.server, schema), safe_migrations=False, pool_mode=PoolMode.TRANSACTION
        )
        async with running_proxy(folder, [branch], [user()], environment=environment) as proxy:
            yield proxy


def number(value: int) -> bytes:
    return value.to_bytes(4, "little")


def rows(packets: list[bytes]) -> list[bytes]:
    """The binary rows of a result, each without its header and null bitmap."""
    assert packets[0][0] != 0xFF, ErrPacket.parse(packets[0])
    return [packet[2:] for packet in packets[1 + packets[0][0] : -1] if packet[:1] == b"\0"]


LONG = b"\0\1\x03\0"
"""A null bitmap, new types: one LONG. Without the types: the first byte and a zero."""


async def test_statements_go_from_backend_user_to_backend_user(narrow: Proxy) -> None:
    async with (
        raw_client(narrow.port, capabilities=MODERN) as one,
        raw_client(narrow.port, capabilities=MODERN) as two,
    ):
        text = "SELECT ? + 0"
        ours, theirs = await one.prepare(text), await two.prepare(text)
        assert ours == theirs == 1, "numbers are each client's own"
        assert rows(await one.execute(ours, LONG + number(5)))[0][:4] == number(5)
        # The other one has bound a string where this one has a number, on the same statement of the server.
        assert rows(await two.execute(theirs, b"\0\1\xfd\0\x012"))
        for value in range(3):
            assert rows(await one.execute(ours, b"\0\0" + number(value)))[0][:4] == number(value)
            assert rows(await two.execute(theirs, b"\0\0\x017"))


async def test_more_statements_than_a_backend_keeps_still_work(narrow: Proxy) -> None:
    async with raw_client(narrow.port, capabilities=MODERN) as client:
        statements = [await client.prepare(f"SELECT {value} + ?") for value in range(5)]
        for _ in range(2):
            for value, statement in enumerate(statements):
                packets = await client.execute(statement, LONG + number(10))
                assert rows(packets)[0][:4] == number(10 + value)


async def test_a_client_has_only_so_many_statements(narrow: Proxy) -> None:
    async with raw_client(narrow.port, capabilities=MODERN) as client:
        statements = [await client.prepare("SELECT 1") for _ in range(5)]
        error = await client.error(Command.STMT_PREPARE, b"SELECT 2")
        assert (error.errno, error.sqlstate) == (1461, "42000")
        client.send(Command.STMT_CLOSE, number(statements[0]))
        await client.prepare("SELECT 2")
        assert (await client.error(Command.STMT_EXECUTE, number(statements[0]) + bytes(5))).errno == 1243


async def test_a_statement_means_what_it_meant_when_it_was_prepared(narrow: Proxy) -> None:
    async with (
        raw_client(narrow.port, capabilities=MODERN) as one,
        raw_client(narrow.port, capabilities=MODERN) as two,
    ):
        await one.query("SET sql_mode = 'ANSI_QUOTES'")
        statement = await one.prepare('SELECT "id" FROM things WHERE id = 1')
        await one.query("SET sql_mode = ''")
        for value in range(4):
            await two.execute(await two.prepare(f"SELECT {value}"))
        assert rows(await one.execute(statement))[0][:4] == number(1)
        assert await one.query('SELECT "id"') == [[b"id"]], "the session has its own mode again"


async def test_an_open_cursor_keeps_the_backend(narrow: Proxy) -> None:
    async with (
        raw_client(narrow.port, capabilities=MODERN) as one,
        raw_client(narrow.port, capabilities=MODERN) as two,
    ):
        statement = await one.prepare("SELECT id FROM things ORDER BY id")
        await one.execute(statement, cursor=True)
        assert one.response.status & Status.CURSOR_EXISTS
        error = await two.error(Command.QUERY, b"SELECT 1")
        assert (error.errno, error.sqlstate) == (1040, "08004")
        assert "1 by cursor" in error.message
        assert len(await one.run(Command.STMT_FETCH, number(statement) + number(2))) == 3
        assert len(await one.run(Command.STMT_FETCH, number(statement) + number(9))) == 2
        assert one.response.status & Status.LAST_ROW_SENT
        assert await two.query("SELECT 1") == [[b"1"]]
        assert (await one.error(Command.STMT_FETCH, number(statement) + number(1))).errno == 1421
        await one.execute(statement, cursor=True)
        assert (await one.run(Command.STMT_RESET, number(statement)))[0][0] == 0
        assert await two.query("SELECT 1") == [[b"1"]]


async def test_parameters_sent_ahead_keep_the_backend(narrow: Proxy) -> None:
    async with (
        raw_client(narrow.port, capabilities=MODERN) as one,
        raw_client(narrow.port, capabilities=MODERN) as two,
    ):
        statement = await one.prepare("UPDATE things SET v = ? WHERE id = 1")
        await two.query("SELECT 1")
        one.send(Command.STMT_SEND_LONG_DATA, number(statement) + b"\0\0" + b"long ")
        one.send(Command.STMT_SEND_LONG_DATA, number(statement) + b"\0\0" + b"x" * 200_000)
        assert (await one.run(Command.PING))[0][0] == 0
        assert (await two.error(Command.QUERY, b"SELECT 1")).errno == 1040
        assert (await one.execute(statement, b"\0\1\xfc\0"))[0][0] == 0
        assert await two.query("SELECT LENGTH(v) FROM things WHERE id = 1") == [[b"200005"]]
        one.send(Command.STMT_SEND_LONG_DATA, number(statement) + b"\0\0" + b"never used")
        one.send(Command.STMT_CLOSE, number(statement))
        assert (await one.run(Command.PING))[0][0] == 0
        assert await two.query("SELECT 1") == [[b"1"]]


async def test_a_statement_too_long_to_keep_keeps_the_backend(narrow: Proxy) -> None:
    text = "SELECT ? + LENGTH('" + "x" * 300_000 + "')"
    async with (
        raw_client(narrow.port, capabilities=MODERN) as one,
        raw_client(narrow.port, capabilities=MODERN) as two,
    ):
        statement = await one.prepare(text)
        assert (await two.error(Command.QUERY, b"SELECT 1")).errno == 1040
        assert rows(await one.execute(statement, LONG + number(1)))[0][:4] == number(300_001)


async def executed(client: RawClient, statement: int) -> int:
    """How many columns an execution gives."""
    packets = await client.execute(statement)
    assert packets[0][0] != 0xFF, ErrPacket.parse(packets[0])
    return packets[0][0]


async def test_a_table_that_has_changed_gives_its_new_columns(narrow: Proxy) -> None:
    async with (
        raw_client(narrow.port, capabilities=MODERN) as one,
        raw_client(narrow.port, capabilities=MODERN) as two,
    ):
        statement = await one.prepare("SELECT * FROM things")
        assert await executed(one, statement) == 2
        await two.query("ALTER TABLE things ADD w INT")
        assert await executed(one, statement) == 3
        await two.query("ALTER TABLE things DROP w")
        assert await executed(one, statement) == 2
