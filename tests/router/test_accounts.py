"""Our accounts, as the servers themselves treat them."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from router.accounts import (
    DENIED,
    PROBE,
    AccountTooPowerful,
    make_branch_account,
    make_migrator_account,
    make_traffic_account,
    prove_no_ddl,
)
from router.database import Connection, quote_name
from router.errors import DatabaseError
from router.model import Account, Server
from router.servers.process import LocalServer

TRAFFIC = Account("accounts_traffic", "secret of traffic")

DDL = (
    "CREATE TABLE other (id INT)",
    "CREATE TABLE other LIKE t",
    "ALTER TABLE t ADD COLUMN x INT",
    "ALTER TABLE t DROP COLUMN name",
    "DROP TABLE t",
    "TRUNCATE TABLE t",
    "RENAME TABLE t TO other",
    "CREATE INDEX by_name ON t (name)",
    "DROP INDEX by_number ON t",
    "CREATE VIEW v AS SELECT * FROM t",
    "DROP VIEW present",
    "CREATE PROCEDURE p() SELECT 1",
    "CREATE FUNCTION f() RETURNS INT DETERMINISTIC RETURN 1",
    "CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW SET NEW.name = 'x'",
    "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO SELECT 1",
    "ALTER DATABASE {schema} DEFAULT CHARACTER SET latin1",
    "DROP DATABASE {schema}",
    "CREATE DATABASE accounts_other",
    "CREATE USER accounts_other",
    "GRANT SELECT ON {schema}.* TO accounts_traffic",
)


@pytest.fixture
async def admin(server: LocalServer) -> AsyncIterator[Connection]:
    async with await Connection.open(server.server) as admin:
        yield admin
        await admin.execute("DROP USER IF EXISTS accounts_traffic, accounts_branch, accounts_migrator")


def as_account(server: LocalServer, account: Account) -> Server:
    return replace(server.server, account=account)


def exactly(schema: str) -> str:
    """A schema's name for GRANT: servers use the rights of one matching row only, the most exact one."""
    return quote_name(schema.replace("_", "\\_"))


@asynccontextmanager
async def schema_named(admin: Connection, name: str) -> AsyncIterator[str]:
    await admin.execute(f"CREATE DATABASE {quote_name(name)}")
    try:
        yield name
    finally:
        await admin.execute(f"DROP DATABASE {quote_name(name)}")


async def test_the_traffic_account_works_with_rows_and_every_ddl_verb_is_refused_by_the_server(
    server: LocalServer, admin: Connection, database: str
) -> None:
    schema = quote_name(database)
    await admin.execute(f"CREATE TABLE {schema}.t (id INT PRIMARY KEY, name VARCHAR(9), KEY by_number (id))")
    await admin.execute(f"CREATE VIEW {schema}.present AS SELECT 1 AS one")
    await make_traffic_account(admin, TRAFFIC, database)
    async with await Connection.open(as_account(server, TRAFFIC), database=database) as traffic:
        await traffic.execute("INSERT INTO t VALUES (1, 'a'), (2, 'b')")
        await traffic.execute("UPDATE t SET name = 'c' WHERE id = 2")
        await traffic.execute("DELETE FROM t WHERE id = 1")
        await traffic.execute("CREATE TEMPORARY TABLE scratch (id INT)")
        await traffic.execute("LOCK TABLES t WRITE")
        await traffic.execute("UNLOCK TABLES")
        assert await traffic.fetch_all("SELECT * FROM t") == [(2, "c")]
        for verb in DDL:
            with pytest.raises(DatabaseError) as caught:
                await traffic.execute(verb.format(schema=schema))
            assert caught.value.errno in DENIED, (verb, str(caught.value))
    assert "denied" in await prove_no_ddl(as_account(server, TRAFFIC), database)


async def test_making_an_account_again_gives_it_the_new_password(
    server: LocalServer, admin: Connection, database: str
) -> None:
    await make_traffic_account(admin, Account(TRAFFIC.user, "an old one"), database)
    await make_traffic_account(admin, TRAFFIC, database)
    assert await prove_no_ddl(as_account(server, TRAFFIC), database)


async def test_an_account_with_create_is_named_and_no_probe_is_left(
    server: LocalServer, admin: Connection, database: str
) -> None:
    await make_traffic_account(admin, TRAFFIC, database)
    await admin.execute(f"GRANT CREATE, DROP ON {exactly(database)}.* TO accounts_traffic")
    with pytest.raises(AccountTooPowerful, match=r"'accounts_traffic'.*CREATE.*REVOKE") as caught:
        await prove_no_ddl(as_account(server, TRAFFIC), database)
    assert TRAFFIC.password not in str(caught.value)
    assert await admin.fetch_all("SHOW TABLES FROM " + quote_name(database)) == []


async def test_a_probe_that_cannot_be_dropped_again_is_told(
    server: LocalServer, admin: Connection, database: str
) -> None:
    await make_traffic_account(admin, TRAFFIC, database)
    await admin.execute(f"GRANT CREATE ON {exactly(database)}.* TO accounts_traffic")
    with pytest.raises(AccountTooPowerful, match=f"drop the table {PROBE}"):
        await prove_no_ddl(as_account(server, TRAFFIC), database)


@pytest.mark.parametrize("right", ["ALTER", "DROP", "INDEX", "CREATE VIEW", "ALTER ROUTINE", "EVENT"])
async def test_an_account_with_any_other_right_to_change_the_schema_is_refused_too(
    server: LocalServer, admin: Connection, database: str, right: str
) -> None:
    await make_traffic_account(admin, TRAFFIC, database)
    await admin.execute(f"GRANT {right} ON {exactly(database)}.* TO accounts_traffic")
    with pytest.raises(AccountTooPowerful, match=rf"'accounts_traffic'.* {right} "):
        await prove_no_ddl(as_account(server, TRAFFIC), database)
    assert await admin.fetch_all("SHOW TABLES FROM " + quote_name(database)) == []


async def test_a_missing_schema_is_no_proof(server: LocalServer, admin: Connection, database: str) -> None:
    await make_traffic_account(admin, TRAFFIC, database)
    with pytest.raises(DatabaseError):
        await prove_no_ddl(as_account(server, TRAFFIC), database + "_missing")


@pytest.mark.parametrize("make", [make_traffic_account, make_branch_account])
async def test_underscore_and_percent_in_a_schema_name_are_no_wildcards(
    server: LocalServer, admin: Connection, make: object
) -> None:
    async with schema_named(admin, "acc_a%b") as mine, schema_named(admin, "accxaxxb") as other:
        for schema in (mine, other):
            await admin.execute(f"CREATE TABLE {quote_name(schema)}.t (id INT PRIMARY KEY)")
        await make(admin, TRAFFIC, mine)  # type: ignore[operator]
        async with await Connection.open(as_account(server, TRAFFIC), database=mine) as traffic:
            await traffic.execute("INSERT INTO t VALUES (1)")
            with pytest.raises(DatabaseError, match="denied"):
                await traffic.fetch_all(f"SELECT * FROM {other}.t")


async def test_the_branch_account_may_do_everything_in_its_schema_and_nothing_outside(
    server: LocalServer, admin: Connection, database: str
) -> None:
    account = Account("accounts_branch", "secret of a branch")
    await make_branch_account(admin, account, database)
    async with await Connection.open(as_account(server, account), database=database) as branch:
        await branch.execute("CREATE TABLE t (id INT PRIMARY KEY)")
        await branch.execute("ALTER TABLE t ADD COLUMN x INT")
        await branch.execute("CREATE VIEW v AS SELECT * FROM t")
        await branch.execute("DROP TABLE t")
        for refused in ("SELECT * FROM mysql.user", "CREATE DATABASE accounts_other"):
            with pytest.raises(DatabaseError) as caught:
                await branch.execute(refused)
            assert caught.value.errno in DENIED


async def test_a_branch_user_cannot_put_a_tables_file_elsewhere(
    server: LocalServer, admin: Connection, database: str, tmp_path: Path
) -> None:
    account = Account("accounts_branch", "secret of a branch")
    await make_branch_account(admin, account, database)
    async with await Connection.open(as_account(server, account), database=database) as branch:
        for engine in ("InnoDB", "MyISAM"):
            with contextlib.suppress(DatabaseError):
                await branch.execute(
                    f"CREATE TABLE t_{engine} (id INT) ENGINE={engine} DATA DIRECTORY='{tmp_path}'"
                )
    assert not list(tmp_path.iterdir())


async def test_a_mysql_account_cannot_change_the_password_it_shares(
    mysql: LocalServer, mysql_database: str
) -> None:
    account = Account("accounts_branch", "secret of a branch")
    async with await Connection.open(mysql.server) as admin:
        await make_branch_account(admin, account, mysql_database)
        async with await Connection.open(as_account(mysql, account), database=mysql_database) as branch:
            for change in ("SET PASSWORD = 'x'", "ALTER USER CURRENT_USER() IDENTIFIED BY 'x'"):
                with pytest.raises(DatabaseError, match=r"[Cc]urrent password"):
                    await branch.execute(change)
        await make_branch_account(admin, account, mysql_database)
        await admin.execute("DROP USER accounts_branch")


async def test_the_migrator_account_may_change_any_schema(
    server: LocalServer, admin: Connection, database: str
) -> None:
    account = Account("accounts_migrator", "secret of the migrator")
    await make_migrator_account(admin, account)
    async with await Connection.open(as_account(server, account), database=database) as migrator:
        await migrator.execute("CREATE TABLE t (id INT PRIMARY KEY)")
        await migrator.execute("RENAME TABLE t TO other")
        await migrator.execute("DROP TABLE other")
        assert await migrator.fetch_all("SHOW BINARY LOGS")
