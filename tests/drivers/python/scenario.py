"""I am the scenario of the driver matrix for Python: what every driver does, one step after the other.

A driver's own program gives me an `Open` that makes connections. Each step prints one line of JSON, its name
and what came of it. Values are written so that the same answer looks the same whatever way it came.
"""

from __future__ import annotations

import contextlib
import datetime
import decimal
import hashlib
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

HOST = os.environ["DRIVER_HOST"]
PORT = int(os.environ["DRIVER_PORT"])
USER = os.environ["DRIVER_USER"]
PASSWORD = os.environ["DRIVER_PASSWORD"]
DATABASE = os.environ["DRIVER_DATABASE"]
CA = os.environ["DRIVER_CA"]

BLOB = bytes(range(251)) * 83_553
TEXT = "Grüße, 世界 🦆 \\ ' \" \t \0 end"
LONG = "SELECT COUNT(*) FROM numbers a JOIN numbers b WHERE a.n < 400 AND a.n + b.n = -1"
REPEATED = "SELECT CONCAT('a', ?, 'b', COALESCE(?, 'null'))"
KILL_EVERY_S = 0.1


@dataclass
class Result:
    """What one statement gave: rows with their columns' names and types, or counts."""

    columns: list[Any] = field(default_factory=list)
    rows: list[Sequence[Any]] = field(default_factory=list)
    affected: int = 0
    insert_id: int = 0


class Statement(Protocol):
    """A prepared statement."""

    def run(self, *values: Any) -> Result: ...


class Connection(Protocol):
    """A connection of the driver; errors are the driver's own."""

    @property
    def id(self) -> int: ...

    def run(self, sql: str, values: Sequence[Any] = ()) -> Result: ...

    def run_all(self, sql: str) -> list[Result]: ...

    def prepare(self, sql: str) -> Statement: ...

    def begin(self) -> None: ...

    def commit(self) -> None: ...

    def rollback(self) -> None: ...

    def change_database(self, name: str) -> None: ...

    def close(self) -> None: ...


class Open(Protocol):
    """Makes a connection in autocommit mode; `tls` means with the server's certificate checked by `CA`."""

    def __call__(self, *, password: str = PASSWORD, tls: bool = False) -> Connection: ...


def written(value: Any) -> Any:
    """Render a value for comparison: None, or text; binary as hexadecimal digits, long ones as a digest."""
    if value is None:
        return None
    if isinstance(value, bytes | bytearray | memoryview):
        raw = bytes(value)
        return "0x" + raw.hex() if len(raw) <= 256 else f"{len(raw)} bytes {hashlib.sha256(raw).hexdigest()}"
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, datetime.timedelta):
        micros = value // datetime.timedelta(microseconds=1)
        seconds, fraction = divmod(abs(micros), 1_000_000)
        sign = "-" if micros < 0 else ""
        return f"{sign}{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{fraction:06}"
    if isinstance(value, decimal.Decimal | datetime.datetime | datetime.date | float | int | str):
        return str(value)
    return json.dumps(sorted(value) if isinstance(value, set | frozenset) else value, default=str)


def table(result: Result) -> list[list[Any]]:
    """Render all rows."""
    return [[written(value) for value in row] for row in result.rows]


def typed(result: Result) -> list[Any]:
    """Render the columns, then all rows with the names of the values' types."""
    rows = [
        [None if value is None else f"{type(value).__name__} {written(value)}" for value in row]
        for row in result.rows
    ]
    return [[[*map(str, column)] for column in result.columns], *rows]


def problem(error: BaseException) -> list[Any]:
    """Render a driver's error: its number, its text and, where the driver tells, its SQLSTATE."""
    while error.__cause__ is not None:
        error = error.__cause__
    errno = getattr(error, "errno", None) or (error.args[0] if error.args else None)
    message = getattr(error, "msg", None) or (error.args[1] if len(error.args) > 1 else str(error))
    state = getattr(error, "sqlstate", None)
    return [errno, str(message), *([state] if state else [])]


class Scenario:
    """The steps, for one driver.

    `errors` are what it raises. What it cannot do by faults of its own is left out: `without` names, by step,
    columns that it cannot read, and `longest` is the longest value that it can.
    """

    def __init__(
        self,
        open_: Open,
        errors: tuple[type[BaseException], ...],
        *,
        without: Mapping[str, Sequence[str]] | None = None,
        longest: int = len(BLOB),
    ) -> None:
        self._open = open_
        self._errors = errors
        self._without = without or {}
        self._longest = longest

    def run(self, extra: dict[str, Callable[[], Any]] | None = None) -> None:
        """Do all steps, then the driver's `extra` ones; print what came of each."""
        names = [name.removeprefix("step_") for name in vars(Scenario) if name.startswith("step_")]
        steps = {name: getattr(self, f"step_{name}") for name in names}
        for name, step in {**steps, **(extra or {})}.items():
            try:
                result = step()
            except Exception as error:
                result = ["unexpected", type(error).__name__, *problem(error)]
            print(json.dumps({"step": name, "result": result}), flush=True)

    @contextlib.contextmanager
    def opened(self) -> Iterator[Connection]:
        """A connection that is closed at the end."""
        connection = self._open()
        try:
            yield connection
        finally:
            with contextlib.suppress(*self._errors):
                connection.close()

    def failure(self, connection: Connection, sql: str, values: Sequence[Any] = ()) -> list[Any]:
        """Return the error of a statement that must fail."""
        try:
            connection.run(sql, values)
        except self._errors as error:
            return problem(error)
        return ["no error"]

    def _columns(self, connection: Connection, name: str, step: str = "") -> str:
        """The columns of a table that the driver can read in this step (by default, of the same name)."""
        left_out = self._without.get(step or name, ())
        if not left_out:
            return "*"
        columns = connection.run(f"SELECT * FROM {name} LIMIT 0").columns
        return ", ".join(f"`{column[0]}`" for column in columns if column[0] not in left_out)

    def step_connect(self) -> Any:
        with self.opened() as c:
            [[one, database, thread]] = c.run("SELECT 1, DATABASE(), CONNECTION_ID()").rows
            [[alone]] = c.run("SELECT CONNECTION_ID()").rows
            return [written(one), database, alone == c.id, int(thread) > 0]

    def step_connect_tls(self) -> Any:
        c = self._open(tls=True)
        try:
            return table(c.run("SELECT 1"))
        finally:
            c.close()

    def step_wrong_password(self) -> Any:
        try:
            self._open(password="wrong " + PASSWORD).close()
        except self._errors as error:
            return problem(error)
        return ["no error"]

    def step_types(self) -> Any:
        with self.opened() as c:
            return typed(c.run(f"SELECT {self._columns(c, 'types')} FROM types ORDER BY id"))

    def step_types_prepared(self) -> Any:
        with self.opened() as c:
            columns = self._columns(c, "types", "types_prepared")
            return typed(c.prepare(f"SELECT {columns} FROM types WHERE id >= ? ORDER BY id").run(0))

    def step_parameters(self) -> Any:
        values = (
            -128, 2**63 - 1, 1.5, decimal.Decimal("-12345.6789"), "a'b", b"\x00\x01\xff'\\",
            datetime.date(2024, 2, 29), datetime.datetime.fromisoformat("2024-02-29T12:34:56.789012"),
            datetime.timedelta(hours=-37, minutes=-1), None,
        )  # fmt: skip
        columns = "small, big, dbl, amount, txt, bin, day, moment, span, nothing"
        with self.opened() as c:
            marks = ", ".join(["%s"] * len(values))
            inserted = c.run(f"INSERT INTO given ({columns}) VALUES ({marks})", values)
            shown = c.run(
                "SELECT CONCAT_WS('|', small, big, dbl, amount, txt, HEX(bin), day, moment, span), nothing "
                "FROM given"
            )
            c.run("DELETE FROM given")
            return [inserted.affected, inserted.insert_id, *table(shown)]

    def step_nulls(self) -> Any:
        with self.opened() as c:
            c.run("INSERT INTO texts (id, t) VALUES (%s, %s)", (50, None))
            return table(c.run("SELECT t, t IS NULL, NULL, COUNT(*) FROM texts WHERE id = 50 GROUP BY t"))

    def step_utf8mb4(self) -> Any:
        with self.opened() as c:
            c.run("INSERT INTO texts (id, t) VALUES (%s, %s)", (60, TEXT))
            return table(c.run("SELECT t, CHAR_LENGTH(t), LENGTH(t), HEX(t), '🦆' FROM texts WHERE id = 60"))

    def step_dates(self) -> Any:
        with self.opened() as c:
            return typed(c.run(f"SELECT {self._columns(c, 'dates')} FROM dates ORDER BY id"))

    def step_zero_dates(self) -> Any:
        with self.opened() as c:
            return typed(c.run("SELECT * FROM zero_dates ORDER BY id"))

    def step_blob(self) -> Any:
        with self.opened() as c:
            c.run("INSERT INTO blobs (id, b) VALUES (%s, %s)", (1, BLOB))
            [[length, digest]] = c.run("SELECT LENGTH(b), SHA2(b, 256) FROM blobs WHERE id = 1").rows
            back = b""
            if self._longest >= len(BLOB):
                [[back]] = c.run("SELECT b FROM blobs WHERE id = 1").rows
            while len(back) < len(BLOB):
                piece = f"SELECT SUBSTRING(b, {len(back) + 1}, {self._longest}) FROM blobs WHERE id = 1"
                back += c.run(piece).rows[0][0]
            c.run("DELETE FROM blobs WHERE id = 1")
            return [written(length), written(digest), bytes(back) == BLOB, written(back)]

    def step_rows(self) -> Any:
        with self.opened() as c:
            rows = c.run("SELECT n, s FROM numbers ORDER BY n").rows
            return [len(rows), sum(row[0] for row in rows), sum(len(row[1]) for row in rows)]

    def step_prepared(self) -> Any:
        with self.opened() as c:
            statement = c.prepare(REPEATED)
            inputs = [("x", "y"), (5, None), (None, 5), ("z", 1.5), ("again", "same")]
            return [table(statement.run(*values)) for values in inputs]

    def step_transaction(self) -> Any:
        count = "SELECT COUNT(*), SUM(balance) FROM accounts"
        with self.opened() as c, self.opened() as other:
            seen = []
            for end in (c.rollback, c.commit):
                c.begin()
                c.run("INSERT INTO accounts VALUES (100, 7)")
                c.run("SAVEPOINT here")
                c.run("UPDATE accounts SET balance = 1000")
                c.run("ROLLBACK TO SAVEPOINT here")
                seen.append([table(c.run(count)), table(other.run(count))])
                end()
                seen.append([table(c.run(count)), table(other.run(count))])
            other.run("DELETE FROM accounts WHERE id = 100")
            return seen

    def step_deadlock(self) -> Any:
        with self.opened() as one, self.opened() as two:
            update = "UPDATE accounts SET balance = balance + 1 WHERE id = %s"
            outcomes: list[Any] = []

            def second(connection: Connection, number: int) -> None:
                try:
                    connection.run(update, (number,))
                    connection.commit()
                    outcomes.append("ok")
                except self._errors as error:
                    outcomes.append(problem(error)[0])
                    connection.rollback()

            for number, connection in ((1, one), (2, two)):
                connection.begin()
                connection.run(update, (number,))
            thread = threading.Thread(target=second, args=(one, 2))
            thread.start()
            second(two, 1)
            thread.join()
            return [sorted(map(str, outcomes)), table(one.run("SELECT * FROM accounts ORDER BY id"))]

    def step_call(self) -> Any:
        with self.opened() as c:
            results = c.run_all("CALL several(3)")
            return [[[str(column[0]) for column in result.columns], *table(result)] for result in results]

    def step_errors(self) -> Any:
        with self.opened() as c:
            return [
                self.failure(c, "SELECT * FROM nowhere"),
                self.failure(c, "INSERT INTO names (name) VALUES ('taken')"),
                self.failure(c, "SELECT , 1"),
                self.failure(c, "SELECT nothing FROM names"),
                self.failure(c, "INSERT INTO names (name) VALUES (NULL)"),
                self.failure(c, "INSERT INTO names (name) VALUES ('longer than ten')"),
                self.failure(c, "INSERT INTO children VALUES (1, 12345)"),
                self.failure(c, "SELECT * FROM names WHERE id = (SELECT 1 UNION SELECT 2)"),
                self.failure(c, "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'äpfel', MYSQL_ERRNO = 31234"),
                table(c.run("SELECT 1")),
            ]

    def step_counts(self) -> Any:
        with self.opened() as c:
            first = c.run("INSERT INTO names (name) VALUES ('one'), ('two')")
            same = c.run("UPDATE names SET name = 'one' WHERE name = 'one'")
            other = c.run("UPDATE names SET name = 'three' WHERE name = 'one'")
            last = table(c.run("SELECT LAST_INSERT_ID()"))
            warned = table(c.run("SELECT CAST('12x' AS SIGNED)"))
            warnings = table(c.run("SHOW WARNINGS"))
            gone = c.run("DELETE FROM names WHERE name IN ('two', 'three')")
            counts = [first.affected, first.insert_id, same.affected, other.affected, gone.affected]
            return [counts, last, warned, warnings]

    def step_cancel(self) -> Any:
        with self.opened() as c, self.opened() as killer:
            ended, refused, victim = threading.Event(), [], c.id

            def kill() -> None:
                while not ended.wait(KILL_EVERY_S):
                    try:
                        killer.run(f"KILL QUERY {victim}")
                    except self._errors as error:
                        refused.append(problem(error))
                        return

            thread = threading.Thread(target=kill)
            thread.start()
            try:
                failed = self.failure(c, LONG)
            finally:
                ended.set()
                thread.join()
            return [failed[0], refused, table(c.run("SELECT 1"))]

    def step_taking_turns(self) -> Any:
        zones = ("+01:00", "+02:00", "+03:00", "+04:00")
        ask = "SELECT @@time_zone, @@group_concat_max_len, FROM_UNIXTIME(0), DATABASE()"
        with contextlib.ExitStack() as stack:
            all_ = [stack.enter_context(self.opened()) for _ in zones]
            for number, (c, zone) in enumerate(zip(all_, zones, strict=True)):
                c.run(f"SET time_zone = '{zone}', group_concat_max_len = {2000 + number}")
            return [[table(c.run(ask)) for c in all_] for _ in range(3)]

    def step_session(self) -> Any:
        with self.opened() as c:
            c.run("SET @kept = 'of this session', @@sql_mode = 'ANSI_QUOTES'")
            c.run("CREATE TEMPORARY TABLE scratch (id INT)")
            c.run("INSERT INTO scratch VALUES (1), (2)")
            locked = table(c.run("SELECT GET_LOCK(CONCAT('drivers.', DATABASE()), 0)"))
            with self.opened() as other:
                absent = self.failure(other, "SELECT * FROM scratch")
                free = table(other.run("SELECT @kept, IS_FREE_LOCK(CONCAT('drivers.', DATABASE()))"))
            kept = table(c.run('SELECT @kept, @@sql_mode, COUNT(*), "id" FROM scratch GROUP BY "id"'))
            return [locked, absent, free, kept]

    def step_change_database(self) -> Any:
        with self.opened() as c:
            c.change_database("information_schema")
            there = table(c.run("SELECT DATABASE(), COUNT(*) FROM schemata WHERE schema_name = 'nowhere'"))
            c.change_database(DATABASE)
            back = table(c.run("SELECT DATABASE(), COUNT(*) FROM numbers"))
            return [there, back, self.failure(c, "USE nowhere"), table(c.run("SELECT DATABASE()"))]

    def step_cut_over(self) -> Any:
        with self.opened() as c, self.opened() as fresh:
            statement = c.prepare("SELECT * FROM pets ORDER BY id")
            insert = c.prepare("INSERT INTO pets (id, name) VALUES (?, ?)")
            insert.run(10, "before")
            seen = [self._all(statement)]
            ask("cut over")
            seen += [self._all(statement), self._all(statement)]
            insert.run(11, "after")
            seen.append(self._all(c.prepare("SELECT * FROM pets ORDER BY id")))
            seen.append(table(fresh.run("SELECT * FROM pets ORDER BY id")))
            return seen

    def _all(self, statement: Statement) -> Any:
        try:
            result = statement.run()
        except self._errors as error:
            return problem(error)
        return [[str(column[0]) for column in result.columns], *table(result)]

    def step_killed(self) -> Any:
        with self.opened() as c, self.opened() as killer:
            before = table(c.run("SELECT 1"))
            killer.run(f"KILL {c.id}")
            lost = self._lost(c)
        with self.opened() as again:
            return [before, lost, table(again.run("SELECT 2"))]

    def _lost(self, connection: Connection) -> Any:
        for _ in range(1000):
            try:
                connection.run("SELECT 1")
            except self._errors as error:
                return ["lost", problem(error)[0]]
        return ["still there"]


def ask(what: str) -> None:
    """Ask the test to do something on the server that drivers may not, and wait until it is done."""
    print(json.dumps({"ask": what}), flush=True)
    sys.stdin.readline()
