from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.errors import ControlError
from control.web.statements import NOTED_CHARACTERS, STATEMENTS_MAX, checked, noted, statements_of


@pytest.mark.parametrize(
    ("text", "statements"),
    [
        ("SELECT 1", ["SELECT 1"]),
        ("  SELECT 1 ;\n", ["SELECT 1"]),
        ("SELECT 1; SELECT 2;", ["SELECT 1", "SELECT 2"]),
        ("SELECT ';'; SELECT 2", ["SELECT ';'", "SELECT 2"]),
        ("SELECT `;` FROM t; SELECT 2", ["SELECT `;` FROM t", "SELECT 2"]),
        ("SELECT /* ; */ 1; -- the end;\nSELECT 2", ["SELECT /* ; */ 1", "-- the end;\nSELECT 2"]),
        ("SELECT 1;;;SELECT 2", ["SELECT 1", "SELECT 2"]),
        ("SELECT 1; -- nothing behind it", ["SELECT 1"]),
        ("SELECT 'ä'; SELECT '😀'", ["SELECT 'ä'", "SELECT '😀'"]),
        ("", []),
        (" \n ; ; ", []),
        ("-- only a comment", []),
        ("/* only a comment */", []),
    ],
)
def test_statements_are_cut_where_all_servers_cut_them(text: str, statements: list[str]) -> None:
    assert statements_of(text) == statements


@pytest.mark.parametrize(
    "text",
    [
        # With NO_BACKSLASH_ESCAPES this is cut elsewhere.
        "SELECT 'it\\'s; so'; SELECT 2",
        # With ANSI_QUOTES a name, otherwise a text, and a backslash means something in texts only.
        'SELECT "a\\"; SELECT "b"',
        # Statements within statements.
        "CREATE PROCEDURE p() BEGIN SELECT 1; SELECT 2; END",
        "SELECT 'does not end; SELECT 2",
        "BEGIN NOT ATOMIC SELECT 1; SELECT 2; END",
    ],
)
def test_what_could_be_cut_in_several_ways_stays_whole(text: str) -> None:
    assert statements_of(text) == [text]


def test_one_run_takes_no_statement_for_none_and_not_too_many() -> None:
    with pytest.raises(ControlError, match="type one"):
        checked([])
    with pytest.raises(ControlError, match="run 100 at a time"):
        checked(["SELECT 1"] * (STATEMENTS_MAX + 1))
    assert len(checked(["SELECT 1"] * STATEMENTS_MAX)) == STATEMENTS_MAX


def test_what_is_noted_has_no_literals_and_an_end() -> None:
    assert noted(["SELECT * FROM t WHERE name = 'secret' AND id = 7"]) == [
        "SELECT * FROM t WHERE name = ? AND id = ?"
    ]
    [long] = noted([f"SELECT {', '.join('a' * 500)}"])
    assert len(long) == NOTED_CHARACTERS
    assert long.endswith("…")


def test_nothing_that_is_run_hides_from_the_audit_log() -> None:
    """Neither behind harmless statements, nor behind long comments, nor by what cannot be told apart."""
    assert noted([*["SELECT 1"] * 99, "DELETE FROM t"])[99] == "DELETE FROM t"
    assert noted([f"/* {'x' * 5000} */ DELETE FROM t"]) == ["DELETE FROM t"]
    assert noted([f"DELETE {'#' * 5000}\nFROM t"]) == ["DELETE FROM t"]
    assert noted(["/*!99999 ' */ DELETE FROM t"]) == ["unknown …"]


SQL = st.lists(
    st.sampled_from(
        ["SELECT 1", ";", "'", '"', "`", "\\", "--", " ", "\n", "#", "/*", "*/", "/*!", "é", "x"]
    ),
    max_size=30,
).map("".join)


@given(SQL)
def test_nothing_is_added_to_a_text_and_nothing_but_what_stands_between_statements_lost(text: str) -> None:
    rest = text
    for statement in statements_of(text):
        before, found, rest = rest.partition(statement)
        assert found
        assert "SELECT" not in before
