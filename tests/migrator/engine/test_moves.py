"""Rows keep what only one table has, however often their keys change."""

from __future__ import annotations

import pytest

from migrator.engine.ground.session import Session
from migrator.engine.log.events import Position
from migrator.engine.log.moves import Move, Outcome, Stretch, outcome
from migrator.engine.rows.applier import Applier
from migrator.engine.rows.follow import Follower
from router.database import Connection
from router.errors import ConnectionLost
from router.servers.process import LocalServer
from tests.migrator.engine.ledger import alter, target_of
from tests.support.servers import until


def comes(*moves: tuple[object, object], same: dict[object, object] | None = None) -> Outcome:
    return outcome([Move(before, after) for before, after in moves], same or {})


def test_a_chain_of_moves_is_one() -> None:
    assert comes((1, 2), (2, 3)) == Outcome({3: 1}, frozenset({2, 3}))


def test_rows_that_exchange_their_keys_are_at_each_others_places() -> None:
    found = comes((1, -1), (2, 1), (-1, 2))
    assert found == Outcome({1: 2, 2: 1}, frozenset({-1}))


def test_a_row_that_comes_back_is_where_it_was() -> None:
    assert comes((1, 2), (2, 1)) == Outcome({1: 1}, frozenset({2}))


def test_a_row_that_was_deleted_is_nowhere_and_its_successor_is_new() -> None:
    assert comes((1, 2), (2, None)) == Outcome({}, frozenset({1, 2}))
    assert comes((1, None), (1, 2)) == Outcome({}, frozenset({1, 2}))
    assert comes((1, None), (2, 1)) == Outcome({1: 2}, frozenset({1}))


def test_keys_that_are_equal_on_the_server_are_one() -> None:
    same: dict[object, object] = {"A": "a"}
    assert comes(("a", "A"), same=same) == Outcome({"a": "a"}, frozenset())
    assert comes(("a", None), ("A", "b"), same=same) == Outcome({}, frozenset({"a", "b"}))


def test_two_stretches_are_one() -> None:
    first = Stretch((Move(1, 2),), Position.of("log.1", 5))
    second = Stretch((Move(2, 3),), Position.of("log.1", 9))
    assert first.then(second) == Stretch((Move(1, 2), Move(2, 3)), second.end)
    assert first.then(Stretch()) == first
    assert first.then(second).keys == {1, 2, 3}


def test_of_a_stretch_that_is_tried_again_it_is_known_how_much_was_done() -> None:
    middle, end = Position.of("log.1", 5), Position.of("log.2", 9)
    tried = Stretch((Move(1, 2),), middle)
    more = tried.again((Move(2, 3),), end, None)
    assert more == Stretch((Move(1, 2), Move(2, 3)), end, None, ((middle, 1),))
    assert [more.done_up_to(at) for at in (Position.of("log.1", 4), middle, end)] == [0, 1, 2]
    assert Stretch().again((Move(1, 2),), middle, None) == tried
    later = more.again((Move(3, 4),), Position.of("log.2", 20), None)
    assert [later.done_up_to(at) for at in (middle, end)] == [1, 2]


async def test_rows_exchange_their_keys_once_though_nobody_heard_that_they_did(
    server: LocalServer, database: str, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    await connection.execute(f"USE {database}")
    await connection.execute("CREATE TABLE t (id INT PRIMARY KEY, v INT NOT NULL, kept VARCHAR(9))")
    await connection.execute("INSERT INTO t VALUES (1, 1, 'one'), (2, 2, 'two'), (5, 5, 'five')")
    operation = alter(
        server.server,
        database,
        await target_of(connection, database, "CREATE TABLE t (id INT PRIMARY KEY, v INT NOT NULL)"),
    )
    lost = 0
    follow_alone = Applier.follow_alone

    async def without_answer(self: Applier, session: Session, stretch: Stretch) -> None:
        nonlocal lost
        await follow_alone(self, session, stretch)
        if stretch.moves and lost < 2:
            lost += 1
            # What comes next is taken together with what nobody knows to be done.
            await connection.execute(f"UPDATE t SET id = id + 1 WHERE id = {4 + lost}")
            await following().catch_up()
            raise ConnectionLost(2013, "the server went away while it committed")

    def following() -> Follower:
        follower = operation._follower
        assert follower is not None
        return follower

    try:
        await operation.prepare()
        await operation.cut_over()
        monkeypatch.setattr(Applier, "follow_alone", without_answer)
        await connection.execute("START TRANSACTION")
        for before, after in ((1, 9), (2, 1), (9, 2)):
            await connection.execute(f"UPDATE t SET id = {after} WHERE id = {before}")
        await connection.execute("COMMIT")
        await until(lambda: lost == 2 and following().pending == 0)
        await operation.revert()
        rows = await connection.fetch_all("SELECT id, v, kept FROM t ORDER BY id")
        assert list(rows) == [(1, 2, "two"), (2, 1, "one"), (7, 5, "five")]
        await operation.finalize()
    finally:
        await operation.close()
