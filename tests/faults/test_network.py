"""The network between the engine and its server fails: nothing is lost, nothing done twice."""

from __future__ import annotations

import asyncio

import pytest

from migrator.engine.migration import OnlineAlter
from router.database import Connection
from router.servers.process import LocalServer
from tests.migrator.engine.ledger import COMPOSITE, INT, Ledger, alter, target_of
from tests.migrator.engine.test_outages import carried
from tests.support.faults import faults
from tests.support.servers import until

CUTS = 3


@pytest.mark.parametrize("answered", [True, False], ids=["answer lost", "commit lost"])
async def test_a_commit_of_which_nothing_is_heard_is_looked_up(
    server: LocalServer, database: str, connection: Connection, answered: bool
) -> None:
    ledger = Ledger(server.server, database, COMPOSITE)
    await ledger.fill(connection, 2500)
    target = await target_of(connection, database, COMPOSITE.create(new=True))
    async with faults(server) as (between, far), ledger.writing():

        def again() -> None:
            if between.cuts < CUTS:
                between.cut_at(b"COMMIT", answered=answered, then=again)

        between.cut_at(b"COMMIT", answered=answered, then=again)
        await carried(lambda: alter(far, database, target, rows=150), OnlineAlter.cut_over)
        assert between.cuts == CUTS
        await ledger.written(50)
        await carried(lambda: alter(far, database, target), OnlineAlter.revert)
        await ledger.written(30)
    assert not ledger.errors
    await ledger.check(dropped=False)


async def test_a_slow_network_makes_everything_slower_and_nothing_wrong(
    server: LocalServer, database: str, connection: Connection
) -> None:
    ledger = Ledger(server.server, database, INT)
    await ledger.fill(connection, 1000)
    target = await target_of(connection, database, INT.create(new=True))
    async with faults(server) as (between, far):
        between.delay_s = 0.003
        operation = alter(far, database, target)
        try:
            async with ledger.writing():
                preparing = asyncio.ensure_future(operation.prepare())
                await ledger.written(100)
            await preparing
            await operation.cut_over()
            async with ledger.writing():
                await ledger.written(30)
            await operation.revert()
        finally:
            await operation.close()
    assert not ledger.errors
    await ledger.check(dropped=False)


async def test_resets_of_all_connections_again_and_again_only_delay(
    server: LocalServer, database: str, connection: Connection
) -> None:
    ledger = Ledger(server.server, database, INT)
    await ledger.fill(connection, 3000)
    target = await target_of(connection, database, INT.create(new=True))
    async with faults(server) as (between, far), ledger.writing():
        storm = asyncio.ensure_future(_reset_often(between.reset, 4, ledger))
        await carried(lambda: alter(far, database, target, rows=100), OnlineAlter.cut_over)
        await storm
        storm = asyncio.ensure_future(_reset_often(between.reset, 2, ledger))
        await carried(lambda: alter(far, database, target), OnlineAlter.revert)
        await storm
    assert not ledger.errors
    await ledger.check(dropped=False)


async def _reset_often(reset: object, times: int, ledger: Ledger) -> None:
    assert callable(reset)
    for _ in range(times):
        await ledger.written(15)
        reset()


async def test_a_network_that_swallows_everything_for_a_moment_is_waited_for(
    server: LocalServer, database: str, connection: Connection
) -> None:
    ledger = Ledger(server.server, database, INT)
    await ledger.fill(connection, 4000)
    target = await target_of(connection, database, INT.create(new=True))
    async with faults(server) as (between, far):
        operation = alter(far, database, target, rows=100)
        try:
            async with ledger.writing():
                preparing = asyncio.ensure_future(operation.prepare())
                await until(lambda: operation.status().rows_copied > 500)
                between.swallow()
                await ledger.written(150)
                between.heal()
                await preparing
                await operation.cut_over()
                await ledger.written(30)
        finally:
            await operation.close()
    assert not ledger.errors
    await ledger.check(dropped=True)
