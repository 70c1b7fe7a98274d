"""Somebody writes to the table that only we may write to: it is noticed, and made right again."""

from __future__ import annotations

import pytest

from migrator.engine.migration import OnlineAlter
from router.database import Connection
from router.servers.process import LocalServer
from tests.migrator.engine.ledger import INT, Ledger, alter, target_of
from tests.support.servers import until


def followed(operation: OnlineAlter) -> tuple[int, int]:
    """How many strange writes were seen, and how many keys are still to be written."""
    follower = operation._follower
    assert follower is not None
    return follower.strays, follower.pending


@pytest.mark.parametrize("back", [False, True], ids=["new table", "old table"])
async def test_what_somebody_else_wrote_to_the_other_table_is_taken_back(
    server: LocalServer, database: str, connection: Connection, back: bool
) -> None:
    ledger = Ledger(server.server, database, INT)
    await ledger.fill(connection, 600)
    target = await target_of(connection, database, INT.create(new=True))
    operation = alter(server.server, database, target)
    try:
        async with ledger.writing():
            await operation.prepare()
            if back:
                await operation.cut_over()
            await ledger.written(60)
        # Our own writes, of which there were many, are not strange, and all of them are received by now.
        assert operation._follower is not None
        await operation._follower.catch_up()
        await until(lambda: followed(operation) == (0, 0))
        await connection.execute(f"USE {database}")
        other = "t__hg1_old" if back else "t__hg1_new"
        victim, gone = sorted(ledger.rows)[:2]
        before = await connection.fetch_all(f"SELECT id, u, v FROM {other} ORDER BY id")
        await connection.execute(f"UPDATE {other} SET v = 'vandalism' WHERE id = {victim}")
        await connection.execute(f"DELETE FROM {other} WHERE id = {gone}")
        await connection.execute(f"INSERT INTO {other} (id, u, v) VALUES (1000000, 1, 'extra')")
        await until(lambda: followed(operation) == (3, 0))
        after = await connection.fetch_all(f"SELECT id, u, v FROM {other} ORDER BY id")
        assert after == before
        if back:
            await operation.revert()
            await operation.finalize()
        else:
            await operation.cancel()
    finally:
        await operation.close()
