"""The table of states and moves."""

from __future__ import annotations

import pytest

from migrator.deploy.errors import IllegalMove
from migrator.deploy.lifecycle import CHECKABLE, MOVES, RUNNING, State, check_move


def reachable(start: State) -> set[State]:
    found, frontier = {start}, [start]
    while frontier:
        for after in MOVES[frontier.pop()] - found:
            found.add(after)
            frontier.append(after)
    return found


def test_every_state_has_a_row_and_can_be_reached_from_a_checked_request() -> None:
    assert set(MOVES) == set(State)
    assert reachable(State.PENDING) == set(State)


def test_every_state_can_come_to_an_end() -> None:
    ends = {State.COMPLETE, State.COMPLETE_REVERT}
    for state in State:
        assert reachable(state) & ends, state


def test_after_the_swap_nothing_is_cancelled_or_checked_again() -> None:
    swapped = reachable(State.COMPLETE_PENDING_REVERT)
    assert not swapped & (CHECKABLE | {State.IN_PROGRESS_CANCEL, State.QUEUED})


def test_running_and_checkable_states_are_apart_and_neither_is_queued_or_ended() -> None:
    rest = set(State) - RUNNING - CHECKABLE
    assert not RUNNING & CHECKABLE
    assert rest == {State.PENDING, State.QUEUED, State.COMPLETE, State.COMPLETE_REVERT}


def test_an_illegal_move_is_refused_with_the_legal_ones() -> None:
    check_move(State.READY, State.QUEUED)
    with pytest.raises(IllegalMove, match="possible: cancelled, error, no_changes, ready, submitting"):
        check_move(State.QUEUED, State.COMPLETE)
    with pytest.raises(IllegalMove, match="it has ended"):
        check_move(State.COMPLETE, State.READY)
