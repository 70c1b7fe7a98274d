"""Rows of migration tables between real databases: to a branch, and from it, once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from migrator.deploy.migration_row_store import MigrationRowStore
from migrator.deploy.migration_rows import MigrationRows, Place, _insert
from migrator.deploy.request import DeployRequest
from migrator.deploy.settings import DatabaseSettings, Framework
from router.database import Connection, Row
from router.errors import DatabaseError
from router.servers.process import LocalServer
from router.state import open_state
from tests.migrator.deploy.test_store import request as make_request
from tests.support.servers import fresh_schema

pytestmark = pytest.mark.filterwarnings("ignore::Warning:aiomysql")

TABLES = {
    Framework.RAILS: (
        "CREATE TABLE schema_migrations (version VARCHAR(255) PRIMARY KEY)",
        "CREATE TABLE ar_internal_metadata (`key` VARCHAR(255) PRIMARY KEY, value VARCHAR(255), "
        "created_at DATETIME(6) NOT NULL, updated_at DATETIME(6) NOT NULL)",
    ),
    Framework.PHOENIX: ("CREATE TABLE schema_migrations (version BIGINT PRIMARY KEY, inserted_at DATETIME)",),
    Framework.LARAVEL: (
        "CREATE TABLE migrations (id INT UNSIGNED AUTO_INCREMENT PRIMARY KEY, "
        "migration VARCHAR(255) NOT NULL, batch INT NOT NULL)",
    ),
    Framework.DJANGO: (
        "CREATE TABLE django_migrations (id BIGINT AUTO_INCREMENT PRIMARY KEY, app VARCHAR(255) NOT NULL, "
        "name VARCHAR(255) NOT NULL, applied DATETIME(6) NOT NULL)",
    ),
    Framework.DOTNET: (
        "CREATE TABLE `__EFMigrationsHistory` (`MigrationId` VARCHAR(150) PRIMARY KEY, "
        "`ProductVersion` VARCHAR(32) NOT NULL)",
    ),
    Framework.SEQUELIZE: ("CREATE TABLE `SequelizeMeta` (name VARCHAR(255) NOT NULL UNIQUE PRIMARY KEY)",),
    Framework.FLYWAY: (
        "CREATE TABLE flyway_schema_history (installed_rank INT NOT NULL PRIMARY KEY, version VARCHAR(50), "
        "description VARCHAR(200) NOT NULL, type VARCHAR(20) NOT NULL, script VARCHAR(1000) NOT NULL, "
        "checksum INT, installed_by VARCHAR(100) NOT NULL, "
        "installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, execution_time INT NOT NULL, "
        "success BOOL NOT NULL, INDEX flyway_schema_history_s_idx (success))",
    ),
    Framework.LIQUIBASE: (
        "CREATE TABLE `DATABASECHANGELOG` (ID VARCHAR(255) NOT NULL, AUTHOR VARCHAR(255) NOT NULL, "
        "FILENAME VARCHAR(255) NOT NULL, DATEEXECUTED DATETIME NOT NULL, ORDEREXECUTED INT NOT NULL, "
        "EXECTYPE VARCHAR(10) NOT NULL, MD5SUM VARCHAR(35), DESCRIPTION VARCHAR(255), COMMENTS VARCHAR(255), "
        "TAG VARCHAR(255), LIQUIBASE VARCHAR(20), CONTEXTS VARCHAR(255), LABELS VARCHAR(255), "
        "DEPLOYMENT_ID VARCHAR(10))",
        "CREATE TABLE `DATABASECHANGELOGLOCK` (ID INT NOT NULL PRIMARY KEY, LOCKED BIT(1) NOT NULL, "
        "LOCKGRANTED DATETIME, LOCKEDBY VARCHAR(255))",
        "INSERT INTO `DATABASECHANGELOGLOCK` VALUES (1, b'1', NOW(), 'me')",
    ),
    Framework.OTHER: (
        "CREATE TABLE done (n INT AUTO_INCREMENT PRIMARY KEY, name VARBINARY(20) NOT NULL UNIQUE, "
        "took TIME(3), cost DECIMAL(9, 2), twice INT AS (LENGTH(name) * 2))",
    ),
}
ROW = {
    Framework.RAILS: "INSERT INTO schema_migrations VALUES ('{}')",
    Framework.PHOENIX: "INSERT INTO schema_migrations VALUES ({}, '2026-01-02 03:04:05')",
    Framework.LARAVEL: "INSERT INTO migrations (migration, batch) VALUES ('{}_make', 2)",
    Framework.DJANGO: "INSERT INTO django_migrations (app, name, applied) VALUES ('shop', '{}', NOW(6))",
    Framework.DOTNET: "INSERT INTO `__EFMigrationsHistory` VALUES ('{}_Initial', '8.0.0')",
    Framework.SEQUELIZE: "INSERT INTO `SequelizeMeta` VALUES ('{}-init.js')",
    Framework.FLYWAY: "INSERT INTO flyway_schema_history SELECT COALESCE(MAX(installed_rank), 0) + 1, '{0}', "
    "'d', 'SQL', 'V{0}.sql', -5, 'me', NOW(), 3, 1 FROM flyway_schema_history h",
    Framework.LIQUIBASE: "INSERT INTO `DATABASECHANGELOG` (ID, AUTHOR, FILENAME, DATEEXECUTED, "
    "ORDEREXECUTED, EXECTYPE) SELECT '{}', 'me', 'log.xml', NOW(), COALESCE(MAX(ORDEREXECUTED), 0) + 1, "
    "'EXECUTED' FROM `DATABASECHANGELOG` c",
    Framework.OTHER: "INSERT INTO done (name, took, cost) VALUES ('{}', '-01:02:03.004', 1.50)",
}


class Bench:
    """Production and branches as databases of one server."""

    def __init__(self, server: LocalServer, store: MigrationRowStore, production: str) -> None:
        self.server, self.store = server, store
        self.places = {"main": production}
        self.settings = DatabaseSettings()
        self.rows = MigrationRows(store, self.reach, lambda: self.settings)

    async def reach(self, branch: str) -> Place:
        return Place(f"id-{branch}", self.server.server, self.places[branch])

    async def seed(self, branch: str, under_way: Sequence[DeployRequest] = ()) -> None:
        await self.rows.seed(await self.reach("main"), await self.reach(branch), under_way)

    async def run(self, branch: str, *statements: str) -> None:
        async with await Connection.open(self.server.server, database=self.places[branch]) as link:
            for statement in statements:
                await link.execute(statement)

    async def fetch(self, branch: str, query: str) -> list[Row]:
        async with await Connection.open(self.server.server, database=self.places[branch]) as link:
            return await link.fetch_all(query)

    def request(self, number: int, branch: str, **changes: Any) -> DeployRequest:
        return make_request(branch, number=number, **changes)


@pytest.fixture
async def bench(server: LocalServer, database: str, tmp_path: Path) -> AsyncIterator[Bench]:
    engine = open_state(tmp_path / "state.db")
    store = MigrationRowStore(engine)
    await store.prepare()
    bench = Bench(server, store, database)
    async with fresh_schema(server) as first, fresh_schema(server) as second:
        bench.places |= {"one": first, "two": second}
        yield bench
    await engine.dispose()


def use(bench: Bench, framework: Framework) -> str:
    """Choose a framework and return the name of its table, quoted."""
    table = "done" if framework is Framework.OTHER else ""
    bench.settings = DatabaseSettings(migration_framework=framework, migration_table=table)
    return TABLES[framework][0].split()[2]


@pytest.mark.parametrize("framework", TABLES, ids=str)
async def test_rows_travel_with_a_branch_and_back(bench: Bench, framework: Framework) -> None:
    table, insert = use(bench, framework), ROW[framework]
    for branch in ("main", "one", "two"):
        await bench.run(branch, *TABLES[framework][:2])
    await bench.run("main", *TABLES[framework][2:], insert.format(1), insert.format(2))
    await bench.seed("one")
    await bench.seed("two")
    ours = await bench.fetch("main", f"SELECT * FROM {table}")
    assert await bench.fetch("one", f"SELECT * FROM {table}") == ours

    # Both teams run a migration; each numbers it as its own next one.
    await bench.run("one", insert.format(3))
    await bench.run("two", insert.format(4), insert.format(5))
    for number, branch in ((1, "one"), (2, "two")):
        await bench.rows.started(bench.request(number, branch))
    await bench.run("one", insert.format(6))  # after the deployment has started
    said = [await bench.rows.completed(bench.request(*each)) for each in ((1, "one"), (2, "two"))]
    assert [str(one).split(" copied")[0] for one in said] == ["1 row", "2 rows"]

    # Repeating it, as after a crash before anybody has noted that it is done, changes nothing.
    there = await bench.fetch("main", f"SELECT * FROM {table}")
    assert len(there) == 5
    for number, branch in ((1, "one"), (2, "two")):
        assert await bench.rows.completed(bench.request(number, branch)) is None
    assert await bench.fetch("main", f"SELECT * FROM {table}") == there
    if framework is Framework.LIQUIBASE:
        assert await bench.fetch("one", "SELECT * FROM `DATABASECHANGELOGLOCK`") == []


async def test_nothing_is_overwritten_deleted_or_brought_back(bench: Bench) -> None:
    use(bench, Framework.RAILS)
    for branch in ("main", "one"):
        await bench.run(branch, *TABLES[Framework.RAILS])
    await bench.run("main", *(f"INSERT INTO schema_migrations VALUES ('{n}')" for n in (1, 2, 3)))
    insert = "INSERT INTO ar_internal_metadata VALUES ('environment', '{}', NOW(6), NOW(6))"
    await bench.run("main", insert.format("production"))
    await bench.seed("one")
    await bench.run("one", "DELETE FROM schema_migrations WHERE version = '1'")
    await bench.run("one", "INSERT INTO schema_migrations VALUES ('4')")
    await bench.run("one", "UPDATE ar_internal_metadata SET value = 'development'")
    await bench.run("main", "DELETE FROM schema_migrations WHERE version = '2'")  # rolled back meanwhile
    await bench.rows.started(bench.request(1, "one"))
    said = await bench.rows.completed(bench.request(1, "one"))
    assert said == (
        "1 row copied to schema_migrations; "
        "schema_migrations 1: the branch no longer has it; it is not deleted from the target"
    )
    assert await bench.fetch("main", "SELECT version FROM schema_migrations") == [("1",), ("3",), ("4",)]
    assert await bench.fetch("main", "SELECT value FROM ar_internal_metadata") == [("production",)]


async def test_a_branch_gets_what_is_still_on_its_way_to_its_parent(bench: Bench) -> None:
    use(bench, Framework.DJANGO)
    for branch in ("main", "one", "two"):
        await bench.run(branch, *TABLES[Framework.DJANGO])
    await bench.seed("one")
    await bench.run("one", ROW[Framework.DJANGO].format("0001"))
    first = bench.request(1, "one")
    await bench.rows.started(first)
    # Its tables are on production, its rows will be when it can no longer be reverted.
    await bench.seed("two", [first])
    assert await bench.fetch("two", "SELECT name FROM django_migrations") == [("0001",)]
    second = bench.request(2, "two")
    await bench.rows.started(second)
    assert await bench.rows.completed(second) is None


async def test_a_rebased_branch_gets_what_its_parent_has_got_since(bench: Bench) -> None:
    use(bench, Framework.LARAVEL)
    for branch in ("main", "one"):
        await bench.run(branch, *TABLES[Framework.LARAVEL])
    await bench.run("main", *(ROW[Framework.LARAVEL].format(n) for n in (1, 2)))
    await bench.seed("one")
    await bench.run("one", ROW[Framework.LARAVEL].format(9), "DELETE FROM migrations WHERE id = 1")
    await bench.run("main", ROW[Framework.LARAVEL].format(3))
    await bench.seed("one")
    rows = await bench.fetch("one", "SELECT migration FROM migrations ORDER BY id")
    assert [row[0] for row in rows] == ["2_make", "9_make", "3_make"]
    request = bench.request(1, "one")
    await bench.rows.started(request)
    said = str(await bench.rows.completed(request))
    assert said.startswith("1 row copied to migrations; migrations 1_make: the branch no longer has it")
    rows = await bench.fetch("main", "SELECT migration FROM migrations ORDER BY id")
    assert [row[0] for row in rows] == ["1_make", "2_make", "3_make", "9_make"]


async def test_a_table_that_the_first_migration_makes_gets_its_rows(bench: Bench) -> None:
    use(bench, Framework.RAILS)
    await bench.seed("one")
    await bench.run("one", TABLES[Framework.RAILS][0], "INSERT INTO schema_migrations VALUES ('1')")
    request = bench.request(1, "one")
    await bench.rows.started(request)
    assert await bench.rows.completed(request) == "there is no table schema_migrations: its rows were left"
    await bench.run("main", TABLES[Framework.RAILS][0])
    assert await bench.rows.completed(request) == "1 row copied to schema_migrations"


async def test_a_row_that_the_server_refuses_is_told_and_keeps_no_other_back(bench: Bench) -> None:
    use(bench, Framework.RAILS)
    await bench.run(
        "main", "CREATE TABLE schema_migrations (version VARCHAR(3) PRIMARY KEY, note INT NOT NULL)"
    )
    await bench.run("one", "CREATE TABLE schema_migrations (version VARCHAR(9) PRIMARY KEY, note INT)")
    await bench.run("one", "INSERT INTO schema_migrations VALUES ('1', NULL), ('2', 2)")
    request = bench.request(1, "one")
    await bench.rows.started(request)
    said = str(await bench.rows.completed(request))
    assert said.startswith("1 row copied")
    assert "was not taken" in said
    assert await bench.fetch("main", "SELECT version FROM schema_migrations") == [("2",)]


async def test_who_locks_the_table_only_delays_it(bench: Bench) -> None:
    use(bench, Framework.RAILS)
    for branch in ("main", "one"):
        await bench.run(branch, TABLES[Framework.RAILS][0])
    await bench.run("one", "INSERT INTO schema_migrations VALUES ('1')")
    request = bench.request(1, "one")
    await bench.rows.started(request)
    async with await Connection.open(bench.server.server, database=bench.places["main"]) as other:
        await other.execute("START TRANSACTION")
        await other.execute("INSERT INTO schema_migrations VALUES ('0')")
        await bench.run("main", "SET GLOBAL innodb_lock_wait_timeout = 1")
        try:
            with pytest.raises(DatabaseError):
                await bench.rows.completed(request)
        finally:
            await bench.run("main", "SET GLOBAL innodb_lock_wait_timeout = 50")
        await other.execute("COMMIT")
    assert await bench.rows.completed(request) == "1 row copied to schema_migrations"


async def test_names_with_a_percent_sign_are_only_names(server: LocalServer, database: str) -> None:
    async with await Connection.open(server.server, database=database) as connection:
        await connection.execute("CREATE TABLE `50%s` (version VARCHAR(9) PRIMARY KEY, `100%d` INT)")
        await _insert(connection, "50%s", {"version": "one", "100%d": 1})
        assert await connection.fetch_all("SELECT * FROM `50%s`") == [("one", 1)]
