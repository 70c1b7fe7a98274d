"""Copying waits for replicas: for one that lags, for one that is gone, not for one that does not matter."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest

from conf.settings import ThrottleSettings
from migrator.engine.ground.state import prepare_state
from migrator.throttle.gates import Signal
from migrator.throttle.throttler import Kind, Throttle
from router.model import Flavor
from tests.support.replicas import Replicas, replica_pair
from tests.support.servers import free_port, until


def throttle_of(pair: Replicas, *more: str, ignored: tuple[str, ...] = ()) -> Throttle:
    own = f"127.0.0.1:{pair.replica.port}"
    settings = ThrottleSettings(replica_lag_max_s=1.0, replicas_ignored=ignored)
    return Throttle(settings, server=pair.source.server, replicas=(own, *more))


@pytest.mark.parametrize("flavor", list(Flavor))
async def test_copying_waits_for_a_replica_that_lags_and_following_only_for_one_far_behind(
    flavor: Flavor, server_folder: Path
) -> None:
    async with replica_pair(flavor, server_folder / f"lag-{flavor}") as pair:
        await prepare_state(pair.source.server)
        await pair.caught_up()
        throttle = throttle_of(pair)
        station = throttle.station
        try:
            # The replica has no heartbeat before our first one; then it has each soon.
            throttle.record(await asyncio.wait_for(throttle.permit(), 20), 0.0, 0.0)
            assert station.gates.values[Signal.REPLICA_LAG] < 1.0
            await pair.pause()

            async def is_held() -> bool:
                await _asked(throttle)
                held = throttle.held()
                return held is not None and held.signal == Signal.REPLICA_LAG

            await until(is_held)
            assert "a replica is" in str(throttle.explain())
            async with asyncio.timeout(1):
                await throttle.permit(Kind.FLUSH)
            await until(lambda: station.follow_pause_s() > 0)
            await pair.resume()
            await until(lambda: station.follow_pause_s() == 0)
            await asyncio.wait_for(throttle.permit(), 20)
        finally:
            await throttle.close()


async def _asked(throttle: Throttle) -> None:
    """Ask to copy, whatever the answer."""
    with suppress(TimeoutError):
        async with asyncio.timeout(0.2):
            throttle.record(await throttle.permit(), 0.0, 0.0)


@pytest.mark.parametrize("flavor", list(Flavor))
async def test_a_replica_that_does_not_answer_counts_as_behind_unless_it_is_ignored(
    flavor: Flavor, server_folder: Path
) -> None:
    async with replica_pair(flavor, server_folder / f"gone-{flavor}") as pair:
        await prepare_state(pair.source.server)
        await pair.caught_up()
        nobody = f"127.0.0.1:{free_port()}"
        strict, mild = throttle_of(pair, nobody), throttle_of(pair, nobody, ignored=(nobody,))
        try:
            waiting = asyncio.ensure_future(strict.permit())
            await until(lambda: f"replica {nobody} does not" in str(strict.explain()))
            assert not waiting.done()
            waiting.cancel()
            await asyncio.wait_for(mild.permit(), 20)
        finally:
            await strict.close()
            await mild.close()
