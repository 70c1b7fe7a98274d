"""I run the scenario with MySQL Connector/Python: its prepared cursors use the binary protocol."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mysql.connector
from mysql.connector.errors import Error
from scenario import CA, DATABASE, HOST, PASSWORD, PORT, USER, Result, Scenario
from through_dbapi import DbapiConnection, result_of


class Connection(DbapiConnection):
    """Connector/Python's, in plain Python."""

    @property
    def id(self) -> int:
        return int(self.driver.connection_id)

    def run_all(self, sql: str) -> list[Result]:
        cursor = self.driver.cursor()
        try:
            cursor.execute(sql)
            results = [result_of(cursor)]
            while cursor.nextset():
                results.append(result_of(cursor))
            return results
        finally:
            cursor.close()

    def prepare(self, sql: str) -> PreparedCursor:
        return PreparedCursor(self.driver, sql)

    def change_database(self, name: str) -> None:
        self.driver.database = name


class PreparedCursor:
    """A cursor that keeps its prepared statement for as long as the text stays the same."""

    def __init__(self, driver: Any, sql: str) -> None:
        self._cursor = driver.cursor(prepared=True)
        self._sql = sql

    def run(self, *values: Any) -> Result:
        return _run(self._cursor, self._sql, values)


def _run(cursor: Any, sql: str, values: Sequence[Any]) -> Result:
    cursor.execute(sql, tuple(values))
    return result_of(cursor)


def connect(*, password: str = PASSWORD, tls: bool = False) -> Connection:
    ssl = {"ssl_ca": CA, "ssl_verify_cert": True, "ssl_verify_identity": True}
    return Connection(
        mysql.connector.connect(
            host=HOST,
            port=PORT,
            user=USER,
            password=password,
            database=DATABASE,
            charset="utf8mb4",
            collation="utf8mb4_general_ci",
            autocommit=True,
            use_pure=True,
            connection_timeout=30,
            **(ssl if tls else {"ssl_disabled": True}),
        )
    )


if __name__ == "__main__":
    # It takes too few bytes of a YEAR and reads what follows wrongly.
    Scenario(connect, (Error,), without={"types_prepared": ["annum"]}).run()
