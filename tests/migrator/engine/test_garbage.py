"""Tables that nobody needs any more are kept for a while, can be had back, and go in nobody's way."""

from __future__ import annotations

import pytest

from conf.settings import ThrottleSettings
from migrator.engine.ground import garbage
from migrator.engine.ground.garbage import Collector, waiting
from migrator.engine.ground.state import prepare_state
from migrator.throttle.throttler import Throttle
from router.database import Connection
from router.servers.process import LocalServer
from tests.migrator.engine.ledger import INT, Ledger, alter, target_of

DUE = "UPDATE _headgate.garbage SET drop_after = UTC_TIMESTAMP() - INTERVAL 1 SECOND WHERE table_schema = %s"


async def tables_of(connection: Connection) -> list[str]:
    return [str(row[0]) for row in await connection.fetch_all("SHOW TABLES")]


async def deployed(server: LocalServer, database: str, connection: Connection) -> Collector:
    """Finalize a change of table `t`, whose old table is then kept."""
    await Ledger(server.server, database, INT).fill(connection, 100)
    target = await target_of(connection, database, INT.create(new=True))
    operation = alter(server.server, database, target, hold_s=3600)
    try:
        await operation.prepare()
        await operation.cut_over()
        await operation.finalize()
    finally:
        await operation.close()
    return Collector(server.server, Throttle(ThrottleSettings(enabled=False)))


async def test_an_old_table_is_kept_for_its_time_and_then_dropped(
    server: LocalServer, database: str, connection: Connection
) -> None:
    collector = await deployed(server, database, connection)
    (kept,) = [each for each in await waiting(connection) if each.schema == database]
    assert (kept.table, kept.original, kept.due) == ("t__hg1_old", "t", False)
    await collector.collect()
    assert await tables_of(connection) == ["t", "t__hg1_old"]
    await connection.execute(DUE, database)
    await collector.collect()
    assert await tables_of(connection) == ["t"]
    assert [each for each in await waiting(connection) if each.schema == database] == []


async def test_a_cancelled_change_leaves_its_table_to_the_collector(
    server: LocalServer, database: str, connection: Connection
) -> None:
    await Ledger(server.server, database, INT).fill(connection, 100)
    target = await target_of(connection, database, INT.create(new=True))
    operation = alter(server.server, database, target, hold_s=3600)
    try:
        await operation.prepare()
        await operation.cancel()
    finally:
        await operation.close()
    assert [each.table for each in await waiting(connection) if each.schema == database] == ["t__hg1_new"]


async def test_a_table_that_was_renamed_back_is_forgotten_and_another_of_its_name_left_alone(
    server: LocalServer, database: str, connection: Connection
) -> None:
    collector = await deployed(server, database, connection)
    await connection.execute("RENAME TABLE t__hg1_old TO rescued")
    await connection.execute("CREATE TABLE t__hg1_old (somebody_s INT)")
    await connection.execute(DUE, database)
    await collector.collect()
    assert await tables_of(connection) == ["rescued", "t", "t__hg1_old"]
    assert [each for each in await waiting(connection) if each.schema == database] == []


async def test_after_a_fail_over_a_table_is_known_by_its_number_on_the_new_server_and_kept_for_as_long_again(
    server: LocalServer, database: str, connection: Connection
) -> None:
    collector = await deployed(server, database, connection)
    (before,) = [each for each in await waiting(connection) if each.schema == database]
    await connection.execute(DUE, database)
    of_former = "UPDATE _headgate.garbage SET server = 'former', identity = '1', since = drop_after - "
    await connection.execute(f"{of_former} INTERVAL 1 HOUR WHERE table_schema = %s", database)
    await collector.collect()
    (kept,) = [each for each in await waiting(connection) if each.schema == database]
    assert (kept.table, kept.due, kept.identity) == ("t__hg1_old", False, before.identity)
    await connection.execute(DUE, database)
    await collector.collect()
    assert await tables_of(connection) == ["t"]


async def test_names_that_are_not_ours_are_not_dropped_whatever_is_recorded(
    server: LocalServer, database: str, connection: Connection
) -> None:
    collector = await deployed(server, database, connection)
    await connection.execute(
        "UPDATE _headgate.garbage SET table_name = 't', identity = '' WHERE table_schema = %s", database
    )
    await connection.execute(DUE, database)
    await collector.collect()
    assert "t" in await tables_of(connection)


async def test_a_table_in_use_is_not_waited_for(
    server: LocalServer, database: str, connection: Connection
) -> None:
    collector = await deployed(server, database, connection)
    await connection.execute(DUE, database)
    async with await Connection.open(server.server, database=database) as other:
        await other.execute("START TRANSACTION")
        await other.execute("SELECT * FROM t__hg1_old LIMIT 1")
        await collector.collect()
        assert await tables_of(connection) == ["t", "t__hg1_old"]
        await other.execute("COMMIT")
    await collector.collect()
    assert await tables_of(connection) == ["t"]


async def test_a_large_table_is_emptied_in_pieces_first_where_dropping_it_would_stall(
    mariadb: LocalServer, mariadb_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await prepare_state(mariadb.server)
    monkeypatch.setattr(garbage, "LARGE_BYTES", 0)
    monkeypatch.setattr(garbage, "PIECE_ROWS", 30)
    async with await Connection.open(mariadb.server, database=mariadb_database) as connection:
        collector = await deployed(mariadb, mariadb_database, connection)
        await connection.execute(DUE, mariadb_database)
        before = int((await connection.fetch_all("SHOW GLOBAL STATUS LIKE 'Com_delete'"))[0][1])
        await collector.collect()
        after = int((await connection.fetch_all("SHOW GLOBAL STATUS LIKE 'Com_delete'"))[0][1])
        assert after - before >= 5
        assert await tables_of(connection) == ["t"]
