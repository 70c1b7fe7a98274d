from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migrator.schema.errors import NotCanonical
from migrator.schema.lexer import Kind, tokenize
from migrator.schema.parse import parse_create
from migrator.schema.program_text import split_head, trigger_moment
from migrator.schema.render import canonical_text
from router.model import Flavor
from tests.migrator.schema.corpus import CORPUS, split

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


CANONICAL = [
    text for flavor in Flavor for text in split((CORPUS / "canonical" / f"{flavor}.sql").read_text())
]


@given(st.sampled_from(CANONICAL), st.data())
def test_a_definition_cut_anywhere_begins_alike_or_is_refused(text: str, data: st.DataObject) -> None:
    """Cut between bytes, as a broken connection would; half a character is kept as what it is."""
    raw = text.encode("utf-8", "surrogateescape")
    at = data.draw(st.integers(0, len(raw)))
    whole = tokenize(text)
    try:
        tokens = tokenize(raw[:at].decode("utf-8", "surrogateescape"))
    except NotCanonical:
        return
    # The last one before the end may be half of what it was, and half of /*!50100 is two: /*! and a number.
    assert tokens[:-3] == whole[: max(len(tokens) - 3, 0)]


@given(st.sampled_from(CANONICAL), st.data())
def test_a_definition_with_something_strange_in_it_is_read_or_refused(text: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(text)))
    strange = data.draw(
        st.text(min_size=1, max_size=3) | st.sampled_from(["/*", "*/", "'", "`", "\\", "--", ";"])
    )
    for flavor in Flavor:
        try:
            table = parse_create(text[:at] + strange + text[at:], flavor)
        except NotCanonical:
            continue
        assert parse_create(canonical_text(table), flavor) == table


@given(
    st.sampled_from([" ", "/* x */", "`a`", "'a'", "(", "/*!50100 ", "*/", "a.", "-"]), st.integers(500, 2000)
)
def test_no_text_takes_longer_than_its_length_says(piece: str, count: int) -> None:
    """A text that doubled the time with each piece would not end before the machine does."""
    with contextlib.suppress(NotCanonical):
        tokenize(piece * count)
    for head in (b"CREATE TRIGGER t ", b"CREATE TRIGGER t BEFORE INSERT ON t FOR EACH ", b"CREATE DEFINER="):
        with contextlib.suppress(NotCanonical):
            trigger_moment((head + piece.encode() * count).decode())
        with contextlib.suppress(NotCanonical):
            split_head(head + piece.encode() * count, "t")
