"""Keys that only the server can compare are followed as exactly as any other."""

from __future__ import annotations

import pytest

from migrator.engine.table import statements
from migrator.engine.table.pair import Pair, match
from migrator.engine.table.shape import read_shape
from router.database import Connection
from router.servers.process import LocalServer
from tests.migrator.engine.ledger import Ledger, Table, alter, target_of

TEXT = Table(("name",), "name VARCHAR(30) NOT NULL", lambda n: (("Key" if n % 2 else "kEY") + f" {n * 37}",))
MIXED = Table(
    ("kind", "name"),
    "kind ENUM('z','a','m') NOT NULL, name CHAR(12) CHARACTER SET latin1 NOT NULL",
    lambda n: ("zam"[n % 3], f"\u00e9{n}"),
)
TABLES = {"text": TEXT, "enum and char": MIXED}


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
async def test_rows_with_keys_that_only_the_server_can_compare_are_exact_there_and_back(
    server: LocalServer, database: str, connection: Connection, table: Table
) -> None:
    ledger = Ledger(server.server, database, table)
    await ledger.fill(connection, 3000)
    target = await target_of(connection, database, table.create(new=True))
    operation = alter(server.server, database, target)
    try:
        async with ledger.writing():
            await ledger.written(50)
            await operation.prepare()
            await operation.cut_over()
            await ledger.written(100)
        await ledger.check(dropped=True)
        async with ledger.writing():
            await ledger.written(100)
            await operation.revert()
            await ledger.written(50)
        await ledger.check(dropped=False)
        assert not ledger.errors
    finally:
        await operation.close()


async def test_what_was_copied_of_a_text_key_stays_after_an_interruption(
    server: LocalServer, database: str, connection: Connection
) -> None:
    ledger = Ledger(server.server, database, TEXT)
    await ledger.fill(connection, 4000)
    target = await target_of(connection, database, TEXT.create(new=True))
    first = alter(server.server, database, target)
    await first.prepare()
    await first.close()
    # As if the process had died half way: the ranges behind the frontier are copied, the others are not.
    await connection.execute("DELETE FROM _headgate.chunk WHERE id = %s AND seq > 5", f"op-{database}")
    high = await connection.fetch_value(
        "SELECT high_key FROM _headgate.chunk WHERE id = %s AND seq = 5", f"op-{database}"
    )
    frontier = bytes.fromhex(str(high).strip('[]"')).decode()
    await connection.execute("DELETE FROM t__hg1_new WHERE name > %s", frontier)
    await connection.execute(
        "UPDATE _headgate.operation SET phase = 'copying' WHERE id = %s", f"op-{database}"
    )
    second = alter(server.server, database, target)
    try:
        async with ledger.writing():
            await second.prepare()
            await ledger.written(30)
            await second.cut_over()
        await ledger.check(dropped=True)
    finally:
        await second.close()


async def pair_of(connection: Connection, database: str, source: str, target: str) -> Pair:
    await connection.execute(f"CREATE TABLE t ({source})")
    await connection.execute(f"CREATE TABLE other ({target})")
    shapes = [await read_shape(connection, database, name) for name in ("t", "other")]
    assert shapes[0] is not None
    assert shapes[1] is not None
    return match(shapes[0], shapes[1])


LATIN = "name VARCHAR(20) CHARACTER SET latin1 NOT NULL, v INT, PRIMARY KEY (name)"
WIDE = "name VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL, v INT, PRIMARY KEY (name)"
LIST = "kind ENUM('z','a','m') NOT NULL, name VARCHAR(9) NOT NULL, v INT, PRIMARY KEY (kind, name)"
BITS = "b BIT(33) NOT NULL, at TIMESTAMP(3) NOT NULL, v INT, PRIMARY KEY (b, at)"
KEYS = {
    "text": (LATIN, LATIN, lambda n: f"'k{n:05}', {n}"),
    "text in another character set": (LATIN, WIDE, lambda n: f"'k{n:05}', {n}"),
    "enum": (LIST, LIST, lambda n: f"{n % 3 + 1}, 'k{n:05}', {n}"),
    "bit": (BITS, BITS, lambda n: f"{n * 1000}, '2024-01-01 00:00:00', {n}"),
}


@pytest.mark.parametrize(("source", "target", "values"), KEYS.values(), ids=KEYS)
async def test_every_statement_about_keys_finds_them_by_an_index(
    server: LocalServer, database: str, connection: Connection, source: str, target: str, values: object
) -> None:
    assert callable(values)
    pair = await pair_of(connection, database, source, target)
    for setting in statements.session(server.server.flavor):
        await connection.execute(setting)
    rows = ", ".join(f"({values(n)})" for n in range(3000))
    await connection.execute(f"INSERT INTO t VALUES {rows}")
    await connection.execute(statements.copy_range(pair, None, None))
    await connection.execute("ANALYZE TABLE t, other")
    listed = await connection.fetch_all(statements.ranks(pair, None, None, 1500))
    keys = [pair.key.from_row(row) for row in listed]
    bounds = keys[1000], keys[1100]
    assert len(await connection.fetch_all(statements.ranks(pair, *bounds, 9999))) == 100
    assert len(await connection.fetch_all(statements.present(pair, keys[:50]))) == 50
    assert await connection.fetch_all(statements.vanished(pair, keys[:50])) == []
    for most, sql in [
        (50, statements.vanished(pair, keys[:50])),
        (50, statements.present(pair, keys[:50])),
        (100, f"SELECT * FROM t WHERE {pair.key.within(pair.source.quoted, *bounds)}"),
        (50, f"SELECT * FROM t WHERE {pair.key.is_one_of(pair.source.quoted, keys[:50])}"),
        (50, statements.delete_keys(pair, keys[:50])),
    ]:
        await connection.execute("FLUSH STATUS")
        await connection.execute(sql)
        status = await connection.fetch_all("SHOW SESSION STATUS LIKE 'Handler_read_%'")
        assert sum(int(value) for _, value in status) <= 4 * most + 8, sql[:80]
    assert await connection.execute(statements.upsert(pair, keys[:50], keys[9])) >= 10
    assert len(await connection.fetch_all(statements.present(pair, keys[:50]))) == 10


async def test_keys_that_are_one_at_home_and_two_elsewhere_name_one_row(
    server: LocalServer, database: str, connection: Connection
) -> None:
    pair = await pair_of(connection, database, LATIN, WIDE)
    await connection.execute("INSERT INTO t VALUES ('A', 1), ('b ', 2)")
    await connection.execute(statements.copy_range(pair, None, None))
    assert len(await connection.fetch_all(statements.present(pair, [b"a"]))) == 0
    assert await connection.fetch_all(statements.vanished(pair, [b"A", b"a", b"b "])) == []
    await connection.execute("DELETE FROM t WHERE name = 'a'")
    gone = await connection.fetch_all(statements.vanished(pair, [b"A", b"a"]))
    assert [pair.target_key.from_row(row) for row in gone] == [b"A"]


async def test_a_change_of_a_columns_name_follows_what_was_asked_for(
    server: LocalServer, database: str, connection: Connection
) -> None:
    await connection.execute("CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT, c INT NOT NULL DEFAULT 1)")
    await connection.execute(
        "CREATE TABLE other (no INT PRIMARY KEY, a INT, b INT, c INT NOT NULL DEFAULT 47)"
    )
    source, target = [await read_shape(connection, database, name) for name in ("t", "other")]
    assert source is not None
    assert target is not None
    renames = {"ID": "no", "a": "b", "b": "a", "c": ""}
    pair = match(source, target, renames=renames)
    assert [tuple(each) for each in pair.shared] == [("id", "no"), ("a", "b"), ("b", "a")]
    assert pair.kept == ("c",)
    back = pair.reversed()
    assert [tuple(each) for each in back.shared] == [("no", "id"), ("a", "b"), ("b", "a")]
    assert back.kept == ("c",)
    await connection.execute("INSERT INTO t VALUES (1, 10, 20, 30)")
    await connection.execute(statements.copy_range(pair, None, None))
    await connection.execute("UPDATE t SET a = 11")
    await connection.execute(statements.upsert(pair, [1]))
    assert await connection.fetch_all("SELECT no, a, b, c FROM other") == [(1, 20, 11, 47)]


async def test_a_key_whose_columns_run_in_different_directions_is_walked_without_sorting(
    server: LocalServer, database: str, connection: Connection
) -> None:
    definition = "a INT NOT NULL, b INT NOT NULL, v INT, PRIMARY KEY (a DESC, b)"
    pair = await pair_of(connection, database, definition, definition)
    rows = ", ".join(f"({n // 4}, {n % 4}, {n})" for n in range(2000))
    await connection.execute(f"INSERT INTO t VALUES {rows}")
    low, seen = None, 0
    while seen < 2000:
        row = await connection.fetch_one(statements.boundary(pair, low, None, 300))
        high = None if row is None else pair.key.from_row(row)
        assert high is None or low is None or high > low
        seen += await connection.execute(statements.copy_range(pair, low, high))
        low = high
    await connection.execute("FLUSH STATUS")
    await connection.execute(statements.boundary(pair, (100, 2), None, 300))
    status = await connection.fetch_all("SHOW SESSION STATUS LIKE 'Sort_rows'")
    assert int(status[0][1]) == 0
    assert await connection.fetch_value("SELECT COUNT(*) FROM other") == 2000


async def test_rows_that_a_target_of_another_collation_has_too_many_are_found_and_healed(
    server: LocalServer, database: str, connection: Connection
) -> None:
    ledger = Ledger(server.server, database, TEXT)
    await ledger.fill(connection, 600)
    binary = TEXT.create(new=True).replace("VARCHAR(30)", "VARCHAR(30) COLLATE utf8mb4_bin")
    target = await target_of(connection, database, binary)
    operation = alter(server.server, database, target)
    try:
        await operation.prepare()
        await operation.close()
        # Nothing in the log tells of these.
        await connection.execute("SET SESSION sql_log_bin = 0")
        await connection.execute("UPDATE t__hg1_new SET v = 'wrong' WHERE u = 7")
        await connection.execute("INSERT INTO t__hg1_new (name, u, v) VALUES ('zzz', 1, '')")
        await connection.execute(
            "UPDATE _headgate.operation SET phase = 'copying' WHERE id = %s", f"op-{database}"
        )
        again = alter(server.server, database, target)
        try:
            await again.prepare()
            await again.cut_over()
        finally:
            await again.close()
        await ledger.check(dropped=True)
    finally:
        await operation.close()
