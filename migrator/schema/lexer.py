"""I cut a server's canonical definition text into tokens, and refuse what has no place in such a text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

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


@dataclass(frozen=True, slots=True)
class Token:
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
    (?P<space>[ \t\r\n]+)
  | (?P<name>`(?:[^`]|``)*`)
  | (?P<string>'(?:[^'\\]|\\.|'')*')
  | (?P<open>/\*(?:M!|!)(?P<version>[0-9]{5,6})?[ ]?)
  | (?P<close>\*/)
  | (?P<number>[0-9]+\.[0-9]*(?:[eE][-+]?[0-9]+)?|\.[0-9]+(?:[eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+)
  | (?P<word>[0-9A-Za-z_$@\u0080-\U0010ffff]+)
  | (?P<punctuation>[-+*%<>=!&|^~(),.:?/;{}\[\]])
    """,
    re.VERBOSE | re.DOTALL,
)
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
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None or (match.lastgroup == "punctuation" and text.startswith("/*", position)):
            raise NotCanonical(f"cannot read {text[position : position + 20]!r} at offset {position}")
        group = match.lastgroup
        if group is not None and group != "space":
            token = match.group()
            tokens.append(
                Token(_KINDS[group], token, _value(group, token, match), position, match.end()),
            )
        position = match.end()
    tokens.append(Token(Kind.END, "", "", position, position))
    return tokens


def _value(group: str, text: str, match: re.Match[str]) -> str:
    if group == "name":
        return text[1:-1].replace("``", "`")
    if group == "open":
        return match.group("version") or ""
    if group == "word":
        return text.upper()
    return text
