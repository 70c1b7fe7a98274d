"""I attack the guard where nothing else would stop me: the proxy's account on the server may do everything.

Whatever goes through a branch with safe migrations, what the server says of its schema, users and settings
must be the same afterwards. HEADGATE_GUARD_EXAMPLES=100 tries a hundred times as much as usual.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.wire.constants import MAX_FRAME, Command
from router.database import Connection
from router.model import Flavor, PoolMode
from router.servers.process import LocalServer
from tests.proxy.conftest import open_branch
from tests.support.proxy import Proxy, production, running_proxy, user
from tests.support.raw_client import raw_client
from tests.support.servers import fresh_schema
from tests.support.statements import sessions_of_statements
from tests.support.witness import Witness

_TIMES = int(os.environ.get("HEADGATE_GUARD_EXAMPLES", "1"))

_ORACLE = "SET sql_mode = ORACLE"

# Statement by statement: what is sent before it, and the servers that would do it.
BOTH = frozenset(Flavor)
LISTED: dict[str, tuple[tuple[str, ...], frozenset[Flavor]]] = {
    "DROP TABLE t": ((), BOTH),
    "CREATE TABLE t2 (a INT)": ((), BOTH),
    "CREATE TABLE t2 SELECT 1 AS a": ((), BOTH),
    "ALTER TABLE t ADD c INT": ((), BOTH),
    "RENAME TABLE t TO t2": ((), BOTH),
    "CREATE INDEX c ON t (a, b)": ((), BOTH),
    "CREATE TRIGGER r BEFORE INSERT ON t FOR EACH ROW SET @a = 1": ((), BOTH),
    "CREATE OR REPLACE VIEW v AS SELECT b FROM t": ((), BOTH),
    "DROP PROCEDURE p": ((), BOTH),
    "CREATE USER hg_guard_test": ((), BOTH),
    "/**/DROP/**/TABLE/**/t": ((), BOTH),
    "/*!DROP TABLE t*/": ((), BOTH),
    "/*!40000 DROP*/ TABLE t": ((), BOTH),
    "/*M!100000 DROP TABLE t*/": ((), frozenset({Flavor.MARIADB})),
    "/*!99999 SELECT */ DROP TABLE t": ((), BOTH),
    "# x\nDROP TABLE t": ((), BOTH),
    "--\tx\nDROP TABLE t": ((), BOTH),
    "-- x\rDROP TABLE t": ((), frozenset()),
    "# x\0DROP TABLE t": ((), frozenset()),
    "EXECUTE IMMEDIATE 'DROP TABLE t'": ((), frozenset({Flavor.MARIADB})),
    "BEGIN NOT ATOMIC DROP TABLE t; END": ((), frozenset({Flavor.MARIADB})),
    "IF 1 THEN DROP TABLE t; END IF": ((), frozenset({Flavor.MARIADB})),
    "LOOP DROP TABLE t; END LOOP": ((), frozenset({Flavor.MARIADB})),
    "FOR i IN 1..1 DO DROP TABLE t; END FOR": ((), frozenset({Flavor.MARIADB})),
    "SET STATEMENT max_statement_time = 1 FOR DROP TABLE t": ((), frozenset({Flavor.MARIADB})),
    "BEGIN WORK; EXCEPTION WHEN OTHERS THEN DROP TABLE t; END": ((_ORACLE,), frozenset({Flavor.MARIADB})),
    "BEGIN DROP TABLE t; END": ((_ORACLE,), frozenset({Flavor.MARIADB})),
    "<<x>> BEGIN DROP TABLE t; END": ((_ORACLE,), frozenset()),
    "DECLARE x INT; BEGIN DROP TABLE t; END": ((_ORACLE,), frozenset({Flavor.MARIADB})),
    "CALL sys.execute_prepared_stmt(CONCAT('DROP TABLE ', DATABASE(), '.t'))": ((), BOTH),
    "CALL execute_prepared_stmt(CONCAT('DROP TABLE ', @where, '.t'))": (
        ("SET @where = DATABASE()", "USE sys"),
        BOTH,
    ),
    "CALL sys.\xe9xecute_prepared_stmt(CONCAT('DROP TABLE ', DATABASE(), '.t'))": ((), BOTH),
    "CALL mysql.AddGeometryColumn('', DATABASE(), 't', 'g', 4326)": ((), frozenset({Flavor.MARIADB})),
    "EXECUTE s": (("SET @v = 'DROP TABLE t'", "PREPARE s FROM @v"), BOTH),
    "SET @a = 1, GLOBAL max_connections = 77": ((), BOTH),
    "SET @@global.max_connections = 77": ((), BOTH),
    "SET SESSION wait_timeout = 100, @@global.max_connections = 77": ((), BOTH),
    "CREATE OR REPLACE TEMPORARY TABLE t (z INT)": ((), frozenset()),
    "DROP TEMPORARY TABLE IF EXISTS t": ((), frozenset()),
    "SELECT 1; DROP TABLE t": ((), BOTH),
    "WITH x AS (SELECT 1) DROP TABLE t": ((), frozenset()),
    "EXPLAIN DROP TABLE t": ((), frozenset()),
    "x: BEGIN NOT ATOMIC DROP TABLE t; END": ((), frozenset()),
}


@pytest.fixture(scope="module")
async def guarded(
    server: LocalServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Proxy, Witness]]:
    """A safe branch `main` and an open branch `dev` of one schema, both with the account that may do all."""
    async with fresh_schema(server, "guard") as schema, await Connection.open(server.server) as connection:
        main = production(server.server, schema)
        witness = Witness(connection, schema)
        await witness.restore()
        folder = tmp_path_factory.mktemp("guarded")
        pooled = replace(main, name="pooled", pool_mode=PoolMode.TRANSACTION)
        async with running_proxy(folder, [main, pooled, open_branch(main)], [user("app")]) as proxy:
            yield proxy, witness
        await witness.restore()


async def send(port: int, login: str, *statements: bytes, prepared: bool = False) -> None:
    """Send statements over one connection, whatever becomes of them."""
    async with raw_client(port, user=login) as client:
        with contextlib.suppress(ConnectionError):
            for statement in statements:
                if not prepared:
                    await client.run(Command.QUERY, statement)
                    continue
                answer = await client.run(Command.STMT_PREPARE, statement)
                if answer[0][0] == 0:
                    await client.execute(int.from_bytes(answer[0][1:5], "little"))


@pytest.mark.parametrize("statement", LISTED, ids=repr)
async def test_what_the_server_would_do_the_guard_refuses(
    guarded: tuple[Proxy, Witness], server: LocalServer, statement: str
) -> None:
    proxy, witness = guarded
    before, does_it = LISTED[statement]
    sent = [part.encode() for part in (*before, statement)]
    for prepared in (False, True):
        await send(proxy.port, "app", *sent, prepared=prepared)
    assert not await witness.changed()
    await send(proxy.port, "app.dev", *sent)
    assert await witness.changed() is (server.server.flavor in does_it)


_BEFORE = (
    b"",
    b" ",
    b"\n",
    b"\x0b",
    b"(",
    b";",
    b"\0",
    b"\xa0",
    b"\xef\xbb\xbf",
    b"\\",
    b"'",
    b"/**/",
    b"/*",
    b"*/",
    b"/*!",
    b"/*!*/",
    b"/*!40000 ",
    b"/*!50700",
    b"/*!99999 ",
    b"/*!9999999 ",
    b"/*M!",
    b"/*M!100000 ",
    b"/*+",
    b"#\n",
    b"# x\r",
    b"#\0",
    b"-- \n",
    b"--\n",
    b"--",
    b"SELECT ",
    b"SELECT 1;",
    b"INSERT ",
    b"SET @a = 1,",
    b"SET ",
    b"STATEMENT lock_wait_timeout = 1 FOR ",
    b"BEGIN ",
    b"BEGIN;",
    b"BEGIN WORK; EXCEPTION WHEN OTHERS THEN ",
    b"NOT ATOMIC ",
    b"WITH x AS (SELECT 1) ",
    b"EXPLAIN ",
    b"IF 1 THEN ",
    b"LOOP ",
    b"x: ",
    b"<<x>> ",
    b"PREPARE s FROM '",
    b"EXECUTE IMMEDIATE '",
    b"CALL ",
    b"COMMIT ",
    b"START TRANSACTION;",
    b"HELP ",
    b"DO 1;",
)
_CORES = (
    b"DROP TABLE t",
    b"DROP/**/TABLE/**/t",
    b"DROP/*!40000 TABLE*/ t",
    b"DROP /*!99999 TEMPORARY*/ TABLE t",
    b"drop table if exists t",
    b"ALTER TABLE t ADD c INT",
    b"CREATE/*!99999 TEMPORARY*/TABLE t2 (a INT)",
    b"CREATE OR REPLACE TABLE t (z INT)",
    b"CREATE OR REPLACE TEMPORARY TABLE t (z INT)",
    b"RENAME TABLE t TO t2",
    b"CREATE USER hg_guard_test",
    b"GLOBAL max_connections = 77",
    b"@@global.max_connections = 77",
    b"sys.execute_prepared_stmt('DROP TABLE t')",
    b"sys/**/.`execute_prepared_stmt`('DROP TABLE t')",
    b"CALL /*!sys.execute_prepared_stmt*/ ('DROP TABLE t')",
    b"SELECT 1' 'DROP TABLE t",
)
_AFTER = (b"", b";", b" */", b"*/ */", b"; END", b"; END IF", b"; END LOOP", b"'", b" -- ", b"\0")
_SESSIONS = (
    (),
    (b"SET sql_mode = ORACLE",),
    (b"SET sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT'",),
    (b"SET NAMES gbk",),
    (b"SET NAMES sjis",),
    (b"SET NAMES big5",),
    (b"SET NAMES latin1",),
    (b"SET NAMES swe7",),
    (b"SET autocommit = 0",),
)

statements = st.builds(
    lambda before, core, after: b"".join(before) + core + after,
    st.lists(st.sampled_from(_BEFORE), max_size=4),
    st.sampled_from(_CORES),
    st.sampled_from(_AFTER),
)


budget = settings(
    max_examples=60 * _TIMES,
    deadline=None,
    derandomize=_TIMES == 1,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@budget
@given(script=sessions_of_statements(), login=st.sampled_from(["app", "app.pooled"]), prepared=st.booleans())
async def test_no_statement_of_any_server_changes_anything(
    guarded: tuple[Proxy, Witness], script: Sequence[bytes], login: str, prepared: bool
) -> None:
    proxy, witness = guarded
    await send(proxy.port, login, *script, prepared=prepared)
    assert not await witness.changed()


@budget
@given(
    session=st.sampled_from(_SESSIONS),
    batch=st.lists(statements, min_size=10, max_size=60),
    login=st.sampled_from(["app", "app.pooled"]),
    prepared=st.booleans(),
)
async def test_no_tangle_of_words_comments_and_modes_changes_anything(
    guarded: tuple[Proxy, Witness], session: Sequence[bytes], batch: list[bytes], login: str, prepared: bool
) -> None:
    proxy, witness = guarded
    await send(proxy.port, login, *session, *batch, prepared=prepared)
    assert not await witness.changed()


@pytest.mark.parametrize("length", [MAX_FRAME - 8, MAX_FRAME - 1, MAX_FRAME, MAX_FRAME + 1])
async def test_a_keyword_behind_sixteen_megabytes_is_refused(
    guarded: tuple[Proxy, Witness], length: int
) -> None:
    proxy, witness = guarded
    comment = b"/*" + b"x" * (length - 5) + b"*/"
    async with raw_client(proxy.port) as client:
        for statement in (
            comment + b"DROP TABLE t",
            b"SET @a = 1" + comment + b", GLOBAL max_connections = 77",
        ):
            assert (await client.error(Command.QUERY, statement)).errno in (1105, 1153)
    assert not await witness.changed()


@pytest.mark.parametrize("number", [Command.CREATE_DB, Command.DROP_DB])
async def test_commands_that_are_statements_are_refused(
    guarded: tuple[Proxy, Witness], number: Command
) -> None:
    proxy, witness = guarded
    async with raw_client(proxy.port) as client:
        assert (await client.error(number, b"hg_guard_test")).errno == 1105
    assert not await witness.changed()


@pytest.mark.parametrize("login", ["app", "app.pooled"])
async def test_a_prepared_statement_is_one_statement(guarded: tuple[Proxy, Witness], login: str) -> None:
    proxy, witness = guarded
    async with raw_client(proxy.port, user=login) as client:
        # Several statements on: option 0 of COM_SET_OPTION.
        assert (await client.run(Command.SET_OPTION, b"\0\0"))[0][0] == 0xFE
        assert (await client.error(Command.STMT_PREPARE, b"SELECT 1; DROP TABLE t")).errno == 1064
        assert (await client.error(Command.QUERY, b"SELECT 1; DROP TABLE t")).errno == 1105
    assert not await witness.changed()
