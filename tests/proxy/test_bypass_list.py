"""Every known way around a guard, each tried twice.

Once on safe branches, in both pool modes, whose account on the server may do everything, so that only the
guard stands in the way; once on an open branch with the account that production's traffic has, so that only
the server does. Nothing that the server holds besides rows may be different afterwards.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import pytest

from proxy.wire.auth import sha2_proof
from proxy.wire.commands import ChangeUser
from proxy.wire.constants import AUTH_MORE_DATA, CACHING_SHA2_PASSWORD, MAX_FRAME, OK, Capability, Command
from proxy.wire.framing import frame
from proxy.wire.packets import AuthSwitch, ErrPacket
from router.accounts import DENIED, make_traffic_account
from router.database import Connection
from router.model import Account, Flavor, PoolMode, Role
from router.routines import warn_of_programs
from router.servers.process import LocalServer
from tests.proxy.conftest import open_branch
from tests.support.proxy import PASSWORD, Proxy, production, running_proxy, user
from tests.support.raw_client import USUAL, raw_client
from tests.support.servers import fresh_schema
from tests.support.witness import Witness

Q, PREPARE, LONG = Command.QUERY, Command.STMT_PREPARE, Command.STMT_SEND_LONG_DATA
BOTH = frozenset(Flavor)
MYSQL, MARIADB = frozenset({Flavor.MYSQL}), frozenset({Flavor.MARIADB})

GUARD = frozenset({1105})
"""What the guard answers."""
EITHER = frozenset({1105, 1064, 1065, 1047, 1243, 1835, 1153})
"""Refused: by the guard, or by the server for want of sense."""
RIGHTS = DENIED | {1045}
"""What servers answer for want of a right."""
LAST = b"last"
"""Stands for the number of the statement prepared last."""


@dataclass(frozen=True)
class Case:
    """Commands one after the other; the last one is the attack.

    `guarded` are the errors that it may end with on a safe branch; none means that it does no harm there and
    may be answered as it is.
    """

    commands: tuple[tuple[int, bytes], ...]
    guarded: frozenset[int] = GUARD
    handshake_charset: int = 45
    capabilities: Capability = USUAL | Capability.DEPRECATE_EOF


def q(*texts: bytes | str, **options: object) -> Case:
    """Queries one after the other."""
    raw = (text if isinstance(text, bytes) else text.encode() for text in texts)
    return Case(tuple((Q, text) for text in raw), **options)  # type: ignore[arg-type]


def harmless(*texts: bytes | str) -> Case:
    """Queries that change no definition, so that the guard may let them pass."""
    return q(*texts, guarded=frozenset())


HIDDEN = b"SELECT '%s'; DROP TABLE t -- '"
"""For who reads the character or the escape differently, the string ends early."""


def behind(character: bytes) -> bytes:
    return HIDDEN.replace(b"%s", character)


CHARSETS = {
    "gbk": (28, b"\xbf\\"),
    "sjis": (13, b"\x95\\"),
    "big5": (1, b"\xa4\\"),
    "gb18030": (248, b"\x81\\"),
}

CASES: dict[str, Case] = {
    # -- behind a semicolon
    "a second statement": q("SELECT 1;DROP TABLE t"),
    "a second statement behind nothing": q(";;DROP TABLE t", guarded=EITHER),
    "a second statement for a client that asks for several": Case(
        ((Command.SET_OPTION, b"\0\0"), (Q, b"SELECT 1;DROP TABLE t"))
    ),
    "a second statement for a client that never asked": q(
        "SELECT 1;DROP TABLE t", guarded=EITHER, capabilities=USUAL & ~Capability.MULTI_STATEMENTS
    ),
    "a second statement behind a trailing comment": q("SELECT 1 -- ;\n; /**/ DROP TABLE t"),
    "a second statement in a prepared one": Case(((PREPARE, b"SELECT 1; DROP TABLE t"),), guarded=EITHER),
    "a mode that changes before the second statement": q(
        'SET sql_mode = "NO_BACKSLASH_ESCAPES"; SELECT "\\"; DROP TABLE t -- "', guarded=EITHER
    ),
    "a character set that changes before the second statement": q(
        b"SET NAMES gbk; SELECT '\xbf\\'; DROP TABLE t -- '", guarded=EITHER
    ),
    "a semicolon in a version comment": q("/*! SELECT 1; DROP TABLE t */", guarded=EITHER),
    "a version comment that hides a quote": q("SELECT 1 /*!99999 ' */; DROP TABLE t -- '", guarded=EITHER),
    # -- comments
    "behind a comment": q("/*x*/DROP TABLE t"),
    "comments for spaces": q("/**/DROP/**/TABLE/**/t"),
    "behind a line comment": q("#a\nDROP TABLE t"),
    "behind a dashed comment with a tab": q("--\tx\nDROP TABLE t"),
    "behind what is no comment": q("--x\nDROP TABLE t"),
    "a carriage return ends no comment": harmless("-- x\rDROP TABLE t"),
    "a NUL in a comment": q(b"# x\0DROP TABLE t", guarded=frozenset()),
    "a comment without an end": q("/* DROP TABLE t", guarded=EITHER),
    "a quotation without an end": q("SELECT 'a; DROP TABLE t", guarded=EITHER),
    # -- version comments
    "in a version comment": q("/*!DROP TABLE t*/"),
    "in a comment for old versions": q("/*!80000 DROP TABLE t*/"),
    "in a comment for new versions": q("/*!261000 DROP TABLE t*/"),
    "in a comment that is skipped": q("/*!99999 DROP TABLE t*/"),
    "in a comment for MariaDB": q("/*M!100000 DROP TABLE t*/"),
    "in nested comments": q("/*! /* */ DROP TABLE t */"),
    "behind a skipped word": q("/*!99999 SELECT */ DROP TABLE t"),
    "half a verb in a version comment": q("DROP/*!50000 TABLE*/ t"),
    "a TEMPORARY that is skipped": q("CREATE/*!99999 TEMPORARY*/TABLE t2 (a INT)"),
    "a verb in two version comments": q("/*!50000 DR*//*!50000 OP*/ TABLE t"),
    # -- in front of the first word
    "behind brackets": q("(((DROP TABLE t"),
    "behind a no-break space": q(b"\xa0DROP TABLE t"),
    "behind a vertical tab": q(b"\x0bDROP TABLE t"),
    "behind a form feed": q(b"\x0cDROP TABLE t"),
    "behind 0xFF": q(b"\xffDROP TABLE t"),
    "behind a NUL": q(b"\0DROP TABLE t"),
    "behind a byte order mark": q(b"\xef\xbb\xbfDROP TABLE t"),
    "behind a header of query attributes": q(b"\x00\x01DROP TABLE t"),
    "behind another header of query attributes": q(b"\x01\x01\x00\x01\xfe\x00\x01xDROP TABLE t"),
    "behind the beginning of a read": q("SELECT/**/1;/**/DROP TABLE t"),
    # -- quotes
    **{
        f"a quote in a character of {name}": q(f"SET NAMES {name}", behind(first), guarded=EITHER)
        for name, (_, first) in CHARSETS.items()
    },
    **{
        f"a quote in a character of {name}, which came with the login": q(
            behind(first), guarded=EITHER, handshake_charset=number
        )
        for name, (number, first) in CHARSETS.items()
    },
    **{
        f"a quote in a character of {name}, set as a variable": q(
            f"SET SESSION character_set_client = {name}", behind(first), guarded=EITHER
        )
        for name, (_, first) in CHARSETS.items()
    },
    "a quote in a character that is none": q(
        "SET NAMES gbk", b"SELECT '\xbf'; DROP TABLE t -- '", guarded=EITHER
    ),
    "a character set that a procedure sets": harmless("CALL speak_gbk()", behind(b"\xbf\\")),
    "a backslash that escapes nothing": q(
        "SET sql_mode = 'NO_BACKSLASH_ESCAPES'", "SELECT 'a\\';DROP TABLE t-- '"
    ),
    "a name in double quotes": q(
        "SET sql_mode = 'ANSI_QUOTES'", 'SELECT 1 AS "a\\";DROP TABLE t-- "', guarded=EITHER
    ),
    "adjacent strings": q("SELECT 'x''y';DROP TABLE t"),
    "a national string": q("SELECT N'x';DROP TABLE t"),
    "a string with its character set": q("SELECT _latin1'x';DROP TABLE t"),
    # -- long
    "behind a comment of seventeen million bytes": q(
        b"/*" + b"x" * 17_000_000 + b"*/DROP TABLE t", guarded=EITHER
    ),
    "in the second frame": q(b" " * MAX_FRAME + b"DROP TABLE t", guarded=EITHER),
    "a packet of just one full frame": q(
        b"/*" + b"x" * (MAX_FRAME - len("\3/**/DROP TABLE t")) + b"*/DROP TABLE t", guarded=EITHER
    ),
    # -- prepared
    "prepared": Case(
        ((PREPARE, b"DROP TABLE t"), (Command.STMT_EXECUTE, LAST + b"\0\1\0\0\0")), guarded=EITHER
    ),
    "executed without being prepared": Case(((Command.STMT_EXECUTE, b"\1\0\0\0\0\1\0\0\0"),), guarded=EITHER),
    "the last one prepared, executed": Case(
        ((PREPARE, b"DROP TABLE t"), (Command.STMT_EXECUTE, b"\xff\xff\xff\xff\0\1\0\0\0")), guarded=EITHER
    ),
    "in bulk": Case(((PREPARE, b"DROP TABLE t"), (0xFA, b"\xff\xff\xff\xff\0\0")), guarded=EITHER),
    "text sent as long data": Case(
        (
            (PREPARE, b"SET @v = ?"),
            (LONG, LAST + b"\0\0DROP TABLE t"),
            (Command.STMT_EXECUTE, LAST + b"\0\1\0\0\0\0\1\xfe\0"),
            (Q, b"PREPARE s FROM @v"),
            (Q, b"EXECUTE s"),
        ),
        guarded=EITHER,
    ),
    "prepared from a variable": q(
        "SET @v = 'DROP TABLE t'", "PREPARE s FROM @v", "EXECUTE s", guarded=EITHER
    ),
    "prepared from a computed text": q(
        "PREPARE s FROM CONCAT('DR', 'OP TABLE t')", "EXECUTE s", guarded=EITHER
    ),
    "prepared from adjacent strings": q("PREPARE s FROM 'DR' 'OP TABLE t'", "EXECUTE s", guarded=EITHER),
    "prepared from a national string": q("PREPARE s FROM N'DROP TABLE t'", "EXECUTE s", guarded=EITHER),
    "prepared from a literal": q("PREPARE s FROM 'DROP TABLE t'", "EXECUTE s", guarded=EITHER),
    "prepared from a version comment": q("PREPARE s FROM '/*!DROP TABLE t*/'", "EXECUTE s", guarded=EITHER),
    # -- statements inside of others
    "executed immediately": q("EXECUTE IMMEDIATE 'DROP TABLE t'"),
    "an anonymous block": q("BEGIN NOT ATOMIC DROP TABLE t; END"),
    "an anonymous block of Oracle's": q("SET sql_mode = ORACLE", "BEGIN DROP TABLE t; END"),
    "a condition": q("IF 1 THEN DROP TABLE t; END IF"),
    "a loop": q("WHILE 1 DO DROP TABLE t; END WHILE"),
    "a labelled block": q("x: BEGIN NOT ATOMIC DROP TABLE t; END"),
    "with a setting": q("SET STATEMENT max_statement_time=1 FOR DROP TABLE t"),
    "replacing a table by a temporary one": harmless("CREATE OR REPLACE TEMPORARY TABLE t (a INT)"),
    "the real table behind a temporary one": q(
        "CREATE TEMPORARY TABLE t (a INT)", "DROP TEMPORARY TABLE t", "DROP TABLE t"
    ),
    "an index of a temporary table": q("CREATE TEMPORARY TABLE x (a INT)", "CREATE INDEX i ON x (a)"),
    "a common table that deletes": harmless(
        "WITH x AS (SELECT 1 AS a) DELETE FROM t WHERE a IN (SELECT a FROM x)"
    ),
    "a common table in front of a definition": q("WITH x AS (SELECT 1) DROP TABLE t", guarded=EITHER),
    "an explained definition": q("EXPLAIN DROP TABLE t", guarded=EITHER),
    "an analyzed delete": harmless("EXPLAIN ANALYZE DELETE FROM t"),
    "an analyzed delete of MariaDB's": harmless("ANALYZE DELETE FROM t"),
    "a delimiter": q("DELIMITER //\nDROP TABLE t//"),
    # -- the servers' own procedures
    "a procedure that runs text": q(
        "CALL sys.execute_prepared_stmt(CONCAT('DROP TABLE ', DATABASE(), '.t'))"
    ),
    "a procedure by an accented name": q("CALL sys.éxecute_prepared_stmt('DROP TABLE t')"),
    "a procedure that adds columns": q("CALL mysql.AddGeometryColumn('', DATABASE(), 't', 'g', 4326)"),
    # -- elsewhere
    "another schema by its name": q("DROP TABLE other_schema.t"),
    "another schema by USE": q("USE other_schema", "DROP TABLE t"),
    "another schema by a command": Case(((Command.INIT_DB, b"other_schema"), (Q, b"DROP TABLE t"))),
    # -- the server itself
    "the server's variables": q("SET GLOBAL max_connections = 77"),
    "the server's variables for good": q("SET PERSIST max_connections = 77"),
    "the server's variables in a list": q("SET @a = 1, @@global.max_connections = 77"),
    "a write that is not logged": q("SET sql_log_bin = 0"),
    "a write that is not logged, with an accent": q("SET sql_log_bín = 0"),
    "a role": q("SET ROLE ALL"),
    "an account": q("CREATE USER hg_guard_test"),
    "a right": q("GRANT ALL ON *.* TO CURRENT_USER()"),
    "a user to kill": q("KILL USER root"),
    # -- files
    "a file of the server's, written": q(
        "SELECT * FROM t INTO OUTFILE '/tmp/hg_guard_test'", guarded=frozenset({1290, 1})
    ),
    "a file of the server's, written raw": q(
        "SELECT 1 INTO DUMPFILE '/tmp/hg_guard_test'", guarded=frozenset({1290, 1})
    ),
    "a file of the server's, read": q(
        "LOAD DATA INFILE '/etc/passwd' INTO TABLE t", guarded=frozenset({1290, 13, 29})
    ),
    "a file of the client's": q(
        "LOAD DATA LOCAL INFILE '/etc/passwd' INTO TABLE t", guarded=frozenset({1148, 3948, 4166})
    ),
    # -- commands that are no statements
    "COM_CREATE_DB": Case(((Command.CREATE_DB, b"hg_guard_test"),)),
    "COM_DROP_DB": Case(((Command.DROP_DB, b"other_schema"),)),
    **{
        f"command {number} of the protocol": Case(((number, argument),), guarded=EITHER)
        for number, argument in (
            (Command.REFRESH, b"\x01"),
            (Command.SHUTDOWN, b"\0"),
            (Command.PROCESS_INFO, b""),
            (Command.DEBUG, b""),
            (Command.BINLOG_DUMP, b"\x04\0\0\0\0\0\x01\0\0\0"),
            (Command.TABLE_DUMP, b"\x01x\x01t"),
            (Command.REGISTER_REPLICA, b"\x01\0\0\0" + bytes(14)),
            (Command.DAEMON, b""),
            (Command.BINLOG_DUMP_GTID, bytes(22)),
            (0x20, b""),
            (0xFA, b"\1\0\0\0\0\0"),
            (0xFE, b"\x03\0\0\x03DROP TABLE t"),
        )
    },
}

# Attacks that no server carries out, whatever the rights: it does not understand them, skips them, or they do
# no harm. All others must fail for want of a right, at least on the servers named.
ONLY: dict[str, frozenset[Flavor]] = {
    **dict.fromkeys(
        (
            *("a second statement behind nothing", "a second statement for a client that never asked"),
            *("a second statement in a prepared one", "a semicolon in a version comment"),
            *("behind what is no comment", "a carriage return ends no comment", "a NUL in a comment"),
            *("a comment without an end", "a quotation without an end", "in a comment for new versions"),
            *("in a comment that is skipped", "a verb in two version comments", "behind brackets"),
            *("behind a no-break space", "behind 0xFF", "behind a NUL", "behind a byte order mark"),
            *("behind a header of query attributes", "behind another header of query attributes"),
            *("a character set that a procedure sets", "executed without being prepared", "in bulk"),
            *("a labelled block", "replacing a table by a temporary one", "an index of a temporary table"),
            *("a common table that deletes", "a common table in front of a definition"),
            *("an explained definition", "an analyzed delete", "an analyzed delete of MariaDB's"),
            *("a delimiter", "a role", "a user to kill", "a file of the client's"),
            *(name for name in CASES if name.startswith(("COM_", "command "))),
        ),
        frozenset(),
    ),
    **dict.fromkeys(
        (
            *(name for name in CASES if name.startswith("a quote in a character of gb18030")),
            *("in a comment for old versions", "behind a comment of seventeen million bytes"),
            *("in the second frame", "the server's variables for good"),
            "a write that is not logged, with an accent",
        ),
        MYSQL,
    ),
    **dict.fromkeys(
        (
            *("in a comment for MariaDB", "the last one prepared, executed", "executed immediately"),
            *("prepared from a computed text", "prepared from adjacent strings"),
            *("prepared from a national string", "an anonymous block", "an anonymous block of Oracle's"),
            *("a condition", "a loop", "with a setting"),
        ),
        MARIADB,
    ),
}


NO_ATTACK = {(Flavor.MARIADB, name) for name in CASES if name.startswith("a quote in a character of gb18030")}
"""MariaDB does not know that character set: it reads one string, as anybody would."""


@dataclass
class Place:
    """A proxy in front of a server, and who sees what changes there."""

    proxy: Proxy
    witness: Witness
    flavor: Flavor
    schema: str


@pytest.fixture(scope="module")
async def place(server: LocalServer, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    """Safe branches `main` and `pooled`, whose account may do everything, and an open one with few rights."""
    traffic = Account("bypass_traffic", "secret of traffic")
    async with fresh_schema(server, "bypass") as schema, await Connection.open(server.server) as admin:
        witness = Witness(admin, schema)
        await witness.restore()
        await admin.execute("CREATE DATABASE IF NOT EXISTS other_schema")
        await admin.execute("CREATE TABLE IF NOT EXISTS other_schema.t (a INT)")
        await admin.execute(
            f"CREATE PROCEDURE {schema}.speak_gbk() SQL SECURITY INVOKER "
            "SET SESSION character_set_client = gbk"
        )
        await make_traffic_account(admin, traffic, schema)
        await witness.accept()
        main = production(server.server, schema)
        branches = [
            main,
            replace(main, name="pooled", pool_mode=PoolMode.TRANSACTION),
            replace(open_branch(main), server=replace(server.server, account=traffic)),
        ]
        folder = tmp_path_factory.mktemp("bypass")
        users = [user("app"), user("dev", branch="dev")]
        users += [replace(user(role, branch="dev"), role=role) for role in (Role.READER, Role.WRITER)]
        async with running_proxy(folder, branches, users) as proxy:
            yield Place(proxy, witness, server.server.flavor, schema)
        await admin.execute("DROP USER bypass_traffic")
        await admin.execute("DROP DATABASE other_schema")


async def attack(place: Place, login: str, case: Case) -> ErrPacket | None:
    """Send a case's commands; return the error of the last one, None when it was answered otherwise."""
    last, packets = b"\1\0\0\0", list[bytes]()
    async with raw_client(
        place.proxy.port, user=login, capabilities=case.capabilities, charset=case.handshake_charset
    ) as client:
        for number, argument in case.commands:
            argument = argument.replace(LAST, last, 1)
            if number == LONG:
                client.send(number, argument)
                continue
            try:
                packets = await client.run(number, argument)
            except ConnectionError:
                return ErrPacket(1047, "08S01", "the connection was closed")
            if number == PREPARE and packets[0][0] == 0:
                last = packets[0][1:5]
    return ErrPacket.parse(packets[-1]) if packets[-1][0] == 0xFF else None


@pytest.mark.parametrize("name", CASES)
async def test_neither_wall_lets_anybody_past(place: Place, name: str) -> None:
    case = CASES[name]
    guarded = [await attack(place, login, case) for login in ("app", "app.pooled")]
    unguarded = await attack(place, "dev", case)
    assert not await place.witness.changed()
    for error in guarded if case.guarded and (place.flavor, name) not in NO_ATTACK else ():
        assert error is not None
        assert error.errno in case.guarded, error
        if case.guarded is GUARD:
            assert "(safe migrations)" in error.message
    if place.flavor in ONLY.get(name, BOTH):
        assert unguarded is not None
        assert unguarded.errno in RIGHTS, unguarded


@pytest.mark.parametrize(
    ("role", "refused"),
    [
        (Role.READER, b"DELETE FROM t"),
        (Role.READER, b"SELECT 1; DELETE FROM t"),
        (Role.READER, b"/* x */ INSERT INTO t VALUES (1, 1)"),
        (Role.READER, b"WITH x AS (SELECT 1 AS a) DELETE FROM t WHERE a IN (SELECT a FROM x)"),
        (Role.READER, b"CALL p()"),
        (Role.READER, b"PREPARE s FROM 'DELETE FROM t'"),
        (Role.READER, b"DROP TABLE t"),
        (Role.WRITER, b"SELECT * FROM t"),
        (Role.WRITER, b"INSERT INTO t VALUES (1, 1); SELECT * FROM t"),
        (Role.WRITER, b"DO 1; TABLE t"),
        (Role.WRITER, b"PREPARE s FROM 'SELECT * FROM t'"),
        (Role.WRITER, b"DROP TABLE t"),
    ],
)
async def test_a_role_is_held_to_its_own_where_only_the_guard_knows_it(
    place: Place, role: Role, refused: bytes
) -> None:
    for command in (Q, PREPARE):
        error = await attack(place, str(role), Case(((command, refused),)))
        assert error is not None
        assert error.errno == 1142 or (command == PREPARE and error.errno in (1064, 1295)), error
        if error.errno == 1142:
            assert f"the password's role is {role}" in error.message
    assert await attack(place, str(role), q("SELECT @@sql_mode; SELECT LAST_INSERT_ID()")) is None
    assert not await place.witness.changed()


async def test_a_character_set_that_came_with_a_change_of_user_is_minded(place: Place) -> None:
    async with raw_client(place.proxy.port, user="dev") as client:

        async def packet() -> bytes:
            header = await client.reader.readexactly(4)
            return await client.reader.readexactly(int.from_bytes(header[:3], "little"))

        gbk, first = CHARSETS["gbk"]
        wish = ChangeUser("app", b"", "", gbk, CACHING_SHA2_PASSWORD, {})
        client.writer.write(frame(wish.build(client.handshake.capabilities)))
        nonce = AuthSwitch.parse(await packet()).nonce
        client.writer.write(frame(sha2_proof(PASSWORD, nonce), 2))
        assert [(await packet())[0] for _ in range(2)] == [AUTH_MORE_DATA, OK]
        assert (await client.error(Q, behind(first))).errno in EITHER
        assert (await client.error(Q, b"DROP TABLE t")).errno == 1105
    assert not await place.witness.changed()


def test_every_exception_is_in_the_list() -> None:
    assert set(ONLY) <= set(CASES)


async def test_a_definers_procedure_gets_past_both_walls_and_is_warned_of(
    place: Place, server: LocalServer
) -> None:
    schema = place.schema
    async with await Connection.open(server.server, database=schema) as admin:
        for security in ("DEFINER", "INVOKER"):
            await admin.execute(
                f"CREATE PROCEDURE by_{security}() SQL SECURITY {security} DROP VIEW IF EXISTS v"
            )
        try:
            invoked = await attack(place, "dev", q("CALL by_INVOKER()"))
            assert invoked is not None
            assert invoked.errno in RIGHTS
            assert await attack(place, "dev", q("CALL by_DEFINER()")) is None
            (warning,) = await warn_of_programs(server.server, schema, ["bypass_traffic"])
            assert f"{schema}.by_DEFINER runs definition statements as tester@%" in warning
        finally:
            await place.witness.restore()
