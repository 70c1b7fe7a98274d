"""I start one control process and N workers, restart what dies, and end them in order."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import structlog

from conf.lifeline import SUPERVISOR
from conf.settings import ControlSettings, ProxySettings, Settings
from control.certificate import ensure_certificate, ensure_password_key
from control.errors import LAST_WORDS, REFUSED, StartRefused, reason
from control.owner import sole_owner

log = structlog.get_logger()

RESTART_PAUSES_S = (0.1, 0.5, 1.0, 2.0, 5.0)
STEADY_S = 30.0
"""A process that has run this long has recovered: its next restart is quick again."""
WORKER_END_S = 10.0
BACKLOG = 1024
SHARES = "shares"
"""File in the folder for sockets in which workers see each other's number of clients."""
CONTROL_END_S = 60.0


class Supervisor:
    """The processes of one Headgate.

    `log_to` is a folder for one log file a process; without it they write to our standard error. Children are
    in a process group of their own, so that Ctrl-C reaches only us, and are told to end when we are killed.
    """

    def __init__(self, settings: Settings, config: str, *, log_to: Path | None = None) -> None:
        self._settings = settings
        self._config = config
        self._log_to = log_to
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._ending = False
        self._listening: list[socket.socket] = []
        self.restarts: dict[str, int] = {}

    def pid(self, name: str) -> int | None:
        """Return the process id of `control` or `worker N` while it runs."""
        child = self._children.get(name)
        return child.pid if child and child.poll() is None else None

    async def run(self) -> None:
        """Keep the processes running until cancelled, then end them: workers first, control last.

        Raises StartRefused when control refuses to start, or a port is taken.
        """
        check_port(self._settings.control)
        self._listening = listen(self._settings.proxy)
        try:
            self._prepare_folders()
        except OSError as error:
            for sock in self._listening:
                sock.close()
            raise StartRefused(
                f"the state folder {self._settings.state_dir} cannot be used ({reason(error)}): mend that, "
                "or choose another with HEADGATE_STATE"
            ) from error
        loop = asyncio.get_running_loop()
        if not sys.stderr.isatty():
            # In a terminal that is closed, it is a reason to end.
            loop.add_signal_handler(signal.SIGHUP, self._reload)
        control = asyncio.ensure_future(self._keep("control", self._command("control")))
        numbers = range(1, self._settings.proxy.workers + 1)
        workers = [
            asyncio.ensure_future(self._keep(f"worker {number}", self._worker_command(number)))
            for number in numbers
        ]
        try:
            done, _ = await asyncio.wait([control, *workers], return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            self._ending = True
            # Nobody would serve who connects from now on.
            for sock in self._listening:
                sock.close()
            for task in (control, *workers):
                task.cancel()
            await asyncio.gather(control, *workers, return_exceptions=True)
            await asyncio.shield(loop.run_in_executor(None, self._end_all))

    def _reload(self) -> None:
        """Have control read the configuration again, and tell the workers what is theirs."""
        control = self._children.get("control")
        if control and control.poll() is None:
            control.send_signal(signal.SIGHUP)

    def _prepare_folders(self) -> None:
        state = self._settings.state_dir
        # Refused before any worker starts: it would join the other Headgate's control.
        with sole_owner(state):
            ensure_certificate(state / "tls")
            (self._settings.run_dir / SHARES).unlink(missing_ok=True)
            ensure_password_key(state / "tls")
        if self._log_to:
            self._log_to.mkdir(parents=True, exist_ok=True)

    def _worker_command(self, number: int) -> list[str]:
        descriptors = [str(sock.fileno()) for sock in self._listening]
        return [*self._command("proxy"), "--worker", str(number), "--listen", *descriptors]

    def _command(self, module: str) -> list[str]:
        return [sys.executable, "-m", module, *(["--config", self._config] if self._config else [])]

    async def _keep(self, name: str, command: list[str]) -> None:
        attempt = 0
        came_up = False
        while True:
            started = time.monotonic()
            child = self._start(name, command)
            status = await _wait(child)
            if name == "control" and status == REFUSED and not came_up:
                raise StartRefused(self._last_words())
            # Later on the workers go on serving while control cannot start, say because production is away.
            came_up = came_up or status != REFUSED
            if time.monotonic() - started > STEADY_S:
                attempt = 0
            pause = RESTART_PAUSES_S[min(attempt, len(RESTART_PAUSES_S) - 1)]
            attempt += 1
            self.restarts[name] = self.restarts.get(name, 0) + 1
            log.warning("process.died", name=name, status=status, restart_in_s=pause)
            await asyncio.sleep(pause)

    def _start(self, name: str, command: list[str]) -> subprocess.Popen[bytes]:
        with contextlib.ExitStack() as stack:
            stderr = None
            if self._log_to:
                path = self._log_to / f"{name.replace(' ', '-')}.log"
                stderr = stack.enter_context(path.open("ab"))
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=stderr,
                stderr=stderr,
                process_group=0,
                pass_fds=[] if name == "control" else [sock.fileno() for sock in self._listening],
                env={**os.environ, SUPERVISOR: str(os.getpid())},
            )
        self._children[name] = child
        return child

    def _last_words(self) -> str:
        try:
            path = self._settings.run_dir / LAST_WORDS
            words = path.read_text()
            path.unlink()
        except OSError:
            words = "control did not start: its log holds the reason"
        return words

    def _end_all(self) -> None:
        workers = {name: child for name, child in self._children.items() if name != "control"}
        _end(workers, WORKER_END_S)
        _end({"control": self._children["control"]} if "control" in self._children else {}, CONTROL_END_S)


def check_port(settings: ControlSettings) -> None:
    """Raise StartRefused when the port of the HTTP API is taken."""
    host, port = settings.host, settings.port
    try:
        socket.create_server((host, port)).close()
    except OSError as error:
        raise _taken("the HTTP API", host, port, "HEADGATE_CONTROL_PORT", error) from error


def listen(settings: ProxySettings) -> list[socket.socket]:
    """Return the sockets that all workers accept clients on. Raises StartRefused when the port is taken.

    They live as long as we do: who connects while a worker is replaced waits for the next one.
    """
    host, port = settings.host, settings.port
    sockets: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, *_, address in found:
            sock = socket.create_server(address[:2], family=family, backlog=BACKLOG)
            sockets.append(sock)
            sock.setblocking(False)
    except OSError as error:
        for sock in sockets:
            sock.close()
        raise _taken("MySQL clients", host, port, "HEADGATE_PROXY_PORT", error) from error
    return sockets


def _taken(what: str, host: str, port: int, variable: str, error: OSError) -> StartRefused:
    return StartRefused(
        f"cannot listen on {host}:{port} for {what} ({reason(error)}): stop what uses that port, or choose "
        f"another with {variable}"
    )


async def _wait(child: subprocess.Popen[bytes]) -> int:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    descriptor = os.pidfd_open(child.pid)
    loop.add_reader(descriptor, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
    return child.wait()


def _end(children: dict[str, subprocess.Popen[bytes]], patience_s: float) -> None:
    for child in children.values():
        if child.poll() is None:
            child.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + patience_s
    for name, child in children.items():
        try:
            child.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            log.warning("process.killed", name=name, reason=f"did not end within {patience_s:g} s")
            child.kill()
            child.wait()
