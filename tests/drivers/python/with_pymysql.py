"""I run the scenario with PyMySQL."""

from __future__ import annotations

import pymysql
from scenario import CA, DATABASE, HOST, PASSWORD, PORT, USER, Scenario
from through_dbapi import DbapiConnection


class Connection(DbapiConnection):
    """PyMySQL's."""

    @property
    def id(self) -> int:
        return int(self.driver.thread_id())

    def change_database(self, name: str) -> None:
        self.driver.select_db(name)


def connect(*, password: str = PASSWORD, tls: bool = False) -> Connection:
    ssl = {"ssl_ca": CA, "ssl_verify_cert": True, "ssl_verify_identity": True}
    return Connection(
        pymysql.connect(
            host=HOST,
            port=PORT,
            user=USER,
            password=password,
            database=DATABASE,
            charset="utf8mb4",
            autocommit=True,
            **(ssl if tls else {"ssl_disabled": True}),
        )
    )


if __name__ == "__main__":
    Scenario(connect, (pymysql.MySQLError,)).run()
