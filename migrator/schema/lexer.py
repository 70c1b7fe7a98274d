"""I cut a server's canonical definition text into tokens, and refuse what has no place in such a text."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import NamedTuple

from migrator.schema.errors import NotCanonical


class Kind(StrEnum):
    """The kinds of token."""

    NAME = "quoted name"
    WORD = "word"
    STRING = "string"
    PUNCTUATION = "punctuation"
    OPEN_VERSION = "start of a versioned comment"
    CLOSE_VERSION = "end of a versioned comment"
    END = "end"


class Token(NamedTuple):
    """One token: `text` as written, at `start` up to `end` in the source.

    `value` is the name without its quotes, the word in upper case, the number of a versioned comment, and
    otherwise the text.
    """

    kind: Kind
    text: str
    value: str
    start: int
    end: int


# Strings use single quotes (the sessions that read are set so); a backslash escapes one character, a doubled
# quote is a quote. Words take in numbers, variables' names and every character outside ASCII.
_TOKEN = re.compile(
    r"""
    (?P<name>`(?:[^`]|``)*`)
  | (?P<string>'(?:[^'\\]|\\.|'')*')
  | (?P<open>/\*(?:M!|!)(?P<version>[0-9]{5,6})?[ ]?)
  | (?P<close>\*/)
  | (?P<number>[0-9]+\.[0-9]*(?:[eE][-+]?[0-9]+)?|\.[0-9]+(?:[eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+)
  | (?P<word>[0-9A-Za-z_$@\u0080-\U0010ffff]+)
  | (?P<punctuation>[-+*%<>=!&|^~(),.:?/;{}\[\]])
    """,
    re.VERBOSE | re.DOTALL,
)
_SPACE = re.compile(r"[ \t\r\n]+")
_KINDS = {
    "name": Kind.NAME,
    "string": Kind.STRING,
    "open": Kind.OPEN_VERSION,
    "close": Kind.CLOSE_VERSION,
    "number": Kind.WORD,
    "word": Kind.WORD,
    "punctuation": Kind.PUNCTUATION,
}


def tokenize(text: str) -> list[Token]:
    """Return the tokens of `text`, ending with one of kind END.

    Raises NotCanonical at the first character that cannot start a token, such as an open quote or a comment.
    """
    tokens: list[Token] = []
    position, end = 0, len(text)
    read, skip = _TOKEN.match, _SPACE.match
    while position < end:
        if text[position] in " \t\r\n" and (space := skip(text, position)) is not None:
            position = space.end()
            continue
        match = read(text, position)
        if match is None:
            raise NotCanonical(f"cannot read {text[position : position + 20]!r} at offset {position}")
        group, token = match.lastgroup or "", match.group()
        if token == "/" and text.startswith("/*", position):
            raise NotCanonical(f"cannot read {text[position : position + 20]!r} at offset {position}")
        past = match.end()
        tokens.append(Token(_KINDS[group], token, _value(group, token, match), position, past))
        position = past
    tokens.append(Token(Kind.END, "", "", position, position))
    return tokens


def _value(group: str, text: str, match: re.Match[str]) -> str:
    if group == "word":
        return text.upper()
    if group == "name":
        return text[1:-1].replace("``", "`")
    if group == "open":
        return match.group("version") or ""
    return text
