"""What the proxy has seen is kept, added up, and forgotten in time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from conf.settings import UsageSettings
from control import branch_log
from control import usage as usage_module
from control.branch_log import BranchLog
from control.usage import Usage
from migrator.schema.tally import compared_columns, used_tables
from proxy.channel import DefinitionChanged, Shapes, ShapeSeen
from router.state import open_state

DAY_S = 86_400.0


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    engine = open_state(tmp_path / "state.db")
    yield engine
    await engine.dispose()


async def usage_of(engine: AsyncEngine, settings: UsageSettings | None = None) -> Usage:
    usage = Usage(engine, settings or UsageSettings())
    await usage.prepare()
    return usage


def seen(text: str, count: int = 1, *, user: str = "app", errors: int = 0, branch: str = "main") -> ShapeSeen:
    return ShapeSeen("shop", branch, user, "read", text, count, errors)


async def test_shapes_are_added_up_over_seconds_users_and_restarts(engine: AsyncEngine) -> None:
    usage, now = await usage_of(engine), time.time()
    usage.record(Shapes(now - 3, [seen("SELECT a FROM t", 5), seen("SELECT a FROM t", 1, user="job")]))
    await usage.write()
    usage.record(
        Shapes(now, [seen("SELECT a FROM t", 2, errors=1), seen("SELECT b FROM u", 9, branch="dev")])
    )
    again = await usage_of(engine)
    assert [shape.text for shape in await again.shapes("shop", "main", last_s=DAY_S)] == ["SELECT a FROM t"]
    [shape] = await usage.shapes("shop", "main", last_s=DAY_S)
    assert (shape.count, shape.errors, shape.users) == (8, 1, ("app", "job"))
    assert shape.first_seen == datetime.fromtimestamp(now - 3, UTC) == await usage.since("shop", "main")
    assert shape.last_seen == datetime.fromtimestamp(now, UTC)
    assert shape.use.tables["t"].columns == {"a"}
    [other] = await usage.shapes("shop", "dev", last_s=DAY_S, on_branch=True)
    assert other.on_branch


async def test_the_use_of_tables_is_told_by_column(engine: AsyncEngine) -> None:
    usage = await usage_of(engine)
    texts = [
        seen("SELECT a FROM t FORCE INDEX (k) WHERE b = ?", 3),
        seen("INSERT INTO t (a) VALUES (?)", 4, user="job"),
        seen("REPLACE INTO t (a, b) VALUES (?, ?)", 2),
        seen("SELECT x.a FROM t x JOIN u y ON x.b = y.c", 7),
    ]
    usage.record(Shapes(time.time(), texts))
    shapes = await usage.shapes("shop", "main", last_s=DAY_S)
    tables = used_tables(shapes)
    used = tables["t"]
    assert (used.count, used.users, used.upserts, used.hinted) == (16, ("app", "job"), 2, {"k": 3})
    assert used.inserts_without("b") == 4
    assert used.columns["b"].count == 12
    assert [(join.left, join.right, join.count) for join in compared_columns(shapes)] == [
        (("t", "b"), ("u", "c"), 7)
    ]


async def test_what_is_old_or_too_much_is_forgotten(engine: AsyncEngine) -> None:
    usage, now = await usage_of(engine, UsageSettings(days=7, shapes_max=2)), time.time()
    usage.record(Shapes(now - 9 * DAY_S, [seen("SELECT old FROM t")]))
    for number in range(4):
        usage.record(Shapes(now - number, [seen(f"SELECT a{number} FROM t")]))
    await usage.write()
    await usage.forget_old()
    kept = {shape.text for shape in await usage.shapes("shop", "main", last_s=30 * DAY_S)}
    assert kept == {"SELECT a0 FROM t", "SELECT a1 FROM t"}
    await usage.forget("shop", "main")
    assert await usage.shapes("shop", "main", last_s=DAY_S) == []
    assert await usage.since("shop", "main") is None


def changed(text: str, at_s: float, branch: str = "dev") -> DefinitionChanged:
    return DefinitionChanged("shop", branch, "app", text, at_s)


async def test_definitions_are_kept_in_the_order_in_which_they_changed(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(branch_log, "KEPT_MAX", 3)
    log = BranchLog(engine)
    await log.prepare()
    log.note(changed("two", 2.0))
    log.note(changed("one", 1.0))
    log.note(changed("elsewhere", 1.5, "other"))
    log.note(changed("", 1.6))
    assert await log.statements("shop", "dev") == ["one", "two"]
    for number in range(3, 6):
        log.note(changed(str(number), float(number)))
    again = BranchLog(engine)
    assert await log.statements("shop", "dev") == ["3", "4", "5"] == await again.statements("shop", "dev")
    await log.forget("shop", "dev")
    assert await log.statements("shop", "dev") == []
    assert await log.statements("shop", "other") == ["elsewhere"]


async def test_who_follows_a_branch_is_told_once_of_a_series_of_changes(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(branch_log, "QUIET_S", 0.01)
    log = BranchLog(engine)
    await log.prepare()
    told: asyncio.Queue[tuple[str, str]] = asyncio.Queue()

    async def follow(database: str, branch: str) -> None:
        await told.put((database, branch))
        if branch == "bad":
            raise OSError("not now")

    running = asyncio.ensure_future(log.run(follow))
    try:
        for number in range(5):
            log.note(changed("x", float(number)))
        log.note(changed("", 9.0, "bad"))
        async with asyncio.timeout(120):
            assert await told.get() == ("shop", "bad")
            assert await told.get() == ("shop", "dev")
            log.note(changed("x", 10.0))
            assert await told.get() == ("shop", "dev")
        assert told.empty()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_much_that_is_new_is_read_little_by_little(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage_module, "READ_CHARS_MAX", 40)
    usage, at_s = await usage_of(engine), time.time()
    usage.record(Shapes(at_s, [seen(f"SELECT a{number} FROM t") for number in range(5)]))
    for number in (3, 5):
        # Each looks, and has what waits written first.
        assert len(await usage.shapes("shop", "main", last_s=DAY_S)) == number


async def test_who_changes_a_branch_all_the_time_holds_nobody_up(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(branch_log, "QUIET_S", 0.02)
    monkeypatch.setattr(branch_log, "WAITING_MAX", 10)
    log, told = BranchLog(engine), asyncio.Event()
    await log.prepare()

    async def follow(database: str, branch: str) -> None:
        told.set()

    async with asyncio.timeout(120):
        running = asyncio.ensure_future(log.run(follow))
        while not told.is_set():
            log.note(DefinitionChanged("shop", "busy", "ada", "DROP TABLE t", time.time()))
            await asyncio.sleep(0.005)
        running.cancel()
    assert len(await log.statements("shop", "busy")) <= 20
