"""A migration that is slowed down, paused and let go on: it says what holds it, and ends all the same."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from conf.settings import MigratorSettings, ThrottleSettings
from migrator.engine.ground.operation import Phase
from migrator.engine.migration import OnlineAlter
from migrator.throttle.gates import Signal
from migrator.throttle.ratio import WHOLE_DATABASE, Ratio
from migrator.throttle.throttler import Throttle
from router.database import Connection
from router.servers.process import LocalServer
from tests.migrator.engine.ledger import INT, Ledger, OpenGate, target_of
from tests.support.servers import until

ROWS = 5000


@dataclass
class Slowed:
    """An operation in small chunks, with its throttle."""

    operation: OnlineAlter
    throttle: Throttle

    async def close(self) -> None:
        await self.operation.close()
        await self.throttle.close()


async def slowed(server: LocalServer, database: str, connection: Connection) -> Slowed:
    ledger = Ledger(server.server, database, INT)
    await ledger.fill(connection, ROWS)
    target = await target_of(connection, database, INT.create(new=True))
    throttle = Throttle(ThrottleSettings(), server=server.server)
    settings = MigratorSettings(chunk_rows_max=200, copiers=1)
    operation = OnlineAlter(
        f"slow-{database}",
        server.server,
        database,
        "t",
        target,
        OpenGate(),
        throttle.for_request(7),
        settings,
    )
    return Slowed(operation, throttle)


async def test_a_paused_migration_stands_still_says_so_and_ends_when_it_may_go_on(
    server: LocalServer, database: str, connection: Connection
) -> None:
    it = await slowed(server, database, connection)
    ratios = it.throttle.station.ratios
    ratios.put(7, Ratio(90))
    try:
        preparing = asyncio.ensure_future(it.operation.prepare())
        await until(lambda: it.operation.status().eta_s is not None)
        ratios.put(WHOLE_DATABASE, Ratio(paused=True))
        await until(lambda: "somebody has paused it" in str(it.operation.status().throttled))
        standing = it.operation.status()
        assert standing.rows_copied < ROWS
        assert standing.activity == "copying"
        assert 0 < standing.bytes_copied < standing.bytes_total
        assert standing.eta_s is not None
        assert standing.eta_low_s is not None
        assert standing.eta_high_s is not None
        assert standing.eta_low_s <= standing.eta_s <= standing.eta_high_s
        await until(lambda: (held := it.throttle.held()) is not None and held.for_s > 0.5)
        assert it.operation.status().rows_copied == standing.rows_copied
        ratios.put(WHOLE_DATABASE, None)
        ratios.put(7, None)
        await asyncio.wait_for(preparing, 60)
        done = it.operation.status()
        assert done.phase is Phase.READY
        assert done.rows_verified == ROWS
        assert done.throttled is None
        assert it.throttle.station.history.since(0.0, 1000)
        await it.operation.cancel()
    finally:
        await it.close()


async def test_a_signal_above_its_limit_stops_a_migration_until_it_is_well_below(
    server: LocalServer, database: str, connection: Connection
) -> None:
    it = await slowed(server, database, connection)
    gates = it.throttle.station.gates
    it.throttle.station.ratios.put(7, Ratio(90))
    try:
        preparing = asyncio.ensure_future(it.operation.prepare())
        await until(lambda: it.operation.status().rows_copied > 0)
        later = 10**9  # newer than what is measured meanwhile
        gates.take(later, Signal.DISK_USED, 0.99)
        await until(lambda: "disk is 99 % full" in str(it.operation.status().throttled))
        standing = it.operation.status().rows_copied
        history = it.throttle.station.history
        await until(lambda: [point.signal for point in history.since(0.0, 1000)].count("disk_used") > 1)
        assert it.operation.status().rows_copied == standing
        gates.take(later, Signal.DISK_USED, 0.5)
        it.throttle.station.ratios.put(7, None)
        await asyncio.wait_for(preparing, 60)
        await it.operation.cancel()
    finally:
        await it.close()
