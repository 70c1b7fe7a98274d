from __future__ import annotations

import asyncio
import contextlib
import hashlib
import warnings
from pathlib import Path

import aiomysql
import pymysql
import pytest

from proxy import channel
from proxy.wire.constants import Capability, Command, Status
from proxy.wire.framing import MAX_FRAME, frame
from proxy.wire.packets import ErrPacket
from router.database import Connection
from router.errors import DatabaseError
from router.model import Flavor, PoolMode
from router.servers.process import LocalServer
from tests.support.proxy import PASSWORD, Proxy
from tests.support.raw_client import USUAL, RawClient, raw_client
from tests.support.servers import ADMIN

both_ends = pytest.mark.parametrize(
    "capabilities", [USUAL, USUAL | Capability.DEPRECATE_EOF, USUAL | Capability.SESSION_TRACK], ids=str
)


@contextlib.asynccontextmanager
async def a_table(server: LocalServer, shop: str, columns: str = "id INT PRIMARY KEY, v TEXT"):
    async with await Connection.open(server.server, database=shop) as connection:
        await connection.execute(f"CREATE TABLE things ({columns})")
        try:
            yield connection
        finally:
            await connection.execute("DROP TABLE things")


@both_ends
async def test_statements_and_transactions_go_through(
    proxy: Proxy, server: LocalServer, shop: str, capabilities: Capability
) -> None:
    async with a_table(server, shop), raw_client(proxy.port, capabilities=capabilities) as client:
        assert await client.query("SELECT DATABASE(), 1, NULL") == [[shop.encode(), b"1", None]]
        await client.query("BEGIN")
        await client.query("INSERT INTO things VALUES (1, 'a'), (2, 'b')")
        assert client.response.in_transaction
        assert (await client.error(Command.QUERY, b"SELECT nothing FROM nowhere")).errno == 1146
        await client.query("ROLLBACK")
        assert not client.response.in_transaction
        assert await client.query("SELECT COUNT(*) FROM things") == [[b"0"]]


@both_ends
async def test_prepared_statements_go_through(
    proxy: Proxy, server: LocalServer, shop: str, capabilities: Capability
) -> None:
    async with a_table(server, shop), raw_client(proxy.port, capabilities=capabilities) as client:
        await client.query("INSERT INTO things VALUES (1, 'a'), (2, 'b'), (3, 'c')")
        insert = await client.prepare("INSERT INTO things VALUES (?, ?)")
        number = insert.to_bytes(4, "little")
        client.send(Command.STMT_SEND_LONG_DATA, number + b"\1\0" + b"long ")
        client.send(Command.STMT_SEND_LONG_DATA, number + b"\1\0" + b"data")
        # A null bitmap, new types: LONG and BLOB, then the value of the first.
        [ok] = await client.execute(insert, b"\0\1\x03\0\xfc\0" + (4).to_bytes(4, "little"))
        assert ok[0] == 0
        assert await client.query("SELECT v FROM things WHERE id = 4") == [[b"long data"]]
        assert (await client.run(Command.STMT_RESET, number))[0][0] == 0
        select = await client.prepare("SELECT id, v FROM things ORDER BY id")
        packets = await client.execute(select)
        assert len([packet for packet in packets if packet[:1] == b"\0"]) == 4
        await client.execute(select, cursor=True)
        assert client.response.status & Status.CURSOR_EXISTS
        rows = await client.run(Command.STMT_FETCH, select.to_bytes(4, "little") + (3).to_bytes(4, "little"))
        assert len(rows) == 4
        client.send(Command.STMT_CLOSE, select.to_bytes(4, "little"))
        client.send(Command.STMT_CLOSE, number)
        assert (await client.error(Command.STMT_EXECUTE, number + bytes(5))).errno == 1243


SESSION = [
    (Command.QUERY, b"SET NAMES utf8mb4"),
    (Command.QUERY, b"SELECT 1, 'two', NULL, 4.5, NOW(6) > 0"),
    (Command.QUERY, b"select * from things where 1 = 0"),
    (Command.QUERY, b"INSERT INTO things VALUES (1, 'a'), (2, NULL), (3, REPEAT('x', 70000))"),
    (Command.QUERY, b"INSERT INTO things VALUES (1, 'again')"),
    (Command.QUERY, b"SELECT * FROM things ORDER BY id"),
    (Command.QUERY, b"SELECT * FROM things ORDER BY id"),
    (Command.QUERY, b"UPDATE things SET v = 'b' WHERE id < 3"),
    (Command.QUERY, b"SHOW WARNINGS"),
    (Command.QUERY, b"BEGIN"),
    (Command.QUERY, b"DELETE FROM things"),
    (Command.QUERY, b"SELECT COUNT(*) FROM things"),
    (Command.QUERY, b"ROLLBACK"),
    (Command.QUERY, b"SET autocommit = 0"),
    (Command.QUERY, b"SELECT COUNT(*) FROM things"),
    (Command.QUERY, b"COMMIT"),
    (Command.QUERY, b"SET @a = 5, autocommit = 1"),
    (Command.QUERY, b"SELECT @a"),
    (Command.QUERY, b"DO 1"),
    (Command.QUERY, b""),
    (Command.QUERY, b"SELECT FROM"),
    (Command.QUERY, b"/* c */ SELECT /* d */ 1 -- e"),
    (Command.QUERY, b"CREATE TEMPORARY TABLE temp SELECT 1 AS a UNION SELECT 2"),
    (Command.QUERY, b"TABLE temp"),
    (Command.QUERY, b"SELECT a FROM temp"),
    (Command.QUERY, b"DROP TEMPORARY TABLE temp"),
    (Command.QUERY, b"PREPARE s FROM 'SELECT ? + 1'"),
    (Command.QUERY, b"EXECUTE s USING @a"),
    (Command.QUERY, b"EXPLAIN SELECT 1"),
    (Command.QUERY, b"LOCK TABLES things READ"),
    (Command.QUERY, b"UNLOCK TABLES"),
    (Command.STMT_PREPARE, b"SELECT 1 WHERE ? = ?"),
    (Command.STMT_PREPARE, b"DO 1"),
    (Command.STMT_PREPARE, b"SELECT FROM"),
    (Command.STMT_EXECUTE, bytes(9)),
    (Command.STMT_RESET, bytes(4)),
    (Command.FIELD_LIST, b"things\0"),
    (Command.PING, b""),
    (Command.RESET_CONNECTION, b""),
    (Command.QUERY, b"SELECT @a"),
]


@both_ends
@pytest.mark.parametrize("user", ["app", "dev"])
async def test_a_session_is_answered_as_the_server_itself_would(
    proxy: Proxy, server: LocalServer, shop: str, capabilities: Capability, user: str
) -> None:
    answers: list[list[list[bytes]]] = []
    direct = {"port": server.server.address.port, "user": ADMIN.user, "password": ADMIN.password}
    for where in ({"port": proxy.port, "user": user}, direct):
        async with (
            a_table(server, shop),
            raw_client(database=shop, capabilities=capabilities, **where) as client,
        ):
            answers.append([await client.run(*command) for command in SESSION])
    for command, ours, theirs in zip(SESSION, *answers, strict=True):
        if command[0] is Command.STMT_PREPARE:
            # MariaDB numbers prepared statements through all sessions.
            ours[0], theirs[0] = ours[0][:1] + ours[0][5:], theirs[0][:1] + theirs[0][5:]
        if command[1] in (b"BEGIN", b"ROLLBACK", b"COMMIT"):
            # MySQL tells of transactions it was not asked about; who shares a backend is spared that.
            ours[0], theirs[0] = ours[0][:4], theirs[0][:4]
        if command[1].startswith(b"SET NAMES"):
            # MariaDB tells of variables in no certain order.
            ours[0], theirs[0] = bytes(sorted(ours[0])), bytes(sorted(theirs[0]))
        assert ours == theirs, command


async def test_small_commands_go_through(proxy: Proxy, server: LocalServer, shop: str) -> None:
    async with a_table(server, shop), raw_client(proxy.port) as client:
        assert (await client.run(Command.PING))[0][0] == 0
        assert b"Uptime" in (await client.run(Command.STATISTICS))[0]
        assert len(await client.run(Command.FIELD_LIST, b"things\0")) == 3
        assert (await client.run(Command.INIT_DB, shop.encode()))[0][0] == 0
        assert (await client.error(Command.INIT_DB, b"nope")).errno in (1044, 1049)
        assert (await client.run(Command.RESET_CONNECTION))[0][0] == 0
        client.send(Command.QUIT)
        assert await client.gone()


@pytest.mark.parametrize("number", [Command.BINLOG_DUMP, Command.REFRESH, Command.PROCESS_INFO, 0x40, 0])
async def test_a_command_that_is_not_passed_on_is_refused(proxy: Proxy, number: int) -> None:
    async with raw_client(proxy.port) as client:
        client.send(number, b"\0" * 8)
        header = await client.reader.readexactly(4)
        error = ErrPacket.parse(await client.reader.readexactly(header[0]))
        assert (error.errno, error.sqlstate) == (1047, "08S01")
        assert await client.query("SELECT 1") == [[b"1"]]


async def test_ddl_on_a_safe_branch_is_refused_with_the_way_to_do_it(proxy: Proxy) -> None:
    async with raw_client(proxy.port) as client:
        error = await client.error(Command.QUERY, b"ALTER TABLE things ADD secret INT DEFAULT 4711")
        assert (error.errno, error.sqlstate) == (1105, "HY000")
        assert error.message.startswith('direct DDL is disabled on branch "main" of "shop" (safe migrations)')
        assert "headgate branch create shop" in error.message
        assert (await client.error(Command.STMT_PREPARE, b"DROP TABLE things")).errno == 1105
        assert (await client.error(Command.CREATE_DB, b"other")).errno == 1105
    told = await proxy.control.wait_for(channel.Refused, lambda refused: refused.verb == "ALTER TABLE")
    assert (told.user, told.database, told.branch) == ("app", "shop", "main")
    assert "4711" not in told.digest


async def test_a_refusal_does_not_touch_the_transaction(proxy: Proxy, server: LocalServer, shop: str) -> None:
    async with a_table(server, shop), raw_client(proxy.port) as client:
        await client.query("BEGIN")
        await client.query("INSERT INTO things VALUES (1, 'a')")
        assert (await client.error(Command.QUERY, b"DROP TABLE things")).errno == 1105
        assert await client.query("SELECT COUNT(*) FROM things") == [[b"1"]]
        await client.query("ROLLBACK")


async def test_an_open_branch_takes_ddl_and_several_statements_at_once(proxy: Proxy, shop: str) -> None:
    async with raw_client(proxy.port, user="dev") as client:
        await client.query("CREATE TABLE made_here (a INT)")
        await client.query("DROP TABLE made_here")
        packets = await client.run(Command.QUERY, b"SELECT 1; SELECT 2; DO 0")
        assert sum(packet[:1] == b"\1" and len(packet) == 1 for packet in packets) == 2


async def test_a_safe_branch_looks_through_several_statements(proxy: Proxy) -> None:
    async with raw_client(proxy.port) as client:
        assert (await client.error(Command.QUERY, b"SELECT 1; DROP TABLE things")).errno == 1105
        assert (await client.error(Command.QUERY, b"SELECT 1; KILL 5")).errno == 1105
        packets = await client.run(Command.QUERY, b"SELECT 'a;b'; SELECT 2; DO 0;")
        assert sum(packet[:1] == b"\1" and len(packet) == 1 for packet in packets) == 2
        assert await client.query("SELECT ';'") == [[b";"]]
        assert (await client.error(Command.QUERY, b"SELECT 1; SELECT FROM; SELECT 3")).errno == 1064
        assert await client.query("SELECT 1") == [[b"1"]]


async def test_a_client_takes_and_leaves_several_statements_by_command(proxy: Proxy) -> None:
    single = USUAL & ~Capability.MULTI_STATEMENTS
    async with raw_client(proxy.port, capabilities=single) as client:
        assert (await client.error(Command.QUERY, b"SELECT 1; SELECT 2")).errno == 1064
        assert (await client.run(Command.SET_OPTION, b"\0\0"))[0][0] == 0xFE
        assert len(await client.run(Command.QUERY, b"SELECT 1; SELECT 2")) == 10
        await client.run(Command.SET_OPTION, b"\1\0")
        assert (await client.error(Command.QUERY, b"SELECT 1; SELECT 2")).errno == 1064
        assert (await client.error(Command.SET_OPTION, b"\2\0")).errno == 1047


async def test_a_file_of_the_clients_is_never_asked_for(proxy: Proxy, server: LocalServer, shop: str) -> None:
    async with a_table(server, shop):
        local = USUAL | Capability.LOCAL_FILES
        async with raw_client(proxy.port, capabilities=local) as client:
            error = await client.error(
                Command.QUERY, b"LOAD DATA LOCAL INFILE '/etc/passwd' INTO TABLE things"
            )
            assert error.errno in (1148, 3948, 4166)
            assert await client.query("SELECT 1") == [[b"1"]]


async def test_commands_sent_ahead_are_answered_in_order(proxy: Proxy) -> None:
    async with raw_client(proxy.port) as client:
        texts = [f"SELECT {number}" for number in range(50)]
        client.writer.write(b"".join(frame(b"\x03" + text.encode()) for text in texts))
        got = b""
        while got.count(b"\xfe\0\0") < 50 or not got.endswith(b"\0\0"):
            got += await client.reader.read(65536)
        at = [got.index(b"\x02" + str(number).encode(), 0) for number in range(10, 50)]
        assert at == sorted(at)


async def test_a_command_in_pieces_is_one_command(proxy: Proxy) -> None:
    async with raw_client(proxy.port) as client:
        for byte in frame(b"\x03SELECT 'pieces'"):
            client.writer.write(bytes((byte,)))
            await client.writer.drain()
            await asyncio.sleep(0)
        assert b"pieces" in (await client.answer(Command.QUERY))[-2]


@pytest.mark.parametrize("size", [70_000, MAX_FRAME - 40, MAX_FRAME - 1, MAX_FRAME, 17_000_000])
async def test_a_long_statement_goes_through(proxy: Proxy, server: LocalServer, shop: str, size: int) -> None:
    async with await Connection.open(server.server) as connection:
        await connection.execute("SET GLOBAL max_allowed_packet = 67108864")
        await kill_others(connection)
    async with raw_client(proxy.port) as client:
        text = b"SELECT LENGTH('" + b"x" * (size - 19) + b"')"
        packets = await client.run(Command.QUERY, text)
        assert str(size - 19).encode() in packets[-2]
        assert await client.query("SELECT 'x'") == [[b"x"]]


async def test_a_long_statement_can_be_refused(proxy: Proxy) -> None:
    async with raw_client(proxy.port) as client:
        error = await client.error(Command.QUERY, b"ALTER TABLE t COMMENT '" + b"x" * 17_000_000 + b"'")
        assert error.errno == 1105
        assert (
            await client.error(Command.QUERY, b"/*" + b"x" * 17_000_000 + b"*/ DROP TABLE t")
        ).errno == 1105
        assert await client.query("SELECT 'x'") == [[b"x"]]


async def test_a_statement_too_long_for_the_server_ends_with_its_error(
    proxy: Proxy, server: LocalServer
) -> None:
    async with await Connection.open(server.server) as connection:
        await connection.execute("SET GLOBAL max_allowed_packet = 1048576")
        await kill_others(connection)
        try:
            async with raw_client(proxy.port) as client:
                with contextlib.suppress(ConnectionResetError, BrokenPipeError):
                    error = await client.error(Command.QUERY, b"SELECT '" + b"x" * 5_000_000 + b"'")
                    assert error.errno in (1153, 1105)
                assert await client.gone()
        finally:
            await connection.execute("SET GLOBAL max_allowed_packet = 67108864")


async def test_a_slow_reader_gets_a_large_result_unchanged(
    proxy: Proxy, server: LocalServer, shop: str
) -> None:
    async with a_table(server, shop, "id INT PRIMARY KEY, v LONGTEXT") as connection:
        await connection.execute(
            "INSERT INTO things VALUES (1, REPEAT('ab', 500000)), (2, REPEAT('cd', 500000))"
        )
        sql = "SELECT a.v FROM things a, things b, things c, things d, things e"
        digests = []
        for port in (proxy.port, server.server.address.port):
            options = {} if port == proxy.port else {"user": ADMIN.user, "password": ADMIN.password}
            async with raw_client(port, database=shop, **options) as client:
                client.send(Command.QUERY, sql.encode())
                digest, size = hashlib.sha256(), 0
                client.response.begin_query()
                while not client.response.over:
                    data = await client.reader.read(1 << 20)
                    digest.update(data)
                    size += len(data)
                    client.response.feed(data)
                    if size < 4 << 20:
                        await asyncio.sleep(0.01)
                digests.append((digest.hexdigest(), size))
        assert digests[0] == digests[1]
        assert digests[0][1] > 32_000_000


async def test_a_slow_reader_does_not_fill_the_workers_memory(proxy: Proxy) -> None:
    def resident_kb() -> int:
        status = Path(f"/proc/{proxy.pids[0]}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))

    async with raw_client(proxy.port) as client, raw_client(proxy.port) as other:
        before = resident_kb()
        big = " , ".join(["REPEAT('x', 1000000)"] * 30)
        client.send(Command.QUERY, f"SELECT {big} UNION ALL SELECT {big} UNION ALL SELECT {big}".encode())
        await client.reader.readexactly(4)
        for _ in range(20):
            await other.query("SELECT SLEEP(0.01)")
        assert resident_kb() - before < 20_000


async def test_pymysql_works(proxy: Proxy, server: LocalServer, shop: str) -> None:
    def work() -> None:
        connection = pymysql.connect(
            host="127.0.0.1",
            port=proxy.port,
            user="app",
            password=PASSWORD,
            database="shop",
            autocommit=False,
        )
        with connection, connection.cursor() as cursor:
            cursor.executemany("INSERT INTO things VALUES (%s, %s)", [(n, "ä" * n) for n in range(100)])
            connection.commit()
            cursor.execute("SELECT SUM(CHAR_LENGTH(v)) FROM things")
            assert cursor.fetchone() == (4950,)
            with pytest.raises(pymysql.err.OperationalError) as caught:
                cursor.execute("TRUNCATE things")
            assert caught.value.args[0] == 1105

    async with a_table(server, shop):
        await asyncio.to_thread(work)


async def test_a_large_result_goes_through_tls(proxy: Proxy, server: LocalServer, shop: str) -> None:
    def work() -> int:
        connection = pymysql.connect(
            host="127.0.0.1",
            port=proxy.port,
            user="app",
            password=PASSWORD,
            ssl={"check_hostname": False},
            cursorclass=pymysql.cursors.SSCursor,
        )
        with connection, connection.cursor() as cursor:
            assert connection._secure
            tables = ", ".join(f"things t{number}" for number in range(5))
            cursor.execute(f"SELECT t0.v FROM {tables}")
            return sum(len(row[0]) for row in cursor)

    async with a_table(server, shop, "id INT PRIMARY KEY, v TEXT") as connection:
        values = ", ".join(f"({number}, REPEAT('x', 4000))" for number in range(6))
        await connection.execute(f"INSERT INTO things VALUES {values}")
        assert await asyncio.to_thread(work) == 6**5 * 4000


async def test_aiomysql_works(proxy: Proxy, server: LocalServer, shop: str) -> None:
    async with (
        a_table(server, shop),
        aiomysql.create_pool(
            host="127.0.0.1", port=proxy.port, user="app", password=PASSWORD, minsize=3, autocommit=True
        ) as pool,
    ):

        async def work(number: int) -> None:
            async with pool.acquire() as connection, connection.cursor() as cursor:
                await cursor.execute("INSERT INTO things VALUES (%s, 'x')", (number,))

        await asyncio.gather(*(work(number) for number in range(50)))
        async with pool.acquire() as connection, connection.cursor() as cursor:
            await cursor.execute("SELECT COUNT(*) FROM things")
            assert await cursor.fetchone() == (50,)


@pytest.mark.parametrize("user", ["app", "app.dev"])
async def test_the_servers_own_shell_works(proxy: Proxy, server: LocalServer, shop: str, user: str) -> None:
    if server.programs.flavor is Flavor.MYSQL:
        name, options = "mysql", ["--ssl-mode=REQUIRED"]
    else:
        name, options = "mariadb", ["--ssl", "--ssl-verify-server-cert=0"]
        plugins = (server.programs.root or Path("/usr")).rglob("libmariadb3/plugin")
        options += [f"--plugin-dir={next(plugins)}"] if server.programs.root else []
    login = ["-h127.0.0.1", f"-P{proxy.port}", f"-u{user}", f"-p{PASSWORD}"]
    argv = server.programs.command(
        name, "--no-defaults", *login, *options, "-N", "-B", "-e", "SELECT DATABASE(); SELECT 2"
    )
    process = await asyncio.create_subprocess_exec(
        *argv, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err
    assert out.split() == [shop.encode(), b"2"]


async def kill_others(connection: Connection) -> None:
    """End all connections to the server but this one: new ones take its new settings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rows = await connection.fetch_all("SHOW PROCESSLIST")
    for row in rows:
        if row[1] == ADMIN.user and row[4] == "Sleep":
            with contextlib.suppress(DatabaseError):
                await connection.execute(f"KILL {row[0]}")


async def running(connection: Connection, thread: bytes | None, text: str = "") -> bool:
    """Whether a server thread exists, and runs a statement with this text."""
    with warnings.catch_warnings():
        # MySQL deprecates what MariaDB has nothing else for.
        warnings.simplefilter("ignore")
        rows = await connection.fetch_all("SHOW FULL PROCESSLIST")
    return any(row[0] == int(thread or 0) and text in (row[7] or "") for row in rows)


async def test_a_backend_killed_during_a_statement_is_told_to_the_client(
    proxy: Proxy, server: LocalServer
) -> None:
    async with await Connection.open(server.server) as connection, raw_client(proxy.port) as client:
        [[thread]] = await client.query("SELECT 0 + CONNECTION_ID()")
        assert thread is not None
        client.send(Command.QUERY, b"SELECT SLEEP(30)")
        while not await running(connection, thread, "SLEEP"):
            pass
        await connection.execute(f"KILL {int(thread)}")
        packets = await client.answer(Command.QUERY)
        assert packets[-1][0] == 0xFF
        assert ErrPacket.parse(packets[-1]).errno in (1105, 1317, 1053, 1927, 3169)
        assert await client.gone()


async def test_a_backend_killed_between_statements_ends_a_client_that_does_not_share(
    proxy: Proxy, server: LocalServer, pool_mode: PoolMode
) -> None:
    async with await Connection.open(server.server) as connection, raw_client(proxy.port) as client:
        [[thread]] = await client.query("SELECT 0 + CONNECTION_ID()")
        assert thread is not None
        before = len(proxy.control.received)
        await connection.execute(f"KILL {int(thread)}")
        if pool_mode is PoolMode.SESSION:
            assert await client.gone()
            return
        # A server's list of processes is ahead of what reaches its clients.
        await proxy.control.wait_for(
            channel.Stats,
            lambda stats: (
                proxy.control.received.index(stats) >= before
                and any(branch.pool.closed for branch in stats.branches)
            ),
        )
        assert await client.query("SELECT 0 + CONNECTION_ID()") != [[thread]]
        await client.query("BEGIN")
        [[thread]] = await client.query("SELECT 0 + CONNECTION_ID()")
        await connection.execute(f"KILL {int(thread or 0)}")
        assert await client.gone(), "its transaction is lost"


async def test_a_client_that_vanishes_leaves_nothing_behind(
    proxy: Proxy, server: LocalServer, pool_mode: PoolMode
) -> None:
    async with await Connection.open(server.server) as connection:
        client = await RawClient.connect(proxy.port)
        [[thread]] = await client.query("SELECT 0 + CONNECTION_ID()")
        await client.query("SELECT GET_LOCK('vanishing', 0)")
        await client.query("BEGIN")
        client.writer.transport.abort()
        async with asyncio.timeout(120):
            while (await connection.fetch_all("SELECT IS_FREE_LOCK('vanishing')"))[0] != (1,):
                pass
            while pool_mode is PoolMode.SESSION and await running(connection, thread):
                pass
    await proxy.control.wait_for(
        channel.Stats, lambda stats: all(branch.in_transaction == 0 for branch in stats.branches)
    )


@pytest.mark.parametrize(
    "data", [b"\0\0\0\0", b"\x01\0\0\x05\x03", b"\xff" * 300, b"GET / HTTP/1.1\r\n\r\n" * 9]
)
async def test_bytes_that_are_no_command_end_the_connection(proxy: Proxy, data: bytes) -> None:
    async with raw_client(proxy.port) as client:
        client.writer.write(data)
        client.writer.write_eof()
        assert await client.gone()
    async with raw_client(proxy.port) as client:
        assert await client.query("SELECT 1") == [[b"1"]]


async def test_statements_are_counted_by_kind(proxy: Proxy, server: LocalServer, shop: str) -> None:
    def quiet(stats: channel.Stats) -> bool:
        return not any(branch.classes for branch in stats.branches)

    before = len(proxy.control.received)
    await proxy.control.wait_for(
        channel.Stats, lambda stats: quiet(stats) and proxy.control.received.index(stats) >= before
    )
    before = len(proxy.control.received)
    async with a_table(server, shop), raw_client(proxy.port) as client:
        await client.query("SELECT 1")
        await client.error(Command.QUERY, b"SELECT nothing")
        await client.query("INSERT INTO things VALUES (1, 'a')")

        def counts(kind: str) -> tuple[int, int, int]:
            queries = errors = in_buckets = 0
            for message in proxy.control.received[before:]:
                if isinstance(message, channel.Stats):
                    for branch in message.branches:
                        stats = branch.classes.get(kind)
                        if stats and branch.branch == "main":
                            queries += stats.queries
                            errors += stats.errors
                            in_buckets += sum(count for _, count in stats.buckets)
            return queries, errors, in_buckets

        await proxy.control.wait_for(channel.Stats, lambda _: counts("write") == (1, 0, 1))
        assert counts("read") == (2, 1, 2)
