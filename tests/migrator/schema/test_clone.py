from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from migrator.schema.clone import clone_schema
from migrator.schema.errors import CloneFailed
from migrator.schema.introspect import open_reader, read_schema
from migrator.schema.model import OpaqueTable, Schema
from router.model import Flavor
from router.servers.process import LocalServer
from tests.migrator.schema.corpus import drop_databases, load, table_statements

SHOP = [
    "CREATE TABLE z_parent (id INT PRIMARY KEY, n INT AS (id + 1))",
    "CREATE TABLE a_child (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES z_parent (id))",
    "INSERT INTO z_parent (id) VALUES (1)",
    "CREATE FUNCTION plus(x INT) RETURNS INT DETERMINISTIC RETURN x + 1",
    "CREATE VIEW z_view AS SELECT id, plus(n) AS m FROM z_parent",
    "CREATE VIEW a_view AS SELECT m FROM z_view",
    "CREATE TRIGGER one BEFORE INSERT ON a_child FOR EACH ROW SET NEW.p = 1",
    "CREATE TRIGGER two BEFORE INSERT ON a_child FOR EACH ROW PRECEDES one SET NEW.p = 2",
    "CREATE PROCEDURE fill() BEGIN INSERT INTO z_parent (id) VALUES (2); SELECT * FROM a_view; END",
    "CREATE EVENT daily ON SCHEDULE EVERY 1 DAY ON COMPLETION PRESERVE DO CALL fill()",
]


@pytest.fixture
async def copy(server: LocalServer, database: str) -> AsyncIterator[str]:
    """The name, an odd one, of a database that may be made and is dropped at the end."""
    yield database + "_co`py-1 ü"
    await drop_databases(server.server, database + "_co`py-1 ü")


async def test_a_clone_is_like_its_parent_and_belongs_to_who_made_it(
    server: LocalServer, database: str, copy: str
) -> None:
    async with await load(server.server, database, []) as connection:
        await connection.execute("SET sql_mode = 'PIPES_AS_CONCAT'")
        await connection.execute("CREATE DEFINER='nobody'@'nowhere' PROCEDURE odd() SELECT 'a' || 'b'")
        await connection.execute("SET sql_mode = ''")
        for statement in SHOP:
            await connection.execute(statement)
        parent = await read_schema(connection, database)
        assert await clone_schema(parent, connection, copy) == ()
        clone = await read_schema(connection, copy)
        assert clone.same_as(parent)
        odd = next(code for code in clone.code if code.name == "odd")
        assert "PIPES_AS_CONCAT" in odd.sql_mode
        assert odd.definer.startswith("`tester`@")
        assert [code.name for code in clone.code if code.table] == ["two", "one"]
        assert {code.kind for code in clone.code} == {code.kind for code in parent.code}
        assert await connection.fetch_all("SELECT * FROM z_parent") == []
        status = "SELECT STATUS FROM information_schema.EVENTS WHERE EVENT_SCHEMA = %s"
        assert await connection.fetch_value(status, copy) == b"DISABLED"


async def test_every_kind_of_table_can_be_cloned(server: LocalServer, database: str, copy: str) -> None:
    async with await load(server.server, database, table_statements(server.server.flavor)) as connection:
        parent = await read_schema(connection, database)
        await clone_schema(parent, connection, copy)
        assert (await read_schema(connection, copy)).same_as(parent)


async def test_sequences_come_before_the_tables_that_use_them(
    mariadb: LocalServer, mariadb_database: str
) -> None:
    statements = [
        "CREATE SEQUENCE numbers START WITH 5",
        "CREATE TABLE t (a INT DEFAULT nextval(numbers), b INT)",
    ]
    async with await load(mariadb.server, mariadb_database, statements) as connection:
        parent = await read_schema(connection, mariadb_database)
        try:
            await connection.execute("DROP TABLE t")
            await connection.execute("DROP SEQUENCE numbers")
            await connection.execute(f"DROP DATABASE {mariadb_database}")
            await clone_schema(parent, connection, mariadb_database)
            assert (await read_schema(connection, mariadb_database)).same_as(parent)
        finally:
            await drop_databases(mariadb.server, mariadb_database)


async def test_a_view_that_does_not_work_in_the_parent_is_left_out_and_told(
    server: LocalServer, database: str, copy: str
) -> None:
    statements = [
        "CREATE TABLE t (a INT)",
        "CREATE VIEW broken AS SELECT a FROM t",
        "CREATE VIEW fine AS SELECT 1",
    ]
    async with await load(server.server, database, [*statements, "DROP TABLE t"]) as connection:
        (sentence,) = await clone_schema(await read_schema(connection, database), connection, copy)
    assert sentence.startswith("view 'broken' is left out")


async def test_a_clone_that_fails_leaves_nothing_behind(server: LocalServer, copy: str) -> None:
    odd = OpaqueTable("t", "CREATE TABLE `t` (frobnicate)", "")
    flavor = server.server.flavor
    schema = Schema(flavor, server.server.version, "utf8mb4_general_ci", opaque={"t": odd})
    async with await open_reader(server.server) as connection:
        with pytest.raises(CloneFailed, match="does not take table 't'"):
            await clone_schema(schema, connection, copy)
        assert await connection.fetch_all("SHOW DATABASES LIKE %s", copy) == []
        other = replace(schema, flavor=Flavor.MARIADB if flavor is Flavor.MYSQL else Flavor.MYSQL)
        with pytest.raises(CloneFailed, match="cannot be cloned"):
            await clone_schema(other, connection, copy)


async def test_a_database_that_is_there_is_left_alone(server: LocalServer, database: str) -> None:
    async with await load(server.server, database, ["CREATE TABLE t (a INT)"]) as connection:
        schema = await read_schema(connection, database)
        with pytest.raises(CloneFailed, match="cannot create database"):
            await clone_schema(schema, connection, database)
        assert (await read_schema(connection, database)).tables.keys() == {"t"}
