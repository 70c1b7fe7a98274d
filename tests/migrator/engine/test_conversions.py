"""Every type against every other: no value that a server would refuse escapes the checks."""

from __future__ import annotations

from migrator.engine.table.statements import session
from migrator.schema.introspect import open_reader, read_table
from migrator.schema.lossy import data_checks
from migrator.schema.model import Table
from router.database import Connection
from router.errors import DatabaseError
from router.servers.process import LocalServer

VALUES = {
    "TINYINT": ["-128", "127", "0"],
    "INT UNSIGNED": ["0", "4294967295", "255"],
    "BIGINT": ["-9223372036854775808", "9223372036854775807", "16777217", "2024"],
    "DECIMAL(9,3)": ["999999.999", "-1.5", "0.001", "7"],
    "DECIMAL(4,1) UNSIGNED": ["999.9", "0.1"],
    "FLOAT": ["0.1", "1e38", "16777216"],
    "DOUBLE": ["0.1", "1e308", "-0.25", "9007199254740993"],
    "CHAR(4)": ["'abcd'", "'a'", "'12'", "''"],
    "VARCHAR(6)": ["'abcdef'", "'a '", "'é字'", "'1.5'", "'[1]'"],
    "VARCHAR(5) CHARACTER SET latin1": ["'é'", "'12345'"],
    "TEXT": ["'abc'", "REPEAT('x', 300)", "'2024-01-02'", "''"],
    "TINYTEXT": ["REPEAT('y', 255)"],
    "BINARY(3)": ["'abc'", "x'00ff00'"],
    "VARBINARY(5)": ["'ab'", "x'c3a4'", "x'fffe'"],
    "BLOB": ["REPEAT('z', 300)", "''"],
    "ENUM('a','b','2024')": ["'a'", "'2024'"],
    "SET('a','b','c')": ["'a,c'", "''"],
    "JSON": ["'{}'", "'[1, 2]'"],
    "DATE": ["'2024-02-03'", "'1000-01-01'"],
    "DATETIME(3)": ["'2024-02-03 04:05:06.789'", "'1960-01-01'"],
    "TIMESTAMP NULL": ["'2024-02-03 04:05:06'"],
    "TIME(2)": ["'12:34:56.78'", "'-100:00:00'"],
    "YEAR": ["2024", "1901"],
    "BIT(9)": ["b'111111111'", "b'1'"],
}


async def test_no_value_that_a_server_refuses_escapes(
    server: LocalServer, database: str, connection: Connection
) -> None:
    setup = session(server.server.flavor)
    async with (
        await Connection.open(server.server, database=database, setup=setup) as link,
        await open_reader(server.server, database=database) as reader,
    ):
        tables: list[Table] = []
        for number, (kind, values) in enumerate(VALUES.items()):
            for name in ("source", "target"):
                await link.execute(f"CREATE TABLE {name}{number} (id INT PRIMARY KEY, c {kind})")
            rows = ", ".join(f"({n}, {value})" for n, value in enumerate(values))
            await link.execute(f"INSERT INTO source{number} VALUES {rows}")
            tables.append(await read_table(reader, database, f"source{number}"))
        escaped = []
        for number, (kind, values) in enumerate(VALUES.items()):
            for other, wanted in enumerate(VALUES):
                checks = data_checks(tables[number], tables[other], database, f"source{number}")
                if not all(check.condition for check in checks):
                    continue  # only the copy can tell
                conditions = " OR ".join(f"({check.condition})" for check in checks) or "FALSE"
                caught = await link.fetch_all(f"SELECT id FROM source{number} WHERE {conditions}")
                for n, value in enumerate(values):
                    if (n,) in caught:
                        continue
                    try:
                        await link.execute(
                            f"INSERT INTO target{other} SELECT id, c FROM source{number} WHERE id = {n}"
                        )
                    except DatabaseError as error:
                        escaped.append(f"{kind} to {wanted}: {value}: {error}")
                await link.execute(f"DELETE FROM target{other}")
    assert escaped == []
