"""I run a whole Headgate as a person does, kill parts of it, and look at what is left of it."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymysql
import pytest

from control.cli import main
from router.model import Flavor
from tests.support.servers import ASKS_S, free_port, remove_servers, wait_until

COMMAND = (sys.executable, "-c", "from control.cli import main; main()")
START_S = 240.0
END_S = 120.0


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


class Headgate:
    """One state folder and the processes that belong to it: all that were started with its environment."""

    def __init__(self, folder: Path, flavor: Flavor = Flavor.MARIADB, **environment: str) -> None:
        self.state = folder / "state"
        self.proxy_port, self.control_port = free_port(), free_port()
        self.log = folder / "serve.log"
        self.process: subprocess.Popen[bytes] | None = None
        self._environment = {
            "HEADGATE_STATE": str(self.state),
            "HEADGATE_MIGRATOR_GARBAGE_HOLD_S": "0",
            "HEADGATE_PROXY_PORT": str(self.proxy_port),
            "HEADGATE_CONTROL_PORT": str(self.control_port),
            "HEADGATE_SERVERS_FLAVOR": str(flavor),
            # One server less to start, for each of many tests.
            "HEADGATE_SERVERS_SPARE": "false",
            "COLUMNS": "400",
            **environment,
        }
        folder.mkdir(parents=True, exist_ok=True)

    def environment(self, changes: Mapping[str, str] | None = None) -> dict[str, str]:
        """The environment of everything that belongs to this Headgate."""
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("HEADGATE_")}
        return {**inherited, **self._environment, **(changes or {})}

    def start(self, *options: str) -> None:
        """Start `headgate serve` in a process group of its own, as a shell does."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*COMMAND, *options, "serve"],
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,
            )

    def run(self, *words: str, **changes: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            [*COMMAND, *words],
            env=self.environment(changes),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=START_S,
        )

    def run_here(self, *words: str, **changes: str) -> Done:
        """Run a command to its end in this process, which saves the time of starting another."""
        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch:
            for key in [key for key in os.environ if key.startswith("HEADGATE_")]:
                patch.delenv(key)
            for key, value in self.environment(changes).items():
                patch.setenv(key, value)
            patch.setattr(sys, "argv", ["headgate", *words])
            patch.setattr(sys, "stdin", io.StringIO())
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                try:
                    main()
                except SystemExit as end:
                    return Done(int(end.code or 0), out.getvalue(), err.getvalue())
        raise AssertionError("a command ends with an exit status")

    def logs(self) -> str:
        """What all processes have logged so far."""
        return self.log.read_text()

    def is_ready(self) -> bool:
        """Whether clients can be served."""
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.control_port, timeout=10)
            with contextlib.closing(connection):
                connection.request("GET", "/readyz")
                return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False

    def until_ready(self) -> None:
        """Wait until clients can be served."""
        wait_until(self.is_ready, timeout_s=START_S, every_s=ASKS_S)

    def pids(self, *words: str) -> list[int]:
        """The running processes that belong to this Headgate, those with all `words` in their command."""
        mark = f"HEADGATE_STATE={self.state}".encode()
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                if mark not in (entry / "environ").read_bytes().split(b"\0"):
                    continue
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                ended = (entry / "stat").read_text().rpartition(")")[2].split()[0] == "Z"
            except OSError:
                continue
            if not ended and all(word in command for word in words):
                found.append(int(entry.name))
        return sorted(found)

    def pid(self, *words: str) -> int:
        """The one running process with these words in its command."""
        (found,) = self.pids(*words)
        return found

    def interrupt(self) -> int:
        """Press Ctrl-C and return the exit status."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(END_S)

    def ends(self) -> None:
        """Wait until nothing of this Headgate runs."""
        wait_until(lambda: not self.pids(), timeout_s=END_S)

    def connect(self, user: str, password: str) -> pymysql.Connection:
        """Log in to the proxy."""
        return pymysql.connect(
            host="127.0.0.1",
            port=self.proxy_port,
            user=user,
            password=password,
            database="shop",
            autocommit=True,
            ssl_disabled=True,
        )


@contextlib.contextmanager
def headgate_in(folder: Path, flavor: Flavor = Flavor.MARIADB, **environment: str) -> Iterator[Headgate]:
    """A Headgate, not yet started; whatever is left of it at the end is killed."""
    headgate = Headgate(folder, flavor, **environment)
    try:
        yield headgate
    finally:
        for pid in headgate.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if headgate.process is not None:
            headgate.process.wait(END_S)
        headgate.ends()
        remove_servers(folder)


@contextlib.contextmanager
def running_in(folder: Path, flavor: Flavor = Flavor.MARIADB, **environment: str) -> Iterator[Headgate]:
    """A Headgate that runs, and at the end stops when it is asked to and leaves nothing behind."""
    with headgate_in(folder, flavor, **environment) as headgate:
        headgate.start()
        headgate.until_ready()
        yield headgate
        assert headgate.interrupt() == 0
        assert headgate.pids() == []


def said(headgate: Headgate, *words: str) -> str:
    """Run a command that must succeed and return what it printed."""
    done = headgate.run_here(*words)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def data(headgate: Headgate, *words: str) -> Any:
    """Run a command that must succeed and return what it printed for programs."""
    return json.loads(said(headgate, "--format", "json", *words))


def refused(headgate: Headgate, *words: str, status: int = 1, **changes: str) -> str:
    """Run a command that must be refused and return its one sentence."""
    done = headgate.run_here(*words, **changes)
    assert done.returncode == status, (done.stdout, done.stderr)
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    # Who uses a command wrongly is told, on more lines, how it is used.
    assert status == 2 or len(done.stderr.strip().splitlines()) == 1, done.stderr
    return done.stderr


def run_on(headgate: Headgate, password: Any, *statements: str) -> list[list[tuple[object, ...]]]:
    """Run statements as the user of a password, and return the rows of each."""
    with headgate.connect(password["username"], password["plain_text"]) as client:
        return [rows(client, statement) for statement in statements]


def rows(connection: pymysql.Connection, sql: str) -> list[tuple[object, ...]]:
    """Run a statement and return its rows."""
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return list(cursor.fetchall())
