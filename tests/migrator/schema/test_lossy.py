"""What is asked about rows says only what the definition says, whatever its texts look like."""

from __future__ import annotations

import pytest

from migrator.schema.introspect import open_reader, read_schema
from migrator.schema.lossy import data_checks
from router.database import Connection
from router.servers.process import LocalServer

PARTITIONS = [
    "LIST COLUMNS (c) (PARTITION p0 VALUES IN ('a) x'), PARTITION p1 VALUES IN (' OR 1 = 1) y'))",
    "LIST COLUMNS (c) (PARTITION p0 VALUES IN ('a', 'it''s) x'), PARTITION p1 VALUES IN (') ENGINE'))",
    "RANGE COLUMNS (c) (PARTITION p0 VALUES LESS THAN ('a) ENGINE') COMMENT = 'VALUES LESS THAN (0) ')",
    "LIST COLUMNS (c) (PARTITION p0 VALUES IN ('b') "
    "COMMENT = 'PARTITION BY RANGE (1) ( VALUES LESS THAN (2 OR 1=1) ')",
]


@pytest.mark.parametrize("partitions", PARTITIONS)
async def test_values_of_partitions_are_never_read_as_sql(
    server: LocalServer, database: str, partitions: str
) -> None:
    table = "CREATE TABLE t (c VARCHAR(50) NOT NULL)"
    async with (
        await Connection.open(server.server, database=database) as connection,
        await open_reader(server.server) as reader,
    ):
        await connection.execute(table)
        before = (await read_schema(reader, database)).tables["t"]
        await connection.execute(f"ALTER TABLE t PARTITION BY {partitions}")
        after = (await read_schema(reader, database)).tables["t"]
        await connection.execute("ALTER TABLE t REMOVE PARTITIONING")
        await connection.execute("INSERT INTO t VALUES ('q')")
        (check,) = data_checks(before, after, database, "t")
        # No partition takes the row.
        assert await connection.fetch_all(f"SELECT c FROM t WHERE {check.condition}") == [("q",)]
