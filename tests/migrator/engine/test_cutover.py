"""How long a cut-over may hold the table, and what waits as it should."""

from __future__ import annotations

import asyncio

import pytest

from migrator.engine.swap import cutover
from migrator.engine.swap.cutover import LOCKED_MAX_S, LOCKED_S, patience_s
from router.database import Connection
from router.servers.process import LocalServer
from tests.migrator.engine.ledger import TEMPORAL, Ledger, alter, target_of


def test_attempts_become_more_patient_but_not_without_end() -> None:
    waits = [patience_s(attempt) for attempt in range(1, 30)]
    assert waits[:3] == [LOCKED_S] * 3
    assert waits == sorted(waits)
    assert waits[-1] == LOCKED_MAX_S


async def test_a_cut_over_ends_although_every_attempt_finds_too_many_fresh_rows_at_first(
    server: LocalServer, database: str, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cutover, "FINAL_KEYS_PER_S", 30)
    ledger = Ledger(server.server, database, TEMPORAL, thinks_s=0)
    await ledger.fill(connection, 500)
    operation = alter(
        server.server, database, await target_of(connection, database, TEMPORAL.create(new=True))
    )
    try:
        await operation.prepare()
        async with ledger.writing():
            async with asyncio.timeout(60):
                await operation.cut_over()
            await ledger.written(50)
            async with asyncio.timeout(60):
                await operation.revert()
        await ledger.check(dropped=False)
        assert not ledger.errors
    finally:
        await operation.close()
