"""Ordinary indexes are made after the rows are there, if nobody would feel it, and none is ever missing."""

from __future__ import annotations

import asyncio

import pytest

from migrator.engine.ground.operation import Phase
from migrator.engine.table.deferred import split
from router.database import Connection
from router.servers.process import LocalServer
from tests.migrator.engine.ledger import INT, Ledger, alter, target_of
from tests.migrator.engine.test_crash import killed_at
from tests.support.servers import until

CREATE = """\
CREATE TABLE `t` (
  `id` int NOT NULL,
  `n` int NOT NULL AUTO_INCREMENT COMMENT 'KEY `x` (`y`),',
  `s``t` varchar(9) DEFAULT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `u` (`s``t`),
  KEY `n` (`n`,`id`),
  KEY `s``i` (`s``t`(3) DESC,`id`) USING BTREE COMMENT 'one, two' /*!80000 INVISIBLE */,
  KEY `e` (`id`,(lower(`s``t`))),
  FULLTEXT KEY `f` (`s``t`),
  KEY `last` (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4
/*!50100 PARTITION BY HASH (`id`)
PARTITIONS 4 */"""


def test_ordinary_indexes_are_parted_from_a_definition_and_nothing_else() -> None:
    bare, indexes = split(CREATE)
    assert list(indexes) == ["s`i", "last"]
    assert indexes["last"] == "KEY `last` (`id`)"
    assert indexes["s`i"].endswith("INVISIBLE */")
    lines = CREATE.split("\n")
    expected = [*lines[:7], lines[8], "  FULLTEXT KEY `f` (`s``t`)", *lines[11:]]
    assert bare == "\n".join(expected)


def test_a_definition_without_ordinary_indexes_stays_as_it_is() -> None:
    bare, indexes = split("CREATE TABLE `t` (\n  `id` int NOT NULL,\n  PRIMARY KEY (`id`)\n) ENGINE=InnoDB")
    assert (bare, indexes) == (
        "CREATE TABLE `t` (\n  `id` int NOT NULL,\n  PRIMARY KEY (`id`)\n) ENGINE=InnoDB",
        {},
    )


async def _indexes(connection: Connection, table: str) -> set[str]:
    rows = await connection.fetch_all(
        "SELECT DISTINCT INDEX_NAME FROM information_schema.STATISTICS "
        "WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = %s",
        table,
    )
    return {str(name) for (name,) in rows}


@pytest.mark.parametrize("failpoint", ["copied", "before-indexes", "indexes-built"])
async def test_a_process_killed_around_the_building_of_indexes_leaves_none_out(
    server: LocalServer, database: str, connection: Connection, failpoint: str
) -> None:
    ledger = Ledger(server.server, database, INT)
    await ledger.fill(connection, 3000)
    target = await target_of(connection, database, INT.create(new=True))
    async with ledger.writing():
        await killed_at(server, database, target, failpoint, revert=False)
        built = failpoint == "indexes-built"
        assert await _indexes(connection, "t__hg1_new") == ({"PRIMARY", "u"} if built else {"PRIMARY"})
        operation = alter(server.server, database, target)
        try:
            await operation.prepare()
            await operation.cut_over()
            assert operation.status().phase is Phase.REVERTIBLE
            await ledger.written(100)
        finally:
            await operation.close()
    assert not ledger.errors
    assert await _indexes(connection, "t") == {"PRIMARY", "u"}
    await ledger.check(dropped=True)


async def test_a_change_is_given_up_at_once_while_indexes_are_built(
    server: LocalServer, database: str, connection: Connection
) -> None:
    ledger = Ledger(server.server, database, INT)
    await ledger.fill(connection, 8000)
    target = await target_of(connection, database, INT.create(new=True))
    operation = alter(server.server, database, target)
    async with await Connection.open(server.server, database=database) as reader:
        preparing = asyncio.ensure_future(operation.prepare())
        try:
            await until(lambda: operation.status().activity == "copying")
            # Whoever reads the new table keeps ALTER TABLE waiting.
            await reader.execute("START TRANSACTION")
            await reader.fetch_all("SELECT COUNT(*) FROM t__hg1_new")
            await until(lambda: operation.status().activity == "building indexes")
            preparing.cancel()
            await asyncio.gather(preparing, return_exceptions=True)
            waiting = "SELECT 1 FROM information_schema.PROCESSLIST WHERE INFO LIKE 'ALTER TABLE%%ADD KEY%%'"
            assert not await connection.fetch_value(waiting)
            await reader.execute("ROLLBACK")
            await operation.cancel()
            assert operation.status().phase is Phase.CANCELLED
        finally:
            await operation.close()
    assert [str(row[0]) for row in await connection.fetch_all("SHOW TABLES")] == ["t"]
