"""Control's end of the channel, on a real socket, with workers that do as they are told."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TypeVar

import pytest

from conf.settings import ProxySettings
from control import workers as module
from control.workers import Workers
from proxy import channel
from router.model import Account, Address, Branch, Flavor, Server, User
from tests.support.servers import until

M = TypeVar("M", bound=channel.Message)
SERVER = Server(Flavor.MYSQL, "9.7.4", Address(socket="/nowhere"), Account("branch", "secret"))
PATIENCE_S = 120.0
LIMITS = ProxySettings(gate_hold_ms=700, gate_max_held=9)


class FakeWorker:
    """A worker's side of the socket; it acknowledges routes and gates as far as it is `willing`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        self.received: list[channel.ToWorker] = []
        self.willing = True
        self._reader = reader
        self._writer = writer
        self.send(channel.Hello(number, 100 + number, "boot"))
        self._task = asyncio.ensure_future(self._listen())

    def send(self, message: channel.ToControl) -> None:
        self._writer.write(channel.encode(message))

    def send_bytes(self, data: bytes) -> None:
        self._writer.write(data)

    def answer(self, message: channel.ToWorker) -> None:
        if isinstance(message, channel.Routes):
            self.send(channel.RoutesTaken(message.version))
            self.send(channel.Stats(0.0, []))
        elif isinstance(message, channel.GateClose):
            self.send(channel.GateClosed(message.id, 0))

    def all(self, kind: type[M]) -> list[M]:
        return [message for message in self.received if isinstance(message, kind)]

    async def one(self, kind: type[M], which: int = 0) -> M:
        await until(lambda: len(self.all(kind)) > which)
        return self.all(kind)[which]

    async def die(self) -> None:
        self._writer.transport.abort()
        await self._task

    async def dropped(self) -> None:
        await asyncio.wait_for(asyncio.shield(self._task), PATIENCE_S)

    async def _listen(self) -> None:
        decoder = channel.WorkerSide()
        with contextlib.suppress(OSError):
            while data := await self._reader.read(65536):
                for message in decoder.feed(data):
                    self.received.append(message)
                    if self.willing:
                        self.answer(message)
        self._writer.close()


class Desk:
    """Workers with the routes and the waking that a test decides on."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.workers = Workers(path, greeting="9.7.4-headgate", limits=LIMITS)
        self.users: list[User] = []
        self.reads = 0
        self.wake: Callable[[str], Server] = lambda branch: SERVER
        self.waking = asyncio.Event()
        self.may_wake = asyncio.Event()
        self.may_wake.set()
        self._fakes: list[FakeWorker] = []

    async def read_routes(self) -> tuple[list[User], list[Branch]]:
        self.reads += 1
        return list(self.users), []

    async def wake_branch(self, branch: str) -> Server:
        self.waking.set()
        await self.may_wake.wait()
        return self.wake(branch)

    async def join(self, number: int = 1, *, willing: bool = True) -> FakeWorker:
        reader, writer = await asyncio.open_unix_connection(str(self.path))
        fake = FakeWorker(reader, writer, number)
        fake.willing = willing
        self._fakes.append(fake)
        before = self.workers.connected
        if willing:
            await until(lambda: self.workers.connected > before)
        else:
            await fake.one(channel.Routes)
        return fake

    async def everybody_leaves(self) -> None:
        for fake in self._fakes:
            await fake.die()


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    desk = Desk(tmp_path / "control.sock")
    async with desk.workers.serving(desk.read_routes, desk.wake_branch):
        yield desk
        desk.may_wake.set()
        await desk.everybody_leaves()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits for somebody's answer in vain fails the test by its own time-out."""
    monkeypatch.setattr(module, "ROUTES_ANSWER_S", 600.0)
    monkeypatch.setattr(module, "GATE_ANSWER_S", 600.0)


async def test_the_socket_is_private_and_gone_at_the_end(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "control.sock")
    desk.path.write_text("left by a control process that was killed")
    async with desk.workers.serving(desk.read_routes, desk.wake_branch):
        assert desk.path.stat().st_mode & 0o777 == 0o600
    assert not desk.path.exists()


async def test_a_worker_that_comes_late_gets_the_routes_of_now(desk: Desk) -> None:
    desk.users = [User("app", bytes(32), "shop")]
    await desk.workers.refresh_routes()
    late = await desk.join()
    routes = await late.one(channel.Routes)
    assert routes.greeting == "9.7.4-headgate"
    assert [user.name for user in routes.users] == ["app"]


async def test_a_worker_counts_from_its_first_report_after_it_took_its_routes(desk: Desk) -> None:
    slow = await desk.join(willing=False)
    slow.send(channel.Stats(0.0, [channel.BranchStats("shop", "main", 1, 0, 0, {})]))
    await until(lambda: desk.workers.connections("shop", "main") == 1)
    assert desk.workers.connected == 0
    slow.answer(await slow.one(channel.Routes))
    await until(lambda: desk.workers.connected == 1)
    await slow.die()
    await until(lambda: desk.workers.connected == 0)


@pytest.mark.usefixtures("patient")
async def test_a_refresh_returns_when_every_worker_routes_by_it(desk: Desk) -> None:
    quick, slow = await desk.join(1), await desk.join(2)
    slow.willing = False
    refreshing = asyncio.ensure_future(desk.workers.refresh_routes())
    routes = await slow.one(channel.Routes, 1)
    await quick.one(channel.Routes, 1)
    assert not refreshing.done()
    slow.answer(routes)
    await asyncio.wait_for(refreshing, PATIENCE_S)


@pytest.mark.usefixtures("patient")
async def test_a_worker_that_dies_instead_of_answering_holds_nobody_up(desk: Desk) -> None:
    await desk.join(1)
    dying = await desk.join(2)
    dying.willing = False
    refreshing = asyncio.ensure_future(desk.workers.refresh_routes())
    await dying.one(channel.Routes, 1)
    await dying.die()
    await asyncio.wait_for(refreshing, PATIENCE_S)


@pytest.mark.usefixtures("patient")
async def test_a_worker_that_dies_while_its_branch_wakes_holds_nobody_up(desk: Desk) -> None:
    dying = await desk.join()
    desk.may_wake.clear()
    dying.send(channel.WakeRequest(1, "shop", "add-phone"))
    await desk.waking.wait()
    await dying.die()
    await until(lambda: desk.workers.connected == 0)
    await asyncio.wait_for(desk.workers.refresh_routes(), PATIENCE_S)
    assert await asyncio.wait_for(desk.workers.close_gate("shop", "main", []), PATIENCE_S) is not None


async def test_a_worker_that_never_answers_is_not_waited_for_long(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = await desk.join()
    silent.willing = False
    monkeypatch.setattr(module, "ROUTES_ANSWER_S", 0.05)
    await asyncio.wait_for(desk.workers.refresh_routes(), PATIENCE_S)


@pytest.mark.usefixtures("patient")
async def test_of_two_refreshes_at_once_workers_end_with_the_newer_routes(desk: Desk) -> None:
    worker = await desk.join()
    desk.users = [User("app", bytes(32), "shop")]
    await asyncio.wait_for(
        asyncio.gather(desk.workers.refresh_routes(), desk.workers.refresh_routes()), PATIENCE_S
    )
    versions = [routes.version for routes in worker.all(channel.Routes)]
    assert versions == sorted(versions)
    assert [user.name for user in worker.all(channel.Routes)[-1].users] == ["app"]


@pytest.mark.usefixtures("patient")
async def test_a_gate_is_closed_when_every_worker_says_so_and_opened_in_all(desk: Desk) -> None:
    workers = [await desk.join(1), await desk.join(2)]
    workers[1].willing = False
    gate = desk.workers.gate("shop", "main")
    closing = asyncio.ensure_future(gate.close([("shop", "orders")]))
    order = await workers[1].one(channel.GateClose)
    assert (order.database, order.branch, order.tables) == ("shop", "main", [("shop", "orders")])
    assert (order.hold_ms, order.max_held) == (700, 9)
    await workers[0].one(channel.GateClose)
    assert not closing.done()
    workers[1].answer(order)
    assert await asyncio.wait_for(closing, PATIENCE_S)
    await gate.open()
    for worker in workers:
        assert (await worker.one(channel.GateOpen)).id == order.id
    await gate.open()
    assert all(len(worker.all(channel.GateOpen)) == 1 for worker in workers)


async def test_a_gate_that_a_worker_does_not_confirm_is_opened_again_everywhere(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    willing, silent = await desk.join(1), await desk.join(2)
    silent.willing = False
    monkeypatch.setattr(module, "GATE_ANSWER_S", 0.05)
    gate = desk.workers.gate("shop", "main")
    assert not await gate.close([("shop", "orders")])
    for worker in (willing, silent):
        assert (await worker.one(channel.GateOpen)).id == (await worker.one(channel.GateClose)).id


@pytest.mark.usefixtures("patient")
async def test_a_worker_that_dies_while_a_gate_closes_is_not_asked(desk: Desk) -> None:
    await desk.join(1)
    dying = await desk.join(2)
    dying.willing = False
    closing = asyncio.ensure_future(desk.workers.close_gate("shop", "main", [("shop", "orders")]))
    await dying.one(channel.GateClose)
    await dying.die()
    assert await asyncio.wait_for(closing, PATIENCE_S) is not None


async def test_without_workers_there_is_nothing_to_hold(desk: Desk) -> None:
    assert await desk.workers.close_gate("shop", "main", [("shop", "orders")]) is not None


async def test_a_wake_request_is_answered_with_the_server(desk: Desk) -> None:
    worker = await desk.join()
    worker.send(channel.WakeRequest(7, "shop", "add-phone"))
    assert await worker.one(channel.WakeAnswer) == channel.WakeAnswer(7, server=SERVER)


async def test_whatever_fails_while_waking_is_told_and_the_worker_stays(desk: Desk) -> None:
    def fail(branch: str) -> Server:
        raise KeyError(f"no room for {branch}")

    worker = await desk.join()
    desk.wake = fail
    worker.send(channel.WakeRequest(8, "shop", "add-phone"))
    answer = await worker.one(channel.WakeAnswer)
    assert answer.server is None
    assert "no room for add-phone" in str(answer.error)
    desk.wake = lambda branch: SERVER
    worker.send(channel.WakeRequest(9, "shop", "add-phone"))
    assert (await worker.one(channel.WakeAnswer, 1)).server == SERVER


@pytest.mark.parametrize("garbage", [b"\xff\xff\xff\xff", b"\x01\x00\x00\x00\xc1"])
async def test_a_worker_that_talks_nonsense_is_dropped_and_the_others_stay(
    desk: Desk, garbage: bytes
) -> None:
    good, bad = await desk.join(1), await desk.join(2)
    bad.send_bytes(garbage)
    await bad.dropped()
    assert desk.workers.connected == 1
    desk.workers.cut_off("shop", "main")
    assert await good.one(channel.KillSessions) == channel.KillSessions("shop", "main")


async def test_orders_reach_every_worker(desk: Desk) -> None:
    workers = [await desk.join(number) for number in (1, 2, 3)]
    desk.workers.drain()
    for worker in workers:
        await worker.one(channel.Drain)


async def test_clients_are_counted_until_their_worker_leaves(desk: Desk) -> None:
    workers = [await desk.join(1), await desk.join(2)]
    for worker, connections in zip(workers, (3, 4), strict=True):
        worker.send(channel.Stats(0.0, [channel.BranchStats("shop", "main", connections, 0, 0, {})]))
    await until(lambda: desk.workers.connections("shop", "main") == 7)
    assert desk.workers.signal("shop", "main").sample() is not None
    await workers[0].die()
    await until(lambda: desk.workers.connections("shop", "main") == 4)
    assert desk.workers.connections("shop", "other") == 0
    assert desk.workers.signal("shop", "other").sample() is None


async def test_what_workers_tell_of_gates_and_refusals_needs_no_answer(desk: Desk) -> None:
    worker = await desk.join()
    worker.send(channel.GateOpened(1, 2, 0, 12.5, by_timer=True))
    worker.send(channel.Refused("app", "10.0.0.1:5", "shop", "main", "ALTER", "ALTER TABLE t"))
    worker.send(channel.WakeRequest(1, "shop", "add-phone"))
    await worker.one(channel.WakeAnswer)
