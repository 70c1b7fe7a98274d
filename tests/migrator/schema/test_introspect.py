from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from migrator.schema.clone import load_tables
from migrator.schema.errors import ReadFailed, SchemaMoved
from migrator.schema.introspect import AT_ONCE, SHARED_FROM, open_reader, read_schema, split_definer
from migrator.schema.model import CodeKind
from router.database import Row, quote_name
from router.model import Account, Flavor
from router.servers.process import LocalServer
from tests.migrator.schema.corpus import drop_databases, load, table_statements

OPAQUE = {
    Flavor.MYSQL: {"autoextend", "secondary", "spaces", "emoji_member"},
    Flavor.MARIADB: {"periods", "versioned", "emoji_member"},
}


async def test_every_kind_of_table_is_read_and_means_the_same_when_made_again(
    server: LocalServer, database: str
) -> None:
    flavor = server.server.flavor
    async with await load(server.server, database, table_statements(flavor)) as connection:
        schema = await read_schema(connection, database)
        assert schema.opaque.keys() == OPAQUE[flavor]
        assert len(schema.tables) + len(schema.opaque) == len(table_statements(flavor))
        schema = replace(schema, opaque={})  # what cannot be read well cannot be made well either
        again = database + "_again"
        await connection.execute(f"CREATE DATABASE {quote_name(again)}")
        try:
            await connection.execute(f"USE {quote_name(again)}")
            await load_tables(connection, schema)
            assert (await read_schema(connection, again)).same_as(schema)
        finally:
            await drop_databases(server.server, again)


async def test_defaults_that_are_no_text_come_back_as_the_same_bytes(
    server: LocalServer, database: str
) -> None:
    statement = next(s for s in table_statements(server.server.flavor) if "binary_defaults" in s)
    async with await load(server.server, database, [statement]) as connection:
        schema = await read_schema(connection, database)
        await connection.execute("DROP TABLE binary_defaults")
        await load_tables(connection, schema)
        await connection.execute("INSERT INTO binary_defaults VALUES ()")
        row = await connection.fetch_one("SELECT HEX(a), HEX(b), HEX(c), HEX(d), HEX(e) FROM binary_defaults")
        assert row == (b"FF00", b"00FF0102", b"27275C5C", b"C3A4", b"275CFF0A0D1A")


async def test_defaults_that_mariadb_prints_with_question_marks_are_read_right(
    mariadb: LocalServer, mariadb_database: str
) -> None:
    statement = next(s for s in table_statements(Flavor.MARIADB) if "emoji_default" in s)
    async with await load(mariadb.server, mariadb_database, [statement]) as connection:
        schema = await read_schema(connection, mariadb_database)
        defaults = [column.default for column in schema.tables["emoji_default"].columns]
        assert defaults == ["0x78F09F9880273F", r"'y?\\'", None, "0xD83DDE0000E4", "'ä?'"]
        await connection.execute("DROP TABLE emoji_default")
        await load_tables(connection, schema)
        assert (await read_schema(connection, mariadb_database)).same_as(schema)
        await connection.execute("INSERT INTO emoji_default (c) VALUES (1)")
        row = await connection.fetch_one("SELECT HEX(a), HEX(d), HEX(e) FROM emoji_default")
        assert row == (b"78F09F9880273F", b"D83DDE0000E4", b"C3A43F")


async def test_code_is_read_without_its_definer(server: LocalServer, database: str) -> None:
    statements = [
        "CREATE TABLE t (a INT)",
        "CREATE VIEW v AS SELECT a, 'ä漢' AS b FROM t",
        "CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW SET NEW.a = 1",
        "CREATE FUNCTION f() RETURNS INT DETERMINISTIC RETURN 1",
        "CREATE PROCEDURE p() SELECT 'DEFINER=`x`@`y` '",
        "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO SET @a = 1",
    ]
    async with await load(server.server, database, statements) as connection:
        schema = await read_schema(connection, database)
    assert {code.kind: code.name for code in schema.code} == {
        CodeKind.VIEW: "v",
        CodeKind.TRIGGER: "g",
        CodeKind.FUNCTION: "f",
        CodeKind.PROCEDURE: "p",
        CodeKind.EVENT: "e",
    }
    assert all("DEFINER=`tester`" not in code.text for code in schema.code)
    assert all(code.definer.startswith("`tester`") for code in schema.code)
    assert "ä漢" in next(code.text for code in schema.code if code.kind is CodeKind.VIEW)


async def test_a_session_that_prints_in_other_ways_is_no_trouble(server: LocalServer, database: str) -> None:
    async with await load(server.server, database, ["CREATE TABLE t (`select` INT, b INT)"]) as connection:
        expected = await read_schema(connection, database)
        await connection.execute("SET GLOBAL sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT'")
        try:
            async with await open_reader(server.server) as other:
                assert await read_schema(other, database) == expected
        finally:
            await connection.execute("SET GLOBAL sql_mode = DEFAULT")


async def test_a_database_that_is_not_there_is_named(server: LocalServer) -> None:
    async with await open_reader(server.server) as connection:
        with pytest.raises(ReadFailed, match="no database 'nowhere'"):
            await read_schema(connection, "nowhere")


def test_only_the_first_definer_is_taken() -> None:
    text = "CREATE DEFINER=`a``b`@`%` PROCEDURE `p`() SELECT 'DEFINER=`x`@`y` '"
    definer, bare = split_definer(text)
    assert definer == "`a``b`@`%`"
    assert bare == "CREATE PROCEDURE `p`() SELECT 'DEFINER=`x`@`y` '"


async def test_a_schema_that_changes_while_it_is_read_is_read_again(
    server: LocalServer, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with await load(server.server, database, ["CREATE TABLE t (a INT)"]) as connection:
        fetch_each = connection.fetch_each
        changes = ["ALTER TABLE u ADD COLUMN b VARCHAR(5)", "RENAME TABLE t TO u"]

        async def fetch_and_meddle(statements: Sequence[str]) -> list[list[Row]]:
            if statements[0].startswith("SHOW CREATE TABLE") and changes:
                async with await open_reader(server.server, database=database) as other:
                    await other.execute(changes.pop())
            return await fetch_each(statements)

        monkeypatch.setattr(connection, "fetch_each", fetch_and_meddle)
        schema = await read_schema(connection, database)
    assert schema.tables.keys() == {"u"}
    column = schema.tables["u"].column("b")
    assert column is not None
    assert column.collation is not None


async def test_a_schema_that_never_stands_still_is_given_up(
    server: LocalServer, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with await load(server.server, database, ["CREATE TABLE t (a INT)"]) as connection:
        fetch_each = connection.fetch_each
        names = [f"n{number}" for number in range(99)]

        async def fetch_and_meddle(statements: Sequence[str]) -> list[list[Row]]:
            async with await open_reader(server.server, database=database) as other:
                await other.execute(f"CREATE TABLE {names.pop()} (a INT)")
            return await fetch_each(statements)

        monkeypatch.setattr(connection, "fetch_each", fetch_and_meddle)
        with pytest.raises(SchemaMoved, match="changes while it is read"):
            await read_schema(connection, database)


async def test_many_definitions_are_read_whole_and_in_order(server: LocalServer, database: str) -> None:
    count = AT_ONCE + SHARED_FROM
    statements = [
        *[f"CREATE TABLE t{number} (c{number} INT)" for number in range(count)],
        *[f"CREATE VIEW v{number} AS SELECT c{number} FROM t{number}" for number in range(AT_ONCE + 1)],
    ]
    async with await load(server.server, database, statements) as connection:
        schema = await read_schema(connection, database)
    assert {name: [column.name for column in table.columns] for name, table in schema.tables.items()} == {
        f"t{number}": [f"c{number}"] for number in range(count)
    }
    assert {code.name for code in schema.code} == {f"v{number}" for number in range(AT_ONCE + 1)}
    assert all(f"`c{code.name[1:]}`" in code.text for code in schema.code)


async def test_the_one_of_many_that_cannot_be_read_is_named(server: LocalServer, database: str) -> None:
    hidden = "CREATE PROCEDURE hidden() SELECT 1"
    async with await load(server.server, database, ["CREATE TABLE t (a INT)", hidden]) as connection:
        for statement in ("CREATE USER IF NOT EXISTS half", f"GRANT SELECT, EXECUTE ON {database}.* TO half"):
            await connection.execute(statement)
        try:
            account = replace(server.server, account=Account("half", ""))
            async with await open_reader(account) as reader:
                with pytest.raises(ReadFailed, match="procedure 'hidden' is hidden from 'half'"):
                    await read_schema(reader, database)
        finally:
            await connection.execute("DROP USER half")


async def test_the_engines_own_tables_are_left_out(server: LocalServer, database: str) -> None:
    statements = [
        "CREATE TABLE t (a INT)",
        "CREATE TABLE t__hg1_old (a INT)",
        "CREATE TABLE t__hg2_new (a INT)",
    ]
    async with await load(server.server, database, statements) as connection:
        assert (await read_schema(connection, database)).tables.keys() == {"t"}


async def test_triggers_that_wait_for_their_names_are_read_under_them(
    server: LocalServer, database: str
) -> None:
    tables = ["CREATE TABLE t (id INT)", "CREATE TABLE t__hg1_new (id INT)"]
    async with await load(server.server, database, tables) as connection:
        for name, table in (("a__hg1", "t"), ("b", "t"), ("c", "t__hg1_new")):
            await connection.execute(
                f"CREATE TRIGGER `{name}` BEFORE INSERT ON `{table}` FOR EACH ROW SET NEW.id = 1"
            )
        code = (await read_schema(connection, database)).code
    assert [item.name for item in code] == ["a", "b"]
    assert "TRIGGER `a` BEFORE INSERT ON `t`" in code[0].text
