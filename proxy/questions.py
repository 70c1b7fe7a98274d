"""I say what a query asks about the statement before it, and remember what short ones leave behind."""

from __future__ import annotations

import re
from typing import Final

from proxy.pins import PinReason, asks_about_last, leaves_behind
from router.classify import Kind, verb

_GAP: Final = rb"(?:[\s\xa0\x00]|/\*[^*]*+\*/|--[^\n]*+\n|#[^\n]*+\n)*+"
_ABOUT_ROWS: Final = re.compile(rb"(?:row_count|found_rows|lastval)`?" + _GAP + rb"\(")
_ID_WORDS: Final = (b"last_insert_id", b"identity", b"lastval")
_ABOUT_WARNINGS: Final = re.compile(rb"@@[^,;=]{0,16}?(?:warning|error)_count")
_WARNINGS_SHOWN: Final = re.compile(rb"(?:show|\))" + _GAP + rb"(?:warnings|errors)(?![\w$])")

_VERDICTS_MAX: Final = 4096
_VERDICT_BYTES_MAX: Final = 64
_verdicts: dict[tuple[bytes, bool], tuple[PinReason | None, bool]] = {}


def verdict(kind: Kind, data: bytes, start: int, mariadb: bool) -> tuple[PinReason | None, bool]:
    """Say what a query leaves behind, and whether it asks about the one before; short ones are remembered."""
    if len(data) > _VERDICT_BYTES_MAX:
        return leaves_behind(kind, data, start, mariadb=mariadb), asks_about_last(data, start)
    known = _verdicts.get((data, mariadb))
    if known is None:
        if len(_verdicts) >= _VERDICTS_MAX:
            _verdicts.clear()
        known = leaves_behind(kind, data, start, mariadb=mariadb), asks_about_last(data, start)
        _verdicts[data, mariadb] = known
    return known


def is_about_rows(text: bytes) -> bool:
    """Say whether a text in lower case asks how many rows the statement before had, or for its sequence."""
    return _ABOUT_ROWS.search(text) is not None


def is_about_id(text: bytes) -> bool:
    """Say whether a text in lower case may ask for the key that was generated last."""
    return any(word in text for word in _ID_WORDS)


def is_about_warnings(text: bytes) -> bool:
    """Say whether a text in lower case asks for the warnings or errors of the statement before.

    Words are not enough: tables and columns are called so too, and what asks may be refused.
    """
    if _ABOUT_WARNINGS.search(text):
        return True
    if b"diagnostics" in text:
        return verb(text).startswith("GET")
    return _WARNINGS_SHOWN.search(text) is not None and verb(text).startswith("SHOW")
