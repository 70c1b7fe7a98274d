"""Views are made, replaced and dropped, and come back as they were."""

from __future__ import annotations

from dataclasses import replace

import pytest

from migrator.engine.direct.view import ChangeView
from migrator.engine.ground.definers import Definers
from migrator.engine.ground.operation import Phase
from migrator.errors import OwnershipUnknown, Refused, SourceChanged
from router.accounts import make_definer, make_migrator_account, make_role_accounts
from router.database import Connection
from router.model import Account, Role
from router.servers.process import LocalServer

NEW = "CREATE ALGORITHM=UNDEFINED SQL SECURITY INVOKER VIEW `v` AS select `t`.`a` + 1 AS `a` from `t`"


def changing(server: LocalServer, database: str, target: str, name: str = "") -> ChangeView:
    return ChangeView(f"view-{database}{name}", server.server, database, "v", target)


async def prepared(connection: Connection) -> None:
    await connection.execute("CREATE TABLE t (a INT)")
    await connection.execute("INSERT INTO t VALUES (1)")
    await connection.execute("SET NAMES latin1 COLLATE latin1_swedish_ci")
    await connection.execute(
        "CREATE ALGORITHM = MERGE DEFINER = 'somebody'@'nowhere' SQL SECURITY INVOKER "
        "VIEW v AS SELECT a, 'x' AS text FROM t WHERE a > 0 WITH CASCADED CHECK OPTION"
    )
    await connection.execute("SET NAMES utf8mb4")


async def shown(connection: Connection) -> tuple[object, ...] | None:
    there = await connection.fetch_all("SHOW TABLES LIKE 'v%'")
    assert len(there) <= 1, there
    return await connection.fetch_one("SHOW CREATE VIEW v") if there else None


async def test_a_view_is_replaced_and_comes_back_with_definer_security_and_character_set(
    server: LocalServer, database: str, connection: Connection
) -> None:
    await prepared(connection)
    before = await shown(connection)
    operation = changing(server, database, NEW)
    try:
        await operation.prepare()
        assert await shown(connection) == before
        await operation.cut_over()
        after = await shown(connection)
        assert after is not None
        assert "`somebody`@`nowhere`" in str(after[1])
        assert "SQL SECURITY INVOKER" in str(after[1])
        assert await connection.fetch_all("SELECT a FROM v") == [(2,)]
        await operation.revert()
        assert await shown(connection) == before
        await operation.finalize()
        assert await shown(connection) == before
    finally:
        await operation.close()


async def test_a_view_is_made_and_taken_back(
    server: LocalServer, database: str, connection: Connection
) -> None:
    await connection.execute("CREATE TABLE t (a INT)")
    operation = changing(server, database, NEW)
    try:
        await operation.prepare()
        assert await shown(connection) is None
        await operation.cut_over()
        assert await shown(connection) is not None
        await operation.revert()
        assert await shown(connection) is None
        await operation.finalize()
    finally:
        await operation.close()


async def test_a_dropped_view_comes_back_as_it_was(
    server: LocalServer, database: str, connection: Connection
) -> None:
    await prepared(connection)
    before = await shown(connection)
    operation = changing(server, database, "")
    try:
        await operation.prepare()
        await operation.cut_over()
        assert await shown(connection) is None
        await operation.revert()
        assert await shown(connection) == before
    finally:
        await operation.close()


@pytest.mark.parametrize("happened", [True, False])
async def test_an_interrupted_change_of_a_view_is_decided_by_its_definition(
    server: LocalServer, database: str, connection: Connection, happened: bool
) -> None:
    await prepared(connection)
    operation = changing(server, database, "")
    await operation.prepare()
    await operation.close()
    await connection.execute("UPDATE _headgate.operation SET phase = 'cutting' WHERE id = %s", operation.id)
    if happened:
        await connection.execute("DROP VIEW v")
    again = changing(server, database, "")
    try:
        await again.prepare()
        assert again.status().phase is (Phase.REVERTIBLE if happened else Phase.READY)
    finally:
        await again.close()


async def test_what_somebody_else_did_to_a_view_is_left_alone(
    server: LocalServer, database: str, connection: Connection
) -> None:
    await prepared(connection)
    operation = changing(server, database, NEW)
    try:
        await operation.prepare()
        await connection.execute("CREATE OR REPLACE VIEW v AS SELECT 5 AS mine")
        with pytest.raises(SourceChanged):
            await operation.cut_over()
        await operation.cancel()
        assert await connection.fetch_value("SELECT mine FROM v") == 5
    finally:
        await operation.close()
    await connection.execute("UPDATE _headgate.operation SET phase = 'cutting' WHERE id = %s", operation.id)
    again = changing(server, database, NEW)
    try:
        with pytest.raises(OwnershipUnknown):
            await again.prepare()
    finally:
        await again.close()


async def test_what_cannot_be_a_view_is_refused(
    server: LocalServer, database: str, connection: Connection
) -> None:
    for number, (target, words) in enumerate(
        [
            ("", "there is no view"),
            (NEW.replace("UNDEFINED", "WHATEVER"), "refuses the new definition"),
            (NEW, "is a table"),
        ]
    ):
        if number == 2:
            await connection.execute("CREATE TABLE v (a INT)")
        operation = changing(server, database, target, str(number))
        try:
            with pytest.raises(Refused, match=words):
                await operation.prepare()
            await operation.cancel()
        finally:
            await operation.close()


async def test_a_view_of_what_is_not_there_yet_is_tried_when_its_turn_comes(
    server: LocalServer, database: str, connection: Connection
) -> None:
    early, late = changing(server, database, NEW, "early"), changing(server, database, NEW, "late")
    try:
        await early.prepare()
        with pytest.raises(Refused, match="refuses the new definition"):
            await early.cut_over()
        await early.cancel()
        await late.prepare()
        await connection.execute("CREATE TABLE t (a INT)")
        await late.cut_over()
        assert await shown(connection) is not None
        await late.revert()
        assert await shown(connection) is None
    finally:
        await early.close()
        await late.close()


async def test_a_new_view_gives_nobody_the_rights_of_who_migrates(
    server: LocalServer, database: str, connection: Connection
) -> None:
    migrator = Account(f"m_{database}", "migrator-secret-1")
    reader = Account(f"r_{database}", "reader-secret-1")
    definer = f"`d_{database}`@`%`"
    await connection.execute("CREATE DATABASE IF NOT EXISTS _headgate")
    await make_migrator_account(connection, migrator, database)
    await make_role_accounts(connection, {Role.READER: reader}, database)
    await make_definer(connection, f"d_{database}", database)
    await connection.execute("CREATE TABLE t (id INT PRIMARY KEY)")
    # What a deploy request may bring, too.
    await connection.execute(
        f"CREATE DEFINER={definer} FUNCTION spy() RETURNS INT READS SQL DATA SQL SECURITY INVOKER "
        "RETURN (SELECT COUNT(*) FROM performance_schema.threads)"
    )
    await connection.execute(
        f"CREATE DEFINER={definer} FUNCTION whose() RETURNS VARCHAR(99) SQL SECURITY INVOKER "
        "RETURN CURRENT_USER()"
    )
    as_migrator = replace(server.server, account=migrator)

    def made(name: str, body: str, owner: str = definer) -> ChangeView:
        sql = f"CREATE ALGORITHM=UNDEFINED SQL SECURITY DEFINER VIEW `{name}` AS select {body} AS `x`"
        return ChangeView(f"{name}-{database}", as_migrator, database, name, sql, definers=Definers(owner))

    async def deployed(operation: ChangeView) -> None:
        try:
            await operation.prepare()
            await operation.cut_over()
        finally:
            await operation.close()

    try:
        await deployed(made("v", "whose()"))
        async with await Connection.open(replace(server.server, account=reader), database=database) as link:
            assert await link.fetch_value("SELECT * FROM v") == f"d_{database}@%"
        # Before the cut-over what they are made of may only be missing still.
        for refused in (made("w", "spy()"), made("u", "(select count(0) from `t`)", "`no`@`%`")):
            with pytest.raises(Refused, match="definer"):
                await deployed(refused)
    finally:
        for user in (migrator.user, reader.user, f"d_{database}"):
            await connection.execute(f"DROP USER {user}")
