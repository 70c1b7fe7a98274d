"""I cut what somebody has typed into statements, so that each is sent, timed and answered by itself."""

from __future__ import annotations

import itertools
from typing import Final

from control.errors import ControlError
from router.classify import Kind, classify, digest
from router.split import split

STATEMENTS_MAX: Final = 100
CUT_OFF: Final = "…"
NOTED_CHARACTERS: Final = 500
"""How much the audit log tells of one statement."""


def statements_of(text: str) -> list[str]:
    """Return the statements of a text without its comments' own; none when there is nothing to run.

    What quotes and backslashes mean is for the session to say, so every meaning must give the same. Otherwise
    the text stays whole, as that of a procedure does: the proxy and the server then see what is in it.
    """
    raw = text.encode()
    ways = [
        split(raw, no_backslash=no_backslash, ansi_quotes=ansi_quotes, charset="utf8mb4")
        for no_backslash, ansi_quotes in itertools.product((False, True), repeat=2)
    ]
    parts = ways[0]
    if parts is None or any(way != parts for way in ways):
        parts = [raw]
    return [part.decode().strip() for part in parts if classify(part) is not Kind.EMPTY]


def checked(statements: list[str]) -> list[str]:
    """Return the statements if there is a number of them that one run takes. Raises ControlError."""
    if not statements:
        raise ControlError("there is no statement to run: type one")
    if len(statements) > STATEMENTS_MAX:
        raise ControlError(f"these are {len(statements)} statements: run {STATEMENTS_MAX} at a time at most")
    return statements


def noted(statements: list[str]) -> list[str]:
    """Return the statements without their literals, as the audit log keeps them.

    Each begins with its first word, whatever comments stand before that; where it cannot be told what is a
    literal, it begins with its kind.
    """
    return [_noted(statement.encode()) for statement in statements]


def _noted(statement: bytes) -> str:
    found = digest(statement, limit=len(statement))
    if found == CUT_OFF:
        return f"{classify(statement)} {CUT_OFF}"
    return found if len(found) <= NOTED_CHARACTERS else f"{found[: NOTED_CHARACTERS - 1]}{CUT_OFF}"
