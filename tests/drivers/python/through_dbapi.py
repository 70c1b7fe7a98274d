"""I fit the connections that Python's database API describes (PEP 249) to the scenario."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from scenario import Result

_names = iter(f"p{number}" for number in range(1_000_000))


class DbapiConnection:
    """A connection; the parts that the API leaves open are its driver's."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def run(self, sql: str, values: Sequence[Any] = ()) -> Result:
        cursor = self.driver.cursor()
        try:
            cursor.execute(sql, tuple(values) or None)
            return result_of(cursor)
        finally:
            cursor.close()

    def run_all(self, sql: str) -> list[Result]:
        cursor = self.driver.cursor()
        try:
            cursor.execute(sql)
            return list(_results(cursor))
        finally:
            cursor.close()

    def prepare(self, sql: str) -> TextStatement:
        return TextStatement(self, sql)

    def begin(self) -> None:
        self.run("BEGIN")

    def commit(self) -> None:
        self.driver.commit()

    def rollback(self) -> None:
        self.driver.rollback()

    def close(self) -> None:
        self.driver.close()


class TextStatement:
    """A statement prepared by SQL, for drivers without the binary protocol."""

    def __init__(self, connection: DbapiConnection, sql: str) -> None:
        self._connection = connection
        self._name = next(_names)
        connection.run(f"PREPARE {self._name} FROM %s", (sql,))

    def run(self, *values: Any) -> Result:
        names = [f"@v{number}" for number in range(len(values))]
        for name, value in zip(names, values, strict=True):
            self._connection.run(f"SET {name} = %s", (value,))
        using = f" USING {', '.join(names)}" if names else ""
        return self._connection.run(f"EXECUTE {self._name}{using}")


def result_of(cursor: Any) -> Result:
    """Take the result that a cursor stands at."""
    if cursor.description is None:
        return Result(affected=cursor.rowcount, insert_id=cursor.lastrowid or 0)
    return Result(columns=[tuple(column) for column in cursor.description], rows=list(cursor.fetchall()))


def _results(cursor: Any) -> Iterator[Result]:
    yield result_of(cursor)
    while cursor.nextset():
        yield result_of(cursor)
