"""The throttle hands out budgets and sits out the rests that follow from them."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest

from conf.settings import ThrottleSettings
from migrator.engine.ground.state import prepare_state
from migrator.throttle.gates import Signal
from migrator.throttle.ratio import WHOLE_DATABASE, Ratio
from migrator.throttle.signals import ClassSample, TrafficSample
from migrator.throttle.throttler import IDLE_TARGET_S, Budget, Kind, Throttle
from router.database import Connection
from router.model import Account, Address, Flavor, Server
from router.servers.process import LocalServer
from tests.support.servers import free_port, until


class SteadyTraffic:
    """The same latency at every moment."""

    def sample(self) -> TrafficSample:
        return TrafficSample(time.monotonic(), {"read": ClassSample(300.0, 2.0, 4.0)}, 2)


async def test_a_throttle_that_is_off_never_waits() -> None:
    throttle = Throttle(ThrottleSettings(enabled=False), SteadyTraffic())
    budget = await throttle.permit()
    throttle.record(budget, 5.0, 1.0)
    assert await throttle.permit() == Budget(IDLE_TARGET_S, 1.0)
    assert throttle.explain() is None


async def test_under_load_a_chunk_is_followed_by_a_rest() -> None:
    throttle = Throttle(ThrottleSettings(), SteadyTraffic())
    budget = await throttle.permit()
    assert budget.target_s < IDLE_TARGET_S / 10
    assert budget.share <= 0.3
    throttle.record(budget, 0.05, 0.001)
    started = time.monotonic()
    await throttle.permit()
    assert time.monotonic() - started > 0.1


async def test_without_traffic_there_is_soon_no_rest() -> None:
    throttle = Throttle(ThrottleSettings())

    async def whole() -> bool:
        budget = await throttle.permit()
        throttle.record(budget, 0.001, 0.001)
        return budget.share == 1.0

    await until(whole)
    throttle.record(await throttle.permit(), 1.0, 0.001)
    async with asyncio.timeout(0):
        await throttle.permit()


async def test_a_ratio_limits_even_a_throttle_that_is_off() -> None:
    throttle = Throttle(ThrottleSettings(enabled=False))
    throttle.station.ratios.put(WHOLE_DATABASE, Ratio(75))
    assert await throttle.permit() == Budget(IDLE_TARGET_S, 0.25)
    assert throttle.explain() == "its ratio leaves it 25 % of the time"


async def test_a_deploy_requests_ratio_is_its_own() -> None:
    throttle = Throttle(ThrottleSettings(enabled=False))
    throttle.station.ratios.put(7, Ratio(90))
    assert (await throttle.for_request(8).permit()).share == 1.0
    assert (await throttle.for_request(7).permit()).share == pytest.approx(0.1)


async def test_pausing_stops_and_resuming_lets_go_on() -> None:
    throttle = Throttle(ThrottleSettings(enabled=False))
    throttle.station.ratios.put(WHOLE_DATABASE, Ratio(paused=True))
    waiting = asyncio.ensure_future(throttle.permit())
    await until(lambda: (held := throttle.held()) is not None and held.for_s > 0.2)
    assert not waiting.done()
    assert throttle.station.share == 0.0
    throttle.station.ratios.put(WHOLE_DATABASE, None)
    await waiting
    assert throttle.held() is None


async def test_following_is_not_held_back_by_what_holds_copying() -> None:
    throttle = Throttle(ThrottleSettings(enabled=False))
    throttle.station.ratios.put(WHOLE_DATABASE, Ratio(paused=True))
    async with asyncio.timeout(0):
        await throttle.permit(Kind.FLUSH)


async def test_verifying_goes_before_copying() -> None:
    throttle = Throttle(ThrottleSettings(enabled=False))
    throttle.station.ratios.put(WHOLE_DATABASE, Ratio(50))
    order: list[Kind] = []

    async def work(kind: Kind) -> None:
        for _ in range(3):
            budget = await throttle.permit(kind)
            order.append(kind)
            throttle.record(budget, 0.01, 0.0)

    throttle.record(await throttle.permit(), 0.2, 0.0)
    await asyncio.gather(work(Kind.COPY), work(Kind.VERIFY))
    assert order[:3] == [Kind.VERIFY] * 3


async def test_the_history_tells_how_it_was() -> None:
    throttle = Throttle(ThrottleSettings(enabled=False))
    throttle.station.ratios.put(WHOLE_DATABASE, Ratio(50))
    throttle.record(await throttle.permit(), 0.0, 0.0, rows=500)
    (point,) = throttle.station.history.since(0.0, 10)
    assert (point.share, point.signal) == (0.5, "ratio")
    assert throttle.station.rows_per_s == 100.0


async def test_a_server_that_cannot_be_reached_stops_copying() -> None:
    nowhere = Server(Flavor.MYSQL, "", Address("127.0.0.1", free_port()), Account("nobody", "nothing"))
    throttle = Throttle(ThrottleSettings(), server=nowhere)
    try:
        waiting = asyncio.ensure_future(throttle.permit())
        await until(lambda: "first measurement" in str(throttle.explain()))
        await asyncio.wait({waiting}, timeout=0.5)
        assert not waiting.done()
        waiting.cancel()
    finally:
        await throttle.close()


async def test_signals_come_from_real_servers(server: LocalServer) -> None:
    await prepare_state(server.server)
    throttle = Throttle(ThrottleSettings(), server=server.server)
    try:
        assert (await throttle.permit()).target_s == IDLE_TARGET_S
        gates = throttle.station.gates
        await until(lambda: set(gates.values) == set(Signal) - {Signal.REPLICA_LAG, Signal.POOL_WAIT})
        async with await Connection.open(server.server) as connection:
            assert await connection.fetch_value("SELECT COUNT(*) FROM _headgate.heartbeat") == 1
    finally:
        await throttle.close()


async def test_an_account_without_rights_is_told_what_cannot_be_read_and_copying_goes_on(
    server: LocalServer,
) -> None:
    await prepare_state(server.server)
    poor = Account("poor", "a password of its own")
    async with await Connection.open(server.server) as connection:
        await connection.execute("CREATE USER IF NOT EXISTS poor IDENTIFIED BY %s", poor.password)
    throttle = Throttle(ThrottleSettings(), server=replace(server.server, account=poor))
    required = Throttle(
        ThrottleSettings(required=("commit_latency",)), server=replace(server.server, account=poor)
    )
    try:
        await throttle.permit()
        waiting = asyncio.ensure_future(required.permit())
        await until(lambda: "commit_latency is required, and cannot be read" in str(required.explain()))
        assert not waiting.done()
        waiting.cancel()
    finally:
        await throttle.close()
        await required.close()
        async with await Connection.open(server.server) as connection:
            await connection.execute("DROP USER poor")
