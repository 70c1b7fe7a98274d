"""What is shown in browsers can do nothing there."""

from __future__ import annotations

import re
import time
from html import unescape

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.api.html import of_diff, of_notes, of_sql


def plain(html: str) -> str:
    return unescape(re.sub(r"<[^>]*>", "", html))


def test_sql_is_coloured_by_simple_classes() -> None:
    shown = of_sql("ALTER TABLE `a``b` ADD c INT DEFAULT 5 COMMENT 'it''s <b>' /* <i> */")
    assert '<span class="kw">ALTER</span>' in shown
    assert '<span class="name">`a``b`</span>' in shown
    assert '<span class="num">5</span>' in shown
    assert '<span class="str">&#x27;it&#x27;&#x27;s &lt;b&gt;&#x27;</span>' in shown
    assert '<span class="com">/* &lt;i&gt; */</span>' in shown


def test_a_difference_has_an_element_for_each_line() -> None:
    shown = of_diff(" CREATE TABLE t (\n-  a int\n+  b <script>\n )")
    assert re.findall(r'<div class="(add|del|same)">', shown) == ["same", "del", "add", "same"]
    assert "<script>" not in shown


def test_notes_have_paragraphs_and_code() -> None:
    shown = of_notes("Adds `phone`\nfor delivery\n\n<img src=x onerror=alert(1)>")
    assert shown == (
        "<p>Adds <code>phone</code><br>for delivery</p><p>&lt;img src=x onerror=alert(1)&gt;</p>"
    )
    assert of_notes("") == ""


@given(st.text(alphabet=st.sampled_from("ab`'\"<>&/*-#\\ 1\n+")))
def test_nothing_but_our_own_elements_comes_out_and_no_text_is_lost(text: str) -> None:
    assert plain(of_sql(text)) == text
    for shown in (of_sql(text), of_diff(text), of_notes(text)):
        left = re.sub(r'</?(?:span|div|p|code)(?: class="[a-z]*")?>|<br>', "", shown)
        assert "<" not in left
        assert ">" not in left


@pytest.mark.parametrize("piece", ["\\'", '\\"', "/* ", "``'", "'\\", "''"])
def test_what_does_not_end_is_shown_in_no_time(piece: str) -> None:
    # A program's text may be as long as its author likes, and everybody waits while it is shown.
    began_s = time.process_time()
    shown = of_diff("+" + "'" + piece * 50_000)
    assert time.process_time() - began_s < 2
    assert plain(shown) == "+'" + piece * 50_000


def test_no_line_passes_for_another() -> None:
    shown = of_diff("+ a\u2028- b\x85+ c\n  d")
    assert re.findall(r'<div class="(add|del|same)">', shown) == ["add", "same"]
