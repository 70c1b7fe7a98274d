"""Whatever one client leaves in its session, another one on the same backend never sees, and it keeps."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.wire.constants import Capability, Command
from proxy.wire.packets import ErrPacket
from router.database import Connection
from router.model import Flavor, PoolMode
from router.servers.process import LocalServer
from tests.support.proxy import Proxy, production, running_proxy, user
from tests.support.raw_client import USUAL, RawClient, raw_client
from tests.support.servers import ADMIN, fresh_schema

CLASSIC = USUAL & ~Capability.MULTI_STATEMENTS
NOBODY_WAITS_LONG = "0.15"
NO_BACKEND_IS_FREE = 1040
RAN_ELSEWHERE = 1105


@dataclass
class Stage:
    """A worker whose branch has one backend for everybody, and the server behind it."""

    proxy: Proxy
    server: LocalServer
    schema: str
    other: str
    twins: tuple[str, str]
    """Two schemas like these, for who does the same without a proxy."""

    def client(self, capabilities: Capability) -> contextlib.AbstractAsyncContextManager[RawClient]:
        return raw_client(self.proxy.port, capabilities=capabilities, user="dev")

    def direct(
        self, capabilities: Capability, schema: str = ""
    ) -> contextlib.AbstractAsyncContextManager[RawClient]:
        assert self.server.port is not None
        return raw_client(
            self.server.port,
            user=ADMIN.user,
            password=ADMIN.password,
            database=schema or self.schema,
            capabilities=capabilities,
        )


async def furnish(server: LocalServer, schema: str) -> None:
    async with await Connection.open(server.server, database=schema) as connection:
        for statement in (
            "CREATE TABLE things (id INT AUTO_INCREMENT PRIMARY KEY, v INT)",
            "CREATE TABLE others (id INT)",
            "CREATE PROCEDURE sets_mode() SET SESSION sql_mode = 'ANSI_QUOTES'",
            "CREATE PROCEDURE makes_table() CREATE TEMPORARY TABLE temp (a INT)",
            "CREATE PROCEDURE sets_variable() SET @hidden = 5",
        ):
            await connection.execute(statement)


@pytest.fixture(scope="module")
async def stage(server: LocalServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    folder: Path = tmp_path_factory.mktemp("states")
    environment = {
        "HEADGATE_PROXY_MAX_BACKEND_CONNECTIONS": "1",
        "HEADGATE_PROXY_QUERY_WAIT_TIMEOUT_S": NOBODY_WAITS_LONG,
        "HEADGATE_LOG_LEVEL": "warning",
    }
    async with contextlib.AsyncExitStack() as stack:
        schema, other, *twins = [
            await stack.enter_async_context(fresh_schema(server, prefix))
            for prefix in ("one", "two", "one", "two")
        ]
        for name in (schema, other, *twins):
            await furnish(server, name)
        branch = replace(
            production(server.server, schema),
            name="dev",
            safe_migrations=False,
            pool_mode=PoolMode.TRANSACTION,
        )
        users = [user("dev", branch="dev")]
        async with running_proxy(folder, [branch], users, environment=environment) as proxy:
            yield Stage(proxy, server, schema, other, (twins[0], twins[1]))


@pytest.fixture
async def clean(stage: Stage) -> AsyncIterator[Stage]:
    yield stage
    async with await Connection.open(stage.server.server) as connection:
        for schema in (stage.schema, stage.other):
            await connection.execute(f"TRUNCATE {schema}.things")


@dataclass(frozen=True)
class Case:
    """A state: how a client gets into it, what shows it, and whether the backend stays with the client."""

    name: str
    steps: tuple[str, ...]
    look: str
    pins: bool = True
    only: Flavor | None = None
    lingers: tuple[Flavor, ...] = ()
    """Where the backend stays only for a moment: then who waits gets it."""
    also_fresh: tuple[object, ...] = ()
    """What a client may see that has done something else before."""


SHOW_CHARSETS = (
    "SELECT @@character_set_client, @@character_set_results, @@character_set_connection, "
    "@@collation_connection"
)

CASES = [
    Case("transaction", ("BEGIN", "INSERT INTO things (v) VALUES (1)"), "SELECT COUNT(*) FROM things"),
    Case(
        "chained transaction",
        ("BEGIN", "COMMIT AND CHAIN", "INSERT INTO things (v) VALUES (1)"),
        "SELECT COUNT(*) FROM things",
    ),
    Case("read-only transaction", ("START TRANSACTION READ ONLY",), "INSERT INTO things (v) VALUES (1)"),
    Case("autocommit off", ("SET autocommit = 0",), "SELECT @@autocommit", pins=False),
    Case("savepoint without autocommit", ("SET autocommit = 0", "SAVEPOINT a"), "ROLLBACK TO SAVEPOINT a"),
    Case(
        "one transaction's access mode", ("SET TRANSACTION READ ONLY",), "INSERT INTO things (v) VALUES (1)"
    ),
    Case(
        "the session's access mode",
        ("SET SESSION TRANSACTION READ ONLY",),
        "INSERT INTO things (v) VALUES (1)",
        pins=False,
    ),
    Case(
        "the session's isolation",
        ("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",),
        "SHOW VARIABLES LIKE 't%x_isolation'",
        pins=False,
    ),
    Case("sql_mode", ("SET sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES'",), "SELECT @@sql_mode", pins=False),
    Case("time zone", ("SET time_zone = '+03:00'",), "SELECT @@time_zone", pins=False),
    Case(
        "number variable", ("SET SESSION sort_buffer_size = 300000",), "SELECT @@sort_buffer_size", pins=False
    ),
    Case(
        "several at once",
        ("SET SESSION sql_big_selects = 0, time_zone = '+01:00', @@SESSION.group_concat_max_len = 99",),
        "SELECT @@sql_big_selects, @@time_zone, @@group_concat_max_len",
        pins=False,
    ),
    Case(
        "without saying for how long",
        ("SET @@sql_big_selects = 0",),
        "SELECT @@sql_big_selects",
        pins=False,
        only=Flavor.MYSQL,
    ),
    Case(
        "untold by the server",
        ("SET @@sql_big_selects = 0",),
        "SELECT @@sql_big_selects",
        only=Flavor.MARIADB,
    ),
    Case("names", ("SET NAMES latin1",), SHOW_CHARSETS, pins=False),
    Case("names with a collation", ("SET NAMES utf8mb4 COLLATE utf8mb4_bin",), SHOW_CHARSETS, pins=False),
    Case("results as they are", ("SET character_set_results = NULL",), SHOW_CHARSETS, pins=False),
    Case("variable set in a procedure", ("CALL sets_mode()",), "SELECT @@sql_mode"),
    Case("table made in a procedure", ("CALL makes_table()",), "SELECT COUNT(*) FROM temp"),
    Case("user variable set in a procedure", ("CALL sets_variable()",), "SELECT @hidden"),
    Case("user variable", ("SET @a = 5",), "SELECT @a"),
    Case("user variable assigned", ("SELECT @a := 5",), "SELECT @a"),
    Case("user variable selected into", ("SELECT 5 INTO @a",), "SELECT @a"),
    Case("temporary table", ("CREATE TEMPORARY TABLE temp (a INT)",), "SELECT COUNT(*) FROM temp"),
    Case("hidden table", ("CREATE TEMPORARY TABLE others (a INT)",), "SHOW COLUMNS FROM others"),
    Case("table lock", ("LOCK TABLES things READ",), "INSERT INTO others VALUES (1)"),
    Case("named lock", ("SELECT GET_LOCK('a lock', 0)",), "SELECT IS_USED_LOCK('a lock') = CONNECTION_ID()"),
    Case("handler", ("HANDLER things OPEN",), "HANDLER things READ FIRST"),
    Case("text prepared", ("PREPARE s FROM 'SELECT 5'",), "EXECUTE s"),
    Case(
        "rows there would have been",
        ("SELECT SQL_CALC_FOUND_ROWS 1 UNION SELECT 2 LIMIT 1",),
        "SELECT FOUND_ROWS()",
        also_fresh=([b"\x011"],),
    ),
    Case(
        "last insert id", ("INSERT INTO things (v) VALUES (1), (2)",), "SELECT LAST_INSERT_ID()", pins=False
    ),
    Case(
        "last insert id by a variable",
        ("INSERT INTO things (v) VALUES (1)",),
        "SELECT @@identity",
        pins=False,
    ),
    Case(
        "last insert id of rows returned",
        ("INSERT INTO things (v) VALUES (1) RETURNING v",),
        "SELECT LAST_INSERT_ID()",
        only=Flavor.MARIADB,
    ),
    Case("last insert id set", ("SELECT LAST_INSERT_ID(77)",), "SELECT LAST_INSERT_ID()"),
    Case("last insert id assigned", ("SET last_insert_id = 78",), "SELECT LAST_INSERT_ID()", pins=False),
    Case("warnings", ("SELECT CAST('x' AS SIGNED)",), "SHOW WARNINGS", lingers=tuple(Flavor)),
    Case("an error", ("SELECT nothing",), "SHOW ERRORS", lingers=tuple(Flavor)),
    Case("xa transaction", ("XA START 'x'",), "XA END 'x'"),
    Case("the time", ("SET timestamp = 1000000000",), "SELECT @@timestamp = 1000000000"),
    Case("random numbers", ("SET rand_seed1 = 1, rand_seed2 = 2",), "SELECT RAND() BETWEEN 0 AND 1"),
    Case("profiling", ("SET profiling = 1",), "SELECT @@profiling"),
    Case(
        "an error in a SET",
        ("SET @@time_zone = '+02:00', @@sql_mode = 'nonsense'",),
        "SELECT @@time_zone, @@sql_mode",
        lingers=(Flavor.MYSQL,),
    ),
    Case("trackers", ("SET session_track_schema = OFF",), "SELECT @@session_track_schema"),
    Case("global read lock", ("FLUSH TABLES WITH READ LOCK",), "INSERT INTO others VALUES (1)"),
    Case("role", ("SET ROLE NONE",), "SELECT CURRENT_ROLE()"),
    Case(
        "time limit",
        ("SET max_execution_time = 5000",),
        "SELECT @@max_execution_time",
        pins=False,
        only=Flavor.MYSQL,
    ),
    Case(
        "time limit",
        ("SET max_statement_time = 5",),
        "SELECT @@max_statement_time",
        pins=False,
        only=Flavor.MARIADB,
    ),
    Case(
        "oracle's grammar", ("SET sql_mode = 'ORACLE'",), "SELECT @@sql_mode", pins=False, only=Flavor.MARIADB
    ),
]


async def seen(client: RawClient, sql: str) -> object:
    """What a statement gives: rows, or the number of an error, or what an OK says."""
    packets = await client.run(Command.QUERY, sql.encode())
    if packets[-1][0] == 0xFF:
        return ErrPacket.parse(packets[-1]).errno
    if packets[0][0] == 0:
        return packets[0][:3]
    end = 1 + packets[0][0] + (0 if client.handshake.capabilities & Capability.DEPRECATE_EOF else 1)
    return packets[end:-1]


both_ends = pytest.mark.parametrize(
    "capabilities", [CLASSIC, CLASSIC | Capability.DEPRECATE_EOF], ids=["eof", "no-eof"]
)


@both_ends
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))
async def test_what_one_client_leaves_behind_no_other_sees(
    clean: Stage, case: Case, capabilities: Capability
) -> None:
    stage = clean
    if case.only not in (None, stage.server.programs.flavor):
        return
    async with stage.direct(capabilities) as direct:
        fresh = await seen(direct, case.look)
    async with stage.direct(capabilities) as direct:
        for step in case.steps:
            await seen(direct, step)
        mine = await seen(direct, case.look)
    async with await Connection.open(stage.server.server, database=stage.schema) as connection:
        await connection.execute("TRUNCATE things")
    async with stage.client(capabilities) as one, stage.client(capabilities) as two:
        for step in case.steps:
            await seen(one, step)
        shown = await seen(two, case.look)
        lingers = stage.server.programs.flavor in case.lingers
        if case.pins and not lingers:
            assert shown == NO_BACKEND_IS_FREE
        else:
            assert shown == fresh
        if "INSERT" in case.look and not case.pins:
            # The other one has a row more now.
            assert (await seen(one, case.look) == 0) == (mine == 0)
        elif lingers:
            assert await seen(one, case.look) in (mine, RAN_ELSEWHERE, NO_BACKEND_IS_FREE)
        else:
            assert await seen(one, case.look) == mine
        one.close()
    async with stage.client(capabilities) as three:
        await settled(stage, three)
        if fresh != mine and "INSERT" not in case.look:
            assert await seen(three, case.look) in (fresh, *case.also_fresh)


async def settled(stage: Stage, client: RawClient) -> None:
    """Wait until a client has the backend."""
    for _ in range(100):
        if await seen(client, "SELECT 1") != NO_BACKEND_IS_FREE:
            return
    raise AssertionError("the backend never became free")


@both_ends
async def test_the_default_schema_goes_with_its_client(clean: Stage, capabilities: Capability) -> None:
    async with clean.client(capabilities) as one, clean.client(capabilities) as two:
        await one.query(f"USE {clean.other}")
        assert await two.query("SELECT DATABASE()") == [[clean.schema.encode()]]
        assert await one.query("SELECT DATABASE()") == [[clean.other.encode()]]
        assert (await two.run(Command.INIT_DB, clean.other.encode()))[0][0] == 0
        assert (await one.run(Command.INIT_DB, b"shop"))[0][0] == 0
        assert await one.query("SELECT DATABASE()") == [[clean.schema.encode()]]
        assert await two.query("SELECT DATABASE()") == [[clean.other.encode()]]
        assert (await one.error(Command.INIT_DB, b"nope_nope")).errno in (1044, 1049)
        await settled(clean, two)
        await two.query("USE `@primary`;")
        assert await two.query("SELECT DATABASE()") == [[clean.schema.encode()]]


@both_ends
async def test_a_question_about_somebody_elses_statement_gets_an_error(
    clean: Stage, capabilities: Capability
) -> None:
    async with clean.client(capabilities) as one, clean.client(capabilities) as two:
        await one.query("INSERT INTO things (v) VALUES (1), (2), (3)")
        await two.query("INSERT INTO things (v) VALUES (4)")
        error = await one.error(Command.QUERY, b"SELECT ROW_COUNT()")
        assert (error.errno, error.sqlstate) == (1105, "HY000")
        assert "in one transaction" in error.message
        await one.query("INSERT INTO things (v) VALUES (5), (6)")
        assert await one.query("SELECT ROW_COUNT()") == [[b"2"]]
        assert await seen(two, "SELECT 1") == NO_BACKEND_IS_FREE, "who asks once may ask again"


@both_ends
async def test_who_has_done_nothing_sees_nothing_of_the_last_statement(
    clean: Stage, capabilities: Capability
) -> None:
    questions = ("SHOW WARNINGS", "SELECT @@warning_count", "SELECT LAST_INSERT_ID()")
    for question in questions:
        async with clean.direct(capabilities) as direct:
            fresh = await seen(direct, question)
        async with clean.client(capabilities) as one, clean.client(capabilities) as two:
            await one.query("INSERT INTO things (v) VALUES (1)")
            assert await seen(two, question) == fresh


@both_ends
async def test_a_reset_connection_starts_anew(clean: Stage, capabilities: Capability) -> None:
    async with clean.client(capabilities) as one, clean.client(capabilities) as two:
        await one.query("SET @a = 5, time_zone = '+03:00'")
        await one.query("CREATE TEMPORARY TABLE temp (a INT)")
        statement = await one.prepare("SELECT 1")
        assert (await one.run(Command.RESET_CONNECTION))[0][0] == 0
        await settled(clean, two)
        assert await one.query("SELECT @a, @@time_zone") == [[None, b"SYSTEM"]]
        assert await seen(one, "SELECT * FROM temp") == 1146
        number = statement.to_bytes(4, "little")
        assert (await one.error(Command.STMT_EXECUTE, number + bytes(5))).errno == 1243


async def test_who_counts_found_rows_does_not_share_with_who_counts_changed_rows(clean: Stage) -> None:
    base = CLASSIC | Capability.DEPRECATE_EOF
    async with clean.client(base) as changed, clean.client(base | Capability.FOUND_ROWS) as found:
        await changed.query("INSERT INTO things VALUES (1, 1)")
        for _ in range(2):
            for client, count in ((changed, 0), (found, 1)):
                [ok] = await client.run(Command.QUERY, b"UPDATE things SET v = 1 WHERE id = 1")
                assert ok[1] == count


WHERE = (
    "SELECT @@autocommit, @@sql_mode, @@time_zone, DATABASE(), @@character_set_client, "
    "@@character_set_results, @@character_set_connection, @@collation_connection, @@group_concat_max_len"
)
STATEMENTS = [
    WHERE,
    WHERE,
    "SELECT COUNT(*) FROM things",
    "SELECT @a, @b",
    "SELECT LAST_INSERT_ID()",
    "SELECT COUNT(*) FROM temp",
    "INSERT INTO things (v) VALUES (1)",
    "INSERT INTO things (v) VALUES (1), (2)",
    "UPDATE things SET v = v + 1",
    "SET autocommit = 0",
    "SET autocommit = 1",
    "SET sql_mode = 'ANSI_QUOTES'",
    "SET sql_mode = ''",
    "SET SESSION sql_mode = DEFAULT",
    "SET time_zone = '+03:00'",
    "SET time_zone = 'SYSTEM'",
    "SET NAMES latin1",
    "SET NAMES utf8mb4",
    "SET character_set_results = NULL",
    "SET group_concat_max_len = 77, time_zone = '-05:00'",
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "SAVEPOINT a",
    "ROLLBACK TO a",
    "SET @a = 1",
    "SELECT 7 INTO @b",
    "CREATE TEMPORARY TABLE IF NOT EXISTS temp (a INT)",
    "INSERT INTO temp VALUES (1)",
    "DROP TEMPORARY TABLE IF EXISTS temp",
    "PREPARE s FROM 'SELECT @@time_zone'",
    "EXECUTE s",
    "DEALLOCATE PREPARE s",
    "USE other",
    "USE schema",
]
QUERY, PREPARE, EXECUTE, RESET = "query", "prepare", "execute", "reset"
actions = st.tuples(
    st.integers(0, 1),
    st.one_of(
        st.tuples(st.just(QUERY), st.sampled_from(STATEMENTS)),
        st.tuples(
            st.just(PREPARE),
            st.sampled_from(["SELECT COUNT(*) + ? FROM things", "SELECT CONCAT('ä', ?, DATABASE())"]),
        ),
        st.tuples(st.just(EXECUTE), st.just("")),
        st.tuples(st.just(RESET), st.just("")),
    ),
)


class Actor:
    """One client and what it has prepared, with the names of its own two schemas."""

    def __init__(self, client: RawClient, schema: str, other: str) -> None:
        self.client = client
        self.schema = schema
        self.other = other
        self.statement: int | None = None
        self.bound = False

    async def act(self, what: str, text: str) -> object:
        """Do something and return what came of it, in the same words for every schema."""
        if what == QUERY:
            text = text.replace("USE other", f"USE {self.other}").replace("USE schema", f"USE {self.schema}")
            return self._plain(await seen(self.client, text))
        if what == RESET:
            self.statement = None
            return (await self.client.run(Command.RESET_CONNECTION))[0][:1]
        if what == PREPARE:
            packets = await self.client.run(Command.STMT_PREPARE, text.encode())
            if packets[-1][0] == 0xFF:
                return ErrPacket.parse(packets[-1]).errno
            self.statement, self.bound = int.from_bytes(packets[0][1:5], "little"), False
            return packets[0][5:9]
        if self.statement is None:
            return None
        types = b"\0\0" if self.bound else b"\0\1\x03\0"
        packets = await self.client.execute(self.statement, types + (7).to_bytes(4, "little"))
        if packets[-1][0] == 0xFF:
            return ErrPacket.parse(packets[-1]).errno
        self.bound = True
        return self._plain([packet for packet in packets[2:-1] if packet[:1] == b"\0"])

    def _plain(self, result: object) -> object:
        if isinstance(result, list):
            return [
                packet.replace(self.other.encode(), b"<other>").replace(self.schema.encode(), b"<schema>")
                for packet in result
            ]
        return result


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(actions, min_size=5, max_size=30), st.sampled_from([CLASSIC, CLASSIC | Capability.DEPRECATE_EOF])
)
async def test_two_clients_on_one_backend_are_as_two_clients_with_one_each(
    stage: Stage, plan: list[tuple[int, tuple[str, str]]], capabilities: Capability
) -> None:
    async with await Connection.open(stage.server.server) as connection:
        for schema in (stage.schema, stage.other, *stage.twins):
            await connection.execute(f"TRUNCATE {schema}.things")
    twins = stage.twins
    async with contextlib.AsyncExitStack() as stack:
        ours = [
            Actor(await stack.enter_async_context(stage.client(capabilities)), stage.schema, stage.other)
            for _ in range(2)
        ]
        theirs = [
            Actor(await stack.enter_async_context(stage.direct(capabilities, twins[0])), *twins)
            for _ in range(2)
        ]
        for who, (what, text) in plan:
            got = await ours[who].act(what, text)
            if got == NO_BACKEND_IS_FREE:
                continue
            assert got == await theirs[who].act(what, text), (who, what, text)
