"""The reader of the binary log, fed with events made by hand and with what real servers write."""

from __future__ import annotations

import asyncio
import contextlib
import struct
import zlib

import pytest
import zstandard

from migrator.engine.log import events
from migrator.engine.log.binlog import BinlogStream
from migrator.engine.log.events import EventReader, Position
from migrator.engine.table.keys import KeyColumn, KeySpec, key_column
from migrator.engine.table.shape import read_shape
from migrator.errors import SourceChanged, StreamBroken
from router.database import Connection
from router.model import Flavor
from router.servers.process import LocalServer

START = Position.of("binlog.000007", 4)
ID = key_column("id", "int", "int")
assert ID is not None


def reader(*, checksum: bool = False, key: KeyColumn = ID) -> EventReader:
    made = EventReader(START, "shop", "t", [key], [0], ours="headgate:op")
    made.checksum = checksum
    return made


def event(type_: int, body: bytes, at: int = 1000, *, checksum: bool = False) -> bytes:
    size = 19 + len(body) + (4 if checksum else 0)
    data = struct.pack("<IBIIIH", 1, type_, 1, size, at, 0) + body
    return data + struct.pack("<I", zlib.crc32(data)) if checksum else data


def table_map(
    number: int = 9, schema: bytes = b"shop", table: bytes = b"t", types: bytes = b"\x03\x0f"
) -> bytes:
    names = bytes((len(schema),)) + schema + b"\0" + bytes((len(table),)) + table + b"\0"
    metadata = b"\x02\x14\x00" if types == b"\x03\x0f" else b"\x00"
    return number.to_bytes(6, "little") + b"\0\0" + names + bytes((len(types),)) + types + metadata + b"\0"


def row(number: int, text: bytes = b"x") -> bytes:
    return b"\0" + struct.pack("<i", number) + bytes((len(text),)) + text


def rows(*images: bytes, number: int = 9, update: bool = False) -> bytes:
    columns = b"\x02\x03" + (b"\x03" if update else b"")
    return number.to_bytes(6, "little") + b"\0\0" + b"\x02\0" + columns + b"".join(images)


def query(sql: str, schema: bytes = b"shop") -> bytes:
    return struct.pack("<IIBHH", 1, 0, len(schema), 0, 0) + schema + b"\0" + sql.encode()


def test_inserts_updates_and_deletes_give_the_keys_before_and_after() -> None:
    subject = reader()
    subject.feed(event(19, table_map()))
    subject.feed(event(30, rows(row(1), row(-2))))
    subject.feed(event(31, rows(row(3), row(3), row(4), row(5), update=True)))
    subject.feed(event(32, rows(row(6))))
    assert subject.changes == [1, -2, 3, 4, 5, 6]
    assert subject.moves == []  # until the transaction is over
    subject.feed(event(16, bytes(8)))
    assert subject.moves == [(4, 5), (6, None)]


def test_rows_of_other_tables_are_not_even_looked_at() -> None:
    subject = reader()
    subject.feed(event(19, table_map(number=5, table=b"other")))
    subject.feed(event(30, (5).to_bytes(6, "little") + b"garbage"))
    assert subject.changes == []


def test_a_restart_begins_at_the_end_of_the_last_whole_transaction() -> None:
    subject = reader()
    subject.feed(event(19, table_map(), at=200))
    subject.feed(event(30, rows(row(1)), at=300))
    assert subject.boundary == START
    subject.feed(event(16, bytes(8), at=400))
    assert subject.boundary == Position.of("binlog.000007", 400)
    subject.feed(event(4, (4).to_bytes(8, "little") + b"binlog.000008", at=450))
    assert subject.boundary == Position.of("binlog.000008", 4)


def test_a_file_of_more_than_four_gigabytes_has_positions_beyond_its_counter() -> None:
    subject = reader()
    subject.feed(event(16, bytes(8), at=0xFFFFFF00))
    subject.feed(event(16, bytes(8), at=100))
    assert subject.boundary.offset == (1 << 32) + 100


def test_a_wrong_checksum_breaks_the_stream() -> None:
    subject = reader(checksum=True)
    whole = event(16, bytes(8), checksum=True)
    subject.feed(whole)
    with pytest.raises(StreamBroken, match="checksum"):
        subject.feed(whole[:-1] + bytes((whole[-1] ^ 1,)))


def test_compressed_transactions_are_opened() -> None:
    inner = event(19, table_map()) + event(30, rows(row(41))) + event(16, bytes(8))
    packed = zstandard.ZstdCompressor().compress(inner)
    body = b"\x02\x01\x00" + b"\x00" + packed
    subject = reader()
    subject.feed(event(40, body, at=777))
    assert subject.changes == [41]
    assert subject.boundary.offset == 777


def test_prepared_transactions_count_when_they_are_committed() -> None:
    subject = reader()
    subject.feed(event(2, query("XA START X'61',X'',1"), at=100))
    subject.feed(event(19, table_map(), at=200))
    subject.feed(event(30, rows(row(1)), at=300))
    subject.feed(event(38, b"\0" + struct.pack("<iII", 1, 1, 0) + b"a", at=400))
    subject.feed(event(16, bytes(8), at=500))
    assert subject.changes == []
    assert subject.boundary == START
    subject.feed(event(2, query("XA COMMIT X'61',X'',1"), at=600))
    assert subject.changes == [1]
    assert subject.boundary.offset == 600


def test_a_prepared_transaction_nobody_saw_breaks_the_stream() -> None:
    with pytest.raises(StreamBroken, match="XA"):
        reader().feed(event(2, query("XA COMMIT X'61',X'',1")))


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER TABLE t ADD x INT",
        "alter /* nothing */ table `shop`.`t` drop x",
        "TRUNCATE TABLE t",
        "DROP TABLE `t`",
        "RENAME TABLE t TO u",
        "CREATE INDEX i ON t (x)",
        "CREATE TRIGGER tr AFTER INSERT ON t FOR EACH ROW SET @a = 1",
        "ALTER TABLE other ADD FOREIGN KEY (x) REFERENCES t (id)",
        "DROP DATABASE shop",
        "ALTER TABLE p EXCHANGE PARTITION a WITH TABLE t",
        "CREATE OR REPLACE TABLE t (id INT)",
        "DROP TABLE `a#b`, `t`",
        "DROP TABLE `a -- b`, t",
        "/*!80000 ALTER TABLE t ADD x INT */",
        "FROBNICATE TABLE t",
        "OPTIMIZE TABLE t",
        'ALTER TABLE "t" DROP x',
    ],
)
def test_statements_that_change_the_table_stop_everything(sql: str) -> None:
    with pytest.raises(SourceChanged):
        reader().feed(event(2, query(sql)))


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER TABLE other ADD t INT",
        "ALTER TABLE t__hg1_new ADD x INT",
        "ALTER TABLE elsewhere.t ADD x INT",
        "CREATE TABLE u LIKE t",
        "RENAME TABLE t TO u /* headgate:op */",
        "ANALYZE TABLE t",
        "GRANT SELECT ON t TO somebody",
        "CREATE VIEW v AS SELECT * FROM t",
        "SAVEPOINT t",
        "CREATE OR REPLACE TABLE u AS SELECT * FROM t",
        "CREATE OR REPLACE VIEW t AS SELECT 1",
        "DROP PROCEDURE t",
        "CREATE DEFINER=`a`@`%` PROCEDURE p() UPDATE t SET x = 1",
        "CREATE ALGORITHM=UNDEFINED DEFINER=`a`@`%` SQL SECURITY DEFINER VIEW `w` AS SELECT * FROM `t`",
        "DROP DATABASE other /* t */",
        "CREATE TEMPORARY TABLE t (id INT)",
        "CREATE TRIGGER tr AFTER INSERT ON t__hg1_new FOR EACH ROW INSERT INTO u SELECT MAX(id) FROM t",
        "ALTER TABLE c ADD FOREIGN KEY (x) REFERENCES t (id) /* headgate:another headgate companion */",
    ],
)
def test_other_statements_do_not(sql: str) -> None:
    reader().feed(event(2, query(sql)))


def test_writes_logged_as_statements_break_the_stream() -> None:
    with pytest.raises(StreamBroken, match="STATEMENT"):
        reader().feed(event(2, query("UPDATE t SET x = 1")))


def test_an_event_nobody_knows_ends_the_reading_unless_it_may_be_ignored() -> None:
    subject = reader()
    for known in (3, 5, 13, 14, 28, 29, 34, 35, 36, 37, 160, 161, 163):
        subject.feed(event(known, bytes(20)))
    ignorable = bytearray(event(99, bytes(4)))
    ignorable[17] = 0x80
    subject.feed(bytes(ignorable))
    with pytest.raises(StreamBroken, match="type 99"):
        subject.feed(event(99, bytes(4)))


@pytest.mark.parametrize("type_", [6, 12, 17, 18])
def test_files_loaded_as_statements_break_the_stream(type_: int) -> None:
    with pytest.raises(StreamBroken, match="LOAD DATA"):
        reader().feed(event(type_, bytes(30)))


@pytest.mark.parametrize(("more", "stops"), [(2, False), (8, False), (4, True), (0, True)])
def test_an_alter_of_mariadb_counts_when_it_is_committed(more: int, stops: bool) -> None:
    subject = reader()
    subject.feed(event(162, struct.pack("<QIBB", 7, 0, 0x29, more) + bytes(5)))
    altering = event(2, query("ALTER TABLE t ADD x INT"))
    if stops:
        with pytest.raises(SourceChanged):
            subject.feed(altering)
    else:
        subject.feed(altering)
    assert subject.boundary == (START if stops else Position.of("binlog.000007", 1000))


def test_a_statement_inside_a_transaction_does_not_end_it() -> None:
    subject = reader()
    subject.feed(event(2, query("BEGIN"), at=100))
    subject.feed(event(2, query("CREATE TABLE `u` (id INT) START TRANSACTION"), at=200))
    assert subject.boundary == START
    subject.feed(event(16, bytes(8), at=300))
    assert subject.boundary.offset == 300


def test_images_that_leave_unchanged_columns_out_take_them_from_before() -> None:
    subject = reader()
    subject.feed(event(19, table_map()))
    head = (9).to_bytes(6, "little") + b"\0\0" + b"\x02\0" + b"\x02"
    only_text = b"\0" + b"\x01x"
    subject.feed(event(31, head + b"\x03\x02" + row(11) + only_text))
    only_id = b"\0" + struct.pack("<i", 13)
    subject.feed(event(31, head + b"\x03\x01" + row(12) + only_id))
    assert subject.changes == [11, 12, 13]
    with pytest.raises(StreamBroken, match="does not hold the key"):
        subject.feed(event(30, (9).to_bytes(6, "little") + b"\0\0" + b"\x02\0" + b"\x02\x02" + only_text))


def test_a_table_that_has_the_number_of_another_after_a_restart_is_that_table() -> None:
    subject = reader()
    subject.feed(event(19, table_map()))
    subject.feed(event(30, rows(row(1))))
    subject.feed(event(19, table_map(table=b"u")))
    subject.feed(event(30, rows(row(2))))
    subject.feed(event(19, table_map()))
    subject.feed(event(30, rows(row(3))))
    assert subject.changes == [1, 3]


def test_large_compressed_transactions_are_opened_a_little_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "UNZIP_BYTES", 7)
    inner = (
        event(19, table_map()) + b"".join(event(30, rows(row(n))) for n in range(300)) + event(16, bytes(8))
    )
    subject = reader()
    subject.feed(event(40, b"\x02\x01\x00\x00" + zstandard.ZstdCompressor().compress(inner), at=777))
    assert subject.changes == list(range(300))
    cut = zstandard.ZstdCompressor().compress(inner)[:-20]
    with pytest.raises(StreamBroken):
        reader().feed(event(40, b"\x02\x01\x00\x00" + cut))


@pytest.mark.parametrize("cut", range(1, 12))
def test_broken_rows_are_told_as_such(cut: int) -> None:
    subject = reader()
    subject.feed(event(19, table_map()))
    with pytest.raises(StreamBroken):
        subject.feed(event(30, rows(row(1, b"0123456789"))[:-cut]))


KEYS = {
    "tinyint": ["-128", "127", "0"],
    "tinyint unsigned": ["0", "255"],
    "smallint": ["-32768", "32767"],
    "mediumint": ["-8388608", "8388607"],
    "mediumint unsigned": ["16777215"],
    "int": ["-2147483648", "2147483647"],
    "int unsigned": ["4294967295"],
    "bigint": ["-9223372036854775808", "9223372036854775807"],
    "bigint unsigned": ["18446744073709551615", "9223372036854775808", "1"],
    "decimal(65,30)": [
        "-99999999999999999999999999999999999.000000000000000000000000000001",
        "0.5",
        "123456789.1",
    ],
    "decimal(5,0)": ["-12345", "7", "0"],
    "decimal(9,9)": ["0.123456789", "-0.000000001"],
    "date": ["'2024-02-29'", "'0000-00-00'", "'9999-12-31'"],
    "datetime": ["'2024-02-29 23:59:59'", "'0000-00-00 00:00:00'"],
    "datetime(6)": ["'2024-02-29 23:59:59.000001'", "'1000-01-01 00:00:00.999999'"],
    "datetime(3)": ["'2024-02-29 23:59:59.007'"],
    "datetime(1)": ["'2024-02-29 23:59:59.7'"],
    "timestamp": ["'1970-01-01 00:00:01'", "'2038-01-19 03:14:07'", "'2024-10-27 01:30:00'"],
    "timestamp(5)": ["'2024-10-27 01:30:00.00012'"],
    "binary(4)": ["x'00000000'", "x'61'", "x'ff00ff00'"],
    "binary(255)": ["x'01'"],
    "varbinary(300)": ["x''", "x'00'", "x'6100'", "x'ff'"],
    "year": ["2024", "0"],
}


@pytest.mark.parametrize("image", ["FULL", "MINIMAL"])
async def test_keys_read_from_the_log_are_those_the_server_selects(
    server: LocalServer, database: str, image: str
) -> None:
    setup = ["SET SESSION sql_mode = '', time_zone = '+00:00'", f"SET SESSION binlog_row_image = '{image}'"]
    if server.server.flavor is Flavor.MYSQL:
        setup.append("SET SESSION binlog_transaction_compression = ON")
        setup.append("SET SESSION binlog_row_value_options = PARTIAL_JSON")
    async with await Connection.open(server.server, database=database, setup=setup) as connection:
        if server.server.flavor is Flavor.MARIADB:
            await connection.execute("SET GLOBAL log_bin_compress = ON, GLOBAL log_bin_compress_min_len = 10")
        try:
            for column_type, values in KEYS.items():
                await connection.execute("DROP TABLE IF EXISTS t, t2")
                # Columns of all kinds before and after the key must be skipped over.
                await connection.execute(
                    f"CREATE TABLE t (a BLOB, e ENUM('x','y'), f FLOAT, b BIT(11), c CHAR(200), "
                    f"k {column_type} NOT NULL, n INT AS (1) VIRTUAL, j JSON, ts TIME(4), s SET('p','q'), "
                    "PRIMARY KEY (k))"
                )
                logged, selected = await keys_logged(server, connection, database, values)
                assert logged == selected, column_type
        finally:
            if server.server.flavor is Flavor.MARIADB:
                await connection.execute("SET GLOBAL log_bin_compress = OFF")


async def keys_logged(
    server: LocalServer, connection: Connection, database: str, values: list[str]
) -> tuple[set[object], set[object]]:
    """Write rows, update and delete some; return the keys read from the log and those selected."""
    shape = await read_shape(connection, database, "t")
    assert shape is not None
    column = shape.column("k")
    assert column is not None
    assert column.key_column is not None
    spec = KeySpec((column.key_column,))
    modern = server.server.flavor is Flavor.MYSQL
    status = await connection.fetch_one("SHOW BINARY LOG STATUS" if modern else "SHOW MASTER STATUS")
    assert status is not None
    subject = EventReader(
        Position.of(str(status[0]), int(status[1])),
        database,
        "t",
        spec.columns,
        [column.ordinal],
        ours="nobody",
    )
    document = '{"a": [1, 2, {"b": "long long long"}]}'
    for number, value in enumerate(values):
        await connection.execute(
            "INSERT INTO t (a, e, f, b, c, k, j, ts, s) "
            f"VALUES (REPEAT('z', {number * 300}), 'y', 1.5, b'101', 'text', {value}, '{document}', "
            "'12:13:14.5678', 'p,q')"
        )
    selected = {
        spec.from_row(each) for each in await connection.fetch_all(f"SELECT {spec.select_list('t')} FROM t")
    }
    await connection.execute("UPDATE t SET j = JSON_SET(j, '$.a[0]', 7), a = NULL")
    await connection.execute("DELETE FROM t")
    done = asyncio.Event()

    def progress() -> None:
        if subject.count >= 3 * len(values):
            done.set()

    may_read = asyncio.Event()
    may_read.set()
    stream = asyncio.ensure_future(
        BinlogStream(server.server, subject, progress, may_read, may_read, replica=0xC0000001).run()
    )
    try:
        async with asyncio.timeout(120):
            await asyncio.wait(
                {stream, asyncio.ensure_future(done.wait())}, return_when=asyncio.FIRST_COMPLETED
            )
        if stream.done():
            await stream
    finally:
        stream.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await stream
    assert subject.count == 3 * len(values)
    return set(subject.changes), selected


def test_rows_moved_after_a_savepoint_did_not_move_when_it_is_rolled_back() -> None:
    subject = reader()
    subject.feed(event(2, query("BEGIN")))
    subject.feed(event(19, table_map()))
    subject.feed(event(31, rows(row(1), row(2), update=True)))
    subject.feed(event(2, query("SAVEPOINT `s`")))
    subject.feed(event(31, rows(row(3), row(4), update=True)))
    subject.feed(event(2, query("ROLLBACK TO `S`")))
    subject.feed(event(16, bytes(8)))
    assert subject.changes == [1, 2, 3, 4]
    assert subject.moves == [(1, 2)]
    subject.feed(event(2, query("BEGIN")))
    subject.feed(event(31, rows(row(5), row(6), update=True)))
    subject.feed(event(2, query("ROLLBACK")))
    assert subject.moves == [(1, 2)]


def test_moves_of_transactions_that_were_followed_are_not_told_again() -> None:
    subject = EventReader(
        START, "shop", "t", [ID], [0], ours="headgate:op", followed=Position.of("binlog.000007", 1000)
    )
    subject.checksum = False
    subject.feed(event(19, table_map(), at=900))
    subject.feed(event(31, rows(row(1), row(2), update=True), at=950))
    subject.feed(event(16, bytes(8), at=1000))
    subject.feed(event(31, rows(row(2), row(3), update=True), at=1050))
    subject.feed(event(16, bytes(8), at=1100))
    assert subject.changes == [1, 2, 2, 3]
    assert subject.moves == [(2, 3)]


@pytest.mark.parametrize("unread", [Position.of("binlog.000007", 1000), None])
def test_a_prepared_transaction_from_before_may_be_committed_up_to_where_all_such_are_over(
    unread: Position | None,
) -> None:
    subject = EventReader(START, "shop", "t", [ID], [0], ours="headgate:op", unread=unread)
    subject.checksum = False
    subject.feed(event(2, query("XA COMMIT X'61',X'',1"), at=1000))
    if unread is None:
        subject.feed(event(2, query("XA COMMIT X'62',X'',1"), at=1100))
    else:
        with pytest.raises(StreamBroken, match="was prepared before"):
            subject.feed(event(2, query("XA COMMIT X'62',X'',1"), at=1100))
