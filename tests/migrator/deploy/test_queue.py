"""Who is carried when, and what the others wait for."""

from __future__ import annotations

from migrator.deploy.lifecycle import State
from tests.support.deploying import ADA, Bench


async def test_a_second_request_waits_for_the_first_ones_window(bench: Bench) -> None:
    await bench.create("a")
    await bench.create("b")
    async with bench.running():
        await bench.deploy(1)
        await bench.until(1, State.COMPLETE_PENDING_REVERT)
        await bench.deploy(2)
        assert [other.number for other in await bench.deploys.ahead("shop", 2)] == [1]
        await bench.deploys.skip_revert("shop", 1, ADA)
        await bench.until(2, State.COMPLETE_PENDING_REVERT)
    assert (await bench.get(1)).deployment_state is State.COMPLETE
