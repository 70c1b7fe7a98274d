"""Servers die, connections are cut, processes freeze and are cancelled: no acknowledged write is lost."""

from __future__ import annotations

import asyncio
import dataclasses
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from migrator.engine import migration
from migrator.engine.ground import journal
from migrator.engine.ground.operation import Phase
from migrator.engine.ground.state import prepare_state
from migrator.engine.migration import OnlineAlter
from migrator.engine.rows import copier
from migrator.engine.swap import cutover, swapped
from migrator.errors import NotNow, WrongPhase
from router.accounts import make_migrator_account
from router.database import Connection
from router.errors import ConnectionLost, DatabaseError
from router.model import Account, Address, Flavor
from router.servers.process import LocalServer
from tests.migrator.engine.ledger import COMPOSITE, INT, Ledger, alter, target_of
from tests.migrator.engine.test_migration import leftovers
from tests.migrator.engine.victim import Orders
from tests.migrator.engine.victims import stopped
from tests.support.cutting import cutter
from tests.support.servers import running_server, until


async def carried(make: Callable[[], OnlineAlter], step: Callable[[OnlineAlter], Awaitable[object]]) -> None:
    """Do as the deploy runner does: after an error that decides nothing, begin again from what is stored."""
    async with asyncio.timeout(60):
        while True:
            operation = make()
            try:
                await operation.prepare()
                await step(operation)
                return
            except (DatabaseError, NotNow):
                await asyncio.sleep(0.05)
            finally:
                await operation.close()


def dying_at(monkeypatch: pytest.MonkeyPatch, module: object, place: str, act: Callable[[], None]) -> None:
    """Let something happen at the first visit of a failpoint."""
    visits = 0

    def reached(name: str) -> None:
        nonlocal visits
        if name == place:
            visits += 1
            if visits == 1:
                act()

    monkeypatch.setattr(module, "reach", reached)


@pytest.mark.parametrize("flavor", list(Flavor), ids=str)
async def test_the_server_dies_during_the_copy_the_swap_and_the_way_back(
    flavor: Flavor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_server(flavor, tmp_path / "server") as local:
        await prepare_state(local.server)
        restarts: list[asyncio.Task[None]] = []

        def crash() -> None:
            local.kill()
            restarts.append(asyncio.ensure_future(local.start()))

        async with await Connection.open(local.server) as admin:
            await admin.execute("CREATE DATABASE s")
            ledger = Ledger(local.server, "s", INT, outages=True)
            await ledger.fill(admin, 4000)
            target = await target_of(admin, "s", INT.create(new=True))

        def make() -> OnlineAlter:
            return alter(local.server, "s", target, rows=100)

        dying_at(monkeypatch, copier, "chunk-before-commit", crash)
        dying_at(monkeypatch, cutover, "before-rename", crash)
        async with ledger.writing():
            await carried(make, OnlineAlter.cut_over)
            assert len(restarts) == 2
            await ledger.written(50)
            operation = make()
            await operation.prepare()
            await ledger.written(50)
            crash()
            await ledger.written(50)
            await operation.close()
        assert not ledger.errors
        await ledger.check(dropped=True)
        dying_at(monkeypatch, cutover, "after-rename", crash)
        async with ledger.writing():
            await carried(make, OnlineAlter.revert)
            await ledger.written(50)
        assert len(restarts) == 4
        await asyncio.gather(*restarts)
        assert not ledger.errors
        await ledger.check(dropped=False)


@pytest.mark.parametrize(
    ("place", "revert"),
    [("chunk-before-commit:5", False), ("before-rename", False), ("before-rename:2", True)],
    ids=["copy", "swap", "revert"],
)
async def test_a_process_that_freezes_and_wakes_up_does_nothing_any_more(
    server: LocalServer,
    database: str,
    connection: Connection,
    monkeypatch: pytest.MonkeyPatch,
    place: str,
    revert: bool,
) -> None:
    monkeypatch.setattr(journal, "FROZEN_S", 1)
    ledger = Ledger(server.server, database, INT)
    await ledger.fill(connection, 3000)
    target = await target_of(connection, database, INT.create(new=True))
    orders = Orders(server=server.server, schema=database, target=target, revert=revert)
    async with ledger.writing():
        victim = await stopped(orders, place)
        operation = alter(server.server, database, target, rows=200)
        try:
            await operation.prepare()
            await operation.cut_over()
            await ledger.written(50)
            victim.send_signal(signal.SIGCONT)
            async with asyncio.timeout(120):
                assert await victim.wait() == 1
            assert operation.status().phase is Phase.REVERTIBLE
            assert operation.status().failure is None
            await ledger.written(50)
            await operation.revert()
            await operation.finalize()
        finally:
            if victim.returncode is None:
                victim.kill()
                await victim.wait()
            await operation.close()
    assert not ledger.errors
    await ledger.check(dropped=False)
    assert await leftovers(connection, operation.id) == []


@pytest.mark.parametrize("answered", [True, False], ids=["answer lost", "statement lost"])
async def test_a_connection_that_is_cut_at_the_rename(
    server: LocalServer, database: str, connection: Connection, answered: bool
) -> None:
    ledger = Ledger(server.server, database, COMPOSITE)
    await ledger.fill(connection, 1500)
    target = await target_of(connection, database, COMPOSITE.create(new=True))
    async with cutter(server.server.address.port) as between:
        far = dataclasses.replace(server.server, address=Address("127.0.0.1", between.port))
        operation = alter(far, database, target)
        try:
            async with ledger.writing():
                await operation.prepare()
                between.cut(b"RENAME TABLE", after=answered)
                await operation.cut_over()
                assert between.cuts == 1
                await ledger.written(100)
                between.cut(b"RENAME TABLE", after=answered)
                await operation.revert()
                assert between.cuts == 2
                await ledger.written(50)
            await operation.finalize()
        finally:
            await operation.close()
    assert not ledger.errors
    await ledger.check(dropped=False)
    assert await leftovers(connection, operation.id) == []


@pytest.mark.parametrize("then", ["cancel", "carry on"])
@pytest.mark.parametrize(
    ("module", "place"),
    [
        (migration, "shadow-created"),
        (copier, "chunk-before-commit"),
        (migration, "copied"),
        (cutover, "before-lock"),
        (cutover, "before-write-ahead"),
        (cutover, "before-rename"),
        (cutover, "after-rename"),
        (swapped, "swapped"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_work_that_is_cancelled_anywhere_can_be_given_up_or_carried_on(
    server: LocalServer,
    database: str,
    connection: Connection,
    monkeypatch: pytest.MonkeyPatch,
    module: object,
    place: str,
    then: str,
) -> None:
    ledger = Ledger(server.server, database, INT)
    await ledger.fill(connection, 1000)
    target = await target_of(connection, database, INT.create(new=True))
    operation = alter(server.server, database, target)

    async def work() -> None:
        await operation.prepare()
        await operation.cut_over()

    try:
        async with ledger.writing():
            working = asyncio.ensure_future(work())
            dying_at(monkeypatch, module, place, lambda: _cancel(working))
            with pytest.raises(asyncio.CancelledError):
                await working
            if then == "carry on":
                await work()
                await ledger.written(50)
                await operation.revert()
                await operation.finalize()
            else:
                try:
                    await operation.cancel()
                except WrongPhase:
                    assert operation.status().phase is Phase.REVERTIBLE
                    await operation.revert()
                    await operation.finalize()
            await ledger.written(30)
    finally:
        await operation.close()
    assert not ledger.errors
    await ledger.check(dropped=False)
    assert await leftovers(connection, operation.id) == []


def _cancel(task: asyncio.Future[None]) -> None:
    task.cancel()


async def test_the_migrator_s_own_account_is_enough(
    server: LocalServer, database: str, connection: Connection
) -> None:
    account = Account("migrator of a test", "its secret")
    await make_migrator_account(connection, account, database)
    mine = dataclasses.replace(server.server, account=account)
    await prepare_state(mine)
    ledger = Ledger(server.server, database, COMPOSITE)
    await ledger.fill(connection, 1000)
    target = await target_of(connection, database, COMPOSITE.create(new=True))
    operation = alter(mine, database, target)
    try:
        async with ledger.writing():
            await operation.prepare()
            await operation.cut_over()
            await ledger.written(100)
            await operation.revert()
        await operation.finalize()
    finally:
        await operation.close()
        await connection.execute("DROP USER %s@%s", account.user, "%")
    await ledger.check(dropped=False)
    assert await leftovers(connection, operation.id) == []


@pytest.mark.parametrize("attempts", [copier.LOST_ATTEMPTS, 2], ids=["patient", "impatient"])
async def test_a_server_without_a_free_connection_is_waited_for(
    server: LocalServer,
    database: str,
    connection: Connection,
    monkeypatch: pytest.MonkeyPatch,
    attempts: int,
) -> None:
    """Whichever parts get the connections that there are: it goes on by itself, or when it is resumed."""
    monkeypatch.setattr(copier, "LOST_ATTEMPTS", attempts)
    account = Account("crowded", "its secret")
    await make_migrator_account(connection, account, database)
    mine = dataclasses.replace(server.server, account=account)
    ledger = Ledger(server.server, database, INT)
    await ledger.fill(connection, 500)
    target = await target_of(connection, database, INT.create(new=True))
    operation = alter(mine, database, target)
    limit = "ALTER USER %s@%s WITH MAX_USER_CONNECTIONS"
    try:
        # Enough to begin; to become READY it needs those of owner, journal, log, flush and one that compares.
        await connection.execute(f"{limit} 4", account.user, "%")
        with capture_logs() as logged:
            preparing = asyncio.ensure_future(operation.prepare())
            await until(lambda: preparing.done() or "error 1226" in str(logged), timeout_s=120)
        assert operation.status().phase in (Phase.PENDING, Phase.COPYING)
        await connection.execute(f"{limit} 0", account.user, "%")
        async with asyncio.timeout(120):
            try:
                await preparing
            except ConnectionLost:
                await operation.close()
                await operation.prepare()
        assert operation.status().phase is Phase.READY
        await operation.cancel()
    finally:
        await operation.close()
        await connection.execute("DROP USER %s@%s", account.user, "%")
    assert await leftovers(connection, operation.id) == []
