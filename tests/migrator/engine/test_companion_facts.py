"""What the servers do about triggers and foreign keys around RENAME: the engine relies on it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from router.database import Connection
from router.errors import DatabaseError
from router.model import Flavor
from router.servers.process import LocalServer

RENAME = "RENAME TABLE t TO t_old, t_new TO t"
REFERENCES = (
    "SELECT CONSTRAINT_NAME, TABLE_NAME, REFERENCED_TABLE_NAME "
    "FROM information_schema.REFERENTIAL_CONSTRAINTS WHERE CONSTRAINT_SCHEMA = DATABASE() ORDER BY 1, 2"
)
LOCKED, DUPLICATE_NAME, WAITED = 1192, 1826, 1205


@pytest.fixture
async def other(server: LocalServer, database: str) -> AsyncIterator[Connection]:
    """A second client, who does not wait for long."""
    async with await Connection.open(server.server, database=database) as link:
        await link.execute("SET SESSION lock_wait_timeout = 1")
        yield link


async def run(link: Connection, *statements: str) -> None:
    for statement in statements:
        await link.execute(statement)


async def refused(link: Connection, sql: str) -> int:
    with pytest.raises(DatabaseError) as caught:
        await link.execute(sql)
    return caught.value.errno


@pytest.mark.parametrize("checks", [0, 1])
async def test_locking_a_child_locks_its_parents_against_writers_whether_checks_are_on_or_off(
    connection: Connection, other: Connection, checks: int
) -> None:
    await run(
        connection,
        "CREATE TABLE p (id INT PRIMARY KEY)",
        "CREATE TABLE t (id INT PRIMARY KEY, p INT, CONSTRAINT fk FOREIGN KEY (p) REFERENCES p (id))",
        "INSERT INTO p VALUES (1)",
        f"SET SESSION foreign_key_checks = {checks}",
        "LOCK TABLES t WRITE",
    )
    assert await other.fetch_all("SELECT * FROM p") == [(1,)]
    assert await refused(other, "DELETE FROM p") == WAITED


async def test_triggers_are_made_and_dropped_under_a_lock_and_go_with_their_table(
    server: LocalServer, connection: Connection
) -> None:
    await run(
        connection,
        "CREATE TABLE t (id INT)",
        "CREATE TABLE t_new (id INT)",
        "CREATE TRIGGER a BEFORE INSERT ON t FOR EACH ROW SET NEW.id = 1",
        "LOCK TABLES t WRITE, t_new WRITE",
        "ALTER TABLE t_new ADD k INT AUTO_INCREMENT PRIMARY KEY",
        "ALTER TABLE t_new AUTO_INCREMENT = 50",
        "CREATE TRIGGER a__hg1 BEFORE INSERT ON t_new FOR EACH ROW SET NEW.id = 2",
    )
    if server.server.flavor is Flavor.MARIADB:
        assert await refused(connection, RENAME) == LOCKED
        await connection.execute("UNLOCK TABLES")
        await connection.execute(RENAME)
    else:
        await connection.execute(RENAME)
        await run(connection, "DROP TRIGGER a", "UNLOCK TABLES")
    await connection.execute("INSERT INTO t (id) VALUES (0)")
    assert await connection.fetch_all("SELECT id, k FROM t") == [(2, 50)]


@pytest.mark.parametrize("checks", [0, 1])
async def test_foreign_keys_follow_a_renamed_table_on_both_sides(connection: Connection, checks: int) -> None:
    await run(
        connection,
        f"SET SESSION foreign_key_checks = {checks}",
        "CREATE TABLE p (id INT PRIMARY KEY)",
        "CREATE TABLE t (id INT PRIMARY KEY, p INT, CONSTRAINT up FOREIGN KEY (p) REFERENCES p (id))",
        "CREATE TABLE t_new LIKE t",
        "CREATE TABLE c (t INT, KEY (t), CONSTRAINT down FOREIGN KEY (t) REFERENCES t (id))",
        "ALTER TABLE c ADD CONSTRAINT down__hg1 FOREIGN KEY (t) REFERENCES t_new (id)",
        RENAME,
    )
    assert await connection.fetch_all(REFERENCES) == [
        ("down", "c", "t_old"),
        ("down__hg1", "c", "t"),
        ("up", "t_old", "p"),
    ]


async def test_a_name_the_server_made_of_the_table_s_follows_it_through_rename(
    connection: Connection,
) -> None:
    await run(
        connection,
        "CREATE TABLE p (id INT PRIMARY KEY)",
        "CREATE TABLE t (p INT, CONSTRAINT t_ibfk_7 FOREIGN KEY (p) REFERENCES p (id))",
        "CREATE TABLE t_new (p INT, CONSTRAINT t_new_ibfk_7 FOREIGN KEY (p) REFERENCES p (id))",
        RENAME,
    )
    assert await connection.fetch_all(REFERENCES) == [("t_ibfk_7", "t", "p"), ("t_old_ibfk_7", "t_old", "p")]


async def test_a_foreign_key_s_name_is_taken_in_its_whole_schema_and_cannot_be_dropped_and_added_at_once(
    connection: Connection,
) -> None:
    await run(
        connection,
        "SET SESSION foreign_key_checks = 0",
        "CREATE TABLE p (id INT PRIMARY KEY)",
        "CREATE TABLE t (p INT, CONSTRAINT fk FOREIGN KEY (p) REFERENCES p (id))",
        "CREATE TABLE u (p INT, KEY (p))",
    )
    add = "ADD CONSTRAINT fk FOREIGN KEY (p) REFERENCES p (id)"
    assert await refused(connection, f"ALTER TABLE u {add}") in (DUPLICATE_NAME, 1823, 1005)
    assert await refused(connection, f"ALTER TABLE t DROP FOREIGN KEY fk, {add}") == DUPLICATE_NAME
    # Under another name both go in one statement, without a look at the rows.
    await connection.execute("INSERT INTO t VALUES (5)")
    add = add.replace("fk", "fk__hg1", 1)
    await connection.execute(f"ALTER TABLE t DROP FOREIGN KEY fk, {add}, ALGORITHM=INPLACE")
    assert await connection.fetch_all(REFERENCES) == [("fk__hg1", "t", "p")]


async def test_cascades_are_logged_by_mysql_unless_its_storage_engine_does_them(
    server: LocalServer, connection: Connection
) -> None:
    rows = await connection.fetch_all("SHOW GLOBAL VARIABLES LIKE 'innodb_native_foreign_keys'")
    await run(
        connection,
        "CREATE TABLE p (id INT PRIMARY KEY)",
        "CREATE TABLE t (p INT, CONSTRAINT fk FOREIGN KEY (p) REFERENCES p (id) ON DELETE CASCADE)",
        "INSERT INTO p VALUES (1)",
        "INSERT INTO t VALUES (1)",
    )
    status = "SHOW BINARY LOG STATUS" if server.server.flavor is Flavor.MYSQL else "SHOW MASTER STATUS"
    if server.server.flavor is Flavor.MYSQL and rows == []:
        status = "SHOW MASTER STATUS"
    file, position, *_ = (await connection.fetch_all(status))[0]
    await connection.execute("DELETE FROM p")
    events = await connection.fetch_all(f"SHOW BINLOG EVENTS IN '{file}' FROM {position}")
    deletes = sum(str(event[2]).lower().startswith("delete_rows") for event in events)
    logged = [str(row[1]) for row in rows] == ["OFF"]
    assert deletes == (2 if logged else 1)
