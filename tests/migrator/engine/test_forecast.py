"""What cannot be migrated is refused before anything is copied, with the way out."""

from __future__ import annotations

import pytest

from migrator.engine.direct.choose import Method, Strategy
from migrator.engine.forecast import Forecast, forecast
from migrator.errors import DataConflict, Refused
from router.database import Connection
from router.servers.process import LocalServer
from tests.migrator.engine.ledger import target_of


async def ask(server: LocalServer, schema: str, connection: Connection, definition: str) -> None:
    target = await target_of(connection, schema, definition)
    await forecast(server.server, server.server, schema, "t", target)


async def test_a_new_column_that_must_have_a_value_but_gets_none_is_refused(
    server: LocalServer, database: str, connection: Connection
) -> None:
    await connection.execute("CREATE TABLE t (id INT PRIMARY KEY)")
    for column in ("n INT NOT NULL", "v VARCHAR(9) NOT NULL", "d DATETIME NOT NULL", "x TEXT NOT NULL"):
        with pytest.raises(Refused, match="is NOT NULL and has no default") as refused:
            await ask(server, database, connection, f"CREATE TABLE t (id INT PRIMARY KEY, {column})")
        assert "DEFAULT" in refused.value.hint


async def test_new_columns_that_get_a_value_are_not_refused(
    server: LocalServer, database: str, connection: Connection
) -> None:
    await connection.execute("CREATE TABLE t (id INT PRIMARY KEY)")
    await ask(
        server,
        database,
        connection,
        "CREATE TABLE t (id INT PRIMARY KEY, a INT NOT NULL DEFAULT 0, b VARCHAR(9) NOT NULL DEFAULT '', "
        "c INT NULL, d DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP, e BINARY(16) NOT NULL DEFAULT (UUID()), "
        "f ENUM('x', 'y') NOT NULL, g INT AS (id + 1) STORED, "
        "h BIGINT NOT NULL AUTO_INCREMENT, KEY h (h))",
    )
    await ask(server, database, connection, "CREATE TABLE t (id INT PRIMARY KEY)")


async def outcome(
    server: LocalServer, schema: str, connection: Connection, before: str, after: str
) -> Forecast:
    await connection.execute("DROP TABLE IF EXISTS t")
    await connection.execute(f"CREATE TABLE t (id INT PRIMARY KEY, {before})")
    target = await target_of(connection, schema, f"CREATE TABLE t (id INT PRIMARY KEY, {after})")
    return await forecast(server.server, server.server, schema, "t", target)


def remarks(found: Forecast, strategy: Strategy = Strategy.REVERTIBLE) -> list[tuple[int | None, bool, str]]:
    return [(each.errno, each.loses, each.sentence) for each in found.outlook[strategy]]


REVERTS = [
    ("c INT", "c BIGINT", 1264, "a row is written that has values outside -2147483648"),
    ("c INT", "c INT UNSIGNED", 1264, "values outside"),
    ("c VARCHAR(5)", "c VARCHAR(9)", 1406, "more than 5 characters"),
    ("c INT NOT NULL", "c INT NULL", 1048, "has NULL"),
    ("c VARCHAR(5) CHARACTER SET latin1", "c VARCHAR(5) CHARACTER SET utf8mb4", 1366, "latin1 does not"),
    ("c INT, UNIQUE c (c)", "c INT, KEY c (c)", 1062, "the same c as another row"),
    ("c ENUM('a')", "c ENUM('a','b')", 1265, "the removed member 'b'"),
    ("c INT NOT NULL", "d INT", 1364, "as soon as one row is inserted"),
    ("c DATETIME", "c DATETIME(6)", None, "alters, in rows written since, fractions of a second"),
    ("c FLOAT", "c DOUBLE", None, "more digits than FLOAT holds"),
    ("c INT NOT NULL DEFAULT 3", "d INT", None, "have its default in column 'c'"),
    ("c INT", "c INT, d INT", None, "loses what is written to the new column 'd'"),
    ("c INT, d INT", "c INT, d INT AS (c + 1) STORED", None, "computed values"),
]


@pytest.mark.parametrize(("before", "after", "errno", "words"), REVERTS, ids=[str(r[:2]) for r in REVERTS])
async def test_what_a_revert_would_lack_is_said_before(
    server: LocalServer,
    database: str,
    connection: Connection,
    before: str,
    after: str,
    errno: int,
    words: str,
) -> None:
    found = remarks(await outcome(server, database, connection, before, after))
    assert [said for said in found if words in said[2]], found
    number, loses, _ = next(said for said in found if words in said[2])
    assert number == errno
    assert loses is (errno is None)


async def test_a_change_that_can_always_be_undone_has_nothing_to_be_said(
    server: LocalServer, database: str, connection: Connection
) -> None:
    for before, after in (
        ("c INT", "c INT, KEY c (c)"),
        ("c INT", "c INT COMMENT 'x'"),
        ("c INT", "c TINYINT"),
    ):
        assert remarks(await outcome(server, database, connection, before, after)) == []


async def test_what_is_for_good_is_said_to_be(
    server: LocalServer, database: str, connection: Connection
) -> None:
    found = await outcome(server, database, connection, "c INT, d INT", "c INT")
    assert found.choices[Strategy.AUTO].method is Method.SHADOW
    assert found.choices[Strategy.INSTANT].method is Method.INSTANT
    assert remarks(found, Strategy.INSTANT)[0][2].startswith("it cannot be reverted")
    assert "NULL in column 'd'" in remarks(found)[0][2]


async def test_nothing_of_the_forecast_is_left_behind(
    server: LocalServer, database: str, connection: Connection
) -> None:
    await outcome(server, database, connection, "c INT", "c INT, d INT, KEY d (d)")
    left = await connection.fetch_all("SHOW DATABASES LIKE '\\_headgate\\_forecast%'")
    assert left == []


async def test_rows_that_do_not_fit_are_told_at_once(
    server: LocalServer, database: str, connection: Connection
) -> None:
    await connection.execute("CREATE TABLE t (id INT PRIMARY KEY, c DECIMAL(9,3), d INT)")
    await connection.execute("INSERT INTO t VALUES (1, 1.25, 1000), (2, 2, 2)")
    after = await target_of(
        connection, database, "CREATE TABLE t (id INT PRIMARY KEY, c DECIMAL(9,1), d INT)"
    )
    # Digits that are cut off may be allowed: the data checks tell of them.
    assert (await forecast(server.server, server.server, database, "t", after)).warnings == ()
    after = await target_of(
        connection, database, "CREATE TABLE t (id INT PRIMARY KEY, c DECIMAL(9,3), d TINYINT)"
    )
    with pytest.raises(DataConflict, match=r"column 'd'.*id=1"):
        await forecast(server.server, server.server, database, "t", after)
