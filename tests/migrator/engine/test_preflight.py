"""What cannot be migrated is refused before anything is touched, with the reason and the way out."""

from __future__ import annotations

import asyncio
import shutil
from collections import namedtuple
from dataclasses import replace

import pytest

from migrator.engine.checks import preflight
from migrator.engine.checks.preflight import check_server, check_table, retention_s
from migrator.engine.checks.rights import FOR_REFERENCES, FOR_TRIGGERS, missing_rights
from migrator.engine.table.shape import read_shape, show_create
from migrator.errors import MigratorError, Refused
from router.database import Connection
from router.model import Account
from router.servers.process import LocalServer
from tests.support.servers import until

Usage = namedtuple("Usage", "total used free")
ALL = "GRANT ALL PRIVILEGES ON *.* TO `a`@`%`"
SERVER = "GRANT PROCESS, REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO `a`@`%`"
TABLES = "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, INDEX, ALTER, LOCK TABLES ON {} TO `a`@`%`"


@pytest.mark.parametrize(
    "grants",
    [
        [ALL],
        [SERVER, TABLES.format("`shop`.*")],
        [SERVER, TABLES.format("`sh%`.*")],
        [SERVER, TABLES.format(r"`sh\_p`.*"), TABLES.format("`sho_`.*")],
        [SERVER.replace("REPLICATION CLIENT", "BINLOG MONITOR"), TABLES.format("*.*")],
        ["GRANT USAGE ON *.* TO `a`@`%`", "GRANT `boss`@`%` TO `a`@`%`"],
    ],
)
def test_an_account_with_all_rights_or_with_roles_lacks_none(grants: list[str]) -> None:
    assert missing_rights(grants, "shop", "t") == []


def test_missing_rights_are_named_as_they_are_granted() -> None:
    grants = ["GRANT SELECT, INSERT (a, b) ON `shop`.* TO `a`@`%`", TABLES.format(r"`s\_hop`.*"), SERVER]
    assert missing_rights(grants, "shop", "t", {FOR_TRIGGERS, FOR_REFERENCES}) == [
        "GRANT ALTER, CREATE, DELETE, DROP, INDEX, INSERT, LOCK TABLES, REFERENCES, TRIGGER, UPDATE "
        "ON `shop`.*"
    ]
    assert missing_rights([TABLES.format("*.*")], "shop", "t") == [
        "GRANT PROCESS, REPLICATION CLIENT, REPLICATION SLAVE ON *.*"
    ]


def test_a_log_may_be_kept_for_ever_or_for_days_or_seconds() -> None:
    assert retention_s({"binlog_expire_logs_seconds": "0", "expire_logs_days": "0.000000"}) == 0
    assert retention_s({"binlog_expire_logs_seconds": "60"}) == 60
    assert retention_s({"expire_logs_days": "2"}) == 2 * 86400


async def checked(connection: Connection, database: str, target: str | None = None) -> None:
    shape = await read_shape(connection, database, "t")
    assert shape is not None
    await check_table(connection, shape, target or await show_create(connection, database, "t"))


async def test_an_account_that_lacks_rights_is_told_which(
    server: LocalServer, database: str, connection: Connection
) -> None:
    await connection.execute("CREATE TABLE t (id INT PRIMARY KEY)")
    await connection.execute("CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW SET @a = 1")
    weak = f"weak{database[-6:]}"
    await connection.execute(f"CREATE USER {weak}@'%' IDENTIFIED BY 'a Secret 1'")
    try:
        await connection.execute(f"GRANT SELECT, INSERT, TRIGGER ON {database}.* TO {weak}@'%'")
        account = replace(server.server, account=Account(weak, "a Secret 1"))
        async with await Connection.open(account) as link:
            with pytest.raises(Refused) as caught:
                await checked(link, database)
        assert (
            f"GRANT ALTER, CREATE, DELETE, DROP, INDEX, LOCK TABLES, UPDATE ON `{database}`.*"
            in caught.value.hint
        )
        assert "GRANT PROCESS, REPLICATION CLIENT, REPLICATION SLAVE ON *.*" in caught.value.hint
    finally:
        await connection.execute(f"DROP USER {weak}@'%'")


async def test_rights_on_tables_of_other_schemas_that_refer_here_are_asked_for_too(
    server: LocalServer, database: str, connection: Connection
) -> None:
    await connection.execute("CREATE TABLE t (id INT PRIMARY KEY)")
    elsewhere, weak = f"{database}_else", f"weak{database[-6:]}"
    await connection.execute(f"CREATE DATABASE {elsewhere}")
    try:
        await connection.execute(
            f"CREATE TABLE {elsewhere}.c (p INT, CONSTRAINT fk FOREIGN KEY (p) REFERENCES {database}.t (id))"
        )
        await connection.execute(f"CREATE USER {weak}@'%' IDENTIFIED BY 'a Secret 1'")
        await connection.execute(f"GRANT ALL ON {database}.* TO {weak}@'%'")
        await connection.execute(f"GRANT SELECT, REFERENCES ON {elsewhere}.* TO {weak}@'%'")
        await connection.execute(f"GRANT PROCESS, REPLICATION CLIENT, REPLICATION SLAVE ON *.* TO {weak}@'%'")
        account = replace(server.server, account=Account(weak, "a Secret 1"))
        async with await Connection.open(account) as link:
            with pytest.raises(Refused) as caught:
                await checked(link, database)
            assert caught.value.hint == f"GRANT ALTER, LOCK TABLES ON `{elsewhere}`.* TO '{weak}'@…"
            await connection.execute(f"GRANT ALTER, LOCK TABLES ON {elsewhere}.* TO {weak}@'%'")
            await checked(link, database)
    finally:
        await connection.execute(f"DROP DATABASE {elsewhere}")
        await connection.execute(f"DROP USER IF EXISTS {weak}@'%'")


async def test_a_disk_that_a_copy_would_fill_is_named(
    server: LocalServer, database: str, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    await connection.execute("CREATE TABLE t (id INT PRIMARY KEY)")
    await checked(connection, database)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(100, 90, 10))
    with pytest.raises(Refused, match="MiB left"):
        await checked(connection, database)


async def test_a_change_of_the_table_that_waits_for_somebody_is_waited_for(
    server: LocalServer, database: str, connection: Connection
) -> None:
    await connection.execute("CREATE TABLE t (id INT PRIMARY KEY)")
    async with (
        await Connection.open(server.server, database=database) as reader,
        await Connection.open(server.server, database=database) as other,
    ):
        await reader.execute("BEGIN")
        await reader.fetch_all("SELECT * FROM t")
        waiting = asyncio.ensure_future(other.execute("ALTER TABLE t ADD e INT"))

        async def waits() -> bool:
            sql = "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE ID = %s AND INFO LIKE 'ALTER%%'"
            return bool(await connection.fetch_value(sql, other.thread_id))

        await until(waits)
        with pytest.raises(MigratorError, match="is changing t: ALTER TABLE t ADD e INT"):
            await checked(connection, database)
        await reader.execute("COMMIT")
        await waiting
    await checked(connection, database)


async def test_a_table_with_history_or_periods_is_refused(
    mariadb: LocalServer, mariadb_database: str
) -> None:
    async with await Connection.open(mariadb.server, database=mariadb_database) as connection:
        await connection.execute(
            "CREATE TABLE t (id INT PRIMARY KEY, a DATE, b DATE, PERIOD FOR validity (a, b))"
        )
        with pytest.raises(Refused, match="period"):
            await checked(connection, mariadb_database)
        await connection.execute("DROP TABLE t")
        await connection.execute("CREATE TABLE t (id INT PRIMARY KEY) WITH SYSTEM VERSIONING")
        with pytest.raises(Refused, match="system versioned"):
            await checked(connection, mariadb_database)


async def test_a_log_that_is_kept_for_hours_only_is_warned_of(
    server: LocalServer, connection: Connection
) -> None:
    before = await connection.fetch_value("SELECT @@GLOBAL.binlog_expire_logs_seconds")
    assert not any("is kept for" in warning for warning in await check_server(server.server))
    await connection.execute("SET GLOBAL binlog_expire_logs_seconds = 36000")
    try:
        warnings = await check_server(server.server)
        assert any("the binary log is kept for 10.0 h only" in warning for warning in warnings)
    finally:
        await connection.execute(f"SET GLOBAL binlog_expire_logs_seconds = {before}")


async def test_commits_that_may_wait_for_each_other_are_warned_of(mysql: LocalServer) -> None:
    assert not any("log_writer_threads" in warning for warning in await check_server(mysql.server))
    async with await Connection.open(mysql.server) as connection:
        await connection.execute("SET GLOBAL innodb_log_writer_threads = OFF")
        try:
            warnings = await check_server(mysql.server)
            assert any("innodb_log_writer_threads is OFF" in warning for warning in warnings)
        finally:
            await connection.execute("SET GLOBAL innodb_log_writer_threads = ON")


def test_a_server_that_writes_names_in_another_case_than_it_logs_is_refused() -> None:
    settings = {"version": "99.0.0", "log_bin": "ON", "lower_case_table_names": "2"}
    for flavor in preflight.OLDEST:
        assert any("lower_case_table_names" in each for each in preflight._mistakes(flavor, settings))
