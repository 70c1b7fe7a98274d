"""I write a statement down without its values: in one way for all that differ in nothing else.

What I return holds no literal, no comment and nothing of which it is unsure whether it is either, so it may
leave the worker, be kept and be shown. A server can still PREPARE it: where the grammar wants a literal and
takes no parameter, one of mine stands.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from router.tokens import COMMENT, NAME, NUMBER, SEMICOLON, STRING, UNSURE, Quoting, pieces

TEXT_BYTES_MAX: Final = 8192
"""Of a longer statement only the beginning is looked at."""

_TAKEN: Final = frozenset(
    {b"SELECT", b"WITH", b"TABLE", b"VALUES", b"INSERT", b"REPLACE", b"UPDATE", b"DELETE", b"CALL", b"LOAD"}
)
_CHANGES_NAMES: Final = frozenset({b"ALTER", b"CREATE", b"DROP", b"RENAME", b"TRUNCATE"})

_VALUE: Final = b"?"
_SIGNS: Final = frozenset({b"-", b"+"})
_BEFORE_A_SIGN: Final = frozenset(
    b"( , = < > * / % VALUES IN LIMIT OFFSET THEN ELSE WHEN AND OR BETWEEN SET SELECT LIKE INTERVAL".split()
)
"""Behind these a sign belongs to the number."""
_TYPED: Final = frozenset({b"DATE", b"TIME", b"TIMESTAMP"})
_PREFIXES: Final = frozenset({b"N", b"X", b"B"})
_SIZED: Final = frozenset(
    b"BINARY CHAR CHARACTER DATETIME DEC DECIMAL FLOAT NCHAR NUMERIC TIME VARBINARY VARCHAR VECTOR".split()
)
"""Types whose length is a number that cannot be a parameter; some are functions, too."""
_FIXED: Final[dict[bytes, bytes]] = {
    b"SEPARATOR": b"','",
    b"ESCAPE": b"'|'",
    b"PATH": b"'$'",
    b"AS": b"'x'",
    b"COLLATE": b"'x'",
}
"""What stands for a string behind these words: a parameter may not."""
_SPACED: Final = frozenset(b"IN VALUES VALUE AND OR NOT ON WHERE AS FROM JOIN SET USING LIMIT BY".split())
"""Words behind which a bracket stands apart, as nobody takes them for functions."""
_PUNCTUATION: Final = re.compile(rb"[^\w`'?\x80-\xff]")
_SIMPLE_NAME: Final = re.compile(rb"`[A-Za-z_][\w$-]*+`")
_PREPARED: Final = re.compile(
    rb"\s*+(?:PREPARE\s++(?:\w++|`[^`]++`)\s++FROM|EXECUTE\s++IMMEDIATE)\s*+"
    rb"(?:'((?:[^'\\]|'')*+)'|\"((?:[^\"\\]|\"\")*+)\")[\s;]*+",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class _Token:
    text: bytes
    adjacent: bool

    @property
    def word(self) -> bytes:
        return self.text.upper()


def shape_of(text: bytes, quoting: Quoting | None) -> str | None:
    """Return the shape of a statement that reads or writes rows, or calls a routine; None for others.

    None, too, where it cannot be told what is a literal: `quoting` is None when the session's sql_mode or
    character set are not known.
    """
    return _written(text, quoting, _TAKEN)


def definition_of(text: bytes, quoting: Quoting | None) -> str | None:
    """Return a statement that changes definitions, without its values; None for others, and when unsure.

    It may be inside of a PREPARE or EXECUTE IMMEDIATE.
    """
    inside = _PREPARED.fullmatch(text)
    if inside:
        one, two = inside.groups()
        text = one.replace(b"''", b"'") if one is not None else two.replace(b'""', b'"')
    return _written(text, quoting, _CHANGES_NAMES)


def _written(text: bytes, quoting: Quoting | None, taken: frozenset[bytes]) -> str | None:
    whole = len(text) <= TEXT_BYTES_MAX
    tokens = _tokens(text[:TEXT_BYTES_MAX], quoting, whole)
    if tokens is None:
        return None
    first = next((token.word for token in tokens if token.text != b"("), b"")
    if first not in taken:
        return None
    tokens = _collapsed(tokens) if whole else _up_to_first_row(tokens)
    try:
        return _joined(tokens).decode() or None
    except UnicodeDecodeError:
        return None


def _tokens(text: bytes, quoting: Quoting | None, whole: bool) -> list[_Token] | None:
    """Cut a statement up and replace its values; of one that is not whole, the last piece is left out."""
    found: list[_Token] = []
    end_before = 0
    in_string = False
    for kind, start, end in pieces(text, quoting):
        if kind == UNSURE:
            if whole:
                return None
            break
        if kind == COMMENT:
            continue
        if kind == SEMICOLON:
            break
        piece, adjacent = text[start:end], start == end_before
        end_before = end
        if kind == STRING and piece[:1] == b'"' and quoting is not None and quoting.ansi_quotes:
            kind, piece = NAME, b"`" + piece[1:-1].replace(b'""', b'"').replace(b"`", b"``") + b"`"
        if kind == STRING:
            if not in_string:
                _add_string(found, adjacent)
        elif kind == NUMBER:
            _add_number(found, adjacent)
        elif kind == NAME and quoting is None and not _SIMPLE_NAME.fullmatch(piece):
            return None
        else:
            found.append(_Token(piece, adjacent))
        # Literals that follow each other are one.
        in_string = kind == STRING
    if not whole and found:
        found.pop()
    return found


def _add_string(found: list[_Token], adjacent: bool) -> None:
    """Put something in the place of a string."""
    before = found[-1].word if found else b""
    if before in _TYPED or before.startswith(b"_") or (adjacent and before in _PREFIXES):
        found[-1] = _Token(_VALUE, found[-1].adjacent)
    elif before == b">" and (
        _word(found, -2) == b"-" or (_word(found, -3), _word(found, -2)) == (b"-", b">")
    ):
        found.append(_Token(b"'$'", adjacent))
    else:
        found.append(_Token(_FIXED.get(before, _VALUE), adjacent))


def _add_number(found: list[_Token], adjacent: bool) -> None:
    """Put something in the place of a number."""
    before = _word(found, -1)
    if before in _SIGNS and _word(found, -2) in _BEFORE_A_SIGN:
        adjacent = found.pop().adjacent
    sized = before == b"(" and _word(found, -2) in _SIZED
    scaled = before == b"," and _word(found, -3) == b"(" and _word(found, -4) in _SIZED
    found.append(_Token(b"1" if sized or scaled or before == b"BY" else _VALUE, adjacent))


def _word(found: list[_Token], at: int) -> bytes:
    return found[at].word if len(found) >= -at else b""


def _collapsed(tokens: list[_Token]) -> list[_Token]:
    """Leave one of the rows of VALUES, one of the values of IN, one of the same groups in a row."""
    ends = _group_ends(tokens)
    found: list[_Token] = []
    jumps: dict[int, int] = {}
    at = 0
    while at < len(tokens):
        if at in jumps:
            at = jumps.pop(at)
            continue
        token = tokens[at]
        found.append(token)
        at += 1
        if token.text != b"(":
            continue
        before = found[-2].word if len(found) > 1 else b""
        end = ends[at - 1]
        if before == b"IN" and end - 1 > at and _only_values(tokens, at, end - 1):
            found.append(tokens[at])
            at = end - 1
        else:
            rows = before in (b"VALUES", b"VALUE")
            jumps[end] = _behind_repetitions(tokens, ends, at, rows=rows)
            if jumps[end] == end:
                del jumps[end]
    return found


def _only_values(tokens: list[_Token], at: int, end: int) -> bool:
    return all(tokens[place].text in (_VALUE, b",") for place in range(at, end))


def _behind_repetitions(tokens: list[_Token], ends: dict[int, int], at: int, *, rows: bool) -> int:
    """Return where the groups end that follow the one whose inside begins at `at`, and are like it."""
    end = behind = ends[at - 1]
    while [token.text for token in tokens[behind : behind + 2]] == [b",", b"("]:
        other, following = behind + 2, ends[behind + 1]
        if not rows and (
            following - other != end - at
            or any(tokens[at + place].text != tokens[other + place].text for place in range(end - at))
        ):
            break
        behind = following
    return behind


def _group_ends(tokens: list[_Token]) -> dict[int, int]:
    """Return for each opening bracket the place behind the one that closes it: in one go, however deep."""
    ends: dict[int, int] = {}
    opened: list[int] = []
    for at, token in enumerate(tokens):
        if token.text == b"(":
            opened.append(at)
        elif token.text == b")" and opened:
            ends[opened.pop()] = at + 1
    return ends | dict.fromkeys(opened, len(tokens))


def _group_end(tokens: list[_Token], at: int) -> int:
    """Return the place behind the bracket that closes the group whose inside begins at `at`."""
    depth = 1
    while at < len(tokens) and depth:
        depth += (tokens[at].text == b"(") - (tokens[at].text == b")")
        at += 1
    return at


def _up_to_first_row(tokens: list[_Token]) -> list[_Token]:
    """Return the beginning of a long INSERT, up to its first row; nothing of other statements."""
    if tokens[0].word not in (b"INSERT", b"REPLACE"):
        return []
    for at, token in enumerate(tokens[:-1]):
        if token.word in (b"VALUES", b"VALUE") and tokens[at + 1].text == b"(":
            end = _group_end(tokens, at + 2)
            return tokens[:end] if end < len(tokens) else []
    return []


def _joined(tokens: list[_Token]) -> bytes:
    """Put the tokens together with white space where it belongs."""
    parts: list[bytes] = []
    before = b""
    for token in tokens:
        if before and _stands_apart(before, token):
            parts.append(b" ")
        parts.append(token.text)
        before = token.text
    return b"".join(parts)


def _stands_apart(before: bytes, token: _Token) -> bool:
    text = token.text
    if text in (b",", b")", b".") or before in (b"(", b".", b"@"):
        return False
    if text == b"(" and not _PUNCTUATION.fullmatch(before):
        return not token.adjacent or before.upper() in _SPACED
    if _PUNCTUATION.fullmatch(before) and _PUNCTUATION.fullmatch(text):
        # Two signs that follow each other would begin a comment.
        return not token.adjacent or before in (b",", b")") or before == text == b"-"
    return True
