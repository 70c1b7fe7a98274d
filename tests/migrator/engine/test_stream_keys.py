"""Keys of columns whose order only the server knows, as the log holds them and as the server selects them."""

from __future__ import annotations

import ipaddress
import random
import uuid
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator.engine.log.events import EventReader
from migrator.engine.log.rowimage import time_of
from migrator.engine.rows.beginning import log_place
from migrator.engine.table.keys import KeyColumn, KeyKind
from migrator.engine.table.shape import read_shape
from router.database import Connection
from router.model import Flavor
from router.servers.process import LocalServer
from tests.migrator.engine.reading import read_to_end

DICE = random.Random(4)
WORDS = ["", "a", "A", "a b", "ß", "Straße", "x" * 30, "žluťoučký", "東京", "Ω"]
SIMPLE = ["", "a", "A", "ab ", " b", "0", "x" * 30]
NUMBERS = {
    "tinyint": (-128, 127),
    "smallint": (-32768, 32767),
    "mediumint": (-(2**23), 2**23 - 1),
    "int": (-(2**31), 2**31 - 1),
    "bigint": (-(2**63), 2**63 - 1),
}


def texts(values: list[str]) -> list[str]:
    return [f"_utf8mb4'{value}'" for value in values]


def numbers(low: int, high: int) -> list[str]:
    return [str(n) for n in {low, high, 0, 1, low // 2, *(DICE.randint(low, high) for _ in range(20))}]


def decimals(whole: int, scale: int) -> list[str]:
    digits = lambda n: "".join(DICE.choice("0123456789") for _ in range(n))  # noqa: E731
    made = [
        f"{sign}{digits(DICE.randint(1, whole))}.{digits(scale)}" for sign in ("", "-") for _ in range(15)
    ]
    return ["0", "-0.5", *made]


# Type, values as SQL, the expression whose value is what the log must hold (bytes in hexadecimal).
SAME = "k"
AS_NUMBER = "CAST(k AS UNSIGNED)"
AS_BYTES = "HEX(k)"
TYPES: list[tuple[str, list[str], str]] = [
    *((kind, numbers(*bounds), SAME) for kind, bounds in NUMBERS.items()),
    *((f"{kind} unsigned", numbers(0, 2 * high + 1), SAME) for kind, (_, high) in NUMBERS.items()),
    ("decimal(65,30)", decimals(35, 30), "CAST(k AS CHAR)"),
    ("decimal(18,9)", decimals(9, 9), "CAST(k AS CHAR)"),
    ("char(40) character set utf8mb4", texts(WORDS), AS_BYTES),
    ("char(40) character set utf8mb4 collate utf8mb4_bin", texts(WORDS), AS_BYTES),
    ("char(255) character set utf8mb4", texts(WORDS), AS_BYTES),
    ("char(40) character set latin1", texts([*SIMPLE, "ß", "é"]), AS_BYTES),
    ("char(40) character set ucs2", texts(["", "a", "Ω", "ab"]), AS_BYTES),
    ("char(40) character set utf16", texts(["", "a", "東京"]), AS_BYTES),
    ("varchar(40) character set utf8mb4", texts([*WORDS, "a\\t", "b\\0"]), AS_BYTES),
    ("varchar(190) character set utf8mb4", texts(WORDS), AS_BYTES),
    ("varchar(300) character set latin1", texts([*SIMPLE, "y" * 299]), AS_BYTES),
    ("varchar(40) character set gbk", texts(["a", "東京"]), AS_BYTES),
    ("varchar(40) character set sjis", texts(["a", "東京"]), AS_BYTES),
    ("enum('b','a','c c')", ["'a'", "'b'", "'c c'"], AS_NUMBER),
    (
        "enum(" + ",".join(f"'m{n}'" for n in range(300)) + ")",
        ["'m0'", "'m254'", "'m255'", "'m299'"],
        AS_NUMBER,
    ),
    ("set('x','y','z')", ["''", "'x'", "'y,z'", "'x,y,z'"], AS_NUMBER),
    ("set(" + ",".join(f"'s{n}'" for n in range(64)) + ")", ["'s63'", "'s0,s40,s63'", "''"], AS_NUMBER),
    ("bit(1)", ["b'0'", "b'1'"], AS_NUMBER),
    ("bit(13)", ["b'0'", "b'1000000000001'"], AS_NUMBER),
    ("bit(64)", ["0", "18446744073709551615", "9223372036854775808"], AS_NUMBER),
    ("year", ["1901", "2155", "0"], AS_NUMBER),
]
OF_MARIADB: list[tuple[str, list[str], str]] = [
    (
        "uuid",
        ["UUID()", "'00000000-0000-0000-0000-000000000000'", "'ffffffff-0000-1000-8000-0123456789ab'"],
        "u",
    ),
    ("inet6", ["'::'", "'fe80::1'", "'::ffff:1.2.3.4'", "'ffff::'"], "i"),
    ("inet4", ["'0.0.0.0'", "'255.1.2.0'", "'1.2.3.4'"], "i"),
]


@pytest.mark.parametrize("image", ["FULL", "MINIMAL", "NOBLOB"])
async def test_keys_of_every_type_are_what_the_server_selects(
    server: LocalServer, database: str, image: str
) -> None:
    setup = [f"SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO', SESSION binlog_row_image = '{image}'"]
    cases = TYPES + (OF_MARIADB if server.server.flavor is Flavor.MARIADB else [])
    async with await Connection.open(server.server, database=database, setup=setup) as connection:
        for column_type, values, expression in cases:
            await check(server, connection, database, column_type, values, expression)


async def check(
    server: LocalServer,
    connection: Connection,
    database: str,
    column_type: str,
    values: list[str],
    expression: str,
) -> None:
    await connection.execute("DROP TABLE IF EXISTS t")
    await connection.execute(
        f"CREATE TABLE t (a BLOB, c CHAR(30), k {column_type} NOT NULL, b BIT(3), v VARCHAR(300), "
        "n INT AUTO_INCREMENT UNIQUE, PRIMARY KEY (k))"
    )
    shape = await read_shape(connection, database, "t")
    assert shape is not None
    column = shape.column("k")
    assert column is not None
    key = KeyColumn("k", KeyKind.BINARY, column.data_type, "unsigned" in column.column_type)
    reader = EventReader(
        (await log_place(connection)).position, database, "t", [key], [column.ordinal], ours="headgate:nobody"
    )
    for n, value in enumerate(values):
        nulls = "NULL, NULL" if n % 2 else "'blob', 'text'"
        await connection.execute(
            f"INSERT IGNORE INTO t (a, c, k, b, v) VALUES ({nulls}, {value}, b'101', REPEAT('v', {n * 40}))"
        )
    await connection.execute("UPDATE t SET v = 'w', c = NULL")
    if expression in ("u", "i"):
        rows = await connection.fetch_all("SELECT CAST(k AS CHAR) FROM t")
        seen = {as_bytes(column.data_type, str(row[0])) for row in rows}
    else:
        rows = await connection.fetch_all(f"SELECT {expression} FROM t")
        seen = {expected(expression, row[0]) for row in rows}
    await connection.execute("DELETE FROM t")
    await read_to_end(server, reader)
    assert set(reader.changes) == seen, column_type
    assert len(reader.changes) >= 3 * len(seen), column_type


def expected(expression: str, value: object) -> object:
    if expression == AS_BYTES:
        return bytes.fromhex(str(value))
    if "CHAR" in expression:
        return Decimal(str(value))
    return int(float(str(value))) if isinstance(value, float) else int(str(value))


def as_bytes(kind: str, text: str) -> bytes:
    """What the server stores for a UUID or an address that it shows as `text`."""
    if kind == "uuid":
        return uuid.UUID(text).bytes
    return ipaddress.ip_address(text).packed


@given(st.integers(-838, 838), st.integers(0, 59), st.integers(0, 59), st.integers(0, 999999))
def test_times_of_day_are_read_with_their_sign_and_fraction(h: int, m: int, s: int, fraction: int) -> None:
    for digits in range(7):
        kept = fraction // 10 ** (6 - digits) * 10 ** (6 - digits)
        size = (digits + 1) // 2
        # A server stores as many bytes of the fraction as it has digits, in units of those.
        scaled = (abs(h) << 12 | m << 6 | s) << 8 * size | kept // 10 ** (6 - 2 * size)
        stored = ((-scaled if h < 0 else scaled) + (0x800000 << 8 * size)).to_bytes(3 + size, "big")
        text = f"{'-' if h < 0 else ''}{abs(h):02}:{m:02}:{s:02}"
        if digits:
            text += "." + f"{kept:06}"[:digits]
        assert time_of(stored, digits) == text
