"""The process that migrates is killed at named places, and another one goes on from what is on the server."""

from __future__ import annotations

import pytest

from migrator.engine.ground.operation import Phase
from migrator.engine.ground.state import prepare_state
from router.database import Connection
from router.servers.process import LocalServer
from tests.migrator.engine.ledger import INT, Ledger, alter, target_of
from tests.migrator.engine.victim import Orders
from tests.migrator.engine.victims import killed

FORWARD = [
    "shadow-created",
    "chunk-before-commit:7",
    "chunk-after-commit:9",
    "flush:3",
    "ready",
    "before-lock",
    "before-rename",
    "after-rename",
]
BACK = ["save-position", "before-rename:2", "after-rename:2"]


async def killed_at(
    local: LocalServer, schema: str, target: str, failpoint: str, *, revert: bool, finalize: bool = False
) -> None:
    orders = Orders(server=local.server, schema=schema, target=target, revert=revert, finalize=finalize)
    await killed(orders, failpoint)


@pytest.mark.parametrize("failpoint", FORWARD)
async def test_a_killed_migration_is_carried_on(
    server: LocalServer, database: str, connection: Connection, failpoint: str
) -> None:
    await killed_and_carried_on(server, database, connection, failpoint)


async def test_one_that_was_killed_with_its_sentry_in_place_is_carried_on(
    mariadb: LocalServer, mariadb_database: str
) -> None:
    await prepare_state(mariadb.server)
    async with await Connection.open(mariadb.server, database=mariadb_database) as connection:
        await killed_and_carried_on(mariadb, mariadb_database, connection, "before-sentry-drop")


async def killed_and_carried_on(
    server: LocalServer, database: str, connection: Connection, failpoint: str
) -> None:
    ledger = Ledger(server.server, database, INT)
    await ledger.fill(connection, 4000)
    target = await target_of(connection, database, INT.create(new=True))
    async with ledger.writing():
        await killed_at(server, database, target, failpoint, revert=False)
        operation = alter(server.server, database, target, rows=200)
        try:
            await operation.prepare()
            await operation.cut_over()
            assert operation.status().phase is Phase.REVERTIBLE
            await ledger.written(100)
        finally:
            await operation.close()
    assert not ledger.errors
    await ledger.check(dropped=True)


@pytest.mark.parametrize("failpoint", BACK)
async def test_a_killed_revert_is_carried_on(
    server: LocalServer, database: str, connection: Connection, failpoint: str
) -> None:
    ledger = Ledger(server.server, database, INT)
    await ledger.fill(connection, 1000)
    target = await target_of(connection, database, INT.create(new=True))
    async with ledger.writing():
        await killed_at(server, database, target, failpoint, revert=True)
        operation = alter(server.server, database, target, rows=200)
        try:
            await operation.prepare()
            if operation.status().phase is Phase.READY:
                await operation.cut_over()
            await operation.revert()
            assert operation.status().phase is Phase.REVERTED
            await ledger.written(100)
            await operation.finalize()
        finally:
            await operation.close()
    assert not ledger.errors
    await ledger.check(dropped=False)
    assert [row[0] for row in await connection.fetch_all("SHOW TABLES")] == ["t"]
