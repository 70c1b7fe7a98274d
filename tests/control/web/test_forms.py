from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control.web.forms import CONTENT_TYPE, FormRefused, check_origin, fields_of, our_path, token_in


def test_fields_come_with_the_line_ends_of_servers() -> None:
    body = b"sql=SELECT+1%3B%0D%0ASELECT+%27%C3%A4%26%27&access=reader&empty="
    assert fields_of(body, CONTENT_TYPE) == {
        "sql": "SELECT 1;\nSELECT 'ä&'",
        "access": "reader",
        "empty": "",
    }
    assert fields_of(b"", f"{CONTENT_TYPE}; charset=UTF-8") == {}


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"a=1", "text/plain"),
        (b"a=1", ""),
        (b"a=1", "multipart/form-data; boundary=x"),
        (b'{"a": 1}', "application/json"),
        (b"a=\xff", CONTENT_TYPE),
        (b"a=%ff", CONTENT_TYPE),
        (b"a=%ed%a0%80", CONTENT_TYPE),
        (b"&".join(b"a%d=1" % number for number in range(30)), CONTENT_TYPE),
    ],
)
def test_what_no_form_of_ours_sends_is_refused(body: bytes, kind: str) -> None:
    with pytest.raises(FormRefused):
        fields_of(body, kind)


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "same-origin"},
        {"sec-fetch-site": "same-origin", "origin": "https://behind.example", "host": "10.0.0.1:8307"},
        {"origin": "http://127.0.0.1:8307", "host": "127.0.0.1:8307"},
        {"origin": "https://gate.example", "host": "gate.example"},
    ],
)
def test_a_form_of_our_own_page_is_taken(headers: dict[str, str]) -> None:
    check_origin(headers)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"host": "127.0.0.1:8307"},
        {"origin": "", "host": ""},
        {"origin": "null", "host": "127.0.0.1:8307"},
        {"origin": "http://evil.example", "host": "127.0.0.1:8307"},
        {"origin": "http://127.0.0.1:9000", "host": "127.0.0.1:8307"},
        {"origin": "http://127.0.0.1:8307.evil.example", "host": "127.0.0.1:8307"},
        {"origin": "http://127.0.0.1:8307@evil.example", "host": "127.0.0.1:8307"},
        {"sec-fetch-site": "cross-site", "origin": "http://127.0.0.1:8307", "host": "127.0.0.1:8307"},
        {"sec-fetch-site": "same-site", "origin": "http://127.0.0.1:8307", "host": "127.0.0.1:8307"},
        {"sec-fetch-site": "none", "origin": "http://127.0.0.1:8307", "host": "127.0.0.1:8307"},
        {"sec-fetch-site": ""},
    ],
)
def test_a_form_from_elsewhere_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(FormRefused, match="not sent by a page of Headgate"):
        check_origin(headers)


@pytest.mark.parametrize(
    "path", ["/databases", "/databases/shop", "/databases/shop/add-phone/console", "/databases/shop/main"]
)
def test_a_login_leads_to_our_pages(path: str) -> None:
    assert our_path(path) == path


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "//evil.example",
        "//evil.example/databases",
        "/\\evil.example",
        "https://evil.example/databases",
        "/databases/../login",
        "/databases\n",
        "/databases//evil",
        "/databases?x",
        "javascript:alert(1)",
        '/databases/"><script>',
    ],
)
def test_a_login_leads_nowhere_else(path: str) -> None:
    assert our_path(path) == "/databases"


@pytest.mark.parametrize("text", ["a:b", " a:b\n", "export HEADGATE_TOKEN=a:b", "HEADGATE_TOKEN=a:b "])
def test_a_token_may_be_pasted_as_it_was_printed(text: str) -> None:
    assert token_in(text) == "a:b"


@given(st.binary(max_size=200))
def test_whatever_comes_is_fields_or_refused(body: bytes) -> None:
    try:
        fields = fields_of(body, CONTENT_TYPE)
    except FormRefused:
        return
    for name, text in fields.items():
        assert (name + text).encode().decode() == name + text


@given(st.text(max_size=50))
def test_whatever_a_login_is_to_lead_to_it_stays_here(text: str) -> None:
    assert re.fullmatch(r"/databases[a-z0-9/-]*", our_path(text))
