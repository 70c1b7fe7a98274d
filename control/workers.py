"""I am control's end of the line to the workers: routes out, gates out and back, counters in."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from conf.settings import ProxySettings
from control.audit import Audit
from control.metrics import Metrics
from control.traffic import Traffic
from migrator.throttle.signals import TrafficSample
from proxy.channel import (
    ChannelError,
    ControlSide,
    DefinitionChanged,
    Drain,
    GateClose,
    GateClosed,
    GateOpen,
    GateOpened,
    Hello,
    KillSessions,
    Refused,
    Routes,
    RoutesTaken,
    Shapes,
    Stats,
    Table,
    ToControl,
    ToWorker,
    WakeAnswer,
    WakeRequest,
    encode,
)
from router.model import Branch, Server, User

log = structlog.get_logger()

READ_BYTES = 1 << 16
GATE_ANSWER_S = 0.5
ROUTES_ANSWER_S = 2.0

ReadRoutes = Callable[[], Awaitable[tuple[list[User], list[Branch]]]]
Wake = Callable[[str], Awaitable[Server]]


@dataclass(eq=False, slots=True)
class _Worker:
    """One connected worker; `closed_gates` are those it has said it shut.

    It `serves` from its first report after it took routes: by then its port is open.
    """

    writer: asyncio.StreamWriter
    number: int = 0
    routes: int = 0
    serves: bool = False
    closed_gates: set[int] = field(default_factory=set)

    def send(self, message: ToWorker) -> None:
        if not self.writer.is_closing():
            self.writer.write(encode(message))


class Workers:
    """The workers that are connected now.

    `limits` are what workers keep to by themselves.
    """

    def __init__(self, path: Path, *, greeting: str, limits: ProxySettings) -> None:
        self._path = path
        self._greeting = greeting
        self._workers: set[_Worker] = set()
        self._gate_ids = itertools.count(1)
        self._answered = asyncio.Event()
        self._read_routes: ReadRoutes | None = None
        self._version = 0
        self._latest: Routes | None = None
        self.traffic = Traffic()
        self.metrics = Metrics()
        self._audit = Audit()
        # Set by who keeps what was seen, before the first worker may come.
        self.on_shapes: Callable[[Shapes], None] = _nobody
        self.on_definition: Callable[[DefinitionChanged], None] = _nobody
        self._limits = limits

    @property
    def connected(self) -> int:
        """How many workers are connected and serve clients."""
        return sum(1 for worker in self._workers if worker.serves)

    def connections(self, database: str, branch: str) -> int:
        """How many clients a branch has now, over all workers."""
        return self.traffic.connections(database, branch)

    async def refresh_routes(self) -> None:
        """Send the routes as they are now; return when every worker routes by them.

        A worker that does not say so in time is not waited for: it takes them when it can.
        """
        if self._read_routes is None:
            return
        self._version += 1
        version = self._version
        users, branches = await self._read_routes()
        if version != self._version:
            # Somebody has asked again meanwhile, and will send what is newer.
            version = self._version
        else:
            self._latest = Routes(version, self._greeting, users, branches, self._limits)
            self._broadcast(self._latest)
        await self._all_answer(lambda worker: worker.routes >= version, ROUTES_ANSWER_S)

    async def change_limits(self, limits: ProxySettings) -> None:
        """Have the workers keep to other limits from now on."""
        self._limits = limits
        await self.refresh_routes()

    def cut_off(self, database: str, branch: str) -> None:
        """Close all client connections of a branch."""
        self._broadcast(KillSessions(database, branch))

    def drain(self) -> None:
        """Tell all workers to finish."""
        self._broadcast(Drain())

    def gate(self, database: str, branch: str) -> BranchGate:
        """Return the gate of a branch."""
        return BranchGate(self, database, branch)

    def signal(self, database: str, branch: str) -> BranchSignal:
        """Return what the throttle may know of a branch's traffic."""
        return BranchSignal(self.traffic, database, branch)

    @contextlib.asynccontextmanager
    async def serving(self, read_routes: ReadRoutes, wake: Wake) -> AsyncIterator[None]:
        """Accept workers while the body runs."""
        self._path.unlink(missing_ok=True)

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._serve(reader, writer, wake)

        self._read_routes = read_routes
        server = await asyncio.start_unix_server(accept, self._path)
        self._path.chmod(0o600)
        try:
            await self.refresh_routes()
            yield
        finally:
            server.close()
            for worker in list(self._workers):
                worker.writer.close()
            self._path.unlink(missing_ok=True)

    async def close_gate(self, database: str, branch: str, tables: Sequence[Table]) -> int | None:
        """Shut a gate in every worker and return its id, or None, with it open, when one did not answer."""
        gate = next(self._gate_ids)
        self._broadcast(
            GateClose(
                gate, database, branch, list(tables), self._limits.gate_hold_ms, self._limits.gate_max_held
            )
        )
        if await self._all_answer(lambda worker: gate in worker.closed_gates, GATE_ANSWER_S):
            return gate
        log.warning("gate.unanswered", database=database, branch=branch)
        self.open_gate(gate)
        return None

    def open_gate(self, gate: int) -> None:
        """Let go what a gate holds."""
        for worker in self._workers:
            worker.closed_gates.discard(gate)
        self._broadcast(GateOpen(gate))

    async def _all_answer(self, answered: Callable[[_Worker], bool], patience_s: float) -> bool:
        """Wait until all that are connected now have answered; one that leaves need not."""
        asked = list(self._workers)
        try:
            async with asyncio.timeout(patience_s):
                while not all(answered(worker) for worker in asked if worker in self._workers):
                    event = self._answered
                    await event.wait()
        except TimeoutError:
            return False
        return True

    def _note_answer(self) -> None:
        event, self._answered = self._answered, asyncio.Event()
        event.set()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, wake: Wake) -> None:
        worker = _Worker(writer)
        self._workers.add(worker)
        decoder = ControlSide()
        if self._latest:
            worker.send(self._latest)
        async with asyncio.TaskGroup() as group:
            try:
                while data := await reader.read(READ_BYTES):
                    for message in decoder.feed(data):
                        self._receive(worker, message, wake, group)
            except (ChannelError, OSError) as error:
                log.warning("worker.dropped", worker=worker.number, reason=str(error))
            finally:
                # At once, though a branch may still be waking for this worker: nobody shall wait for it.
                self._workers.discard(worker)
                self._note_answer()
                self.traffic.forget(id(worker))
                self.metrics.forget(id(worker))
                writer.close()
                log.info("worker.left", worker=worker.number)

    def _receive(self, worker: _Worker, message: ToControl, wake: Wake, group: asyncio.TaskGroup) -> None:
        match message:
            case Hello():
                worker.number = message.worker
                self.metrics.joined(message)
                log.info("worker.joined", worker=message.worker, pid=message.pid)
            case RoutesTaken():
                worker.routes = message.version
                self._note_answer()
            case Stats():
                worker.serves = worker.routes > 0
                self._audit.write_repeated()
                self.traffic.record(id(worker), message.branches)
                self.metrics.record(id(worker), worker.number, message)
            case GateClosed():
                worker.closed_gates.add(message.id)
                self._note_answer()
            case GateOpened():
                self.metrics.gate_opened(message)
                log.info(
                    "gate.opened",
                    worker=worker.number,
                    held=message.held,
                    overflowed=message.overflowed,
                    longest_hold_ms=message.longest_hold_ms,
                    by_timer=message.by_timer,
                )
            case WakeRequest():
                group.create_task(self._wake(worker, message, wake))
            case Refused():
                self._audit.note(message)
            case Shapes():
                self.on_shapes(message)
            case DefinitionChanged():
                self.on_definition(message)

    async def _wake(self, worker: _Worker, request: WakeRequest, wake: Wake) -> None:
        try:
            answer = WakeAnswer(request.request, server=await wake(request.branch))
        except Exception as error:
            # Whatever went wrong is told to the client that waits for this branch.
            log.warning("branch.wake_failed", branch=request.branch, reason=str(error))
            answer = WakeAnswer(request.request, error=str(error))
        worker.send(answer)

    def _broadcast(self, message: ToWorker) -> None:
        for worker in self._workers:
            worker.send(message)


def _nobody(_: object) -> None:
    """Stand for who does not care."""


class BranchGate:
    """The gate of one branch over all workers, as the engine's cut-over uses it."""

    def __init__(self, workers: Workers, database: str, branch: str) -> None:
        self._workers = workers
        self._database = database
        self._branch = branch
        self._gate: int | None = None

    async def close(self, tables: Sequence[tuple[str, str]]) -> bool:
        """Hold what would start on these tables; False, with nothing held, when a worker did not answer."""
        self._gate = await self._workers.close_gate(self._database, self._branch, tables)
        return self._gate is not None

    async def open(self) -> None:
        """Let go what is held."""
        if self._gate is not None:
            self._workers.open_gate(self._gate)
            self._gate = None


@dataclass(frozen=True, slots=True)
class BranchSignal:
    """What the throttle may know of one branch's traffic."""

    traffic: Traffic
    database: str
    branch: str

    def sample(self) -> TrafficSample | None:
        """Return the last second as the proxy saw it, or None when no worker has ever reported."""
        return self.traffic.sample(self.database, self.branch)
