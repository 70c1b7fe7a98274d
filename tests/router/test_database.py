"""Our own connections, on both families of servers: what their errors are, and what is closed after them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from router.answers import End, Head
from router.database import Connection, quote_name
from router.errors import AnswerUnread, ConnectionLost, DatabaseError
from router.model import Account, Address, Server
from router.servers.process import LocalServer
from tests.support.servers import until


@pytest.fixture
async def connection(server: LocalServer, database: str) -> AsyncIterator[Connection]:
    async with await Connection.open(server.server, database=database) as connection:
        yield connection


@pytest.fixture
async def admin(server: LocalServer) -> AsyncIterator[Connection]:
    async with await Connection.open(server.server) as admin:
        yield admin


async def test_rows_values_and_counts_come_back(connection: Connection) -> None:
    await connection.execute("CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(20))")
    assert await connection.execute("INSERT INTO t (name) VALUES (%s), (%s)", "a%b", "☃") == 2
    assert connection.last_insert_id == 1
    assert await connection.fetch_all("SELECT id, name FROM t ORDER BY id") == [(1, "a%b"), (2, "☃")]
    assert await connection.fetch_one("SELECT name FROM t WHERE id = %s", 3) is None
    assert await connection.fetch_value("SELECT name FROM t WHERE id = %s", 3) is None
    assert await connection.fetch_value("SELECT name FROM t WHERE name LIKE 'a%'") == "a%b"


async def test_without_decoding_text_stays_bytes(server: LocalServer) -> None:
    async with await Connection.open(server.server, decode=False) as connection:
        assert await connection.fetch_value("SELECT '☃'") == "☃".encode()


async def test_a_refused_statement_tells_its_number_and_the_connection_goes_on(
    connection: Connection,
) -> None:
    with pytest.raises(DatabaseError) as caught:
        await connection.execute("SELECT * FROM missing")
    assert (caught.value.errno, caught.value.state) == (1146, "42S02")
    assert not isinstance(caught.value, ConnectionLost)
    assert str(caught.value).endswith("(error 1146)")
    assert await connection.fetch_value("SELECT 1") == 1


async def test_many_statements_are_answered_in_one_round_trip(connection: Connection) -> None:
    name = quote_name("a;b")
    await connection.execute(f"CREATE TABLE {name} (a INT)")
    assert await connection.fetch_each(
        ["SELECT 1, '100%' UNION SELECT 2, ';'", f"SELECT a FROM {name}", "SELECT 3"]
    ) == [[(1, "100%"), (2, ";")], [], [(3,)]]
    with pytest.raises(DatabaseError) as caught:
        await connection.fetch_each(["SELECT 1", "SELECT nothing", f"DROP TABLE {name}"])
    assert caught.value.errno == 1054
    assert await connection.fetch_all(f"SELECT a FROM {name}") == []


async def test_what_each_of_many_statements_affected_is_told_and_arguments_stay_values(
    connection: Connection,
) -> None:
    await connection.execute("CREATE TABLE t (a INT, b VARCHAR(20))")
    answers = await connection.run_all(
        ("START TRANSACTION",),
        ("INSERT INTO t VALUES (%s, %s), (2, NULL)", 1, "'; DROP TABLE t; --"),
        ("SELECT a FROM t WHERE b = %s LOCK IN SHARE MODE", "'; DROP TABLE t; --"),
        ("INSERT INTO t SELECT a + 10, '50%' FROM t",),
        ("COMMIT",),
    )
    assert [affected for affected, _ in answers[1::2]] == [2, 2]
    assert answers[2][1] == [(1,)]
    assert await connection.fetch_value("SELECT COUNT(*) FROM t WHERE b = '50%'") == 2


async def test_answers_can_be_read_step_by_step_with_values_as_the_server_wrote_them(
    connection: Connection,
) -> None:
    await connection.execute("CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(20), raw BLOB)")
    text = (
        "INSERT INTO t (name, raw) VALUES ('ä', x'00ff'), (NULL, ''); "
        "SELECT id, name, raw FROM t ORDER BY id; "
        "SELECT '1000-01-01' + 0; UPDATE t SET name = '' WHERE id = 1"
    )
    steps = [step async for step in connection.read(text, bytes_max=1 << 20)]
    assert steps[0] == End(2, 1, 0)
    assert isinstance(steps[1], Head)
    assert [column.name for column in steps[1].columns] == ["id", "name", "raw"]
    assert [column.charset == 63 for column in steps[1].columns] == [True, False, True]
    assert steps[2:5] == [(b"1", "ä".encode(), b"\x00\xff"), (b"2", None, b""), End(0, 0, 0)]
    assert steps[7] == End(0, 0, 1)
    assert steps[8:] == [End(1, 0, 0)]
    assert await connection.fetch_all("SELECT id FROM t ORDER BY id") == [(1,), (2,)]


async def test_what_is_read_step_by_step_and_refused_leaves_the_connection_in_order(
    connection: Connection,
) -> None:
    steps = connection.read("SELECT 1; SELECT * FROM missing; SELECT 2", bytes_max=1 << 20)
    assert isinstance(await anext(steps), Head)
    assert [await anext(steps), await anext(steps)] == [(b"1",), End(0, 0, 0)]
    with pytest.raises(DatabaseError) as caught:
        await anext(steps)
    assert caught.value.errno == 1146
    assert await connection.fetch_value("SELECT 1") == 1


async def test_no_more_of_an_answer_is_read_than_is_allowed(connection: Connection) -> None:
    await connection.execute("CREATE TABLE t (pad LONGTEXT)")
    await connection.execute("INSERT INTO t VALUES (REPEAT('x', 100000))")
    steps = connection.read("SELECT pad FROM t", bytes_max=50_000)
    assert isinstance(await anext(steps), Head)
    with pytest.raises(AnswerUnread):
        await anext(steps)
    connection.abort()


async def test_a_file_of_ours_is_not_read_because_the_server_asks_for_it(
    connection: Connection, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("secret\n")
    await connection.execute("CREATE TABLE t (a TEXT)")
    steps = connection.read(f"LOAD DATA LOCAL INFILE '{tmp_path / 'file'}' INTO TABLE t", bytes_max=1 << 20)
    with pytest.raises(DatabaseError):
        await anext(steps)


async def test_a_connection_that_is_lost_between_two_answers_is_lost(
    connection: Connection, admin: Connection
) -> None:
    asked = asyncio.ensure_future(connection.fetch_each(["SELECT 1", "SELECT SLEEP(600)", "SELECT 3"]))
    busy = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE ID = %s AND INFO LIKE %s"

    async def sleeps() -> bool:
        return bool(await admin.fetch_value(busy, connection.thread_id, "%SLEEP(600)%"))

    await until(sleeps, timeout_s=60)
    await admin.execute(f"KILL {connection.thread_id}")
    with pytest.raises(ConnectionLost):
        await asked
    assert connection.closed


async def test_a_connection_the_server_kills_is_lost_and_stays_so(
    connection: Connection, admin: Connection
) -> None:
    await admin.execute(f"KILL {connection.thread_id}")
    for _ in range(2):
        with pytest.raises(ConnectionLost):
            await connection.fetch_value("SELECT 1")
        assert connection.closed


async def test_a_cancelled_statement_closes_the_connection(connection: Connection, admin: Connection) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await connection.execute("SELECT SLEEP(60)")
    assert connection.closed
    with pytest.raises(ConnectionLost, match="closed"):
        await connection.fetch_value("SELECT 1")
    await admin.execute(f"KILL {connection.thread_id}")


async def test_a_transaction_is_kept_whole_or_not_at_all(connection: Connection, admin: Connection) -> None:
    await connection.execute("CREATE TABLE t (id INT PRIMARY KEY)")
    async with connection.transaction():
        await connection.execute("INSERT INTO t VALUES (1)")

    async def fail_in_the_middle() -> None:
        async with connection.transaction():
            await connection.execute("INSERT INTO t VALUES (2)")
            await connection.execute("INSERT INTO t VALUES (1)")

    with pytest.raises(DatabaseError):
        await fail_in_the_middle()
    assert await connection.fetch_all("SELECT id FROM t") == [(1,)]


async def test_a_transaction_whose_connection_is_lost_tells_the_loss(
    connection: Connection, admin: Connection
) -> None:
    async def lose_it_in_the_middle() -> None:
        async with connection.transaction():
            await admin.execute(f"KILL {connection.thread_id}")
            await connection.execute("SELECT 1")

    with pytest.raises(ConnectionLost):
        await lose_it_in_the_middle()


async def test_a_wrong_password_is_told_without_the_password(server: LocalServer) -> None:
    wrong = replace(server.server, account=Account("nobody", "hg_pw_wrong"))
    with pytest.raises(DatabaseError) as caught:
        await Connection.open(wrong)
    assert caught.value.errno == 1045
    assert "nobody" in str(caught.value)
    assert "hg_pw_wrong" not in str(caught.value)


async def test_a_server_that_is_not_there_is_a_lost_connection(server: LocalServer, tmp_path: Path) -> None:
    for address in (Address(socket=str(tmp_path / "none.sock")), Address("127.0.0.1", 1)):
        with pytest.raises(ConnectionLost) as caught:
            await Connection.open(replace(server.server, address=address))
        assert str(address) in str(caught.value)


async def test_a_server_that_accepts_and_says_nothing_is_given_up(server: LocalServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = Address("127.0.0.1", silent.getsockname()[1])
        with pytest.raises(ConnectionLost, match=r"did not answer within 0\.1 s"):
            await Connection.open(replace(server.server, address=address), timeout_s=0.1)


async def test_a_refused_set_up_statement_leaves_no_connection_behind(
    server: LocalServer, admin: Connection
) -> None:
    marked = replace(server.server, account=Account("set_up_tester", "x"))
    await admin.execute("CREATE USER set_up_tester IDENTIFIED BY 'x'")
    try:
        with pytest.raises(DatabaseError, match="1193"):
            await Connection.open(marked, setup=["SET SESSION there_is_no_such_variable = 1"])

        async def nobody_is_left() -> bool:
            return not await admin.fetch_value(
                "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER = 'set_up_tester'"
            )

        await until(nobody_is_left)
    finally:
        await admin.execute("DROP USER set_up_tester")


async def test_quoted_names_reach_the_server_unchanged(connection: Connection) -> None:
    name = "odd ` name % \\ ☃"
    await connection.execute(f"CREATE TABLE {quote_name(name)} (id INT)")
    assert await connection.fetch_value("SHOW TABLES") == name


async def test_a_connection_over_tcp_ends_by_itself_when_the_network_falls_silent(
    server: LocalServer,
) -> None:
    there = server.server
    over_tcp = Server(there.flavor, there.version, Address(port=server.port or 0), there.account)
    async with await Connection.open(over_tcp) as connection:
        link = connection._raw._writer.get_extra_info("socket")
        assert link.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert link.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 30_000
