"""Rows keep what only one table has, however often their keys change."""

from __future__ import annotations

from migrator.engine.table.moves import Moves


def stretch(*steps: tuple[int, int | None]) -> Moves:
    moves = Moves()
    for before, after in steps:
        if after is None:
            moves.deleted(before)
        else:
            moves.moved(before, after)
    return moves


def test_a_chain_of_moves_is_one_with_all_its_stations() -> None:
    assert list(stretch((1, 2), (2, 3))) == [((2, 1), 3)]


def test_a_row_that_was_deleted_was_nowhere() -> None:
    assert list(stretch((1, 2), (2, None))) == []


def test_a_new_row_under_the_key_of_a_deleted_one_does_not_inherit() -> None:
    assert list(stretch((1, None), (1, 2))) == []


def test_two_stretches_are_one() -> None:
    assert list(stretch((1, 2)).then(stretch((2, 3)))) == [((2, 1), 3)]
    assert list(stretch((1, 2)).then(stretch((5, 6)))) == [((1,), 2), ((5,), 6)]
    assert list(stretch((1, 2)).then(stretch((2, None)))) == []
    assert list(stretch((1, None)).then(stretch((1, 2)))) == []
