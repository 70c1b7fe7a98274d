"""What the engine's statements lock, seen on both servers."""

from __future__ import annotations

import pytest

from migrator.engine.table import statements
from migrator.engine.table.pair import match
from migrator.engine.table.shape import read_shape
from router.database import Connection
from router.servers.process import LocalServer


@pytest.mark.parametrize("partitioned", [False, True])
async def test_copying_waits_for_no_row_lock_on_the_live_table_and_takes_none(
    server: LocalServer, database: str, connection: Connection, partitioned: bool
) -> None:
    scheme = " PARTITION BY HASH (id) PARTITIONS 3" if partitioned else ""
    await connection.execute(f"CREATE TABLE t (id INT PRIMARY KEY, u INT, UNIQUE KEY u (u, id)){scheme}")
    await connection.execute("INSERT INTO t VALUES (1, 1), (2, 2), (3, 3)")
    await connection.execute("CREATE TABLE t__hg1_new LIKE t")
    source = await read_shape(connection, database, "t")
    target = await read_shape(connection, database, "t__hg1_new")
    assert source is not None
    assert target is not None
    pair = match(source, target)
    setup = [*statements.session(server.server.flavor), "SET SESSION innodb_lock_wait_timeout = 1"]
    async with (
        await Connection.open(server.server, database=database) as other,
        await Connection.open(server.server, database=database, setup=setup) as ours,
    ):
        await ours.execute(statements.create_stage(pair))
        await other.execute("START TRANSACTION")
        await other.execute("UPDATE t SET u = 20 WHERE id = 2")
        await other.execute("DELETE FROM t WHERE id = 3")
        await ours.execute("START TRANSACTION")
        await ours.execute(statements.copy_range(pair, None, 1))
        await ours.execute(statements.upsert(pair, [1, 2, 3]))
        for statement in [*statements.stage_keys(pair, [1, 2, 3]), *statements.rewrite(pair, [1, 2, 3])]:
            await ours.execute(statement)
        # And the other way round: rows that were read can be changed at once.
        await other.execute("SET SESSION innodb_lock_wait_timeout = 1")
        await other.execute("UPDATE t SET u = 10 WHERE id = 1")
        await other.execute("COMMIT")
        await ours.execute("COMMIT")
    assert await connection.fetch_all("SELECT id, u FROM t__hg1_new ORDER BY id") == [(1, 1), (2, 2), (3, 3)]
