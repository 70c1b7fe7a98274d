"""Views go on across a swap; what names a column that goes is told before."""

from __future__ import annotations

from migrator.engine.checks.dependents import find_dependents
from migrator.engine.forecast import forecast
from router.database import Connection
from router.servers.process import LocalServer
from tests.migrator.engine.ledger import alter, target_of

OLD = "CREATE TABLE t (id INT PRIMARY KEY, d INT NULL, v VARCHAR(20) NULL)"
NEW = "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(40) NULL, e INT NOT NULL DEFAULT 7)"


async def test_everything_that_names_a_column_that_goes_is_told(
    server: LocalServer, database: str, connection: Connection
) -> None:
    await connection.execute(OLD)
    await connection.execute("CREATE TABLE other (d INT)")
    for statement in (
        "CREATE VIEW breaks AS SELECT x.d + 1 AS y FROM t x",
        "CREATE VIEW fine AS SELECT id, v FROM t",
        "CREATE VIEW elsewhere AS SELECT d FROM other",
        "CREATE PROCEDURE shows() SELECT d FROM t",
        "CREATE PROCEDURE writes() UPDATE other SET d = 1",
        "CREATE FUNCTION counts() RETURNS INT READS SQL DATA RETURN (SELECT COUNT(d) FROM t)",
        "CREATE TRIGGER tells AFTER INSERT ON other FOR EACH ROW UPDATE t SET D = NEW.d",
        "CREATE EVENT nightly ON SCHEDULE EVERY 1 DAY DISABLE DO DELETE FROM t WHERE d = 1",
    ):
        await connection.execute(statement)
    found = await find_dependents(connection, database, "t", ["id", "d", "v"], ["id", "v", "e"])
    assert sorted(sentence.split(" names ")[0] for sentence in found) == [
        f"event {database}.nightly",
        f"routine {database}.counts",
        f"routine {database}.shows",
        f"trigger {database}.tells",
        f"view {database}.breaks",
    ]
    target = await target_of(connection, database, NEW)
    told = await forecast(server.server, server.server, database, "t", target)
    assert set(found) <= set(told.warnings)


async def test_a_view_of_all_columns_is_told_to_keep_its_list(
    server: LocalServer, database: str, connection: Connection
) -> None:
    await connection.execute(OLD)
    await connection.execute("CREATE VIEW everything AS SELECT * FROM t")
    found = await find_dependents(connection, database, "t", ["id", "d", "v"], ["id", "d", "v", "e"])
    assert [sentence.rpartition(": ")[2] for sentence in found] == ["without 'e'"]
    assert await find_dependents(connection, database, "t", ["id", "d", "v"], ["id", "d", "v"]) == []


async def test_views_and_prepared_statements_go_on_across_a_swap_and_a_revert(
    server: LocalServer, database: str, connection: Connection
) -> None:
    await connection.execute(OLD)
    await connection.execute("INSERT INTO t VALUES (1, 2, 'x')")
    await connection.execute("CREATE VIEW seen AS SELECT id, v FROM t")
    async with await Connection.open(server.server, database=database) as client:
        await client.execute("PREPARE everything FROM 'SELECT * FROM t'")
        await client.execute("PREPARE seen FROM 'SELECT * FROM seen'")
        await client.execute("PREPARE writes FROM 'UPDATE t SET v = CONCAT(v, ?)'")
        await client.execute("SET @more = '!'")

        async def look() -> tuple[object, object]:
            await client.execute("EXECUTE writes USING @more")
            return await client.fetch_all("EXECUTE everything"), await client.fetch_all("EXECUTE seen")

        operation = alter(server.server, database, await target_of(connection, database, NEW))
        try:
            assert await look() == ([(1, 2, "x!")], [(1, "x!")])
            await operation.prepare()
            await operation.cut_over()
            assert await look() == ([(1, "x!!", 7)], [(1, "x!!")])
            await operation.revert()
            assert await look() == ([(1, 2, "x!!!")], [(1, "x!!!")])
            await operation.finalize()
        finally:
            await operation.close()
