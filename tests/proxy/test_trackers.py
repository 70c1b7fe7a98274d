"""What MySQL and MariaDB really tell about a session: the source of the rules in session.py and pins.py."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace

import pytest

from proxy.session import LEARN, SETTLE, Canonical, literal
from proxy.wire.charsets import charset_names
from proxy.wire.constants import Capability, Command, Status
from proxy.wire.framing import frame
from proxy.wire.response import EDITED, Response
from proxy.wire.session_state import StateChange, StateKind, Wishes
from router.database import Connection
from router.model import Account, Flavor
from router.servers.process import LocalServer
from tests.support.raw_client import USUAL, RawClient, raw_client
from tests.support.servers import ADMIN, fresh_schema

TRACKED = USUAL | Capability.SESSION_TRACK
VARIABLE, SCHEMA = StateKind.VARIABLE, StateKind.SCHEMA
MARK = StateChange(StateKind.STATE_CHANGED, "", "1")
NOTHING: list[StateChange] = []

ROUTINES = (
    "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, a INT)",
    "CREATE PROCEDURE sets_zone() SET SESSION time_zone = '+03:00'",
    "CREATE PROCEDURE fails() BEGIN SET SESSION time_zone = '+04:00'; SIGNAL SQLSTATE '45000'; END",
    "CREATE PROCEDURE makes_table() CREATE TEMPORARY TABLE made (a INT)",
    "CREATE PROCEDURE sets_variable() SET @made = 1",
    "CREATE PROCEDURE locks() DO GET_LOCK('made', 1)",
    "CREATE FUNCTION sets_names() RETURNS INT DETERMINISTIC BEGIN SET lc_time_names = 'de_DE'; RETURN 1; END",
    "CREATE VIEW hides AS SELECT sets_names() AS a",
)


class Tracked:
    """A connection with the trackers as a pool turns them on."""

    def __init__(self, client: RawClient, canonical: Canonical, deprecate_eof: bool) -> None:
        self.client = client
        self.canonical = canonical
        self.response = Response(
            deprecate_eof=deprecate_eof, tracked=True, eof_tells=canonical.flavor is Flavor.MARIADB
        )

    async def run(self, sql: str | bytes, number: Command = Command.QUERY) -> list[StateChange]:
        """Run a statement, which may fail, and return what was told with its answer."""
        text = sql if isinstance(sql, bytes) else sql.encode()
        packets = await self.client.run(number, text)
        self.response.begin(number)
        self.response.feed(b"".join(frame(packet, at) for at, packet in enumerate(packets, 1)))
        return self.response.changes

    async def value(self, expression: str) -> str:
        """Ask for one value."""
        rows = await self.client.query(f"SELECT {expression}")
        return (rows[0][0] or b"").decode()


@pytest.fixture(scope="module")
async def schema(server: LocalServer) -> AsyncIterator[str]:
    async with fresh_schema(server, "trackers") as name:
        async with login(server, name) as client:
            for sql in ROUTINES:
                await client.query(sql)
        yield name


def login(
    server: LocalServer, schema: str, *, deprecate_eof: bool = True, track: bool = True
) -> AbstractAsyncContextManager[RawClient]:
    capabilities = TRACKED if track else USUAL
    if deprecate_eof:
        capabilities |= Capability.DEPRECATE_EOF
    port = server.server.address.port
    return raw_client(
        port, user=ADMIN.user, password=ADMIN.password, database=schema, capabilities=capabilities
    )


@asynccontextmanager
async def tracked(server: LocalServer, schema: str, *, deprecate_eof: bool = True) -> AsyncIterator[Tracked]:
    async with login(server, schema, deprecate_eof=deprecate_eof) as client:
        rows = await client.query(LEARN[1:].decode())
        values = [((name or b"").decode(), (value or b"").decode()) for name, value in rows]
        connection = Tracked(client, Canonical(server.server.flavor, values), deprecate_eof)
        for payload in connection.canonical.setup:
            assert (await client.run(Command(payload[0]), payload[1:]))[0][0] == 0
        yield connection


def named(changes: list[StateChange]) -> dict[str, str]:
    return {change.name: change.value for change in changes if change.kind == VARIABLE}


def characteristics(changes: list[StateChange]) -> list[str]:
    return [change.value for change in changes if change.kind == StateKind.CHARACTERISTICS]


both_ends = pytest.mark.parametrize("deprecate_eof", [False, True], ids=["eof", "ok"])


# -- what is told -------------------------------------------------------------------------------------------


@both_ends
async def test_a_variable_is_told_with_its_value(
    server: LocalServer, schema: str, deprecate_eof: bool
) -> None:
    async with tracked(server, schema, deprecate_eof=deprecate_eof) as session:
        changes = await session.run("SET SESSION time_zone = '+01:00', sql_mode = 'ANSI_QUOTES'")
        assert named(changes) == {"time_zone": "+01:00", "sql_mode": "ANSI_QUOTES"}
        assert MARK in changes
        assert named(await session.run("SET autocommit = 0")) == {"autocommit": "OFF"}
        assert named(await session.run("SET character_set_results = NULL")) == {"character_set_results": ""}
        assert await session.run("DO 1") == NOTHING


@both_ends
async def test_an_ordinary_statement_tells_nothing(
    server: LocalServer, schema: str, deprecate_eof: bool
) -> None:
    # With '*' MySQL would tell statement_id with every OK, and MariaDB last_gtid with every write.
    async with tracked(server, schema, deprecate_eof=deprecate_eof) as session:
        for sql in (
            "SELECT 1",
            "SELECT * FROM t",
            "INSERT INTO t (a) VALUES (1)",
            "UPDATE t SET a = 2",
            "DO 1",
        ):
            assert await session.run(sql) == NOTHING, sql


async def test_a_schema_is_told_also_when_it_goes(server: LocalServer, schema: str) -> None:
    async with tracked(server, schema) as session:
        assert StateChange(SCHEMA, "", "information_schema") in await session.run("USE information_schema")
        assert StateChange(SCHEMA, "", schema) in await session.run(schema, Command.INIT_DB)
        other = f"{schema}_gone"
        await session.run(f"CREATE DATABASE {other}")
        await session.run(f"USE {other}")
        assert StateChange(SCHEMA, "", "") in await session.run(f"DROP DATABASE {other}")


async def test_what_prepared_statements_and_routines_set_is_told(server: LocalServer, schema: str) -> None:
    async with tracked(server, schema) as session:
        assert named(await session.run("CALL sets_zone()")) == {"time_zone": "+03:00"}
        assert named(await session.run("SELECT sets_names()")) == {"lc_time_names": "de_DE"}
        await session.run("PREPARE s FROM 'SET time_zone = ''+01:00'''")
        assert named(await session.run("EXECUTE s")) == {"time_zone": "+01:00"}


@pytest.mark.parametrize(
    "sql",
    ["SET @a = 1", "CREATE TEMPORARY TABLE made (a INT)", "PREPARE s FROM 'DO 1'", "CALL sets_variable()"],
)
async def test_these_are_told_as_some_change(server: LocalServer, schema: str, sql: str) -> None:
    async with tracked(server, schema) as session:
        assert await session.run(sql) == [MARK]


async def test_a_temporary_table_of_a_routine_is_told_as_some_change(
    server: LocalServer, schema: str
) -> None:
    async with tracked(server, schema) as session:
        assert await session.run("CALL makes_table()") == [MARK]


async def test_locked_tables_are_told(server: LocalServer, schema: str) -> None:
    async with tracked(server, schema) as session:
        state = StateKind.TRANSACTION_STATE
        assert StateChange(state, "", "_______L") in await session.run("LOCK TABLES t WRITE")
        assert StateChange(state, "", "________") in await session.run("UNLOCK TABLES")


async def test_a_one_shot_isolation_level_is_told_until_it_is_used_up(
    server: LocalServer, schema: str
) -> None:
    mysql = server.server.flavor is Flavor.MYSQL
    async with tracked(server, schema) as session:
        once = await session.run("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
        assert characteristics(once) == ["SET TRANSACTION ISOLATION LEVEL SERIALIZABLE;"]
        assert named(once) == {}
        assert await session.run("SELECT 1") == NOTHING, "a statement without tables does not use it up"
        assert characteristics(await session.run("SELECT * FROM t"))[-1] == ""
        name = "transaction_isolation" if mysql else "tx_isolation"
        assert characteristics(await session.run(f"SET @@{name} = 'READ-COMMITTED'")) != [""]
        await session.run("BEGIN")
        assert characteristics(await session.run("COMMIT")) == [""]


# -- what is not told ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT @b := 1",
        "SELECT 1 INTO @c",
        "CREATE TEMPORARY TABLE copied SELECT 1 AS a",
        "DO GET_LOCK('told', 1)",
        "CALL locks()",
        "HANDLER t OPEN",
        "FLUSH TABLES WITH READ LOCK",
        "SELECT SQL_CALC_FOUND_ROWS 1",
        "SELECT LAST_INSERT_ID(5)",
    ],
)
async def test_these_are_not_told_at_all(server: LocalServer, schema: str, sql: str) -> None:
    async with tracked(server, schema) as session:
        assert await session.run(sql) == NOTHING


async def test_a_savepoint_outside_of_a_transaction_is_not_told(server: LocalServer, schema: str) -> None:
    async with tracked(server, schema) as session:
        await session.run("SET autocommit = 0")
        assert await session.run("SAVEPOINT a") == NOTHING
        assert not session.response.status & Status.IN_TRANSACTION


async def test_an_xa_transaction_shows_in_the_status_for_as_long_as_the_session_has_it(
    server: LocalServer, schema: str
) -> None:
    async with tracked(server, schema) as session:
        inside = []
        for sql in ("XA START 'x'", "INSERT INTO t (a) VALUES (1)", "XA END 'x'", "XA PREPARE 'x'"):
            await session.run(sql)
            inside.append(bool(session.response.status & Status.IN_TRANSACTION))
        # MySQL lets a session go when it has prepared, and any other may commit.
        assert inside == [True, True, True, server.server.flavor is Flavor.MARIADB]
        await session.run("XA ROLLBACK 'x'")
        assert session.response.errno == 0
        assert not session.response.status & Status.IN_TRANSACTION


async def test_a_role_is_told_by_mariadb_only(server: LocalServer, schema: str) -> None:
    async with tracked(server, schema) as session:
        told = await session.run("SET ROLE NONE")
        assert told == (NOTHING if server.server.flavor is Flavor.MYSQL else [MARK])


@pytest.mark.parametrize(
    ("sql", "collation"),
    [
        ("SET NAMES utf8mb4 COLLATE utf8mb4_bin", "utf8mb4_bin"),
        ("SET NAMES latin1", "latin1_swedish_ci"),
        ("SET character_set_connection = latin1", "latin1_swedish_ci"),
    ],
)
async def test_the_collation_that_names_choose_is_not_told(
    server: LocalServer, schema: str, sql: str, collation: str
) -> None:
    async with tracked(server, schema) as session:
        assert "collation_connection" not in named(await session.run(sql))
        assert await session.value("@@collation_connection") == collation


async def test_set_character_set_takes_the_schemas_collation_and_does_not_tell(
    server: LocalServer, schema: str
) -> None:
    async with tracked(server, schema) as session:
        await session.run("ALTER DATABASE COLLATE utf8mb4_bin")
        await session.run(f"USE {schema}")
        assert "collation_connection" not in named(await session.run("SET CHARACTER SET latin1"))
        assert await session.value("@@collation_connection") == "utf8mb4_bin"
        await session.run("ALTER DATABASE COLLATE utf8mb4_general_ci")


async def test_a_timestamp_back_to_normal_is_told_as_if_it_were_not(server: LocalServer, schema: str) -> None:
    async with tracked(server, schema) as session:
        assert named(await session.run("SET timestamp = 5")) == {"timestamp": "5.000000"}
        assert named(await session.run("SET timestamp = DEFAULT")) == {"timestamp": "5.000000"}


# -- when it is told ----------------------------------------------------------------------------------------


@both_ends
async def test_what_was_set_before_an_error_is_told_later(
    server: LocalServer, schema: str, deprecate_eof: bool
) -> None:
    async with tracked(server, schema, deprecate_eof=deprecate_eof) as session:
        assert await session.run("CALL fails()") == NOTHING
        assert not session.response.settled
        ping = named(await session.run(b"", Command.PING))
        mysql = server.server.flavor is Flavor.MYSQL
        assert ping == ({"time_zone": "+04:00"} if mysql else {})
        assert session.response.settled is mysql
        settled = named(await session.run(SETTLE[1:]))
        assert mysql or settled["time_zone"] == "+04:00"
        assert session.response.settled


async def test_what_a_result_with_a_classic_end_cannot_tell_is_told_later(
    server: LocalServer, schema: str
) -> None:
    async with tracked(server, schema, deprecate_eof=False) as session:
        assert await session.run("SELECT a FROM hides") == NOTHING
        assert not session.response.settled
        assert named(await session.run(SETTLE[1:]))["lc_time_names"] == "de_DE"
        assert session.response.settled
        await session.run("SELECT 1")
        # MariaDB's EOF would say so if there were something to tell.
        assert session.response.settled is (server.server.flavor is Flavor.MARIADB)


@both_ends
async def test_a_reset_leaves_a_session_without_trackers_and_with_the_servers_charset(
    server: LocalServer, schema: str, deprecate_eof: bool
) -> None:
    async with tracked(server, schema, deprecate_eof=deprecate_eof) as session:
        await session.run("SET SESSION time_zone = '+01:00', sql_mode = ''")
        await session.run("CALL fails()")
        assert await session.run(b"", Command.RESET_CONNECTION) == NOTHING
        assert await session.run("SET sql_mode = ''") == NOTHING
        assert await session.value("@@session_track_transaction_info") == "OFF"
        assert await session.value("@@time_zone") == session.canonical.values["time_zone"]
        assert await session.value("DATABASE()") == schema
        server_charset = await session.value("@@GLOBAL.character_set_client")
        assert await session.value("@@character_set_client") == server_charset


async def test_all_backends_are_alike_whatever_was_made_global_meanwhile(
    server: LocalServer, schema: str
) -> None:
    async with tracked(server, schema) as session, login(server, schema) as admin:
        await admin.query("SET GLOBAL sql_mode = 'ANSI'")
        try:
            assert (await session.client.run(Command.RESET_CONNECTION))[0][0] == 0
            assert "ANSI" in await session.value("@@sql_mode")
            setup = session.canonical.setup[0]
            assert (await session.client.run(Command.QUERY, setup[1:]))[0][0] == 0
            assert await session.value("@@sql_mode") == session.canonical.values["sql_mode"]
        finally:
            await admin.query(f"SET GLOBAL sql_mode = '{session.canonical.values['sql_mode']}'")


# -- carrying it on -----------------------------------------------------------------------------------------


async def test_default_does_not_always_give_what_a_fresh_session_has(
    server: LocalServer, schema: str
) -> None:
    async with tracked(server, schema) as session:
        mysql = server.server.flavor is Flavor.MYSQL
        for name in ("foreign_key_checks", "unique_checks"):
            await session.run(f"SET {name} = 0")
            told = named(await session.run(f"SET {name} = DEFAULT"))
            assert told == {name: "OFF" if mysql else "ON"}, "MySQL's DEFAULT turns these off"
            assert session.canonical.values[name] == "ON"


async def test_every_variable_can_be_set_to_the_value_it_is_told_to_have(
    server: LocalServer, schema: str
) -> None:
    async with tracked(server, schema) as session:
        for name, value in session.canonical.values.items():
            settable = await session.client.run(Command.QUERY, f"SET @@SESSION.{name} = @@{name}".encode())
            if settable[0][0] != 0 or name.startswith("session_track") or name in ("identity", "timestamp"):
                continue
            changes = await session.run(
                f"SET @@SESSION.{name} = {literal(value, value) if value else 'DEFAULT'}"
            )
            assert session.response.errno == 0, (name, value)
            assert named(changes).get(name, value) == value


async def test_no_privilege_is_needed_for_any_of_this(server: LocalServer, schema: str) -> None:
    async with tracked(server, schema) as session:
        setup = session.canonical.setup[0][1:].decode()
    account = Account(f"nobody_{schema}", "the secret of nobody in particular")
    async with await Connection.open(server.server) as admin:
        await admin.execute(f"CREATE USER '{account.user}'@'%' IDENTIFIED BY '{account.password}'")
    async with await Connection.open(replace(server.server, account=account)) as nobody:
        await nobody.execute(setup)
        await nobody.execute("SET SESSION last_insert_id = 18446744073709551615")
        assert await nobody.fetch_value("SELECT LAST_INSERT_ID()") == 18446744073709551615


async def test_collations_have_the_numbers_we_know(server: LocalServer, schema: str) -> None:
    mariadb = server.server.flavor is Flavor.MARIADB
    async with login(server, schema) as client:
        rows = await client.query(
            "SELECT ID, COLLATION_NAME, CHARACTER_SET_NAME FROM information_schema.COLLATIONS"
            " WHERE ID < 576 AND CHARACTER_SET_NAME NOT REGEXP '^(ucs2|utf16|utf32)'"
        )
    known = {number: charset_names(number, mariadb=mariadb) for number in range(576)}
    theirs = {int(row[0] or 0): ((row[2] or b"").decode(), (row[1] or b"").decode()) for row in rows}
    ours = {number: (names.charset, names.collation) for number, names in known.items() if names}
    assert ours == theirs


# -- what a client sees of it -------------------------------------------------------------------------------


SHOWN = (
    "SELECT 1",
    "SELECT * FROM t",
    "INSERT INTO t (a) VALUES (1), (2)",
    "UPDATE t SET a = a + 1",
    "BEGIN",
    "SELECT * FROM t LIMIT 1",
    "COMMIT",
    "SET SESSION time_zone = '+01:00', sql_mode = ''",
    "SET NAMES utf8mb4",
    "SET @a = 1",
    "CALL sets_zone()",
    "SELECT sets_names()",
    "SELECT * FROM missing",
    "DO 1",
    "SET autocommit = 0",
    "ALTER TABLE t COMMENT 'x'",
    "ROLLBACK",
)


@both_ends
async def test_a_client_without_session_track_sees_what_it_would_see_directly(
    server: LocalServer, schema: str, deprecate_eof: bool
) -> None:
    async with (
        tracked(server, schema, deprecate_eof=deprecate_eof) as ours,
        login(server, schema, deprecate_eof=deprecate_eof, track=False) as direct,
    ):
        for sql in ("TRUNCATE t", *SHOWN):
            expected = await direct.run(Command.QUERY, sql.encode())
            if sql.startswith("INSERT"):
                await direct.query("TRUNCATE t")
            assert await _seen(ours, sql) == b"".join(map(frame, expected, range(1, 99))), sql


async def test_a_client_with_session_track_sees_what_it_would_see_directly(
    server: LocalServer, schema: str
) -> None:
    mariadb = server.server.flavor is Flavor.MARIADB
    async with tracked(server, schema) as ours, login(server, schema) as direct:
        wishes = Wishes(ours.canonical.values)
        ours.response = Response(deprecate_eof=True, tracked=True, wishes=wishes, eof_tells=mariadb)
        for sql in ("TRUNCATE t", *SHOWN):
            expected = await direct.run(Command.QUERY, sql.encode())
            if sql.startswith("INSERT"):
                await direct.query("TRUNCATE t")
            seen, told = await _seen(ours, sql), b"".join(map(frame, expected, range(1, 99)))
            if sql in ("BEGIN", "COMMIT") and not mariadb:
                # MySQL tells these also to those who did not ask for transactions.
                assert b"____" in told
                assert b"____" not in seen
            elif sql.startswith("SET NAMES"):
                # The order of several variables is the server's secret.
                assert sorted(seen) == sorted(told)
            else:
                assert seen == told, sql


async def _seen(session: Tracked, sql: str) -> bytes:
    """Run a statement on a tracked connection and return the bytes its client would see."""
    packets = await session.client.run(Command.QUERY, sql.encode())
    data = b"".join(map(frame, packets, range(1, 99)))
    session.response.begin_query()
    outcome = session.response.feed(data)
    return session.response.take_output() if outcome & EDITED else data
