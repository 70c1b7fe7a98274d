"""I read in a statement's text what no server tells of its session: a collation, names, what has ended."""

from __future__ import annotations

import re
from typing import Final

from proxy.pins import PinReason

_SET: Final = re.compile(rb"[\s(]*+set(?![\w$])", re.IGNORECASE)
_SET_NAMES: Final = re.compile(
    rb"(?<![\w$@.`])names[\s=]+(?:'(\w+)'|\"(\w+)\"|(\w+))(?:\s+collate\s+(?:'(\w+)'|\"(\w+)\"|(\w+)))?",
    re.IGNORECASE,
)
_SET_CONNECTION: Final = re.compile(rb"character_set_connection", re.IGNORECASE)
_TELLING_TEXT: Final = re.compile(
    rb"[\s(]*+(?:prepare|deallocate|drop\s+prepare|create\s+temporary\s+table|drop\s+temporary\s+table)(?![\w$])",
    re.IGNORECASE,
)

_NAME_AT_END: Final = rb"\s+(`[^`]+`|[\w$\x80-\xff]+)"
_NAMES_AT_END: Final = rb"\s+([\w$`.,\s\x80-\xff]+)"
NAMED: Final = {
    PinReason.GLOBAL_LOCK: re.compile(rb"\s*(?:flush|lock)\s+(tables?|instance)(?![\w$])", re.IGNORECASE),
    PinReason.PREPARED: re.compile(rb"\s*prepare" + _NAME_AT_END + rb"\s+from", re.IGNORECASE),
    PinReason.HANDLER: re.compile(rb"\s*handler" + _NAME_AT_END + rb"\s+open\s*;?\s*\Z", re.IGNORECASE),
    PinReason.TEMPORARY_TABLE: re.compile(
        rb"\s*create\s+temporary\s+table(?:\s+if\s+not\s+exists)?" + _NAME_AT_END + rb"(?![\s]*\.)",
        re.IGNORECASE,
    ),
}
"""What pins are by name, and the statements that name them."""
ENDS: Final = (
    (PinReason.SAVEPOINT, re.compile(rb"\s*(?:commit|rollback(?!\s+(?:work\s+)?to(?![\w$])))(?![\w$])")),
    (PinReason.NAMED_LOCK, re.compile(rb"\s*(?:do|select)\s+release_all_locks\s*\(\s*\)\s*;?\s*\Z")),
    # Where the session keeps what it prepared, the status says that it is still in a transaction.
    (PinReason.XA, re.compile(rb"\s*xa\s+(?:commit|rollback|prepare)(?![\w$])")),
)
"""Statements after which nothing is left of a pin."""
ENDS_NAMED: Final = (
    (
        PinReason.GLOBAL_LOCK,
        re.compile(rb"\s*unlock\s+(tables?|instance)\s*;?\s*\Z", re.IGNORECASE),
    ),
    (
        PinReason.PREPARED,
        re.compile(rb"\s*(?:deallocate|drop)\s+prepare" + _NAME_AT_END + rb"\s*;?\s*\Z", re.IGNORECASE),
    ),
    (
        PinReason.HANDLER,
        re.compile(rb"\s*handler" + _NAME_AT_END + rb"\s+close\s*;?\s*\Z", re.IGNORECASE),
    ),
    (
        PinReason.TEMPORARY_TABLE,
        re.compile(
            rb"\s*drop\s+temporary\s+table(?:\s+if\s+exists)?" + _NAMES_AT_END + rb";?\s*\Z", re.IGNORECASE
        ),
    ),
)
"""Statements that end one of several by its name."""

_ONE_SPELLING: Final = {b"table": b"tables"}


def collation_of_names(statement: bytes) -> str | None:
    """Return which collation a SET left for the connection: "" the default one, None when it is unclear.

    `SET CHARACTER SET` takes that of the schema, which nobody tells.
    """
    if not _SET.match(statement):
        return None
    low = statement.lower()
    named = _SET_NAMES.findall(statement)
    if len(named) + len(_SET_CONNECTION.findall(low)) != 1 or low.count(b"collat") > (1 if named else 0):
        return None
    if not named:
        return ""
    collation = b"".join(named[0][3:])
    if b"collat" in low and not collation:
        return None
    return collation.decode().lower()


def told_by_text(statement: bytes) -> bool:
    """Say whether the text of a statement says what changed when the server does not."""
    return _TELLING_TEXT.match(statement) is not None


def names_in(statement: bytes, pattern: re.Pattern[bytes]) -> set[bytes]:
    """Return the names a statement is about, in one spelling."""
    match = pattern.match(statement)
    if not match:
        return set()
    return {_ONE_SPELLING.get(name, name) for name in _spelled(match[1])}


def _spelled(names: bytes) -> list[bytes]:
    return [name.strip().strip(b"`").lower() for name in names.split(b",")]
