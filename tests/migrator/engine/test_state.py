"""The schema of the engine's state grows with Headgate, and is never taken for one that it is not."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from migrator.engine.ground.state import FORMAT, prepare_state
from migrator.errors import Refused
from router.database import Connection
from router.servers.process import LocalServer


@pytest.fixture
async def state(server: LocalServer) -> AsyncIterator[Connection]:
    async with await Connection.open(server.server) as opened:
        yield opened


async def _columns(state: Connection) -> set[tuple[str, str]]:
    rows = await state.fetch_all(
        "SELECT TABLE_NAME, COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = '_headgate'"
    )
    return {(str(table), str(column)) for table, column in rows}


async def test_state_that_an_older_headgate_left_is_brought_up_to_date_and_keeps_its_rows(
    server: LocalServer, state: Connection
) -> None:
    await prepare_state(server.server)
    complete = await _columns(state)
    await state.execute("DELETE FROM _headgate.operation WHERE id = 'of-old'")
    await state.execute("ALTER TABLE _headgate.operation DROP COLUMN options, DROP COLUMN flip_gtid")
    await state.execute("ALTER TABLE _headgate.stream_position DROP COLUMN gtid")
    await state.execute("DROP TABLE _headgate.format, _headgate.garbage")
    await state.execute(
        "INSERT INTO _headgate.operation (id, kind, table_schema, table_name, target_sql, phase) "
        "VALUES ('of-old', 'alter', 'shop', 'orders', 'CREATE TABLE …', 'copying')"
    )

    await prepare_state(server.server)

    assert await _columns(state) == complete
    kept = await state.fetch_one("SELECT phase, options FROM _headgate.operation WHERE id = 'of-old'")
    assert kept == ("copying", None)
    await state.execute("DELETE FROM _headgate.operation WHERE id = 'of-old'")


async def test_state_of_a_newer_headgate_is_refused_and_left_alone(
    server: LocalServer, state: Connection
) -> None:
    await prepare_state(server.server)
    await state.execute("UPDATE _headgate.format SET version = %s", FORMAT + 1)
    try:
        with pytest.raises(Refused, match=f"has format {FORMAT + 1}"):
            await prepare_state(server.server)
    finally:
        await state.execute("UPDATE _headgate.format SET version = %s", FORMAT)
