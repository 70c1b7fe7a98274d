"""I say what a statement leaves behind in its session that no tracker of the server tells, by its text.

Whoever has such a thing must keep the backend it is on. Everything here may say too much, never too little:
words are found inside strings and comments too. What the servers do tell is in `session.py`;
tests/proxy/test_trackers.py shows which is which.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final

from router.classify import Kind


class PinReason(StrEnum):
    """Why a session must stay on its backend."""

    USER_VARIABLE = "user variable"
    TEMPORARY_TABLE = "temporary table"
    TABLE_LOCK = "table lock"
    NAMED_LOCK = "named lock"
    GLOBAL_LOCK = "global lock"
    """FLUSH TABLES WITH READ LOCK, LOCK INSTANCE, BACKUP STAGE."""
    HANDLER = "handler"
    PREPARED = "text prepared"
    XA = "xa transaction"
    SAVEPOINT = "savepoint"
    """One outside of a transaction, with autocommit off."""
    ONE_SHOT = "next transaction"
    """SET TRANSACTION without SESSION, not yet used up."""
    FOUND_ROWS = "found rows"
    LAST_INSERT_ID = "last insert id"
    """One that the statement set itself, without an OK packet that tells it."""
    SEQUENCE = "sequence"
    """MariaDB's PREVIOUS VALUE FOR."""
    ROLE = "role"
    VARIABLE = "variable"
    """A system variable that must not be set on another backend."""
    CHARSET = "character set"
    """A collation that the server did not tell."""
    STATE = "unknown state"
    """The server said that something changed, but not what."""
    STATEMENT = "unknown statement"
    CURSOR = "cursor"
    LONG_DATA = "long data"
    DIAGNOSTICS = "diagnostics"
    """The client asks about the statement before."""


LEAVES_NOTHING: Final = frozenset(
    {
        PinReason.TABLE_LOCK,
        PinReason.XA,
        PinReason.SAVEPOINT,
        PinReason.ONE_SHOT,
        PinReason.FOUND_ROWS,
        PinReason.CURSOR,
        PinReason.LONG_DATA,
        PinReason.DIAGNOSTICS,
    }
)
"""Reasons after whose end the backend is as clean as before; after any other it must be reset."""

_SOILING: Final = frozenset({Kind.CALL, Kind.DYNAMIC, Kind.UNKNOWN, Kind.ADMIN})

# The locks of a component, which RELEASE_ALL_LOCKS() leaves alone.
_SERVICE_LOCKS: Final = (b"service_get_", b"version_tokens_lock")
_BRACKET, _AT, _UNDERSCORE, _V = b"(@_V"
_COMMAND: Final = Kind.COMMAND
_DYNAMIC: Final = Kind.DYNAMIC
_UNKNOWN: Final = Kind.UNKNOWN

_SPACES: Final = b" \t\n\r\v\f\xa0\x00"
_START: Final = re.compile(rb"[ \t\n\r\v\f(]*+([A-Za-z]++)")
_INTO_VARIABLE: Final = re.compile(rb"into[\s\xa0\x00]*+(?:@(?!@)|/\*|#|--)")
_ENDS_IN_INTO: Final = re.compile(rb"into[\s\xa0\x00]*+\Z")
_USER_VARIABLE: Final = re.compile(rb"(?<!@)@(?!@)")
# None of these may look through the rest of a text from each of many beginnings: a text can be made of them.
_NEXT: Final = rb"next(?:[\s\xa0\x00]|\*/|/\*|#|--)"
_NEXT_VALUE: Final = re.compile(_NEXT + rb"(?:(?!value|" + _NEXT + rb")[^;]){0,2000}+value")
_ASKS_COUNT: Final = re.compile(rb"(?:row|warning|error)_count")
# The OK packets of these tell a last insert id that the statement set itself.
_TELLS_INSERT_ID: Final = re.compile(rb"\s*(?:update|insert|replace)\s")
_SETS_INSERT_ID: Final = re.compile(rb"last_insert_id`?[\s\xa0\x00]*+\((?![\s\xa0\x00]*+\))")
# The word may follow a comment, or the digits of a version comment.
_ROLE: Final = re.compile(rb"(?:role|resource)(?![\w$])")
_ROLE_ENDS: Final = re.compile(rb"[=@]")
_UNTOLD: Final = re.compile(rb"@@[\s\xa0\x00]*+(?!(?:session|local|global)[\s\xa0\x00]*+\.)")
_ASSIGNMENT_ENDS: Final = re.compile(rb"([=,;])")
_PLAIN_SET: Final = re.compile(rb"[\s(]*+(?:set|use)(?![\w$])")
_SELECTS: Final = re.compile(rb"(?<![\w$])(?:select|table|values)(?![\w$])")
_WORD_AND_BRACKET: Final = re.compile(rb"([\w$.`\x80-\xff]*+)([\s\xa0\x00]*+)(\(?)")
_HARMLESS: Final = frozenset(
    {b"", b"concat", b"concat_ws", b"replace", b"if", b"ifnull", b"nullif", b"coalesce", b"lower", b"upper"}
)
"""Functions that applications use in SET, called as the server reads them: no space in front of `(`."""

LONGEST_WORD_BYTES: Final = 64
"""No word looked for is longer; pieces of a long statement overlap by this much."""


def has(text: bytes, word: bytes) -> bool:
    """Say whether a word is in a text: `in` first takes bytes for a number, and makes an error of that."""
    return text.find(word) >= 0


def is_plain(text: bytes) -> bool:
    """Say that an ordinary SELECT, INSERT, UPDATE or DELETE neither leaves nor asks for anything.

    The cheap question for the hot path: without brackets and `@` hardly anything is left. (VAL is for the
    sequences of MariaDB.)
    """
    # Single bytes are asked for as numbers: that costs a fourth.
    if _BRACKET in text or _AT in text:
        return False
    upper = text.upper()
    return not ((_UNDERSCORE in upper and has(upper, b"CALC_FOUND")) or (_V in upper and has(upper, b"VAL")))


def leaves_behind(kind: Kind, text: bytes, start: int = 0, *, mariadb: bool = False) -> PinReason | None:
    """Say what a statement leaves behind besides what trackers tell; `start` is where its text begins.

    MariaDB does not tell of variables that are set as `@@name` without SESSION, nor of keys generated by what
    returns rows.
    """
    if kind is _COMMAND:
        return None
    low = text[start:].lower() if start else text.lower()
    if mariadb and has(low, b"@@") and _sets_untold(low):
        return PinReason.STATE
    if mariadb and has(low, b"returning"):
        # The rows come in place of the OK packet that would tell the id.
        return PinReason.LAST_INSERT_ID
    return _by_verb(kind, low) or _by_words(low)


def soils(kind: Kind) -> bool:
    """Say whether a backend must be reset before another client gets it.

    A routine can do anything, and its traces may show in no tracker.
    """
    return kind in _SOILING


def asks_about_last(text: bytes, start: int = 0) -> bool:
    """Say whether a statement asks about the statement before it: its warnings, rows, or generated key."""
    low = text[start:].lower() if start else text.lower()
    return (
        has(low, b"insert_id")
        or has(low, b"found_rows")
        or (has(low, b"_count") and _ASKS_COUNT.search(low) is not None)
        or has(low, b"identity")
        or has(low, b"lastval")
        or has(low, b"currval")
        or has(low, b"previous")
        or has(low, b"diagnostics")
        or (has(low, b"show") and (has(low, b"warnings") or has(low, b"errors")))
    )


def explains(text: bytes) -> bool:
    """Say whether all that a statement changed is in the trackers: a SET or USE that runs no routine."""
    low = text.lower()
    if not _PLAIN_SET.match(low) or _SELECTS.search(low) or _USER_VARIABLE.search(low):
        return False
    return all(
        word in _HARMLESS and not (word and gap)
        for word, gap, bracket in _WORD_AND_BRACKET.findall(low)
        if bracket
    )


def _by_verb(kind: Kind, low: bytes) -> PinReason | None:
    """Look at what the statement begins with; one that begins with a comment may be any of them."""
    if kind is _DYNAMIC or kind is _UNKNOWN:
        return PinReason.STATEMENT
    match = _START.match(low)
    if match:
        return _reason(match[1], low) if match[1] in _VERBS else None
    return next((reason for verb in _VERBS if has(low, verb) and (reason := _reason(verb, low))), None)


_VERBS: Final = (
    b"handler",
    b"prepare",
    b"execute",
    b"xa",
    b"savepoint",
    b"create",
    b"set",
    b"call",
    b"load",
    b"get",
    b"flush",
    b"lock",
    b"backup",
    b"binlog",
)


def _reason(verb: bytes, low: bytes) -> PinReason | None:
    """Say what a statement with this verb leaves behind."""
    if verb in _ALWAYS:
        return _ALWAYS[verb]
    if verb in (b"set", b"call", b"load", b"get") and _USER_VARIABLE.search(low):
        return PinReason.USER_VARIABLE
    if verb == b"set" and _sets_role(low):
        return PinReason.ROLE
    if verb == b"xa" and (has(low, b"start") or has(low, b"begin")):
        return PinReason.XA
    if verb == b"handler" and has(low, b"open"):
        return PinReason.HANDLER
    if verb == b"create" and has(low, b"temporary"):
        return PinReason.TEMPORARY_TABLE
    if verb in (b"flush", b"lock") and (has(low, b"read") or has(low, b"export") or has(low, b"instance")):
        return PinReason.GLOBAL_LOCK
    return None


_ALWAYS: Final = {
    b"prepare": PinReason.PREPARED,
    b"execute": PinReason.STATEMENT,
    b"savepoint": PinReason.SAVEPOINT,
    b"backup": PinReason.GLOBAL_LOCK,
    b"binlog": PinReason.STATEMENT,
}


def _sets_role(low: bytes) -> bool:
    """Say whether ROLE or RESOURCE follows SET with no assignment between them."""
    for part in _ROLE_ENDS.split(low):
        at = part.find(b"set")
        if at >= 0 and _ROLE.search(part, at):
            return True
    return False


def _sets_untold(low: bytes) -> bool:
    """Say whether a variable is assigned to as `@@name`."""
    parts = _ASSIGNMENT_ENDS.split(low)
    return any(
        end == b"=" and _UNTOLD.search(part) for part, end in zip(parts[::2], parts[1::2], strict=False)
    )


def _by_words(low: bytes) -> PinReason | None:
    """Look for functions and clauses that may stand anywhere."""
    if _AT in low and (has(low, b":=") or _INTO_VARIABLE.search(low)):
        return PinReason.USER_VARIABLE
    # Few words are looked for; only what has one is looked at again.
    if has(low, b"_lock") or has(low, b"service_"):
        if any(has(low, word) for word in _SERVICE_LOCKS):
            return PinReason.STATE
        if has(low, b"get_lock"):
            return PinReason.NAMED_LOCK
    if has(low, b"calc_found"):
        return PinReason.FOUND_ROWS
    if has(low, b"tval") and (has(low, b"nextval") or has(low, b"setval")):
        return PinReason.SEQUENCE
    if has(low, b"next") and _NEXT_VALUE.search(low):
        return PinReason.SEQUENCE
    if has(low, b"last_insert_id") and not _TELLS_INSERT_ID.match(low) and _SETS_INSERT_ID.search(low):
        return PinReason.LAST_INSERT_ID
    return None


class LongText:
    """The same questions about a statement that comes in pieces and is never kept whole."""

    __slots__ = ("_kind", "_tail", "_waits_for_variable", "asks", "reason")

    def __init__(self, kind: Kind) -> None:
        self.reason: PinReason | None = None
        self.asks = False
        self._kind = kind
        self._tail = b""
        self._waits_for_variable = False

    def feed(self, piece: bytes) -> None:
        """Take the next piece; the first one begins with the statement."""
        if not self._tail and not self.reason and self._kind is not Kind.COMMAND:
            self.reason = _by_verb(self._kind, piece.lower())
        low = self._tail + piece.lower()
        if self._waits_for_variable:
            rest = piece.lstrip(_SPACES)
            if rest:
                self._waits_for_variable = False
                if rest[:1] in b"@/#-":
                    self.reason = self.reason or PinReason.USER_VARIABLE
        if self.reason is None:
            # A sign of a user variable that comes far behind what it belongs to.
            self.reason = PinReason.USER_VARIABLE if has(low, b":=") else _by_words(low)
        self.asks = self.asks or asks_about_last(low)
        self._waits_for_variable = self._waits_for_variable or _ENDS_IN_INTO.search(low) is not None
        self._tail = low[-LONGEST_WORD_BYTES:]
