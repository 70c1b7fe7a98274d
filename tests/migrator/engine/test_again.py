"""A change that waits for its cut-over is compared again, and held when what was the same is not any more."""

from __future__ import annotations

import pytest

from conf.settings import MigratorSettings, ThrottleSettings
from migrator.engine.ground.operation import Phase
from migrator.engine.ground.session import is_read_only
from migrator.engine.migration import OnlineAlter
from migrator.errors import WrongPhase
from migrator.throttle.throttler import Throttle
from router.database import Connection
from router.errors import DatabaseError
from router.servers.process import LocalServer
from tests.migrator.engine.ledger import INT, Ledger, OpenGate, target_of
from tests.support.servers import until


def again(server: LocalServer, database: str, target: str) -> OnlineAlter:
    settings = MigratorSettings(copiers=1, chunk_rows_max=300, garbage_hold_s=0, verify_again_s=0.2)
    throttle = Throttle(ThrottleSettings(enabled=False))
    return OnlineAlter(f"op-{database}", server.server, database, "t", target, OpenGate(), throttle, settings)


async def test_differences_that_no_change_explains_hold_the_cut_over(
    server: LocalServer, database: str, connection: Connection
) -> None:
    await Ledger(server.server, database, INT).fill(connection, 1000)
    operation = again(server, database, await target_of(connection, database, INT.create(new=True)))
    try:
        await operation.prepare()
        await connection.execute("SET SESSION sql_log_bin = 0")
        await connection.execute("UPDATE t SET v = 'unseen'")
        await connection.execute("SET SESSION sql_log_bin = 1")
        await until(lambda: operation.status().phase is Phase.FAILED)
        assert "sql_log_bin" in str(operation.status().failure)
        with pytest.raises(WrongPhase):
            await operation.cut_over()
        await operation.cancel()
    finally:
        await operation.close()


async def test_a_change_that_is_compared_all_the_time_is_cut_over_exactly(
    server: LocalServer, database: str, connection: Connection
) -> None:
    ledger = Ledger(server.server, database, INT)
    await ledger.fill(connection, 1000)
    operation = again(server, database, await target_of(connection, database, INT.create(new=True)))
    try:
        async with ledger.writing():
            await operation.prepare()
            await ledger.written(150)
            await operation.cut_over()
            await ledger.written(50)
        await ledger.check(dropped=True)
    finally:
        await operation.close()
    assert not ledger.errors


def test_only_a_server_that_is_read_only_is_waited_for() -> None:
    said = "The MySQL server is running with the --super-read-only option so it cannot execute this statement"
    assert is_read_only(DatabaseError(1290, said))
    assert not is_read_only(DatabaseError(1290, "running with the --secure-file-priv option"))
