"""I am the worker's ear: I apply what control sends and report what it asks."""

from __future__ import annotations

import asyncio
import itertools
import time
from functools import partial
from pathlib import Path
from typing import assert_never

import msgspec
import structlog

from proxy import channel
from proxy.branches import Branches
from proxy.errors import BackendUnreachable
from proxy.gate import Gate, GateReport
from router.model import Branch, Server
from router.table import RoutingTable

log = structlog.get_logger()

STATS_INTERVAL_S = 0.1
STATS_PER_S = 10
UNSENT_MAX = 1000
"""Changed definitions that are kept while control is away."""
RETRY_FIRST_S = 0.05
RETRY_LAST_S = 2.0
READ_BYTES = 256 * 1024


class Agent:
    """A worker's end of the channel; while control is gone, the worker goes on with what it knows.

    `routed` is set once the first routing table is here, `drain` when control asks the worker to end.
    """

    def __init__(
        self, path: Path, branches: Branches, hello: channel.Hello, *, wake_timeout_s: float
    ) -> None:
        self.routed = asyncio.Event()
        self.drain = asyncio.Event()
        self._path = path
        self._branches = branches
        self._hello = hello
        self._wake_timeout_s = wake_timeout_s
        self._writer: asyncio.StreamWriter | None = None
        self._gates: dict[int, Gate] = {}
        self._wakes: dict[int, asyncio.Future[Server]] = {}
        self._requests = itertools.count(1)
        self._unsent: list[channel.DefinitionChanged] = []

    async def run(self) -> None:
        """Stay connected until cancelled."""
        delay_s = RETRY_FIRST_S
        while True:
            try:
                reader, writer = await asyncio.open_unix_connection(str(self._path))
            except OSError:
                await asyncio.sleep(delay_s)
                delay_s = min(delay_s * 2, RETRY_LAST_S)
                continue
            delay_s = RETRY_FIRST_S
            log.info("control.connected")
            self._writer = writer
            self.send(self._hello)
            unsent, self._unsent = self._unsent, []
            for message in unsent:
                self.send(message)
            try:
                await self._listen(reader)
            except (OSError, channel.ChannelError) as error:
                log.warning("control.misunderstood", reason=str(error))
            finally:
                self._writer = None
                writer.close()
                self._forget_wakes()
            log.warning("control.lost")

    async def report(self) -> None:
        """Send the counters ten times a second, and once a second what ran, until cancelled."""
        for number in itertools.count(1):
            due_s = time.monotonic() + STATS_INTERVAL_S
            await asyncio.sleep(STATS_INTERVAL_S)
            late_ms = max(0.0, time.monotonic() - due_s) * 1000
            if self._writer is not None:
                stats = [served.take_stats() for served in self._branches]
                self.send(channel.Stats(time.time(), stats, self._branches.counts.take(), late_ms))
            else:
                for served in self._branches:
                    served.counters.fold()
            if not number % STATS_PER_S:
                # What ran while control was away is not kept.
                shapes = [shape for served in self._branches for shape in served.watch.take_shapes()]
                if shapes:
                    self.send(channel.Shapes(time.time(), shapes))

    def send(self, message: channel.ToControl) -> None:
        """Tell control something, if it is there; what must not be lost is logged or kept otherwise."""
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(channel.encode(message))
        elif isinstance(message, channel.Refused):
            log.info("statement.refused", **msgspec.structs.asdict(message))
        elif isinstance(message, channel.DefinitionChanged) and len(self._unsent) < UNSENT_MAX:
            self._unsent.append(message)

    async def locate(self, branch: Branch) -> Server:
        """Return where a branch runs now, woken first if it may be asleep. Raises BackendUnreachable."""
        if branch.sleepable and self._writer is not None:
            return await self._wake(branch)
        if branch.server is None:
            raise BackendUnreachable(
                f"branch {branch.name!r} is asleep, and control, which would wake it, is not running"
            )
        return branch.server

    async def _wake(self, branch: Branch) -> Server:
        request = next(self._requests)
        answer: asyncio.Future[Server] = asyncio.get_running_loop().create_future()
        self._wakes[request] = answer
        self.send(channel.WakeRequest(request, branch.database, branch.name))
        try:
            async with asyncio.timeout(self._wake_timeout_s):
                return await answer
        except TimeoutError:
            raise BackendUnreachable(f"branch {branch.name!r} did not wake up in time: try again") from None
        finally:
            del self._wakes[request]

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        decoder = channel.WorkerSide()
        while data := await reader.read(READ_BYTES):
            for message in decoder.feed(data):
                self._apply(message)

    def _apply(self, message: channel.ToWorker) -> None:
        match message:
            case channel.Routes():
                if message.limits is not None:
                    self._branches.limits = message.limits
                self._branches.apply(RoutingTable.of(message.greeting, message.users, message.branches))
                self.routed.set()
                self.send(channel.RoutesTaken(message.version))
            case channel.GateClose():
                self._close_gate(message)
            case channel.GateOpen():
                gate = self._gates.get(message.id)
                if gate:
                    gate.open()
            case channel.WakeAnswer():
                self._answer_wake(message)
            case channel.KillSessions():
                served = self._branches.get(message.database, message.branch)
                if served:
                    served.kill(message.user)
            case channel.Drain():
                self.drain.set()
            case _:
                assert_never(message)

    def _close_gate(self, order: channel.GateClose) -> None:
        served = self._branches.get(order.database, order.branch)
        if served is None:
            self.send(channel.GateClosed(order.id, 0))
            return
        if served.gate is not None:
            served.gate.open()
        served.gate = self._gates[order.id] = Gate(
            [table for _, table in order.tables],
            hold_ms=order.hold_ms,
            max_held=order.max_held,
            opened=partial(self._gate_opened, order),
        )
        self.send(channel.GateClosed(order.id, served.busy))

    def _gate_opened(self, order: channel.GateClose, report: GateReport) -> None:
        gate = self._gates.pop(order.id)
        served = self._branches.get(order.database, order.branch)
        if served is not None and served.gate is gate:
            served.gate = None
            served.gate_opened(gate)
        log.info("gate.opened", branch=order.branch, held=report.held, by_timer=report.by_timer)
        self.send(
            channel.GateOpened(
                order.id, report.held, report.overflowed, report.longest_hold_ms, report.by_timer
            )
        )

    def _answer_wake(self, answer: channel.WakeAnswer) -> None:
        waiting = self._wakes.get(answer.request)
        if waiting is None or waiting.done():
            return
        if answer.server is not None:
            waiting.set_result(answer.server)
        else:
            waiting.set_exception(BackendUnreachable(answer.error or "the branch cannot be woken"))

    def _forget_wakes(self) -> None:
        for waiting in self._wakes.values():
            if not waiting.done():
                waiting.set_exception(
                    BackendUnreachable("control went away while it woke the branch: try again")
                )
