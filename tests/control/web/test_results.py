from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.web import results
from control.web.results import Answers, Cell, Limits, Shape, cell, plain
from router.answers import Column, End, Head

TEXT = Column("name", 253, 255)
NUMBER = Column("id", 3, 63)
BLOB = Column("photo", 252, 63)
JSON = Column("doc", 245, 63)
BIT = Column("flags", 16, 63)
DATE = Column("day", 10, 63)


@pytest.mark.parametrize(
    ("value", "column", "shown"),
    [
        (None, TEXT, Cell(Shape.NULL, "NULL")),
        (b"NULL", TEXT, Cell(Shape.TEXT, "NULL")),
        (b"", TEXT, Cell(Shape.EMPTY, "''")),
        (b"", BLOB, Cell(Shape.EMPTY, "''")),
        (b"42", NUMBER, Cell(Shape.NUMBER, "42")),
        ("ä<b>".encode(), TEXT, Cell(Shape.TEXT, "ä<b>")),
        (b"\x00\xff", BLOB, Cell(Shape.BINARY, "0x00ff")),
        (b"abc", BLOB, Cell(Shape.BINARY, "0x616263")),
        (b"\x05", BIT, Cell(Shape.BINARY, "0x05")),
        (b'{"a": 1}', JSON, Cell(Shape.TEXT, '{"a": 1}')),
        (b"0000-00-00", DATE, Cell(Shape.TEXT, "0000-00-00")),
        # Not UTF-8: somebody has asked for another character set.
        (b"\xe4", TEXT, Cell(Shape.BINARY, "0xe4")),
        # What turns text around or cannot be seen is shown for what it is.
        ("a\u202eb\x00".encode(), TEXT, Cell(Shape.TEXT, "a\\u202eb\\u0000")),
        (b"two\nlines", TEXT, Cell(Shape.TEXT, "two\nlines")),
    ],
)
def test_each_kind_of_value_is_told_from_the_others(value: bytes | None, column: Column, shown: Cell) -> None:
    assert cell(value, column, 100) == shown


def test_a_long_value_is_shortened_between_characters() -> None:
    assert cell("ää".encode(), TEXT, 3) == Cell(Shape.TEXT, "ä", 1)
    assert cell(b"\xff\xe4\xe4", TEXT, 2) == Cell(Shape.BINARY, "0xffe4", 1)
    assert cell(b"\x00" * 10, BLOB, 4) == Cell(Shape.BINARY, "0x00000000", 6)
    assert cell(b"x" * 10, TEXT, 10) == Cell(Shape.TEXT, "x" * 10)


def answers(rows_max: int = 3, value_bytes_max: int = 100) -> Answers:
    made = Answers(Limits(rows_max, value_bytes_max))
    made.begin("SELECT")
    return made


def test_rows_beyond_the_limit_are_not_wanted_and_that_is_told() -> None:
    taken = answers()
    assert taken.take(Head((NUMBER,)))
    assert [taken.take((b"%d" % number,)) for number in range(4)] == [True, True, True, False]
    [result] = taken.outcomes[0].results
    assert len(result.rows) == 3
    assert result.more


def test_as_many_rows_as_the_limit_are_all_there_is() -> None:
    taken = answers()
    steps = (Head((NUMBER,)), (b"1",), (b"2",), (b"3",), End(0, 0, 0))
    assert all(taken.take(step) for step in steps)
    assert not taken.outcomes[0].results[0].more


def test_a_wide_table_has_fewer_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "CELLS_MAX", 300)
    taken = answers(rows_max=1000)
    assert taken.take(Head((TEXT,) * 100))
    assert [taken.take((b"x",) * 100) for _ in range(3)] == [True, True, False]
    assert taken.outcomes[0].results[0].more


def test_a_result_for_whose_rows_there_is_no_room_may_have_some(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "CELLS_MAX", 100)
    taken = answers()
    assert not taken.take(Head((TEXT,) * 100))
    assert taken.outcomes[0].results[0].more


def test_the_bytes_of_all_values_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "KEPT_BYTES_MAX", 250)
    taken = answers(rows_max=1000)
    taken.take(Head((TEXT,)))
    assert [taken.take((b"x" * 100,)) for _ in range(4)] == [True, True, True, False]
    assert [len(row[0].text) for row in taken.outcomes[0].results[0].rows] == [100, 100, 46]


def test_names_of_columns_count_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "KEPT_BYTES_MAX", 250)
    taken = answers()
    named = Head((Column("n" * 200, 3, 63),))
    assert [taken.take(step) for step in (named, End(0, 0, 0), named)] == [True, True, False]


def test_endless_answers_come_to_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "RESULTS_MAX", 2)
    taken = answers()
    assert [taken.take(End(1, 0, 0)) for _ in range(2)] == [True, True]
    assert not taken.outcomes[0].stopped
    assert not taken.take(End(1, 0, 0))
    assert "2 results" in taken.outcomes[0].stopped


def test_a_statement_may_have_several_results_and_one_without_rows() -> None:
    taken = answers()
    for step in (Head((NUMBER,)), (b"1",), End(0, 0, 0), Head((TEXT,)), End(0, 0, 0), End(5, 7, 0)):
        assert taken.take(step)
    first, second, third = taken.outcomes[0].results
    assert (first.columns, first.numbers, len(first.rows)) == (("id",), (True,), 1)
    assert (second.columns, second.rows) == (("name",), [])
    assert (third.columns, third.affected, third.last_insert_id) == ((), 5, 7)


def test_names_of_columns_cannot_hide_anything_either() -> None:
    taken = answers()
    taken.take(Head((Column("a\u202eb", 3, 63),)))
    assert taken.outcomes[0].results[0].columns == ("a\\u202eb",)


def test_a_warning_is_text() -> None:
    assert [each.text for each in plain((b"Warning", b"1265", "\xe4".encode(), None))] == [
        "Warning",
        "1265",
        "ä",
        "",
    ]


@given(st.binary(max_size=60), st.sampled_from([TEXT, NUMBER, BLOB, JSON, BIT, DATE]), st.integers(1, 40))
def test_whatever_a_value_is_it_is_shown_and_hides_nothing(
    value: bytes, column: Column, bytes_max: int
) -> None:
    shown = cell(value, column, bytes_max)
    assert shown.left_out_bytes == max(0, len(value) - bytes_max)
    assert not {"\x00", "\r", "\x1b", "\u202e"} & set(shown.text)
