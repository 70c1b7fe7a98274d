"""I run the scenario of the driver matrix with a shell, `mysql` or `mariadb`, fed through a pipe."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

SHELL = json.loads(os.environ["DRIVER_SHELL"])
OPTIONS = json.loads(os.environ["DRIVER_SHELL_OPTIONS"])
PLAIN = json.loads(os.environ["DRIVER_SHELL_PLAIN"])
TLS = [word.format(ca=os.environ["DRIVER_CA"]) for word in json.loads(os.environ["DRIVER_SHELL_TLS"])]
PASSWORD = os.environ["DRIVER_PASSWORD"]
DATABASE = os.environ["DRIVER_DATABASE"]

BLOB = bytes(range(251)) * 83_553
TEXT = "Grüße, 世界 🦆 \\ ' \" \t \0 end"
LONG = "SELECT COUNT(*) FROM numbers a JOIN numbers b WHERE a.n < 2000 AND a.n + b.n = -1"
UPDATE = "UPDATE accounts SET balance = balance + 1 WHERE id = "
INTERRUPT_AFTER_S = 0.5

ESCAPES = {"\\\\": "\\", "\\n": "\n", "\\t": "\t", "\\0": "\0"}
LOST = re.compile(r"ERROR (2006|2013|2055|1927|4031) ")
ERROR = re.compile(r"ERROR (\d+) \((\w+)\)(?: at line \d+)?: (.*)")


def command(*options: str, password: str = PASSWORD, protection: list[str] = PLAIN) -> list[str]:
    return [
        *SHELL,
        "--no-defaults",
        *OPTIONS,
        *protection,
        "--protocol=TCP",
        f"--host={os.environ['DRIVER_HOST']}",
        f"--port={os.environ['DRIVER_PORT']}",
        f"--user={os.environ['DRIVER_USER']}",
        f"--password={password}",
        "--default-character-set=utf8mb4",
        "--max-allowed-packet=64M",
        "--batch",
        *options,
        DATABASE,
    ]


def once(*options: str, password: str = PASSWORD, protection: list[str] = PLAIN) -> bytes:
    """Run a shell to its end; return what it printed."""
    done = subprocess.run(
        command(*options, password=password, protection=protection),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    errors = [line for line in done.stderr.splitlines() if b"password on the command line" not in line]
    return done.stdout + b"\n".join(errors)


class Shell:
    """A shell that stays; each statement is followed by one that marks the end of its output."""

    def __init__(self, *options: str) -> None:
        self._process = subprocess.Popen(
            command("--unbuffered", "--force", *options),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self._numbers = itertools.count(1)

    def lines(self, sql: str) -> list[str]:
        """Run a statement; return the lines that it printed, names of columns first."""
        return self.finish(self.begin(sql))

    def begin(self, sql: str) -> str:
        """Send a statement; return the mark that will end its output."""
        assert self._process.stdin is not None
        mark = f"end of {next(self._numbers)}"
        self._process.stdin.write(f"{sql};\nSELECT '{mark}';\n".encode())
        self._process.stdin.flush()
        return mark

    def finish(self, mark: str) -> list[str]:
        """Wait for the end of a statement and return what it printed."""
        assert self._process.stdout is not None
        found = []
        # The mark is printed twice: as a name and as a value.
        for raw in self._process.stdout:
            line = raw.decode(errors="surrogateescape").rstrip("\n")
            if LOST.search(line):
                raise EOFError(line)
            if line == mark and found and found[-1] == mark:
                return [line for line in found[:-1] if "password on the command line" not in line]
            found.append(line)
        raise EOFError(f"the shell ended: {found}")

    def rows(self, sql: str) -> list[list[Any]]:
        """Run a query; return its rows without the names."""
        return [cells(line) for line in self.lines(sql)[1:]]

    def failure(self, sql: str) -> list[Any]:
        """Run a statement that must fail; return its error."""
        return problem("\n".join(self.lines(sql)))

    @property
    def id(self) -> int:
        """The connection's number in the greeting."""
        found = re.search(r"Connection id:\s+(\d+)", "\n".join(self.lines("status")))
        assert found is not None
        return int(found[1])

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        self._process.send_signal(signal.SIGINT)

    def close(self) -> None:
        """Let the shell end; one that was left in the middle of a statement is killed."""
        try:
            self._process.communicate(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()


def cells(line: str) -> list[Any]:
    """Take a row apart."""
    return [
        None if cell == "NULL" else re.sub(r"\\[\\nt0]", lambda escape: ESCAPES[escape[0]], cell)
        for cell in line.split("\t")
    ]


def problem(printed: str) -> list[Any]:
    found = ERROR.search(printed)
    return [int(found[1]), found[3], found[2]] if found else ["no error", printed]


@contextlib.contextmanager
def shells(count: int, *options: str) -> Iterator[list[Shell]]:
    opened = [Shell(*options) for _ in range(count)]
    try:
        yield opened
    finally:
        for shell in opened:
            shell.close()


def connect() -> Any:
    with shells(1) as [shell]:
        [[one, database, thread]] = shell.rows("SELECT 1, DATABASE(), CONNECTION_ID()")
        [[alone]] = shell.rows("SELECT CONNECTION_ID()")
        return [one, database, int(alone) == shell.id, int(thread) > 0]


def connect_tls() -> Any:
    printed = once("--execute=SELECT 1", protection=TLS).decode()
    return [cells(line) for line in printed.splitlines()[1:]] or printed


def wrong_password() -> Any:
    return problem(once("--execute=SELECT 1", password="wrong " + PASSWORD).decode())


def types() -> Any:
    """The names, types and flags of all columns are told only with --table."""
    printed = once(
        "--table", "--column-type-info", "--binary-as-hex", "--execute=SELECT * FROM types ORDER BY id"
    )
    return [digested(line) for line in printed.decode().splitlines()]


def digested(line: str) -> str:
    return line if len(line) <= 2000 else f"{len(line)} {hashlib.sha256(line.encode()).hexdigest()}"


def types_prepared() -> Any:
    with shells(1, "--binary-as-hex") as [shell]:
        shell.lines("PREPARE p FROM 'SELECT * FROM types WHERE id >= ? ORDER BY id'")
        shell.lines("SET @low = 0")
        return [digested(line) for line in shell.lines("EXECUTE p USING @low")]


def parameters() -> Any:
    with shells(1) as [shell]:
        values = (
            "-128, 9223372036854775807, 1.5, -12345.6789, 'a''b', X'0001FF275C', '2024-02-29', "
            "'2024-02-29 12:34:56.789012', '-37:01:00', NULL"
        )
        columns = "small, big, dbl, amount, txt, bin, day, moment, span, nothing"
        shell.lines(f"INSERT INTO given ({columns}) VALUES ({values})")
        shown = shell.rows(
            "SELECT CONCAT_WS('|', small, big, dbl, amount, txt, HEX(bin), day, moment, span), nothing "
            "FROM given"
        )
        shell.lines("DELETE FROM given")
        return [1, 1, *shown]


def nulls() -> Any:
    with shells(1) as [shell]:
        shell.lines("INSERT INTO texts (id, t) VALUES (50, NULL)")
        return shell.rows("SELECT t, t IS NULL, NULL, COUNT(*) FROM texts WHERE id = 50 GROUP BY t")


def utf8mb4() -> Any:
    text = TEXT.replace("\\", "\\\\").replace("'", "\\'").replace("\0", "\\0")
    with shells(1) as [shell]:
        shell.lines(f"INSERT INTO texts (id, t) VALUES (60, '{text}')")
        return shell.rows("SELECT t, CHAR_LENGTH(t), LENGTH(t), HEX(t), '🦆' FROM texts WHERE id = 60")


def dates() -> Any:
    with shells(1) as [shell]:
        return shell.lines("SELECT * FROM dates ORDER BY id")


def zero_dates() -> Any:
    with shells(1) as [shell]:
        return shell.lines("SELECT * FROM zero_dates ORDER BY id")


def blob() -> Any:
    with shells(1) as [shell]:
        shell.lines(f"INSERT INTO blobs (id, b) VALUES (1, X'{BLOB.hex()}')")
        [[size, digest]] = shell.rows("SELECT LENGTH(b), SHA2(b, 256) FROM blobs WHERE id = 1")
        back = once("--raw", "--skip-column-names", "--execute=SELECT b FROM blobs WHERE id = 1")
        shell.lines("DELETE FROM blobs")
        return [size, digest, back == BLOB + b"\n", len(back)]


def rows() -> Any:
    with shells(1) as [shell]:
        found = shell.rows("SELECT n, s FROM numbers ORDER BY n")
        return [len(found), sum(int(row[0]) for row in found), sum(len(row[1]) for row in found)]


def prepared() -> Any:
    with shells(1) as [shell]:
        shell.lines("PREPARE p FROM \"SELECT CONCAT('a', ?, 'b', COALESCE(?, 'null'))\"")
        seen = []
        for one, two in (("'x'", "'y'"), (5, "NULL"), ("NULL", 5), ("'z'", 1.5), ("'again'", "'same'")):
            shell.lines(f"SET @one = {one}, @two = {two}")
            seen.append(shell.rows("EXECUTE p USING @one, @two"))
        return seen


def transaction() -> Any:
    count = "SELECT COUNT(*), SUM(balance) FROM accounts"
    with shells(2) as [shell, other]:
        seen = []
        for end in ("ROLLBACK", "COMMIT"):
            for sql in (
                "BEGIN",
                "INSERT INTO accounts VALUES (100, 7)",
                "SAVEPOINT here",
                "UPDATE accounts SET balance = 1000",
                "ROLLBACK TO SAVEPOINT here",
            ):
                shell.lines(sql)
            seen.append([shell.rows(count), other.rows(count)])
            shell.lines(end)
            seen.append([shell.rows(count), other.rows(count)])
        other.lines("DELETE FROM accounts WHERE id = 100")
        return seen


def deadlock() -> Any:
    with shells(2) as [one, two]:
        for shell, number in ((one, 1), (two, 2)):
            shell.lines("BEGIN")
            shell.lines(f"{UPDATE}{number}")
        marks = [(one, one.begin(f"{UPDATE}2")), (two, two.begin(f"{UPDATE}1"))]
        outcomes = []
        for shell, mark in marks:
            [errno, *_] = problem("\n".join(shell.finish(mark)))
            shell.lines("COMMIT" if errno == "no error" else "ROLLBACK")
            outcomes.append("ok" if errno == "no error" else str(errno))
        return [sorted(outcomes), one.rows("SELECT * FROM accounts ORDER BY id")]


def call() -> Any:
    with shells(1) as [shell]:
        return shell.lines("CALL several(3)")


def errors() -> Any:
    with shells(1) as [shell]:
        seen = [
            shell.failure(sql)
            for sql in (
                "SELECT * FROM nowhere",
                "INSERT INTO names (name) VALUES ('taken')",
                "SELECT , 1",
                "SELECT nothing FROM names",
                "INSERT INTO names (name) VALUES (NULL)",
                "INSERT INTO names (name) VALUES ('longer than ten')",
                "INSERT INTO children VALUES (1, 12345)",
                "SELECT * FROM names WHERE id = (SELECT 1 UNION SELECT 2)",
                "SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'äpfel', MYSQL_ERRNO = 31234",
            )
        ]
        return [*seen, shell.rows("SELECT 1")]


def counts() -> Any:
    """With -vvv the shell says after each statement how many rows it changed."""
    statements = (
        "INSERT INTO names (name) VALUES ('one'), ('two'); UPDATE names SET name = 'one' WHERE name = 'one'; "
        "UPDATE names SET name = 'three' WHERE name = 'one'; SELECT LAST_INSERT_ID(); "
        "SELECT CAST('12x' AS SIGNED); SHOW WARNINGS; DELETE FROM names WHERE name IN ('two', 'three')"
    )
    printed = once("-vvv", f"--execute={statements}").decode()
    changed = [int(number) for number in re.findall(r"Query OK, (\d+) row", printed)]
    warned = re.findall(r"^\| Warning\s*\| (\d+) \| (.*?)\s*\|$", printed, re.MULTILINE)
    last = re.findall(r"LAST_INSERT_ID\(\) \|\n\+-+\+\n\|\s*(\d+) \|", printed)
    assert len(changed) == 4, printed
    return [
        [changed[0], None, *changed[1:]],
        [last],
        [re.findall(r"^\|\s+(12) \|$", printed, re.MULTILINE)],
        [["Warning", *one] for one in warned],
        re.sub(r"\(?\d+\.\d+ sec\)?", "", printed).splitlines(),
    ]


def cancel() -> Any:
    with shells(1) as [shell]:
        mark = shell.begin(LONG)
        # Once only, and when the statement runs for sure: without one the shell would end.
        timer = threading.Timer(INTERRUPT_AFTER_S, shell.interrupt)
        timer.start()
        printed = "\n".join(shell.finish(mark))
        timer.cancel()
        return [problem(printed)[0], [], shell.rows("SELECT 1")]


def taking_turns() -> Any:
    with shells(4) as all_:
        for number, shell in enumerate(all_):
            shell.lines(f"SET time_zone = '+0{number + 1}:00', group_concat_max_len = {2000 + number}")
        question = "SELECT @@time_zone, @@group_concat_max_len, FROM_UNIXTIME(0), DATABASE()"
        return [[shell.rows(question) for shell in all_] for _ in range(3)]


def session() -> Any:
    with shells(2) as [shell, other]:
        shell.lines("SET @kept = 'of this session', @@sql_mode = 'ANSI_QUOTES'")
        shell.lines("CREATE TEMPORARY TABLE scratch (id INT)")
        shell.lines("INSERT INTO scratch VALUES (1), (2)")
        locked = shell.rows("SELECT GET_LOCK(CONCAT('drivers.', DATABASE()), 0)")
        absent = other.failure("SELECT * FROM scratch")
        free = other.rows("SELECT @kept, IS_FREE_LOCK(CONCAT('drivers.', DATABASE()))")
        kept = shell.rows('SELECT @kept, @@sql_mode, COUNT(*), "id" FROM scratch GROUP BY "id"')
        return [locked, absent, free, kept]


def change_database() -> Any:
    with shells(1) as [shell]:
        shell.lines("USE information_schema")
        there = shell.rows("SELECT DATABASE(), COUNT(*) FROM schemata WHERE schema_name = 'nowhere'")
        shell.lines(f"USE {DATABASE}")
        back = shell.rows("SELECT DATABASE(), COUNT(*) FROM numbers")
        return [there, back, shell.failure("USE nowhere"), shell.rows("SELECT DATABASE()")]


def cut_over() -> Any:
    with shells(2) as [shell, fresh]:
        shell.lines("PREPARE p FROM 'SELECT * FROM pets ORDER BY id'")
        shell.lines("INSERT INTO pets (id, name) VALUES (10, 'before')")
        seen = [shell.lines("EXECUTE p")]
        print(json.dumps({"ask": "cut over"}), flush=True)
        sys.stdin.readline()
        seen += [shell.lines("EXECUTE p"), shell.lines("EXECUTE p")]
        shell.lines("INSERT INTO pets (id, name) VALUES (11, 'after')")
        return [*seen, shell.lines("EXECUTE p"), fresh.rows("SELECT * FROM pets ORDER BY id")]


def killed() -> Any:
    with shells(1, "--skip-reconnect") as [shell]:
        before = shell.rows("SELECT 1")
        with shells(1) as [killer]:
            killer.lines(f"KILL {shell.id}")
        lost = "still there"
        try:
            for _ in range(1000):
                shell.lines("DO 0")
        except EOFError:
            lost = "lost"
    with shells(1) as [again]:
        return [before, [lost, None], again.rows("SELECT 2")]


STEPS = (
    connect,
    connect_tls,
    wrong_password,
    types,
    types_prepared,
    parameters,
    nulls,
    utf8mb4,
    dates,
    zero_dates,
    blob,
    rows,
    prepared,
    transaction,
    deadlock,
    call,
    errors,
    counts,
    cancel,
    taking_turns,
    session,
    change_database,
    cut_over,
    killed,
)

if __name__ == "__main__":
    for step in STEPS:
        try:
            result = step()
        except Exception as error:
            result = ["unexpected", type(error).__name__, str(error)]
        print(json.dumps({"step": step.__name__, "result": result}), flush=True)
