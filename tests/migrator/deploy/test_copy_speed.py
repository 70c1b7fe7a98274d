from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from migrator.deploy.copy_speed import CopySpeeds
from migrator.engine.estimate import CopySpeed
from migrator.engine.ground.operation import Phase, Status
from router.state import open_state

THEN = datetime(2026, 11, 20, tzinfo=UTC)


def copied(rows: int) -> Status:
    return Status(Phase.READY, rows_copied=rows, bytes_copied=rows * 100)


async def test_the_last_large_copy_is_remembered(tmp_path: Path) -> None:
    engine = open_state(tmp_path / "state.db")
    speeds = CopySpeeds(engine)
    await speeds.prepare()
    assert await speeds.last("shop", "main") is None
    done = THEN + timedelta(seconds=10)
    await speeds.measured("shop", "main", [copied(60_000), copied(40_000)], THEN, done)
    assert await speeds.last("shop", "main") == CopySpeed(100_000, 10_000_000, 10.0, done)
    assert await speeds.last("shop", "staging") is None

    later = done + timedelta(days=1)
    await speeds.measured("shop", "main", [copied(10)], done, later)
    assert await speeds.last("shop", "main") == CopySpeed(100_000, 10_000_000, 10.0, done)
    await speeds.measured("shop", "main", [copied(20_000)], done, done + timedelta(seconds=4))
    last = await speeds.last("shop", "main")
    assert last is not None
    assert last.rows_per_s == 5_000
    await engine.dispose()
