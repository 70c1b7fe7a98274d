"""Rows that a change would lose or alter are found before anything is copied, with their keys."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from conf.settings import ThrottleSettings
from migrator.engine.checks.inspection import SAMPLED, Finding, inspect, judge, refuse_losses, sample
from migrator.engine.table import statements
from migrator.engine.table.pair import match
from migrator.engine.table.shape import read_shape
from migrator.engine.table.statements import session
from migrator.errors import DataConflict
from migrator.schema.introspect import open_reader, read_table
from migrator.schema.lossy import data_checks
from migrator.throttle.throttler import Throttle
from router.database import Connection
from router.errors import DatabaseError
from router.model import Flavor
from router.servers.process import LocalServer

THROTTLE = Throttle(ThrottleSettings(enabled=False))


@dataclass(frozen=True, slots=True)
class Case:
    """Column or rest of a definition before and after, two values that fit, and one that does not."""

    name: str
    before: str
    after: str
    good: tuple[str, ...]
    bad: str
    having: str
    silent: bool = False


CASES = [
    Case("int to tinyint", "c INT", "c TINYINT", ("-128", "127", "NULL"), "128", "values outside -128 … 127"),
    Case("sign", "c INT", "c INT UNSIGNED", ("0", "7"), "-1", "values outside 0 … 4294967295"),
    Case("unsigned", "c INT UNSIGNED", "c INT", ("1", "2147483647"), "2147483648", "values outside -21"),
    Case("decimal to int", "c DECIMAL(9,2)", "c INT", ("1", "2.00"), "2.50", "digits behind", silent=True),
    Case("double to int", "c DOUBLE", "c SMALLINT", ("1", "-3"), "0.25", "digits behind", silent=True),
    Case("double too large", "c DOUBLE", "c SMALLINT", ("1", "-3"), "1e9", "values outside -32768"),
    Case("scale", "c DECIMAL(9,4)", "c DECIMAL(9,2)", ("1.25", "2"), "1.001", "more than 2", silent=True),
    Case("precision", "c DECIMAL(9,2)", "c DECIMAL(5,2)", ("999.99", "1"), "1000.00", "more than 3 digits b"),
    Case("int to decimal", "c INT", "c DECIMAL(5,2)", ("999", "-999"), "1000", "more than 3 digits before"),
    Case(
        "double to decimal", "c DOUBLE", "c DECIMAL(9,2)", ("0.1", "7"), "0.125", "more than 2", silent=True
    ),
    Case(
        "double to float", "c DOUBLE", "c FLOAT", ("0.5", "1"), "0.1234567890123", "more digits", silent=True
    ),
    Case(
        "bigint to double", "c BIGINT", "c DOUBLE", ("5", "6"), "9007199254740993", "more digits", silent=True
    ),
    Case("shorter", "c VARCHAR(20)", "c VARCHAR(3)", ("'abc'", "'äöü'"), "'abcd'", "more than 3 characters"),
    Case("text to varchar", "c TEXT", "c VARCHAR(3)", ("'abc'", "''"), "'abcd'", "more than 3 characters"),
    Case("text class", "c TEXT", "c TINYTEXT", ("'a'", "NULL"), "REPEAT('ä', 128)", "more than 255 bytes"),
    Case("int to char", "c INT", "c CHAR(3)", ("1", "999"), "1000", "more than 3 characters"),
    Case("to char", "c VARCHAR(9)", "c CHAR(9)", ("'a'", "'b'"), "'a '", "spaces at the end", silent=True),
    Case("bytes", "c VARBINARY(9)", "c VARBINARY(3)", ("'abc'", "''"), "'abcd'", "more than 3 bytes"),
    Case("padded", "c VARBINARY(4)", "c BINARY(4)", ("'abcd'", "NULL"), "'abc'", "fewer than 4", silent=True),
    Case("not null", "c INT", "c INT NOT NULL", ("1", "2"), "NULL", "NULL"),
    Case(
        "charset",
        "c VARCHAR(9) CHARACTER SET utf8mb4",
        "c VARCHAR(9) CHARACTER SET latin1",
        ("'é'", "'a'"),
        "'字'",
        "characters that latin1 does not have",
    ),
    Case(
        "blob to text",
        "c VARBINARY(9)",
        "c VARCHAR(9) CHARACTER SET utf8mb4",
        ("'a'", "x'c3a4'"),
        "x'ff'",
        "bytes that are no utf8mb4 text",
    ),
    Case("enum", "c ENUM('a','b','z')", "c ENUM('b','a')", ("'a'", "'b'"), "'z'", "the removed member 'z'"),
    Case("set", "c SET('a','b','z')", "c SET('a','b')", ("'a,b'", "''"), "'a,z'", "the removed member 'z'"),
    Case("to enum", "c VARCHAR(9)", "c ENUM('a','b')", ("'a'", "'b'"), "'c'", "texts that are not in enum"),
    Case("json", "c TEXT", "c JSON", ("'{}'", "NULL"), "'{'", ""),
    Case(
        "date",
        "c DATETIME",
        "c DATE",
        ("'2024-02-03'", "NULL"),
        "'2024-02-03 00:00:01'",
        "times",
        silent=True,
    ),
    Case(
        "fraction",
        "c DATETIME(6)",
        "c DATETIME(3)",
        ("'2024-02-03 01:02:03.004'", "NULL"),
        "'2024-02-03 01:02:03.0045'",
        "more than 3 digits of a second",
        silent=True,
    ),
    Case(
        "timestamp",
        "c DATETIME",
        "c TIMESTAMP NULL",
        ("'2024-02-03 01:02:03'", "NULL"),
        "'2039-01-01'",
        "dates before 1970",
    ),
    Case("text to int", "c VARCHAR(9)", "c INT", ("'12'", "'-3'"), "'1x'", "texts that are no numbers"),
    Case("text to date", "c VARCHAR(19)", "c DATE", ("'2024-02-03'", "NULL"), "'soon'", "texts that are no"),
    Case("enum to int", "c ENUM('7','8')", "c INT", ("NULL", "NULL"), "'8'", "members", silent=True),
    Case("unique", "c INT", "c INT, UNIQUE c (c)", ("2", "3", "NULL", "NULL"), "2", "the same c as another"),
    Case(
        "collation",
        "c VARCHAR(9) COLLATE utf8mb4_bin, UNIQUE c (c)",
        "c VARCHAR(9) COLLATE utf8mb4_general_ci, UNIQUE c (c)",
        ("'a'", "'b'"),
        "'B'",
        "the same c",
    ),
    Case("prefix", "c VARCHAR(9)", "c VARCHAR(9), UNIQUE c (c(2))", ("'abc'", "'bc'"), "'abd'", "the same c"),
    Case("check", "c INT", "c INT, CONSTRAINT positive CHECK (c > 0)", ("1", "NULL"), "0", "values that it"),
    Case("auto increment", "c INT", "c INT NOT NULL AUTO_INCREMENT, KEY c (c)", ("1", "2"), "0", "NULL or 0"),
    Case(
        *("generated", "c INT", "c INT AS (id * 2) STORED", ("2", "4"), "5", "values other than"), silent=True
    ),
    Case(
        "foreign key",
        "c INT",
        "c INT, FOREIGN KEY (c) REFERENCES p (id)",
        ("1", "NULL"),
        "2",
        "no row in 'p'",
    ),
    Case(
        "range",
        "c INT",
        "c INT) PARTITION BY RANGE (id) (PARTITION a VALUES LESS THAN (3)",
        ("1", "2"),
        "7",
        "values that none of them takes",
    ),
    Case(
        "list",
        "c INT",
        "c INT) PARTITION BY LIST (id) (PARTITION a VALUES IN (1,2), PARTITION b VALUES IN (9)",
        ("1", "2"),
        "7",
        "values that none of them takes",
    ),
]


async def prepared(connection: Connection, case: Case) -> int:
    """Make tables t and n, with rows that fit in t; return the number of the next row."""
    await connection.execute("SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO'")
    await connection.execute("CREATE TABLE p (id INT PRIMARY KEY)")
    await connection.execute("INSERT INTO p VALUES (1)")
    await connection.execute(f"CREATE TABLE t (id INT PRIMARY KEY, {case.before})")
    await connection.execute(f"CREATE TABLE n (id INT PRIMARY KEY, {case.after})")
    for number, value in enumerate(case.good, 1):
        await connection.execute(f"INSERT INTO t (id, c) VALUES ({number}, {value})")
    return len(case.good) + 1


async def found(server: LocalServer, database: str) -> list[Finding]:
    async with await open_reader(server.server, database=database) as reader:
        before = await read_table(reader, database, "t")
        after = await read_table(reader, database, "n")
    async with await Connection.open(server.server, setup=session(server.server.flavor)) as link:
        source, target = await read_shape(link, database, "t"), await read_shape(link, database, "n")
        assert source is not None
        assert target is not None
        pair = match(source, target)
        checks = data_checks(before, after, database, source.quoted)
        quick = data_checks(before, after, database, SAMPLED)
        findings = await inspect(link, pair, checks, THROTTLE)
        sampled = await sample(link, database, before, quick)
    assert {finding.check.having for finding in sampled} == {finding.check.having for finding in findings}
    return findings


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_a_row_that_would_be_lost_or_altered_is_found_and_no_other(
    server: LocalServer, database: str, connection: Connection, case: Case
) -> None:
    number = await prepared(connection, case)
    assert await found(server, database) == []
    if case.having.startswith("values that none"):
        number = int(case.bad)
    await connection.execute(f"INSERT INTO t (id, c) VALUES ({number}, {case.bad})")
    [finding] = await found(server, database)
    assert case.having in finding.check.having
    assert finding.check.silent is case.silent
    assert finding.keys
    assert f"id={number}" in finding.keys[0]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_what_is_found_is_what_the_server_refuses_or_silently_alters(
    server: LocalServer, database: str, connection: Connection, case: Case
) -> None:
    number = await prepared(connection, case)
    if case.having.startswith("values that none"):
        number = int(case.bad)
    await connection.execute(f"INSERT INTO t (id, c) VALUES ({number}, {case.bad})")
    columns = "id" if case.name == "generated" else "id, c"
    refused = None
    try:
        await connection.execute(f"INSERT INTO n ({columns}) SELECT {columns} FROM t")
    except Exception as error:
        refused = error
    if case.name == "auto increment":
        return  # the copy could carry it over, but ALTER TABLE would number it anew
    # MariaDB copies a TEXT into a smaller one without looking at its length: what is longer is garbled.
    garbled = case.name == "text class" and server.server.flavor is Flavor.MARIADB
    assert (refused is None) is (case.silent or garbled), refused


async def test_all_rows_are_looked_at_and_counted(
    server: LocalServer, database: str, connection: Connection
) -> None:
    case = Case("", "c INT", "c TINYINT", (), "", "")
    await prepared(connection, case)
    values = ", ".join(f"({n}, {n % 200})" for n in range(1, 5001))
    await connection.execute(f"INSERT INTO t VALUES {values}")
    [finding] = await found(server, database)
    assert (finding.rows, finding.complete, len(finding.keys)) == (25 * 72, True, 5)
    assert "1,800 rows have values outside -128 … 127 (id=128, id=129" in finding.sentence


async def test_what_the_server_alters_silently_can_be_allowed_and_what_it_refuses_cannot(
    server: LocalServer, database: str, connection: Connection
) -> None:
    await connection.execute("CREATE TABLE t (id INT PRIMARY KEY, a DECIMAL(9,3), b INT)")
    await connection.execute("CREATE TABLE n (id INT PRIMARY KEY, a DECIMAL(9,1), b TINYINT)")
    await connection.execute("INSERT INTO t VALUES (1, 1.25, 1)")
    async with await Connection.open(server.server, setup=session(server.server.flavor)) as link:
        source, target = await read_shape(link, database, "t"), await read_shape(link, database, "n")
    assert source is not None
    assert target is not None
    pair = match(source, target)
    with pytest.raises(
        DataConflict, match=r"column 'a': 1 row has more than 1 digits.*allow_lossy"
    ) as caught:
        await refuse_losses(server.server, pair, THROTTLE, allow_lossy=False)
    assert caught.value.keys == ("id=1",)
    await refuse_losses(server.server, pair, THROTTLE, allow_lossy=True)
    await connection.execute("INSERT INTO t VALUES (2, 1, 1000)")
    with pytest.raises(DataConflict, match=r"column 'b'.*id=2.*cannot help"):
        await refuse_losses(server.server, pair, THROTTLE, allow_lossy=True)


def test_nothing_to_say_is_nothing_refused() -> None:
    judge("t", [], allow_lossy=False)


@pytest.mark.parametrize(
    ("long", "short"), [("TEXT", "TINYTEXT"), ("MEDIUMBLOB", "BLOB"), ("LONGTEXT", "TEXT")]
)
async def test_a_text_too_long_for_its_column_is_never_written_short(
    server: LocalServer, database: str, connection: Connection, long: str, short: str
) -> None:
    await connection.execute(f"CREATE TABLE t (id INT PRIMARY KEY, c {long})")
    await connection.execute(f"CREATE TABLE n (id INT PRIMARY KEY, c {short})")
    length = 300 if long == "TEXT" else 65836
    await connection.execute(f"INSERT INTO t VALUES (1, REPEAT('a', {length})), (2, NULL)")
    async with await Connection.open(server.server, setup=session(server.server.flavor)) as link:
        source, target = await read_shape(link, database, "t"), await read_shape(link, database, "n")
        assert source is not None
        assert target is not None
        pair = match(source, target)
        await link.execute(statements.create_stage(pair))
        for sql in (
            statements.copy_range(pair, None, None),
            statements.upsert(pair, [1]),
            statements.stage_keys(pair, [1])[-1],
        ):
            with pytest.raises(DatabaseError, match="too long"):
                await link.execute(sql)
        await link.execute(statements.upsert(pair, [2]))
        assert await link.fetch_all(f"SELECT id, c FROM {database}.n") == [(2, None)]
