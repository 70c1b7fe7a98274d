"""I run the scenario with SQLAlchemy on PyMySQL, and its mapper and its reflection besides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pymysql
import sqlalchemy
from scenario import CA, DATABASE, HOST, PASSWORD, PORT, USER, Result, Scenario, table
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
from sqlalchemy.pool import NullPool
from through_dbapi import TextStatement, result_of


class Connection:
    """One of an engine's."""

    def __init__(self, connection: sqlalchemy.Connection) -> None:
        self._connection = connection

    @property
    def id(self) -> int:
        raw: Any = self._connection.connection.driver_connection
        return int(raw.thread_id())

    def run(self, sql: str, values: Sequence[Any] = ()) -> Result:
        done = self._connection.exec_driver_sql(sql, tuple(values))
        if not done.returns_rows:
            return Result(affected=done.rowcount, insert_id=done.lastrowid or 0)
        columns = list(done.cursor.description)
        return Result(columns=columns, rows=list(done.fetchall()))

    def run_all(self, sql: str) -> list[Result]:
        cursor = self._connection.connection.cursor()
        try:
            cursor.execute(sql)
            results = [result_of(cursor)]
            while cursor.nextset():
                results.append(result_of(cursor))
            return results
        finally:
            cursor.close()

    def prepare(self, sql: str) -> TextStatement:
        return TextStatement(self, sql)

    def begin(self) -> None:
        self.run("BEGIN")

    def commit(self) -> None:
        self.run("COMMIT")

    def rollback(self) -> None:
        self.run("ROLLBACK")

    def change_database(self, name: str) -> None:
        self.run(f"USE {name}")

    def close(self) -> None:
        self._connection.close()


def engine(*, password: str = PASSWORD, tls: bool = False, **options: Any) -> sqlalchemy.Engine:
    ssl = {"ssl_ca": CA, "ssl_verify_cert": True, "ssl_verify_identity": True}
    url = sqlalchemy.URL.create("mysql+pymysql", USER, password, HOST, PORT, DATABASE, {"charset": "utf8mb4"})
    return sqlalchemy.create_engine(url, connect_args=ssl if tls else {"ssl_disabled": True}, **options)


def connect(*, password: str = PASSWORD, tls: bool = False) -> Connection:
    made = engine(password=password, tls=tls, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    return Connection(made.connect())


class Base(DeclarativeBase):
    """The mapped tables."""


class Name(Base):
    """A row of `names`."""

    __tablename__ = "names"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(sqlalchemy.String(10), unique=True)


def mapped() -> Any:
    """Add, change, find and delete mapped rows, over a pool that looks at its connections first."""
    made = engine(pool_size=2, pool_pre_ping=True)
    seen: list[Any] = []
    for number in range(3):
        with Session(made) as session:
            session.add_all([Name(name=f"mapped {number}"), Name(name=f"other {number}")])
            session.flush()
            session.execute(sqlalchemy.delete(Name).where(Name.name.like("other%")))
            seen.append([[row.name for row in session.scalars(sqlalchemy.select(Name).order_by(Name.name))]])
            session.rollback() if number == 1 else session.commit()
    with Session(made) as session:
        rows = session.execute(
            sqlalchemy.text("SELECT name FROM names WHERE name LIKE 'mapped%' ORDER BY name")
        )
        seen.append(table(Result(rows=[tuple(row) for row in rows])))
        session.execute(sqlalchemy.delete(Name).where(Name.name.like("mapped%")))
        session.commit()
    made.dispose()
    return seen


def reflected() -> Any:
    """Read the schema as migration tools do."""
    inspector = sqlalchemy.inspect(engine(poolclass=NullPool))
    columns = [[column["name"], str(column["type"])] for column in inspector.get_columns("types")]
    return [sorted(inspector.get_table_names()), columns, inspector.get_foreign_keys("children")]


if __name__ == "__main__":
    errors = (pymysql.MySQLError, sqlalchemy.exc.DBAPIError)
    Scenario(connect, errors).run({"mapped": mapped, "reflected": reflected})
