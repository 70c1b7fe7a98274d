from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator.schema.errors import NotCanonical
from migrator.schema.lexer import Kind, tokenize

QUOTED = ["`a``b`", "'it''s'", r"'a\'b'", r"'\\'"]
MARKS = ["/*!50100 ", "/*!80023 ", "/*M!100301 ", "*/", "(", ")", ",", " ", "\n", "-", "="]
WORDS = ["word", "é漢", "12", "1.5", "1e10", "0xFF", "b'1'", "\udcff"]
PIECES = st.sampled_from([*QUOTED, *MARKS, *WORDS])


def kinds(text: str) -> list[Kind]:
    return [token.kind for token in tokenize(text)][:-1]


def test_a_name_gives_up_its_quotes() -> None:
    assert tokenize("`a``b`")[0].value == "a`b"


def test_words_are_compared_in_upper_case_and_kept_as_written() -> None:
    token = tokenize("Default")[0]
    assert (token.text, token.value) == ("Default", "DEFAULT")


def test_versioned_comments_are_live_code() -> None:
    assert kinds("/*!80023 INVISIBLE */") == [Kind.OPEN_VERSION, Kind.WORD, Kind.CLOSE_VERSION]
    assert tokenize("/*!80023 INVISIBLE */")[0].value == "80023"


def test_the_end_of_a_comment_inside_a_string_is_text() -> None:
    assert kinds("'*/ /*! x'") == [Kind.STRING]


@pytest.mark.parametrize("text", ["'open", "`open", "/* comment */", "# x", '"x"', "a /* b", "\x00", "\\"])
def test_what_has_no_place_is_refused(text: str) -> None:
    with pytest.raises(NotCanonical):
        tokenize(text)


@given(st.text())
def test_any_text_is_cut_without_gaps_or_refused(text: str) -> None:
    try:
        tokens = tokenize(text)
    except NotCanonical:
        return
    position = 0
    for token in tokens:
        assert not text[position : token.start].strip(" \t\r\n")
        assert text[token.start : token.end] == token.text
        position = token.end
    assert position == len(text)


@given(st.lists(PIECES).map(" ".join))
def test_any_row_of_tokens_is_cut_into_them(text: str) -> None:
    assert "".join(token.text for token in tokenize(text)).replace(" ", "") == "".join(text.split()).replace(
        " ", ""
    )
