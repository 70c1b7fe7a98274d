"""The page on the life of a deploy request says what the table of states says."""

from __future__ import annotations

import re
from pathlib import Path

from migrator.deploy.lifecycle import MOVES, RUNNING, State

PAGE = (Path(__file__).parents[2] / "docs" / "lifecycle.md").read_text()
ROW = re.compile(r"^\| `(\w+)` \| (.+) \|$", re.MULTILINE)


def test_every_state_is_explained_with_what_it_holds_its_moves_and_where_the_tables_are() -> None:
    states, places = PAGE.split("## Where the tables are")
    explained = {State(name): cells.split(" | ") for name, cells in ROW.findall(states)}
    assert explained.keys() == MOVES.keys()
    for state, (_, _, moves) in explained.items():
        assert set(re.findall(r"`(\w+)`", moves)) == MOVES[state], state
    holding = {state for state, (_, holds, _) in explained.items() if holds == "yes"}
    assert holding == RUNNING | {State.COMPLETE_ERROR}
    assert [State(name) for name, _ in ROW.findall(places)] == list(explained)


def test_the_moves_that_are_told_of_exist() -> None:
    for befores, afters in re.findall(
        r"^\| ((?:`\w+`(?:, )?)+) → ((?:`\w+`(?:, )?)+) \|", PAGE, re.MULTILINE
    ):
        for before in re.findall(r"\w+", befores):
            for after in re.findall(r"\w+", afters):
                assert State(after) in MOVES[State(before)]
