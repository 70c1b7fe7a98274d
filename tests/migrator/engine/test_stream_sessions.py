"""What sessions of real servers can put into the binary log, and what is made of it."""

from __future__ import annotations

import pytest

from migrator.engine.log.events import EventReader
from migrator.engine.log.gtid import MysqlGtids, gtids_of
from migrator.engine.log.place import SOMEWHERE
from migrator.engine.rows.beginning import log_place
from migrator.errors import LogGone, SourceChanged, StreamBroken
from router.database import Connection
from router.model import Flavor
from router.servers.process import LocalServer
from tests.migrator.engine.reading import new_reader, read_to_end
from tests.migrator.engine.zombie import abandoned_dump
from tests.support.replicas import run
from tests.support.servers import until

TABLE = "CREATE TABLE t (id INT PRIMARY KEY, c CHAR(20), j JSON, b BLOB)"
XA = ("XA START 'x'", "INSERT INTO t (id) VALUES (7)", "XA END 'x'", "XA PREPARE 'x'")


async def make(connection: Connection, database: str, *statements: str) -> EventReader:
    """Make the table, and a reader that begins after it."""
    await connection.execute(TABLE)
    reader = await new_reader(connection, database, "id")
    for statement in statements:
        await connection.execute(statement)
    return reader


async def test_rows_of_a_prepared_transaction_count_from_its_commit_on(
    server: LocalServer, database: str, connection: Connection
) -> None:
    reader = await make(connection, database, *XA)
    begin = reader.boundary
    async with await Connection.open(server.server, database=database) as other:
        await other.execute("INSERT INTO t (id) VALUES (8)")
        await read_to_end(server, reader)
        assert reader.changes == [8]
        # Who starts again now must see the rows of what is still prepared.
        assert reader.boundary == begin
        assert reader.ended > begin
        await connection.execute("XA COMMIT 'x'")
        again = await new_reader(connection, database, "id", start=reader.boundary)
        await read_to_end(server, again)
        assert again.changes == [8, 7]
        assert again.boundary > begin


async def test_rows_of_a_prepared_transaction_that_is_rolled_back_never_count(
    server: LocalServer, database: str, connection: Connection
) -> None:
    reader = await make(connection, database, *XA, "XA ROLLBACK 'x'")
    await connection.execute("XA START 'y'")
    await connection.execute("INSERT INTO t (id) VALUES (9)")
    await connection.execute("XA END 'y'")
    await connection.execute("XA COMMIT 'y' ONE PHASE")
    await connection.execute("DELETE FROM t")
    await read_to_end(server, reader)
    assert reader.changes == [9, 9]
    assert reader.boundary == reader.ended


async def test_a_prepared_move_that_is_rolled_back_moves_nothing(
    server: LocalServer, database: str, connection: Connection
) -> None:
    await connection.execute(TABLE)
    await connection.execute("INSERT INTO t (id) VALUES (1), (2)")
    reader = await new_reader(connection, database, "id")
    for verb in ("ROLLBACK", "COMMIT"):
        for statement in ("XA START 'm'", "UPDATE t SET id = 5 WHERE id = 1", "XA END 'm'", "XA PREPARE 'm'"):
            await connection.execute(statement)
        await connection.execute(f"XA {verb} 'm'")
        await read_to_end(server, reader)
        assert reader.moves == ([(1, 5)] if verb == "COMMIT" else [])
        reader = await new_reader(connection, database, "id")


async def test_savepoints_and_tables_made_of_others_are_no_trouble(
    server: LocalServer, database: str, connection: Connection
) -> None:
    reader = await make(
        connection,
        database,
        "BEGIN",
        "INSERT INTO t (id) VALUES (1)",
        "SAVEPOINT s",
        "INSERT INTO t (id) VALUES (2)",
        "ROLLBACK TO s",
        "INSERT INTO t (id) VALUES (3)",
        "COMMIT",
        "CREATE TABLE u AS SELECT * FROM t",
        "CREATE VIEW w AS SELECT * FROM t",
        "CREATE TABLE alike LIKE t",
        "ALTER TABLE u ADD t INT, COMMENT 't'",
        "ANALYZE TABLE t",
        "RENAME TABLE u TO u2",
        "DROP TABLE u2",
        "UPDATE w SET c = 'x' WHERE id = 3",
    )
    end = await read_to_end(server, reader)
    assert {1, 3} <= set(reader.changes) <= {1, 2, 3}
    assert reader.boundary == end.position


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE t ADD x INT",
        "ALTER TABLE `t` RENAME TO gone",
        "TRUNCATE t",
        "DROP TABLE t",
        "RENAME TABLE t TO gone",
        "CREATE INDEX i ON t (c)",
        "/* harmless? */ CREATE TRIGGER tr AFTER INSERT ON t FOR EACH ROW SET @a = 1",
        "ALTER TABLE p EXCHANGE PARTITION p0 WITH TABLE t",
        "OPTIMIZE TABLE t",
    ],
)
async def test_whatever_changes_the_table_itself_ends_the_reading(
    server: LocalServer, database: str, connection: Connection, statement: str
) -> None:
    reader = await make(
        connection, database, f"{TABLE.replace(' t ', ' p ')} PARTITION BY HASH (id) PARTITIONS 2"
    )
    await connection.execute(statement)
    with pytest.raises(SourceChanged, match="somebody ran"):
        await read_to_end(server, reader)


async def test_an_alter_that_mariadb_logs_twice_counts_when_it_is_done(
    mariadb: LocalServer, mariadb_database: str
) -> None:
    async with await Connection.open(mariadb.server, database=mariadb_database) as connection:
        reader = await make(connection, mariadb_database, "SET SESSION binlog_alter_two_phase = 1")
        await connection.execute("ALTER TABLE t ADD x INT, ALGORITHM=COPY")
        with pytest.raises(SourceChanged, match="ALTER"):
            await read_to_end(mariadb, reader)
        await connection.execute("CREATE OR REPLACE TABLE u (id INT)")
        reader = await new_reader(connection, mariadb_database, "id")
        await connection.execute("CREATE OR REPLACE TABLE u (id INT)")
        await connection.execute("CREATE OR REPLACE TABLE t (id INT PRIMARY KEY)")
        with pytest.raises(SourceChanged, match="CREATE"):
            await read_to_end(mariadb, reader)


@pytest.mark.parametrize(
    ("prepare", "write"),
    [
        ("SELECT 1", "INSERT INTO t (id) VALUES (1)"),
        ("CREATE VIEW w AS SELECT * FROM t", "UPDATE w SET c = 'x'"),
        (
            "CREATE FUNCTION f() RETURNS INT DETERMINISTIC MODIFIES SQL DATA "
            "BEGIN UPDATE t SET c = 'f'; RETURN 1; END",
            "DO f()",
        ),
    ],
    ids=["directly", "through a view", "in a function"],
)
async def test_what_a_session_logs_as_statements_ends_the_reading_and_says_what_to_do(
    server: LocalServer, database: str, connection: Connection, prepare: str, write: str
) -> None:
    if server.server.flavor is Flavor.MYSQL:
        await connection.execute("SET GLOBAL log_bin_trust_function_creators = 1")
    reader = await make(connection, database, prepare, "SET SESSION binlog_format = STATEMENT", write)
    with pytest.raises(StreamBroken, match="binlog_format=ROW, globally and in every session"):
        await read_to_end(server, reader)


async def test_images_and_compression_may_change_from_statement_to_statement(
    server: LocalServer, database: str, connection: Connection
) -> None:
    reader = await make(connection, database)
    mysql = server.server.flavor is Flavor.MYSQL
    if not mysql:
        await connection.execute("SET GLOBAL log_bin_compress = ON, GLOBAL log_bin_compress_min_len = 10")
    try:
        expected: list[int] = []
        number = 0
        for image in ("FULL", "MINIMAL", "NOBLOB"):
            for compressed in (True, False):
                await connection.execute(f"SET SESSION binlog_row_image = {image}")
                if mysql:
                    await connection.execute(f"SET SESSION binlog_transaction_compression = {compressed:d}")
                    options = "PARTIAL_JSON" if compressed else ""
                    await connection.execute(f"SET SESSION binlog_row_value_options = '{options}'")
                number += 10
                await connection.execute(
                    f"INSERT INTO t VALUES ({number}, 'x', '{{\"a\": [1, 2]}}', REPEAT('b', 60000))"
                )
                await connection.execute(
                    f"UPDATE t SET j = JSON_SET(j, '$.a[0]', 5), c = NULL WHERE id = {number}"
                )
                await connection.execute(f"UPDATE t SET id = id + 1 WHERE id = {number}")
                await connection.execute(f"DELETE FROM t WHERE id = {number + 1}")
                expected += [number, number, number, number + 1, number + 1]
        await read_to_end(server, reader)
        assert reader.changes == expected
    finally:
        if not mysql:
            await connection.execute("SET GLOBAL log_bin_compress = OFF")


async def test_transactions_are_known_by_their_gtids_and_told_of_from_any_on(
    server: LocalServer, database: str, connection: Connection
) -> None:
    await connection.execute(TABLE)
    reader = await new_reader(connection, database, "id")
    begin = await log_place(connection)
    assert begin.gtids is not None
    mysql = server.server.flavor is Flavor.MYSQL
    for number in range(3):
        # Of a domain or a tag of their own, too.
        if mysql:
            await connection.execute(
                "SET SESSION gtid_next = " + ("'AUTOMATIC:tag'" if number % 2 else "'AUTOMATIC'")
            )
        else:
            await connection.execute(f"SET SESSION gtid_domain_id = {number % 2}")
        await connection.execute(f"INSERT INTO t (id) VALUES ({number})")
    end = await read_to_end(server, reader)
    received = begin.gtids.copy()
    for gtid in reader.gtids:
        received.add(gtid)
    assert str(received) == str(end.gtids)
    middle = begin.gtids.copy()
    middle.add(reader.gtids[0])
    again = await new_reader(connection, database, "id", start=SOMEWHERE)
    assert again.boundary == SOMEWHERE
    await read_to_end(server, again, gtids=gtids_of(server.server.flavor, str(middle)))
    assert again.changes == [1, 2]
    assert again.boundary == end.position
    if not mysql:
        await connection.execute("SET SESSION gtid_domain_id = 0")


async def test_a_place_is_found_by_gtids_even_when_nothing_is_left_to_be_sent(
    server: LocalServer, database: str, connection: Connection
) -> None:
    await connection.execute(TABLE)
    end = await log_place(connection)
    reader = await new_reader(connection, database, "id", start=SOMEWHERE)
    await read_to_end(server, reader, gtids=end.gtids)
    assert reader.changes == []
    assert reader.received >= end.position


async def test_a_log_that_was_deleted_is_told_from_one_that_lost_its_end(
    server: LocalServer, database: str, connection: Connection
) -> None:
    reader = await make(connection, database, "FLUSH BINARY LOGS", "FLUSH BINARY LOGS")

    async def is_purged() -> bool:
        # What an earlier test's reader may still have open stays, and all that came after it.
        files = await connection.fetch_all("SHOW BINARY LOGS")
        await connection.execute(f"PURGE BINARY LOGS TO '{files[-1][0]}'")
        return len(await connection.fetch_all("SHOW BINARY LOGS")) == 1

    await until(is_purged)
    with pytest.raises(LogGone, match="no longer has its binary log"):
        await read_to_end(server, reader)
    here = (await log_place(connection)).position
    beyond = type(here).of(here.file, here.offset + 1_000_000)
    late = await new_reader(connection, database, "id", start=beyond)
    with pytest.raises(StreamBroken, match="ends before"):
        await read_to_end(server, late)


async def test_the_server_ends_a_connection_whose_successor_has_come(
    server: LocalServer, database: str, connection: Connection
) -> None:
    reader = await make(connection, database)
    # It never says goodbye: the server would keep its thread until it next had something to send.

    async with abandoned_dump(server, reader.boundary, replica=0xC0ABCDEF) as thread:
        await connection.execute("INSERT INTO t (id) VALUES (1)")
        await read_to_end(server, reader, replica=0xC0ABCDEF)
        assert reader.changes == [1]

        async def is_gone() -> bool:
            sql = "SELECT 1 FROM information_schema.PROCESSLIST WHERE ID = %s"
            return not await connection.fetch_value(sql, thread)

        await until(is_gone)


async def test_a_set_of_gtids_is_written_as_the_server_writes_it(mysql: LocalServer) -> None:
    async with await Connection.open(mysql.server) as connection:
        executed = str(await connection.fetch_value("SELECT @@GLOBAL.gtid_executed"))
        assert await connection.fetch_value(
            "SELECT GTID_SUBSET(%s, @@GLOBAL.gtid_executed) AND GTID_SUBSET(@@GLOBAL.gtid_executed, %s)",
            *(str(MysqlGtids(executed)), str(MysqlGtids(executed))),
        )
    await run(mysql, "FLUSH BINARY LOGS")
