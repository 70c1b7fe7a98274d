"""Rows keep what only one table has, however often their keys change."""

from __future__ import annotations

from migrator.engine.log.events import Position
from migrator.engine.log.moves import Move, Outcome, Stretch, outcome


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
