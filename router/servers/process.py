"""I start, watch and stop one local server process.

The process belongs to a session of its own and outlives the program that started it; whoever starts the same
data directory next adopts it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from conf.settings import run_dir
from router.database import Connection
from router.errors import DatabaseError, ServerFailed
from router.model import Account, Address, Flavor, Server
from router.servers.options import branch_options
from router.servers.packages import locked
from router.servers.programs import Programs
from router.servers.template import ADMIN_FILE

POLL_S = 0.01
ASK_AGAIN_POLLS = 200

LOG_KEPT_BYTES = 1_000_000

# https://dev.mysql.com/doc/mysql-errors/en/server-error-reference.html
TOO_MANY_CONNECTIONS = 1040
REFUSED = frozenset({1045, 1698})


class LocalServer:
    """One server process on a data directory that `make_data_directory` made.

    It listens on a Unix socket in a private folder, and on TCP at 127.0.0.1 only when a `port` is given.
    `options` are the server's, by default those of a development branch; `niceness` makes it yield the
    processor to others (nice(1)). Raises ServerFailed with the end of
    the error log when the server does not start or stop.
    """

    def __init__(
        self,
        programs: Programs,
        directory: Path,
        *,
        name: str,
        admin: Account,
        port: int | None = None,
        options: Mapping[str, str] | None = None,
        niceness: int = 0,
    ) -> None:
        self.programs = programs
        self.directory = directory.absolute()
        self.name = name
        self.port = port
        self._niceness = niceness
        self.options = dict(branch_options(programs.flavor) if options is None else options)
        self._spawned: int | None = None
        address = Address(port=port or 3306, socket=str(run_dir(self.directory) / "server.sock"))
        version = programs.version.split("-")[0]
        if programs.flavor is Flavor.MARIADB:
            version += "-MariaDB"
        self.server = Server(programs.flavor, version, address, admin)

    def __repr__(self) -> str:
        return f"<LocalServer {self.name} {self.server.version} pid={self.pid}>"

    @property
    def log(self) -> Path:
        """The server's error log."""
        return self.directory / "headgate-server.log"

    @property
    def pid(self) -> int | None:
        """The process id of the running server, None when it does not run."""
        try:
            pid = int((self.directory / "headgate-server.pid").read_text())
        except (OSError, ValueError):
            return None
        if not _is_alive(pid):
            self._spawned = None
            return None
        return pid if pid == self._spawned or self._is_ours(pid) else None

    async def running(self) -> bool:
        """Whether the process is alive and answers our login."""
        return self.pid is not None and await self._answers()

    async def start(self, *, timeout_s: float = 60.0) -> None:
        """Start the server and return when it answers; adopt it when it runs already."""
        if not self.directory.is_dir():
            raise ServerFailed(f"the local server {self.name!r} has no data directory {self.directory}")
        async with locked(self.directory / "headgate-server.lock"):
            adopted = self.pid is not None or self._adopt_orphan()
            try:
                async with asyncio.timeout(timeout_s):
                    # One that was told to stop before we came ends first, and is started again.
                    if not (adopted and await self._answered()):
                        self._spawn()
                        if not await self._answered():
                            raise self._failed("ended while it was starting")
            except TimeoutError:
                # It may be recovering from a crash: killing it would make it begin anew.
                raise self._failed(f"did not answer within {timeout_s:g} s (it is left running)") from None
            (self.directory / ADMIN_FILE).unlink(missing_ok=True)

    async def stop(self, *, timeout_s: float = 60.0) -> None:
        """Shut the server down cleanly and wait until its process is gone."""
        pid = self.pid
        if pid is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        try:
            async with asyncio.timeout(timeout_s):
                polls = 0
                while _is_alive(pid):
                    await asyncio.sleep(POLL_S)
                    polls += 1
                    if polls % ASK_AGAIN_POLLS == 0:
                        # MariaDB can miss the signal while it starts.
                        with contextlib.suppress(ProcessLookupError):
                            os.kill(pid, signal.SIGTERM)
        except TimeoutError:
            raise self._failed(f"did not stop within {timeout_s:g} s") from None
        async with locked(self.directory / "headgate-server.lock"):
            if self.pid is None:  # else somebody has started it again
                self._remove_run_dir()

    def kill(self) -> None:
        """End the server at once, as a crash would."""
        pid = self.pid
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    async def remove(self) -> None:
        """End the server if it runs and delete its data directory."""
        pid = self.pid
        self.kill()
        while pid is not None and _is_alive(pid):
            await asyncio.sleep(POLL_S)
        # Renamed first, so that a crash in the middle leaves no half of a server behind its name.
        doomed = self.directory.with_name(f".{self.directory.name}.removed")
        with contextlib.suppress(FileNotFoundError):
            self.directory.rename(doomed)
        await asyncio.to_thread(shutil.rmtree, doomed, ignore_errors=True)
        self._remove_run_dir()

    async def _answered(self) -> bool:
        """Wait until the server answers, or False as soon as its process has ended.

        The server makes its socket last, and the first login then waits for the rest.
        """
        socket = Path(str(self.server.address.socket))
        while self.pid is not None:
            if socket.exists():
                try:
                    async with await Connection.open(self.server) as connection:
                        version = str(await connection.fetch_value("SELECT VERSION()"))
                    self.server = replace(self.server, version=version)
                    return True
                except DatabaseError as error:
                    if error.errno == TOO_MANY_CONNECTIONS:
                        return True
                    if error.errno in REFUSED:
                        raise self._failed(
                            f"runs, but refuses the account {self.server.account.user!r}"
                        ) from error
            await asyncio.sleep(POLL_S)
        return False

    async def _answers(self) -> bool:
        try:
            await (await Connection.open(self.server, timeout_s=5.0)).close()
        except DatabaseError as error:
            return error.errno == TOO_MANY_CONNECTIONS
        return True

    def _spawn(self) -> None:
        place = run_dir(self.directory)
        for leftover in ("server.sock", "server.sock.lock"):
            (place / leftover).unlink(missing_ok=True)
        for folder in ("tmp", "files"):
            (place / folder).mkdir(mode=0o700, exist_ok=True)
        self._trim_log()
        arguments = self._command()
        if self._niceness:
            arguments = [shutil.which("nice") or "nice", "-n", str(self._niceness), *arguments]
        log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            pid = os.posix_spawn(
                arguments[0],
                arguments,
                os.environ,
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_DUP2, log, 1),
                    (os.POSIX_SPAWN_DUP2, log, 2),
                ],
                setsid=True,
                setsigmask=[],
                setsigdef=[signal.SIGPIPE, signal.SIGHUP, signal.SIGINT, signal.SIGTERM],
            )
        except OSError as error:
            raise self._failed(f"cannot be started: {error}") from error
        finally:
            os.close(log)
        # A process has no command line to recognise it by for a moment after it was started.
        self._spawned = pid
        (self.directory / "headgate-server.pid").write_text(f"{pid}\n")

    def _command(self) -> list[str]:
        address = self.server.address
        arguments = {**self.options, "datadir": str(self.directory), "socket": str(address.socket)}
        arguments["pid-file"] = str(self.directory / "server.pid")
        # A starting MariaDB deletes every temporary table in its tmpdir, those of other servers too.
        arguments["tmpdir"] = str(run_dir(self.directory) / "tmp")
        if self.programs.flavor is Flavor.MARIADB:
            arguments.setdefault("secure-file-priv", str(run_dir(self.directory) / "files"))
        if self.port is None:
            arguments["skip-networking"] = "1"
        else:
            arguments["port"] = str(self.port)
            arguments["bind-address"] = "127.0.0.1"
            if self.programs.flavor is Flavor.MYSQL:
                arguments["loose-auto-generate-certs"] = "1"
                arguments["loose-caching-sha2-password-auto-generate-rsa-keys"] = "1"
        admin_file = self.directory / ADMIN_FILE
        if admin_file.exists():
            arguments["init-file"] = str(admin_file)
        if os.geteuid() == 0:
            arguments["user"] = "root"
        return self.programs.server(*(f"--{key}={value}" for key, value in arguments.items()))

    def _adopt_orphan(self) -> bool:
        """Find a server whose starter was killed before it could note the process id."""
        pids = (int(folder.name) for folder in Path("/proc").glob("[0-9]*"))
        for pid in pids:
            if self._is_ours(pid) and _is_alive(pid):
                (self.directory / "headgate-server.pid").write_text(f"{pid}\n")
                return True
        return False

    def _is_ours(self, pid: int) -> bool:
        """Guard against a process id that was given to another program since."""
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return not Path("/proc/self").exists()
        return f"--datadir={self.directory}".encode() in command.split(b"\0")

    def _remove_run_dir(self) -> None:
        shutil.rmtree(run_dir(self.directory), ignore_errors=True)

    def _trim_log(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            if self.log.stat().st_size > LOG_KEPT_BYTES:
                self.log.replace(self.log.with_suffix(".log.1"))

    def _failed(self, what: str) -> ServerFailed:
        try:
            lines = self.log.read_text(errors="replace").splitlines()[-20:]
        except OSError:
            lines = []
        end = "\n".join(lines) or "(nothing)"
        return ServerFailed(f"the local server {self.name!r} {what}; its log {self.log} ends with:\n{end}")


def _is_alive(pid: int) -> bool:
    """Whether the process still runs; one that has ended is no longer alive even if nobody waited for it."""
    with contextlib.suppress(ChildProcessError):
        return os.waitpid(pid, os.WNOHANG)[0] != pid
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True
    state, threads = (status.rpartition(")")[2].split()[index] for index in (0, 17))
    return state not in ("Z", "X") or int(threads) > 1
