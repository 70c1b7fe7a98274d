"""I cut SQL text into words, literals, names and comments, and stop where servers might disagree about them.

What a quote or a comment means depends on sql_mode, on the character set and on the server's version. Where
that matters and is not known the last piece is UNSURE: it reaches to the end of the text, and nobody may act
as if they knew what is in it. https://dev.mysql.com/doc/refman/9.7/en/comments.html,
https://dev.mysql.com/doc/refman/9.7/en/string-literals.html.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

WORD: Final = 1
NUMBER: Final = 2
STRING: Final = 3
"""Between single or double quotes, which may be a name's too."""
NAME: Final = 4
"""Between backticks."""
COMMENT: Final = 5
SEMICOLON: Final = 6
OTHER: Final = 7
"""One character that stands for itself."""
UNSURE: Final = 8

Piece = tuple[int, int, int]
"""What it is, where it begins and where it ends; white space is in none."""


@dataclass(frozen=True, slots=True)
class Quoting:
    """What a session's sql_mode says about quotes: NO_BACKSLASH_ESCAPES and ANSI_QUOTES."""

    no_backslash: bool = False
    ansi_quotes: bool = False


_GUARDED: Final = rb"(?:[^{0}\\]|{0}{0}|\\(?!{0}))*+"
"""No backslash in front of a quote, which some would take for its end and others would not."""
_ESCAPED: Final = rb"(?:[^{0}\\]|{0}{0}|\\.)*+"
_VERBATIM: Final = rb"(?:[^{0}]|{0}{0})*+"


def _quoted(quote: bytes, inside: bytes) -> bytes:
    return quote + inside.replace(b"{0}", quote) + quote


_WORD_OF: Final = rb"[A-Za-z_\x80-\xff][\w$\x80-\xff]*+"
_RUN_OF: Final = (
    rb"(?:" + _WORD_OF + rb"|\d[\w$.\x80-\xff]*+|[^A-Za-z_\x80-\xff\d'\"`\#;\0$/*-]"
    rb"|-(?!-(?:[\x00-\x20\x7f-\xff]|\Z))|/(?!\*)|\*(?!/))++"
)


def _pattern(single: bytes, double: bytes, name: bytes, word: bytes = _WORD_OF) -> re.Pattern[bytes]:
    """Build the pattern of one piece; the number of its group is what it is."""
    return re.compile(
        rb"[ \t\n\r\v\f]*+(?:"
        rb"(" + word + rb")"
        rb"|(\d[\w$.\x80-\xff]*+)"
        rb"|(" + _quoted(b"'", single) + rb"|" + _quoted(b'"', double) + rb")"
        rb"|(`" + name + rb"`)"
        rb"|((?:\#|--(?=[\x01-\x20]|\Z))[^\n\0]*+(?:\n|\Z)"
        rb"|/\*(?!M?!|\+)(?:[^*]|\*(?!/))*+\*/|/\*\+[^'\"`;*/\0]*+\*/)"
        rb"|(;)"
        # What begins a comment, a quotation or dollar quoting must be the whole of it.
        rb"|((?!--[\x00-\x20\x7f-\xff])[^'\"`\#;\0$/*]|/(?!\*)|\*(?!/)))",
        re.DOTALL,
    )


# In a character set such as gbk the backtick may be the second half of a character.
_UNKNOWN: Final = _pattern(_GUARDED, _GUARDED, rb"(?:[^`\x80-\xff]|``|[\x80-\xff](?!`))*+")
_KNOWN: Final[dict[tuple[Quoting, bool], re.Pattern[bytes]]] = {
    (Quoting(no_backslash, ansi_quotes), coarse): _pattern(
        _VERBATIM if no_backslash else _ESCAPED,
        _VERBATIM if no_backslash or ansi_quotes else _ESCAPED,
        rb"(?:[^`\0]|``)*+",
        _RUN_OF if coarse else _WORD_OF,
    )
    for no_backslash in (False, True)
    for ansi_quotes in (False, True)
    for coarse in (False, True)
}
_SPACE: Final = re.compile(rb"[ \t\n\r\v\f]*+")
_VERSION: Final = re.compile(rb"/\*M?!\d*+")


def pieces(text: bytes, quoting: Quoting | None = None, *, coarse: bool = False) -> Iterator[Piece]:
    """Cut a text; without `quoting` nothing is known of sql_mode, nor of the character set.

    `coarse`, which needs `quoting`, gives whole runs of words and numbers and what is between them as one
    WORD.

    What is inside of a version comment comes as if the comment were not there, when that is the same for
    servers that run it and servers that skip it.
    """
    pattern = _UNKNOWN if quoting is None else _KNOWN[quoting, coarse]
    at, size = _SPACE.match(text).end(), len(text)  # type: ignore[union-attr]
    while at < size:
        match = pattern.match(text, at)
        if match is None:
            version = _VERSION.match(text, at)
            close = text.find(b"*/", version.end()) if version else -1
            inside = _inside(pattern, text, version.end(), close) if version and close >= 0 else None
            if inside is None:
                yield UNSURE, at, size
                return
            yield from inside
            at = close + 2
        else:
            kind = match.lastindex or OTHER
            if quoting is None and kind == WORD and text[match.end() : match.end() + 1] == b"`":
                yield UNSURE, at, size
                return
            yield kind, match.start(kind), match.end()
            at = match.end()
        at = _SPACE.match(text, at).end()  # type: ignore[union-attr]


def _inside(pattern: re.Pattern[bytes], text: bytes, at: int, close: int) -> list[Piece] | None:
    """Cut what is inside of a version comment; None when its end depends on whether it is run."""
    if text[close - 1 : close] == b"/":
        return None
    found: list[Piece] = []
    at = _SPACE.match(text, at).end()  # type: ignore[union-attr]
    while at < close:
        match = pattern.match(text, at, close)
        kind = match.lastindex if match else None
        if match is None or kind is None or kind in (COMMENT, SEMICOLON):
            return None
        found.append((kind, match.start(kind), match.end()))
        at = _SPACE.match(text, match.end()).end()  # type: ignore[union-attr]
    return found if at == close else None
