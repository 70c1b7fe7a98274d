"""I am what the drivers find on the server: tables of every column type, rows to read, and the cut-over."""

from __future__ import annotations

from router.database import Connection
from router.model import Flavor

NUMBERS = 100_000

COLUMNS = {
    "tiny": ("TINYINT", "-128"),
    "tiny_u": ("TINYINT UNSIGNED", "255"),
    "bool": ("BOOLEAN", "TRUE"),
    "small": ("SMALLINT", "-32768"),
    "medium": ("MEDIUMINT", "-8388608"),
    "normal": ("INT", "-2147483648"),
    "filled": ("INT(8) ZEROFILL", "42"),
    "normal_u": ("INT UNSIGNED", "4294967295"),
    "big": ("BIGINT", "-9223372036854775808"),
    "big_u": ("BIGINT UNSIGNED", "18446744073709551615"),
    "amount": ("DECIMAL(40, 20)", "-12345678901234567890.12345678901234567890"),
    "flt": ("FLOAT", "1.5"),
    "dbl": ("DOUBLE", "-2.5e-300"),
    "bit1": ("BIT(1)", "b'1'"),
    "bits": ("BIT(12)", "b'101010101010'"),
    "fixed": ("CHAR(10)", "'fixed'"),
    "varying": ("VARCHAR(50)", "'Grüße 🦆'"),
    "latin": ("VARCHAR(50) CHARACTER SET latin1", "'Grüße'"),
    "compared": ("VARCHAR(50) COLLATE utf8mb4_bin", "'ABC'"),
    "bin": ("BINARY(4)", "X'00FF'"),
    "varbin": ("VARBINARY(50)", "X'00FF5C27'"),
    "tiny_text": ("TINYTEXT", "'t'"),
    "text_": ("TEXT", "''"),
    "medium_text": ("MEDIUMTEXT", "REPEAT('m', 70000)"),
    "long_text": ("LONGTEXT", "'l'"),
    "tiny_blob": ("TINYBLOB", "X'01'"),
    "blob_": ("BLOB", "X''"),
    "medium_blob": ("MEDIUMBLOB", "REPEAT(X'00', 70000)"),
    "long_blob": ("LONGBLOB", "X'02'"),
    "choice": ("ENUM('small', 'größer')", "'größer'"),
    "choices": ("SET('a', 'b', 'ß')", "'a,ß'"),
    "day": ("DATE", "'2024-02-29'"),
    "span": ("TIME", "'-12:34:56'"),
    "span_fine": ("TIME(6)", "'12:34:56.000001'"),
    "moment": ("DATETIME", "'2024-02-29 12:34:56'"),
    "moment_fine": ("DATETIME(6)", "'2024-02-29 12:34:56.789012'"),
    "stamp": ("TIMESTAMP(3) NULL", "'2024-02-29 12:34:56.789'"),
    "annum": ("YEAR", "2024"),
    "document": ("JSON", """'{"a": [1, 2.5, null, "ß"]}'"""),
    "place": ("POINT", "ST_GeomFromText('POINT(1 2)')"),
}

TABLES = [
    f"""CREATE TABLE types (id INT PRIMARY KEY, {
        ", ".join(f"`{name}` {type_}" for name, (type_, _) in COLUMNS.items())
    })""",
    """CREATE TABLE given (
    id INT AUTO_INCREMENT PRIMARY KEY, small TINYINT, big BIGINT, dbl DOUBLE, amount DECIMAL(20, 4), txt TEXT,
    bin VARBINARY(50), day DATE, moment DATETIME(6), span TIME, nothing INT)""",
    "CREATE TABLE texts (id INT PRIMARY KEY, t VARCHAR(200))",
    "CREATE TABLE dates (id INT PRIMARY KEY, d DATE, t TIME(6), m DATETIME(6), s TIMESTAMP(6) NULL, y YEAR)",
    "CREATE TABLE zero_dates (id INT PRIMARY KEY, d DATE, m DATETIME, s TIMESTAMP NULL, y YEAR)",
    "CREATE TABLE blobs (id INT PRIMARY KEY, b LONGBLOB)",
    "CREATE TABLE accounts (id INT PRIMARY KEY, balance INT NOT NULL)",
    "CREATE TABLE names (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(10) NOT NULL UNIQUE)",
    """CREATE TABLE children (id INT PRIMARY KEY, parent INT,
    CONSTRAINT child_of FOREIGN KEY (parent) REFERENCES names (id))""",
    "CREATE TABLE pets (id INT PRIMARY KEY, name VARCHAR(20))",
    """CREATE TABLE pets_new (
    id BIGINT PRIMARY KEY, age INT NOT NULL DEFAULT 3, name VARCHAR(40), born DATE DEFAULT '2020-01-01')""",
]

ROWS = [
    f"INSERT INTO types VALUES (1, {', '.join(value for _, value in COLUMNS.values())})",
    "INSERT INTO types (id) VALUES (2)",
    """INSERT INTO dates VALUES
    (1, '2024-02-29', '12:34:56.5', '2024-02-29 12:34:56.789012', '2024-02-29 12:34:56.789012', 2024),
    (2, '1000-01-01', '-838:59:59', '1000-01-01 00:00:00', '1970-01-01 00:00:01', 1901),
    (3, '9999-12-31', '838:59:59', '9999-12-31 23:59:59.999999', '2038-01-19 03:14:07', 2155)""",
    "INSERT INTO zero_dates VALUES (1, '0000-00-00', '0000-00-00 00:00:00', '0000-00-00 00:00:00', 0)",
    "INSERT INTO zero_dates VALUES (2, '2024-00-00', '2024-02-00 12:00:00', NULL, NULL)",
    "INSERT INTO accounts VALUES (1, 0), (2, 0)",
    "INSERT INTO names (name) VALUES ('taken')",
    "INSERT INTO pets VALUES (1, 'Rex')",
    "INSERT INTO pets_new (id, name) VALUES (1, 'Rex'), (2, 'Tom')",
]

SEVERAL = """CREATE PROCEDURE several(IN n INT)
BEGIN
    SELECT id, name FROM names WHERE name = 'taken';
    UPDATE accounts SET balance = balance WHERE id = 1;
    SELECT n + 1 AS more, NULL AS nothing;
    SELECT id FROM names WHERE FALSE;
END"""

CUT_OVER = "RENAME TABLE pets TO pets_old, pets_new TO pets"

_DIGITS = "(SELECT 0 d UNION SELECT 1 UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 {})".format(
    " ".join(f"UNION SELECT {number}" for number in range(5, 10))
)
_FILL = f"""INSERT INTO numbers SELECT n, CONCAT('row ', n, ' ä') FROM (
SELECT a.d + 10 * b.d + 100 * c.d + 1000 * e.d + 10000 * f.d AS n
FROM {_DIGITS} a, {_DIGITS} b, {_DIGITS} c, {_DIGITS} e, {_DIGITS} f) everything"""


async def make_numbers(admin: Connection) -> None:
    """Create what no run changes: 100,000 rows, and the procedure with several results."""
    await admin.execute("CREATE TABLE numbers (n INT PRIMARY KEY, s VARCHAR(30) NOT NULL)")
    await admin.execute(_FILL)
    await admin.execute(SEVERAL)


async def make_tables(admin: Connection) -> None:
    """Create anew what a run changes. The schema stays: pooled connections are in it."""
    await admin.execute("SET sql_mode = '', foreign_key_checks = 0")
    for row in await admin.fetch_all("SHOW FULL TABLES WHERE table_type = 'BASE TABLE'"):
        if row[0] != "numbers":
            await admin.execute(f"DROP TABLE `{row[0]}`")
    for statement in [*TABLES, *ROWS]:
        await admin.execute(statement)


def server_options(flavor: Flavor, certificate: str, key: str) -> dict[str, str]:
    """Return what the servers need beyond the usual: a certificate, and room for long values."""
    options = {"ssl-cert": certificate, "ssl-key": key, "ssl-ca": certificate, "max-allowed-packet": "64M"}
    if flavor is Flavor.MYSQL:
        options["loose-caching-sha2-password-auto-generate-rsa-keys"] = "1"
    return options
