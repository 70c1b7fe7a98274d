"""Our accounts, as the servers themselves treat them."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from migrator.engine.checks.preflight import PARENTS
from migrator.schema.introspect import open_reader, read_schema
from router.accounts import (
    DENIED,
    PROBE,
    AccountTooPowerful,
    make_branch_account,
    make_migrator_account,
    make_role_accounts,
    make_traffic_account,
    prove_no_ddl,
    warn_of_migrator,
)
from router.database import Connection, quote_name
from router.errors import DatabaseError
from router.model import Account, Flavor, Role, Server
from router.servers.process import LocalServer

TRAFFIC = Account("accounts_traffic", "secret of traffic")
SET_DEFINER = {Flavor.MYSQL: "SET_ANY_DEFINER", Flavor.MARIADB: "SET USER"}
VARIABLES_ADMIN = {Flavor.MYSQL: "SYSTEM_VARIABLES_ADMIN", Flavor.MARIADB: "BINLOG ADMIN"}

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


async def test_making_an_account_again_takes_nothing_from_who_works_with_it(
    server: LocalServer, admin: Connection, database: str
) -> None:
    await admin.execute(f"CREATE TABLE {quote_name(database)}.t (id INT PRIMARY KEY)")
    await make_traffic_account(admin, TRAFFIC, database)
    async with (
        await Connection.open(as_account(server, TRAFFIC), database=database) as traffic,
        asyncio.TaskGroup() as group,
    ):
        making = group.create_task(make_traffic_account(admin, TRAFFIC, database))
        while not making.done():
            await traffic.fetch_all("SELECT * FROM t")


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


async def test_the_migrator_account_may_change_its_schema_and_see_foreign_keys_of_others(
    server: LocalServer, admin: Connection, database: str
) -> None:
    account = Account("accounts_migrator", "secret of the migrator")
    await make_migrator_account(admin, account, database)
    async with (
        schema_named(admin, database + "_other") as other,
        await Connection.open(as_account(server, account), database=database) as migrator,
    ):
        await migrator.execute("CREATE TABLE t (id INT PRIMARY KEY)")
        await admin.execute(
            f"CREATE TABLE {other}.child (id INT, FOREIGN KEY (id) REFERENCES {quote_name(database)}.t (id))"
        )
        assert await migrator.fetch_all(PARENTS, database, "t") == [("child",)]
        for refused in (
            f"CREATE TABLE {other}.t (id INT)",
            f"SELECT * FROM {other}.child",
            "SELECT * FROM mysql.user",
            "CREATE USER accounts_other",
            f"DROP DATABASE {other}",
        ):
            with pytest.raises(DatabaseError) as caught:
                await migrator.execute(refused)
            assert caught.value.errno in DENIED, refused
        await admin.execute(f"DROP TABLE {other}.child")
        await migrator.execute("RENAME TABLE t TO other")
        await migrator.execute("DROP TABLE other")
        assert await migrator.fetch_all("SHOW BINARY LOGS")
        await migrator.execute("CREATE DATABASE IF NOT EXISTS _headgate")


async def test_the_migrator_reads_every_definition_as_somebody_with_every_right_does(
    server: LocalServer, admin: Connection, database: str
) -> None:
    account = Account("accounts_migrator", "secret of the migrator")
    await make_migrator_account(admin, account, database)
    async with await Connection.open(server.server, database=database) as owner:
        for statement in (
            "CREATE TABLE t (id INT PRIMARY KEY, name VARCHAR(9) CHARACTER SET latin1)",
            "CREATE VIEW v AS SELECT id FROM t",
            "CREATE PROCEDURE p() SELECT 1",
            "CREATE FUNCTION f() RETURNS INT DETERMINISTIC RETURN 1",
            "CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW SET NEW.name = 'x'",
            "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DISABLE DO SELECT 1",
        ):
            await owner.execute(statement)
    async with await open_reader(server.server) as everything:
        expected = await read_schema(everything, database)
    async with await open_reader(as_account(server, account)) as narrow:
        assert await read_schema(narrow, database) == expected


async def test_a_migrator_account_of_before_is_narrowed_and_one_that_is_not_ours_is_told(
    server: LocalServer, admin: Connection, database: str
) -> None:
    account = Account("accounts_migrator", "secret of the migrator")
    await make_migrator_account(admin, account, database)
    assert await warn_of_migrator(as_account(server, account)) == []
    await admin.execute("GRANT SELECT, CREATE, DROP, RELOAD ON *.* TO accounts_migrator")
    (warning,) = await warn_of_migrator(as_account(server, account))
    assert "'accounts_migrator' for schema changes may do more than it needs: GRANT " in warning
    assert re.search(r"then REVOKE SELECT, .*\bRELOAD\b.* ON \*\.\* FROM `accounts_migrator`@`%`$", warning)
    assert account.password not in warning
    await make_migrator_account(admin, account, database)
    assert await warn_of_migrator(as_account(server, account)) == []


# -- the accounts of roles ---------------------------------------------------------------------------------

ROLES = {
    Role.READER: Account("accounts_reader", "secret of readers"),
    Role.WRITER: Account("accounts_writer", "secret of writers"),
    Role.READWRITER: Account("accounts_traffic", "secret of traffic"),
    Role.REPLICATION: Account("accounts_replication", "secret of replication"),
}


@pytest.fixture
async def roles(
    server: LocalServer, admin: Connection, database: str
) -> AsyncIterator[Mapping[Role, Server]]:
    """The server as each role sees it."""
    await make_role_accounts(admin, ROLES, database)
    yield {role: as_account(server, account) for role, account in ROLES.items()}
    for account in ROLES.values():
        await admin.execute("DROP USER IF EXISTS %s", account.user)


async def test_no_role_can_change_the_schema(
    roles: Mapping[Role, Server], admin: Connection, database: str
) -> None:
    schema = quote_name(database)
    await admin.execute(f"CREATE TABLE {schema}.t (id INT PRIMARY KEY, name VARCHAR(9), KEY by_number (id))")
    await admin.execute(f"CREATE VIEW {schema}.present AS SELECT 1 AS one")
    for role, server in roles.items():
        assert "denied" in await prove_no_ddl(server, database, role)
        async with await Connection.open(server, database=database) as link:
            for verb in DDL:
                with pytest.raises(DatabaseError) as caught:
                    await link.execute(verb.format(schema=schema))
                assert caught.value.errno in DENIED, (role, verb, str(caught.value))


async def test_every_role_does_its_own_and_no_more(
    roles: Mapping[Role, Server], admin: Connection, database: str
) -> None:
    await admin.execute(f"CREATE TABLE {quote_name(database)}.t (id INT PRIMARY KEY, n INT)")
    reads, lists = "SELECT * FROM t", "SHOW BINARY LOGS"
    writes = "INSERT INTO t VALUES (1, 1)", "UPDATE t SET n = 2 WHERE id = 1", "DELETE FROM t WHERE id = 1"
    may = {Role.READER: {reads}, Role.WRITER: {reads, *writes}, Role.REPLICATION: {lists}}
    for role, allowed in may.items():
        async with await Connection.open(roles[role], database=database) as link:
            for statement in (reads, lists, *writes):
                taken = contextlib.nullcontext() if statement in allowed else pytest.raises(DatabaseError)
                with taken:
                    await link.fetch_all(statement)


@pytest.mark.parametrize("role", [Role.READER, Role.REPLICATION])
async def test_a_role_that_may_do_more_than_its_own_is_named(
    roles: Mapping[Role, Server], admin: Connection, database: str, role: Role
) -> None:
    await admin.execute(f"GRANT INSERT ON {exactly(database)}.* TO {ROLES[role].user}")
    with pytest.raises(AccountTooPowerful, match=r"REVOKE INSERT ON `.*`\.\* FROM `accounts_"):
        await prove_no_ddl(roles[role], database, role)


# -- what grants could hide --------------------------------------------------------------------------------

REMEDY = re.compile(r"\(take it back: (REVOKE .*?)\)")


async def test_a_right_elsewhere_is_named_word_for_word_with_what_takes_it_back(
    server: LocalServer, admin: Connection, database: str
) -> None:
    await make_traffic_account(admin, TRAFFIC, database)
    for right, scope in (
        ("CREATE, DROP", "`elsewhere`.*"),
        ("INSERT", "`mysql`.*"),
        ("UPDATE", "`mys%`.*"),
        ("DELETE", r"`\_headgate`.*"),
        ("FILE", "*.*"),
        ("RELOAD", "*.*"),
        ("PROCESS", "*.*"),
        ("SUPER", "*.*"),
        (SET_DEFINER[server.server.flavor], "*.*"),
        (VARIABLES_ADMIN[server.server.flavor], "*.*"),
    ):
        await admin.execute(f"GRANT {right} ON {scope} TO accounts_traffic")
        with pytest.raises(AccountTooPowerful, match="has rights that it must not have") as caught:
            await prove_no_ddl(as_account(server, TRAFFIC), database)
        assert f"GRANT {right} ON {scope} TO `accounts_traffic`@`%`" in str(caught.value)
        assert "IDENTIFIED" not in str(caught.value)
        remedy = REMEDY.search(str(caught.value))
        assert remedy
        await admin.execute(remedy[1])
        assert await prove_no_ddl(as_account(server, TRAFFIC), database)


async def test_the_right_to_give_rights_is_too_much(
    server: LocalServer, admin: Connection, database: str
) -> None:
    await make_traffic_account(admin, TRAFFIC, database)
    await admin.execute(f"GRANT SELECT ON {exactly(database)}.* TO accounts_traffic WITH GRANT OPTION")
    with pytest.raises(AccountTooPowerful, match=r"take it back: REVOKE GRANT OPTION ON"):
        await prove_no_ddl(as_account(server, TRAFFIC), database)


async def test_a_role_that_could_be_taken_counts_as_taken(
    server: LocalServer, admin: Connection, database: str
) -> None:
    await make_traffic_account(admin, TRAFFIC, database)
    await admin.execute("CREATE ROLE accounts_inner, accounts_outer")
    try:
        await admin.execute("GRANT ALTER ON `elsewhere`.* TO accounts_inner")
        await admin.execute("GRANT accounts_inner TO accounts_outer")
        await admin.execute("GRANT accounts_outer TO accounts_traffic")
        with pytest.raises(
            AccountTooPowerful, match=r"GRANT ALTER ON .*by the role `accounts_outer"
        ) as caught:
            await prove_no_ddl(as_account(server, TRAFFIC), database)
        remedy = REMEDY.search(str(caught.value))
        assert remedy
        await admin.execute(remedy[1])
        assert await prove_no_ddl(as_account(server, TRAFFIC), database)
    finally:
        await admin.execute("DROP ROLE accounts_inner, accounts_outer")


async def test_a_role_that_everybody_has_counts_too(mysql: LocalServer, mysql_database: str) -> None:
    async with await Connection.open(mysql.server) as admin:
        await make_traffic_account(admin, TRAFFIC, mysql_database)
        await admin.execute("CREATE ROLE accounts_inner")
        await admin.execute("GRANT DROP ON `elsewhere`.* TO accounts_inner")
        await admin.execute("SET GLOBAL mandatory_roles = 'accounts_inner,accounts_missing'")
        try:
            with pytest.raises(AccountTooPowerful, match=r"take `accounts_inner`@`%` out of mandatory_roles"):
                await prove_no_ddl(as_account(mysql, TRAFFIC), mysql_database)
        finally:
            await admin.execute("SET GLOBAL mandatory_roles = ''")
            await admin.execute("DROP ROLE accounts_inner")
            await admin.execute("DROP USER accounts_traffic")


async def test_what_everybody_may_do_counts_too(mariadb: LocalServer, mariadb_database: str) -> None:
    async with await Connection.open(mariadb.server) as admin:
        await make_traffic_account(admin, TRAFFIC, mariadb_database)
        await admin.execute("GRANT EVENT ON `elsewhere`.* TO PUBLIC")
        try:
            with pytest.raises(AccountTooPowerful, match=r"REVOKE EVENT ON `elsewhere`\.\* FROM PUBLIC"):
                await prove_no_ddl(as_account(mariadb, TRAFFIC), mariadb_database)
        finally:
            await admin.execute("REVOKE EVENT ON `elsewhere`.* FROM PUBLIC")
            await admin.execute("DROP USER accounts_traffic")


async def test_an_account_that_is_fenced_off_from_the_servers_own_tables_may_have_rows_everywhere(
    mysql: LocalServer, mysql_database: str
) -> None:
    async with await Connection.open(mysql.server) as admin:
        await make_traffic_account(admin, TRAFFIC, mysql_database)
        await admin.execute("GRANT INSERT, UPDATE ON *.* TO accounts_traffic")
        with pytest.raises(AccountTooPowerful, match=r"REVOKE INSERT, UPDATE ON \*\.\*"):
            await prove_no_ddl(as_account(mysql, TRAFFIC), mysql_database)
        await admin.execute("CREATE DATABASE IF NOT EXISTS _headgate")
        await admin.execute("SET GLOBAL partial_revokes = ON")
        try:
            for schema in ("mysql", "_headgate"):
                await admin.execute(f"REVOKE INSERT, UPDATE ON {schema}.* FROM accounts_traffic")
            assert await prove_no_ddl(as_account(mysql, TRAFFIC), mysql_database)
        finally:
            await admin.execute("DROP USER accounts_traffic")
            await admin.execute("SET GLOBAL partial_revokes = OFF")
