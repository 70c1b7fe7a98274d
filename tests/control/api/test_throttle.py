"""The throttle's paths: what is set holds at once, for a request or all, and outlives a restart."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from conf.settings import ThrottleSettings
from control.throttles import Throttles
from migrator.throttle.ratio import WHOLE_DATABASE, Ratio
from migrator.throttle.store import RatioStore
from migrator.throttle.throttler import Throttle
from router.clock import now
from router.state import open_state
from tests.support.servers import until
from tests.support.service import Running


async def ratio(running: Running, path: str = "/throttler") -> int:
    state = await running.call("GET", path)
    assert state["configurations"] == [{"keyspace_name": "shop", "ratio": state["ratio"]}]
    return int(state["ratio"])


async def test_a_database_has_a_ratio_that_can_be_changed_and_taken_back(running: Running) -> None:
    shown = await running.call("GET", "/throttler")
    assert shown["keyspaces"] == ["shop"]
    assert shown["configurable"]["name"] == "shop"
    assert (shown["ratio"], shown["own"], shown["paused"], shown["held"]) == (0, False, False, None)
    changed = await running.call("PATCH", "/throttler", {"ratio": 40, "expires_in": 3600})
    assert (changed["ratio"], changed["own"]) == (40, True)
    assert changed["expires_at"] is not None
    body = {"configurations": [{"keyspace_name": "shop", "ratio": 70}]}
    assert (await running.call("PATCH", "/throttler", body))["ratio"] == 70
    assert (await running.call("PATCH", "/throttler", {"paused": True}))["paused"] is True
    assert (await running.call("PATCH", "/throttler", {"paused": False}))["ratio"] == 70
    assert (await running.call("PATCH", "/throttler", {"ratio": None}))["own"] is False
    assert await ratio(running) == 0


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"ratio": 96}, "0 to 95"),
        ({"ratio": -1}, "0 to 95"),
        ({"expires_in": 0}, "more than no time"),
        ({"configurations": [{"keyspace_name": "else", "ratio": 1}]}, "no keyspace 'else'"),
    ],
)
async def test_what_cannot_be_is_refused(running: Running, body: Any, message: str) -> None:
    answer = await running.call("PATCH", "/throttler", body, expect=422)
    assert message in answer["message"]
    assert await ratio(running) == 0


async def test_a_deploy_request_has_a_ratio_of_its_own(running: Running) -> None:
    await running.call("POST", "/branches", {"name": "slow"}, expect=201)
    await running.on_branch("slow", "CREATE TABLE slow (id INT PRIMARY KEY)")
    request = await running.call("POST", "/deploy-requests", {"branch": "slow"}, expect=201)
    path = f"/deploy-requests/{request['number']}"
    assert request["deployment"]["throttler_configurations"] is None
    await running.call("PATCH", "/throttler", {"ratio": 80})
    try:
        assert await ratio(running, f"{path}/throttler") == 80
        changed = await running.call("PATCH", f"{path}/throttler", {"ratio": 10})
        assert (changed["ratio"], changed["configurable"]["id"]) == (10, request["id"])
        assert await ratio(running) == 80
        shown = await running.call("GET", path)
        assert shown["deployment"]["throttler_configurations"] == [{"keyspace_name": "shop", "ratio": 10}]
        await running.call("PATCH", f"{path}/throttler", {"ratio": None})
        assert await ratio(running, f"{path}/throttler") == 80
    finally:
        await running.call("PATCH", "/throttler", {"ratio": None})
    await running.call("GET", "/deploy-requests/999/throttler", expect=404)


async def test_the_history_and_the_metrics_tell_of_the_throttle(running: Running) -> None:
    throttle = running.service.throttles._throttle
    throttle.station.ratios.put(WHOLE_DATABASE, Ratio(50))
    try:
        throttle.record(await throttle.permit(), 0.0, 0.0, rows=10)
        found = await running.call("GET", "/throttler/history?seconds=60&points=10")
        assert found["data"][-1]["signal"] == "ratio"
        assert found["data"][-1]["share"] == 0.5
        text = running.service.workers.metrics.text().decode()
        assert "headgate_throttle_ratio 50.0" in text
        assert "headgate_throttle_share 0.5" in text
    finally:
        throttle.station.ratios.put(WHOLE_DATABASE, None)


async def test_what_was_set_outlives_a_restart(tmp_path: Path) -> None:
    engine = open_state(tmp_path / "state.db")
    try:
        store = RatioStore(engine)
        await store.prepare()
        await store.put("shop", 7, Ratio(60, paused=True))
        first = (await store.all("shop"))[7]
        await store.put("shop", 7, Ratio(61, expires_at=now()))
        second = (await store.all("shop"))[7]
        assert (second.created_at, second.ratio.ratio) == (first.created_at, 61)
        assert second.updated_at >= first.updated_at
        await store.put("shop", WHOLE_DATABASE, Ratio(5))
        await store.put("shop", 7, None)
        assert set(await store.all("shop")) == {WHOLE_DATABASE}
        assert await store.all("else") == {}
    finally:
        await engine.dispose()


async def test_a_pause_stays_when_somebody_sets_the_ratio_at_the_same_time(tmp_path: Path) -> None:
    engine = open_state(tmp_path / "state.db")
    try:
        throttles = Throttles("shop", RatioStore(engine), Throttle(ThrottleSettings()))
        await throttles.prepare()
        await asyncio.gather(throttles.change(7, paused=True), throttles.change(7, ratio=35))
        assert (await throttles.state(7)).effective == Ratio(35, paused=True)
    finally:
        await engine.dispose()


async def test_a_restarted_control_puts_in_force_what_was_set(tmp_path: Path) -> None:
    engine = open_state(tmp_path / "state.db")
    try:
        former = Throttles("shop", RatioStore(engine), Throttle(ThrottleSettings()))
        await former.prepare()
        await former.change(WHOLE_DATABASE, ratio=35)
        await former.change(7, paused=True)
        await former.change(8, ratio=20, expires_in_s=0.001)
        await until(lambda: former._throttle.station.ratios.own(8, now()) is None)
        throttle = Throttle(ThrottleSettings())
        await Throttles("shop", RatioStore(engine), throttle).prepare()
        ratios = throttle.station.ratios
        assert ratios.effective(7, now()) == Ratio(paused=True)
        assert ratios.effective(8, now()) == Ratio(35)
    finally:
        await engine.dispose()
