"""A replica takes the server's place in the middle of a change: with GTIDs it goes on, without it stops."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from migrator.engine.ground.operation import Phase
from migrator.engine.ground.state import prepare_state
from migrator.engine.migration import OnlineAlter
from migrator.engine.rows import copier
from migrator.engine.swap import cutover, renaming
from migrator.errors import MigratorError, NotNow, StreamBroken
from router.database import Connection
from router.errors import DatabaseError
from router.model import Address, Flavor, Server
from tests.migrator.engine.ledger import INT, Ledger, alter, target_of
from tests.migrator.engine.test_outages import carried, dying_at
from tests.support.cutting import Cutter, cutter
from tests.support.replicas import Replicas, ask, replica_pair


@dataclasses.dataclass
class Cluster:
    """A pair of servers behind one address."""

    pair: Replicas
    between: Cutter
    server: Server
    target: str

    def make(self) -> OnlineAlter:
        """The operation, as a process that has just started makes it."""
        return alter(self.server, "s", self.target, rows=100)

    async def fail_over(self) -> None:
        """The source dies, the replica takes its place."""
        self.pair.source.kill()
        new = await self.pair.promote()
        self.between.move(new.server.address.port)


@contextlib.asynccontextmanager
async def cluster(flavor: Flavor, folder: Path, **options: str) -> AsyncIterator[tuple[Cluster, Ledger]]:
    """Run one with a table of some rows."""
    named = {name.replace("_", "-"): value for name, value in options.items()}
    async with (
        replica_pair(flavor, folder, options=named) as pair,
        cutter(pair.source.server.address.port) as between,
    ):
        server = dataclasses.replace(pair.source.server, address=Address("127.0.0.1", between.port))
        await prepare_state(server)
        ledger = Ledger(server, "s", INT)
        async with await Connection.open(server) as admin:
            await admin.execute("CREATE DATABASE s")
            await ledger.fill(admin, 3000)
            target = await target_of(admin, "s", INT.create(new=True))
        yield Cluster(pair, between, server, target), ledger


@pytest.mark.parametrize("flavor", list(Flavor), ids=str)
async def test_a_copy_goes_on_where_a_replica_was_promoted(
    flavor: Flavor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with cluster(flavor, tmp_path) as (both, ledger):
        await both.pair.caught_up()
        taking_over: list[asyncio.Task[None]] = []
        # In the middle: what the replica has not received of the copy is not in its record either.
        dying_at(
            monkeypatch,
            copier,
            "chunk-before-commit",
            lambda: taking_over.append(asyncio.ensure_future(both.fail_over())),
        )
        await carried(both.make, lambda operation: ledger.written(0))
        assert len(taking_over) == 1
        await taking_over[0]
        async with ledger.writing():
            await ledger.written(50)
            await carried(both.make, OnlineAlter.cut_over)
            await ledger.written(50)
        await ledger.check(dropped=True)


@pytest.mark.parametrize("flavor", list(Flavor), ids=str)
async def test_the_way_back_survives_a_fail_over(flavor: Flavor, tmp_path: Path) -> None:
    async with cluster(flavor, tmp_path) as (both, ledger):
        operation = both.make()
        async with ledger.writing():
            await operation.prepare()
            await ledger.written(50)
            await operation.cut_over()
            await ledger.written(50)
        await both.pair.caught_up()
        await both.fail_over()
        await operation.close()
        async with ledger.writing():
            await ledger.written(50)
            await carried(both.make, OnlineAlter.revert)
            await ledger.written(50)
            # Neither table has the number that it had on the former server.
            await carried(both.make, OnlineAlter.redo)
            await ledger.written(50)
        await ledger.check(dropped=True)
        await carried(both.make, OnlineAlter.finalize)


@pytest.mark.parametrize("flavor", list(Flavor), ids=str)
async def test_a_revert_can_be_taken_back_after_a_fail_over(flavor: Flavor, tmp_path: Path) -> None:
    async with cluster(flavor, tmp_path) as (both, ledger):
        operation = both.make()
        async with ledger.writing():
            await operation.prepare()
            await operation.cut_over()
            await ledger.written(50)
            await operation.revert()
            await ledger.written(50)
        await both.pair.caught_up()
        await both.fail_over()
        await operation.close()
        async with ledger.writing():
            await ledger.written(50)
            await carried(both.make, OnlineAlter.redo)
            await ledger.written(50)
        await ledger.check(dropped=True)


@pytest.mark.parametrize("place", ["before-rename", "after-rename"])
@pytest.mark.parametrize("flavor", list(Flavor), ids=str)
async def test_a_cut_over_ends_on_a_replica_that_was_promoted(
    flavor: Flavor, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with cluster(flavor, tmp_path) as (both, ledger):
        async with ledger.writing():
            await ledger.written(20)
        operation = both.make()
        await operation.prepare()
        await both.pair.caught_up()
        taking_over: list[asyncio.Task[None]] = []
        for module in (cutover, renaming):
            dying_at(
                monkeypatch,
                *(module, place),
                lambda: taking_over or taking_over.append(asyncio.ensure_future(both.fail_over())),
            )
        with contextlib.suppress(DatabaseError, NotNow):
            await operation.cut_over()
        await operation.close()
        await taking_over[0]
        await carried(both.make, OnlineAlter.cut_over)
        async with ledger.writing():
            await ledger.written(50)
            await carried(both.make, OnlineAlter.revert)
            await ledger.written(50)
        await ledger.check(dropped=False)


async def test_another_server_without_gtids_is_not_taken_for_the_same(tmp_path: Path) -> None:
    async with cluster(Flavor.MYSQL, tmp_path) as (both, _):
        operation = both.make()
        await operation.prepare()
        await operation.close()
        await both.pair.on_source(
            "UPDATE _headgate.operation SET start_gtid = NULL",
            "UPDATE _headgate.stream_position SET gtid = NULL",
        )
        await both.pair.caught_up()
        await both.fail_over()
        operation = both.make()
        with pytest.raises(StreamBroken, match="without GTIDs"):
            await operation.prepare()
        assert operation.status().phase is Phase.FAILED
        await operation.cancel()
        await operation.close()
        assert await ask(both.pair.replica, "SELECT COUNT(*) FROM s.t") == 3000


@pytest.mark.parametrize("flavor", list(Flavor), ids=str)
async def test_a_replica_that_was_behind_is_not_followed(flavor: Flavor, tmp_path: Path) -> None:
    async with cluster(flavor, tmp_path) as (both, _):
        operation = both.make()
        await operation.prepare()
        await operation.close()
        await both.pair.caught_up()
        # As if more had been received than the replica ever got.
        known = str(await ask(both.pair.source, "SELECT start_gtid FROM _headgate.operation"))
        ahead = re.sub(r"\d+$", "999999", known)
        await both.pair.on_source(
            f"UPDATE _headgate.operation SET start_gtid = '{ahead}'",
            f"UPDATE _headgate.stream_position SET gtid = '{ahead}'",
        )
        await both.pair.caught_up()
        await both.fail_over()
        operation = both.make()
        with pytest.raises(MigratorError, match="does not have all transactions"):
            await operation.prepare()
        await operation.cancel()
        await operation.close()


async def test_a_replica_that_has_purged_what_was_to_be_read_is_not_followed(tmp_path: Path) -> None:
    async with cluster(Flavor.MYSQL, tmp_path) as (both, _):
        operation = both.make()
        await operation.prepare()
        await operation.close()
        await both.pair.on_source("INSERT INTO s.t (u, v) VALUES (9, 'unseen')")
        await both.pair.caught_up()
        await both.fail_over()
        await both.pair.on_replica("FLUSH BINARY LOGS", "PURGE BINARY LOGS BEFORE NOW() + INTERVAL 1 DAY")
        operation = both.make()
        with pytest.raises(MigratorError, match="has deleted binary logs"):
            await operation.prepare()
        await operation.cancel()
        await operation.close()


async def test_a_history_that_was_begun_anew_is_noticed(tmp_path: Path) -> None:
    async with cluster(Flavor.MYSQL, tmp_path) as (both, _):
        operation = both.make()
        await operation.prepare()
        await operation.close()
        await both.pair.on_source("RESET BINARY LOGS AND GTIDS")
        operation = both.make()
        with pytest.raises(MigratorError, match="does not have all transactions"):
            await operation.prepare()
        await operation.cancel()
        await operation.close()
