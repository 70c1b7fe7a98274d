"""I cut text of several statements at its semicolons, or say that it cannot be known where they are."""

from __future__ import annotations

import re
from typing import Final

from router.classify import Kind, classify
from router.tokens import SEMICOLON, UNSURE, WORD, Quoting, pieces

SPLIT_BYTES_MAX: Final = 1 << 20
PARTS_MAX: Final = 10_000
VERSION_COMMENTS_MAX: Final = 32
"""Texts of more than this are not looked through: it would keep a worker busy."""

PLAIN_CHARSETS: Final = {
    *("ascii", "binary", "utf8", "utf8mb3", "utf8mb4", "latin1", "latin2", "latin5", "latin7", "cp1250"),
    *("cp1251", "cp1256", "cp1257", "cp850", "cp852", "cp866", "koi8r", "koi8u", "greek", "hebrew", "macce"),
    *("macroman", "tis620", "armscii8", "dec8", "geostd8", "hp8", "keybcs2"),
}
"""Character sets in which no byte below 0x80 is ever a part of another character."""
# Their statements change neither sql_mode nor the character set under those that follow.
_LEAVES_MODES: Final = frozenset(
    {Kind.READ, Kind.WRITE, Kind.TRANSACTION, Kind.EMPTY, Kind.KILL, Kind.TEMPORARY}
)
# A quote, a backslash or a backtick that another character set or sql_mode could see differently.
_MATTERS: Final = re.compile(rb"\\|[\x80-\xff]`")
_BODIES: Final = {b"PROCEDURE", b"FUNCTION", b"TRIGGER", b"EVENT", b"PACKAGE", b"LIBRARY"}


def split(text: bytes, *, no_backslash: bool, ansi_quotes: bool, charset: str) -> list[bytes] | None:
    """Return the statements that a server would run one after the other, in sessions with these modes.

    Semicolons and white space at the end belong to none. None when it is unsure: in character sets where a
    quote can hide in another character, with a quotation or comment that does not end, with statements that
    have statements inside of them, and when one statement changes how the next would be read.
    """
    if charset not in PLAIN_CHARSETS or len(text) > SPLIT_BYTES_MAX:
        return None
    if charset.startswith("utf8") and not _is_utf8(text):
        return None
    if text.count(b"/*!") + text.count(b"/*M!") > VERSION_COMMENTS_MAX:
        return None
    text = text.rstrip(b"; \t\n\v\f\r")
    parts: list[bytes] = []
    begin = 0
    for kind, start, end in pieces(text, Quoting(no_backslash, ansi_quotes), coarse=True):
        if kind == UNSURE or len(parts) == PARTS_MAX:
            return None
        if kind == SEMICOLON:
            parts.append(text[begin:start])
            begin = end
    parts.append(text[begin:])
    if len(parts) > 1 and not _stands_alone(parts, text):
        return None
    return parts


def _stands_alone(parts: list[bytes], text: bytes) -> bool:
    """Say whether no statement has others inside of it, or changes how those behind it are read."""
    at = 0
    # Once for all parts: each of them would look through the whole rest.
    last = max((match.start() for match in _MATTERS.finditer(text)), default=-1)
    for part in parts:
        kind = classify(part)
        if kind is Kind.UNKNOWN or (kind is Kind.DDL and _has_body(part)):
            return False
        at += len(part) + 1
        if kind not in _LEAVES_MODES and at <= last:
            return False
    return True


def _has_body(part: bytes) -> bool:
    return any(kind == WORD and part[start:end].upper() in _BODIES for kind, start, end in pieces(part))


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
