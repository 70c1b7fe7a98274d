"""I run the scenario with mysqlclient, on MariaDB's C library."""

from __future__ import annotations

from typing import Any

import MySQLdb
from scenario import CA, DATABASE, HOST, PASSWORD, PORT, USER, Scenario
from through_dbapi import DbapiConnection


class Connection(DbapiConnection):
    """mysqlclient's."""

    @property
    def id(self) -> int:
        return int(self.driver.thread_id())

    def change_database(self, name: str) -> None:
        self.driver.select_db(name)


def connect(*, password: str = PASSWORD, tls: bool = False) -> Connection:
    ssl: dict[str, Any] = (
        {"ssl_mode": "VERIFY_IDENTITY", "ssl": {"ca": CA}} if tls else {"ssl_mode": "DISABLED"}
    )
    return Connection(
        MySQLdb.connect(
            host=HOST,
            port=PORT,
            user=USER,
            password=password,
            database=DATABASE,
            charset="utf8mb4",
            autocommit=True,
            **ssl,
        )
    )


if __name__ == "__main__":
    Scenario(connect, (MySQLdb.MySQLError,)).run()
