from __future__ import annotations

import pytest

from conf.settings import MigratorSettings
from migrator.engine.swap.drop import DropTable
from migrator.engine.swap.rename import RenameTable
from migrator.errors import SourceChanged
from router.database import Connection
from router.servers.process import LocalServer
from tests.migrator.engine.ledger import OpenGate


@pytest.mark.parametrize("kind", ["drop", "rename"])
async def test_a_table_made_anew_meanwhile_is_left_alone(
    server: LocalServer, database: str, connection: Connection, kind: str
) -> None:
    """What somebody made in the place of a table that is to go, while the deployment waited, is not it."""
    await connection.execute("CREATE TABLE t (id INT PRIMARY KEY)")
    settings = MigratorSettings(garbage_hold_s=0)
    place = f"{kind}-{database}", server.server, database, "t"
    operation: DropTable | RenameTable = (
        DropTable(*place, OpenGate(), settings)
        if kind == "drop"
        else RenameTable(*place, "u", OpenGate(), settings)
    )
    try:
        await operation.prepare()
        await connection.execute("DROP TABLE t")
        await connection.execute("CREATE TABLE t (id INT PRIMARY KEY, precious INT)")
        await connection.execute("INSERT INTO t VALUES (1, 1)")
        with pytest.raises(SourceChanged):
            await operation.cut_over()
        await operation.cancel()
        assert await connection.fetch_value("SELECT COUNT(*) FROM t") == 1
    finally:
        await operation.close()
