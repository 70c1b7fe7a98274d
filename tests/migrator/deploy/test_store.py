"""Deploy requests as kept in the state database, whoever moves them at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from migrator.deploy.errors import IllegalMove, UnknownRequest
from migrator.deploy.lifecycle import State
from migrator.deploy.request import EVERYTHING, DeployRequest, OperationKind, OperationRecord, RequestState
from migrator.deploy.rows import deploy_requests
from migrator.deploy.store import DeployStore
from migrator.engine.direct.choose import Strategy
from router.clock import now
from router.model import LOCAL, SYSTEM, Actor
from router.secrets import new_id
from router.state import open_state
from tests.support.deploying import ADA


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[DeployStore]:
    engine = open_state(tmp_path / "state.db")
    store = DeployStore(engine)
    await store.prepare()
    yield store
    await engine.dispose()


def request(branch: str = "add-phone", **changes: object) -> DeployRequest:
    moment = now()
    made = DeployRequest(
        id=new_id(),
        number=0,
        database="shop",
        branch=branch,
        into_branch="main",
        notes="for ☃",
        state=RequestState.OPEN,
        deployment_state=State.READY,
        auto_cutover=True,
        diff={"customers": "+ `phone` varchar(32)"},
        warnings=("a column is dropped",),
        operations=(
            OperationRecord(new_id(), OperationKind.ALTER, "customers", ("ALTER TABLE …",), "CREATE TABLE …"),
            OperationRecord(new_id(), OperationKind.DROP, "notes", ("DROP TABLE `notes`",), None),
        ),
        problem=None,
        created_at=moment,
        updated_at=moment,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


async def test_a_request_comes_back_as_it_was_stored(store: DeployStore) -> None:
    added = await store.add(request(), ADA)
    assert added.number == 1
    assert await store.get("shop", 1) == added
    moved = await store.move(added, State.QUEUED, ADA, queued_at=now(), longest_lock_ms=12.5)
    assert await store.get("shop", 1) == moved
    updated = await store.update(moved, problem="a reason", revert_until=now() + timedelta(minutes=30))
    assert await store.get("shop", 1) == updated


async def test_numbers_count_per_database_and_the_newest_comes_first(store: DeployStore) -> None:
    for branch in ("a", "b", "c"):
        await store.add(request(branch), ADA)
    assert (await store.add(request(database="blog"), ADA)).number == 1
    assert [(one.number, one.branch) for one in await store.all("shop")] == [(3, "c"), (2, "b"), (1, "a")]


async def test_an_unknown_number_is_answered_with_where_to_look(store: DeployStore) -> None:
    await store.add(request(), ADA)
    with pytest.raises(UnknownRequest, match="headgate deploy-request list shop"):
        await store.get("shop", 2)
    with pytest.raises(UnknownRequest):
        await store.get("blog", 1)


async def test_every_move_is_recorded_with_who_and_why(store: DeployStore) -> None:
    added = await store.add(request(), ADA)
    await store.move(added, State.ERROR, SYSTEM, "production has moved")
    steps = await store.history("shop", 1)
    assert [(step.before, step.after, step.actor.name, step.reason) for step in steps] == [
        (None, State.READY, "ada", None),
        (State.READY, State.ERROR, "headgate", "production has moved"),
    ]


async def test_an_illegal_move_changes_nothing(store: DeployStore) -> None:
    added = await store.add(request(), ADA)
    with pytest.raises(IllegalMove, match=r"cannot become complete \(possible: .*queued"):
        await store.move(added, State.COMPLETE, ADA)
    assert await store.get("shop", 1) == added
    assert len(await store.history("shop", 1)) == 1


async def test_of_many_who_move_a_request_at_once_one_succeeds(store: DeployStore) -> None:
    added = await store.add(request(), ADA)
    moves = [store.move(added, State.QUEUED, Actor(f"a{number}", "one of many")) for number in range(5)]
    outcomes = await asyncio.gather(*moves, return_exceptions=True)
    assert sum(isinstance(outcome, IllegalMove) for outcome in outcomes) == 4
    assert len(await store.history("shop", 1)) == 2


async def test_an_update_does_not_undo_a_move_made_meanwhile(store: DeployStore) -> None:
    stale = await store.add(request(), ADA)
    await store.move(stale, State.QUEUED, ADA)
    await store.update(stale, problem="a reason")
    stored = await store.get("shop", 1)
    assert (stored.deployment_state, stored.problem) == (State.QUEUED, "a reason")


async def test_columns_that_an_older_headgate_did_not_have_are_added(tmp_path: Path) -> None:
    engine = open_state(tmp_path / "state.db")
    store = DeployStore(engine)
    await store.prepare()
    await store.add(request(), ADA)
    async with engine.begin() as connection:
        columns = [column.name for column in deploy_requests.c]
        for column in columns[columns.index("strategy") :]:
            await connection.execute(sa.text(f'ALTER TABLE deploy_requests DROP COLUMN "{column}"'))
        await connection.execute(sa.text("ALTER TABLE deploy_transitions DROP COLUMN who"))
    await store.prepare()
    found = await store.get("shop", 1)
    assert (found.strategy, found.allow_lossy, found.actor) == (Strategy.REVERTIBLE, False, LOCAL)
    assert (found.findings, found.footprint, found.entered) == ((), (EVERYTHING,), {})
    [step] = await store.history("shop", 1)
    assert step.actor.name == "ada"
    await engine.dispose()
