"""How the servers find the rows that the engine's statements name."""

from __future__ import annotations

from migrator.engine.table import statements
from migrator.engine.table.pair import match
from migrator.engine.table.shape import read_shape
from router.database import Connection
from router.servers.process import LocalServer
from tests.migrator.engine.ledger import TEMPORAL, Ledger, Table


async def rows_looked_at(connection: Connection, sql: str) -> int:
    await connection.execute("FLUSH STATUS")
    await connection.execute(sql)
    status = await connection.fetch_all("SHOW SESSION STATUS LIKE 'Handler_read_%'")
    return sum(int(value) for _, value in status)


async def test_rows_are_changed_and_deleted_by_their_key_without_reading_others(
    server: LocalServer, database: str, connection: Connection
) -> None:
    table: Table = TEMPORAL
    await Ledger(server.server, database, table).fill(connection, 3000)
    await connection.execute(table.create(new=True).replace("TABLE t ", "TABLE other "))
    source = await read_shape(connection, database, "t")
    target = await read_shape(connection, database, "other")
    assert source is not None
    assert target is not None
    pair = match(source, target)
    await connection.execute(statements.copy_range(pair, None, None))
    await connection.execute("ANALYZE TABLE other")
    listed = await connection.fetch_all(statements.ranks(pair, None, None, 50))
    keys = [pair.key.from_row(row) for row in listed]
    moved = pair.key.from_row(("2024-03-01 00:00:00.000", "0.0000"))
    await connection.execute("CREATE DATABASE IF NOT EXISTS _headgate")
    await connection.execute(statements.create_park(pair))
    for count, sql in [
        (1, statements.vanished(pair, keys[:1])),
        (1, statements.present(pair, keys[:1])),
        (1, statements.park(pair, keys[0], moved)),
        (1, statements.delete_keys(pair, keys[1:2])),
        (40, statements.vanished(pair, keys[:40])),
        (40, statements.present(pair, keys[:40])),
        (40, statements.delete_keys(pair, keys[2:42])),
    ]:
        assert await rows_looked_at(connection, sql) <= 4 * count + 4, sql[:60]
