"""I am the engine in a process of its own, so that it can be killed at any moment; and who talks to it.

A mother process imports everything once and forks a child for each operation, which connects to the test's
socket and does what it is told, one line of JSON each way.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec

from conf.settings import MigratorSettings, ThrottleSettings
from migrator.engine.migration import OnlineAlter
from migrator.errors import MigratorError
from migrator.throttle.throttler import Throttle
from router.errors import DatabaseError
from router.model import Account, Address, Flavor, Server
from tests.migrator.engine.ledger import OpenGate

ANSWER_S = 240
TRIES = 10
STEPS = ("prepare", "cut_over", "revert", "redo", "finalize", "cancel")


class Orders(msgspec.Struct, frozen=True):
    """What to work on."""

    line: str
    flavor: str
    version: str
    socket: str
    user: str
    password: str
    id: str
    schema: str
    target: str
    renames: dict[str, str]
    copiers: int
    rows: int

    def operation(self) -> OnlineAlter:
        """Make the operation."""
        server = Server(
            Flavor(self.flavor),
            self.version,
            Address(socket=self.socket),
            Account(self.user, self.password),
        )
        settings = MigratorSettings(copiers=self.copiers, chunk_rows_max=self.rows, garbage_hold_s=0)
        throttle = Throttle(ThrottleSettings(enabled=False))
        return OnlineAlter(
            *(self.id, server, self.schema, "t", self.target, OpenGate(), throttle, settings),
            renames=self.renames,
        )


class Answer(msgspec.Struct, frozen=True):
    """How a step ended; `error` is the name of an exception."""

    phase: str
    error: str = ""
    message: str = ""


class Killed(Exception):
    """The engine was killed in the middle of a step."""


class StepFailed(Exception):
    """The engine said why it did not do a step."""

    def __init__(self, step: str, answer: Answer) -> None:
        super().__init__(f"{step}: {answer.error}: {answer.message}")
        self.answer = answer


# --- the child ---------------------------------------------------------------------------------------------


async def _obey(orders: Orders) -> None:
    reader, writer = await asyncio.open_unix_connection(orders.line)
    operation = orders.operation()
    try:
        while line := await reader.readline():
            answer = await _do(operation, line.decode().strip())
            writer.write(msgspec.json.encode(answer) + b"\n")
            await writer.drain()
    finally:
        await operation.close()
        writer.close()


async def _do(operation: OnlineAlter, step: str) -> Answer:
    try:
        await getattr(operation, step)()
    except (MigratorError, DatabaseError) as error:
        return Answer(str(operation.status().phase), type(error).__name__, str(error))
    return Answer(str(operation.status().phase))


def _mother() -> None:
    """Fork a child for every line of orders, and say its number."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin.buffer:
        orders = msgspec.json.decode(line, type=Orders)
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                os.close(0)
                os.dup2(2, 1)  # what is logged is no answer
                asyncio.run(_obey(orders))
                status = 0
            except (OSError, MigratorError, DatabaseError) as error:
                print(f"the engine ended: {error}", file=sys.stderr, flush=True)
            finally:
                os._exit(status)
        os.write(1, f"{pid}\n".encode())


# --- who talks to it ---------------------------------------------------------------------------------------


class Mother:
    """Makes engines."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._one_at_a_time = asyncio.Lock()

    async def child(self, orders: Orders) -> int:
        """Fork one and return its process id."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        async with self._one_at_a_time:
            self._process.stdin.write(msgspec.json.encode(orders) + b"\n")
            return int(await self._process.stdout.readline())


@contextlib.asynccontextmanager
async def mother() -> AsyncIterator[Mother]:
    """Start the process that forks, and end it."""
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123 - nobody reads it
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.conformance.engine"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=None if os.environ.get("HEADGATE_ENGINE_LOG") else nowhere,
        )
    try:
        yield Mother(process)
    finally:
        process.kill()
        await process.wait()


class Engine:
    """One operation, carried by a process that may be killed; `kill_after_s` counts from the first step."""

    def __init__(self, mother: Mother, orders: Orders, kill_after_s: float | None = None) -> None:
        self._mother, self._orders = mother, orders
        self._kill_after_s = kill_after_s
        self._timer: asyncio.TimerHandle | None = None
        self._pid = 0
        self._line: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self.killed_in = ""
        self._step = ""

    async def do(self, step: str) -> Answer:
        """Let a step be done; after a kill, by another process that goes on from what is on the server.

        As the deploy runner does, begin again when the server was away for a moment.
        """
        for again in itertools.count():
            try:
                if again and step not in ("prepare", "cancel"):
                    await self._ask("prepare")
                return await self._ask(step)
            except Killed:
                assert self.killed_in, f"the engine ended by itself in {step}: see HEADGATE_ENGINE_LOG=1"
            except StepFailed as failed:
                if failed.answer.error != "ConnectionLost" or again > TRIES:
                    raise
            await self.end()
        raise AssertionError("unreachable")

    async def _ask(self, step: str) -> Answer:
        if self._line is None:
            await self._start()
        assert self._line is not None
        if self._timer is None and self._kill_after_s is not None:
            self._timer = asyncio.get_running_loop().call_later(self._kill_after_s, self._kill)
        reader, writer = self._line
        self._step = step
        try:
            writer.write(step.encode() + b"\n")
            async with asyncio.timeout(ANSWER_S):
                line = await reader.readline()
        except ConnectionError:
            line = b""
        finally:
            self._step = ""
        if not line:
            raise Killed(step)
        answer = msgspec.json.decode(line, type=Answer)
        if answer.error:
            raise StepFailed(step, answer)
        return answer

    async def _start(self) -> None:
        ready: asyncio.Future[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Future()
        Path(self._orders.line).unlink(missing_ok=True)
        listener = await asyncio.start_unix_server(
            lambda reader, writer: ready.set_result((reader, writer)), self._orders.line
        )
        try:
            self._pid = await self._mother.child(self._orders)
            self._line = await asyncio.wait_for(ready, 30)
        finally:
            listener.close()

    def _kill(self) -> None:
        self.killed_in = self._step or "between steps"
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)

    async def end(self) -> None:
        """Let the process end by itself, if it is still there."""
        if self._line is None:
            return
        (reader, writer), self._line = self._line, None
        with contextlib.suppress(ConnectionError, TimeoutError):
            writer.write_eof()
            await asyncio.wait_for(reader.read(), 20)
        writer.close()

    def forget_kill(self) -> None:
        """Kill nobody any more."""
        if self._timer is not None:
            self._timer.cancel()


def new_line() -> str:
    """A path for a socket, which must be short."""
    return tempfile.mktemp(prefix="hg-conformance-", suffix=".sock")


__all__ = ["Engine", "Killed", "Mother", "Orders", "StepFailed", "mother", "new_line"]


if __name__ == "__main__":
    _mother()
