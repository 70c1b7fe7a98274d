"""I say which kinds of statements a role may run on a branch, and how a refusal is told.

Two things are decided here, one on top of the other: what a branch with safe migrations takes from nobody,
and what a role does without. Where a role has an account of its own on the server, the server's rights are
the wall and this is the sign in front of it; elsewhere this is all there is.
"""

from __future__ import annotations

import re
from typing import Final, assert_never

from router.classify import KIND_OF_START, Kind, classify, prepared_text
from router.model import Branch, Role

REFUSED_WHEN_SAFE: Final = frozenset({Kind.DDL, Kind.ADMIN, Kind.DYNAMIC, Kind.UNKNOWN, Kind.KILL})
"""What a branch with safe migrations does not take; everything unknown is among it."""

REFUSED_ALWAYS: Final = frozenset({Kind.KILL})
"""What the server must never see: the numbers in it are ours. Those that can be understood are carried out
before anybody asks me."""

_CHANGES: Final = frozenset(
    {Kind.WRITE, Kind.TEMPORARY, Kind.DYNAMIC, Kind.ADMIN, Kind.DDL, Kind.UNKNOWN, Kind.KILL}
)
_OF_REPLICATION: Final = frozenset({Kind.READ, Kind.SET, Kind.COMMAND, Kind.EMPTY})
"""Readers of the binary log ask for variables and set their own before they begin."""


def refused_kinds(branch: Branch, role: Role = Role.READWRITER) -> frozenset[Kind]:
    """Return the kinds of statements that a branch refuses to a role.

    Some statements of these kinds are taken nevertheless: see `is_exempt`.
    """
    refused = REFUSED_WHEN_SAFE if branch.safe_migrations else REFUSED_ALWAYS
    match role:
        case Role.READER:
            # What a routine does is for the rights of the reader's account; without one it is not known.
            calls = {Kind.CALL} if role not in branch.accounts else frozenset()
            return refused | _CHANGES | {Kind.PREPARED} | calls
        case Role.WRITER:
            return refused | {Kind.READ, Kind.PREPARED, Kind.DDL, Kind.ADMIN, Kind.DYNAMIC, Kind.UNKNOWN}
        case Role.REPLICATION:
            return frozenset(Kind) - _OF_REPLICATION
        case Role.READWRITER | Role.ADMIN:
            return refused
        case _:
            assert_never(role)


def is_guarded(branch: Branch, role: Role) -> bool:
    """Say whether each statement must be looked at, so that the server may not take several at once."""
    return refused_kinds(branch, role) != REFUSED_ALWAYS


# A digit may stand in front of these words, that of a version comment or of a number such as 1e0, and a byte
# behind them that is white space in some character sets.
_READS_TABLES = re.compile(
    rb"(?<![A-Za-z_$\x80-\xff])"
    rb"(?:from(?!\s+dual(?![\w$.\x80-\xff])(?!\s*,))|table|handler|checksum|outfile|dumpfile)(?![\w$])",
    re.IGNORECASE,
)
_SELECTS = re.compile(rb"(?<![A-Za-z_$\x80-\xff])(?:select|table|values|with)(?![\w$])", re.IGNORECASE)
_SHOWS_THEM = re.compile(rb"\s*+show(?![\w$\x80-\xff])", re.IGNORECASE)
_LITERAL_ENDS = re.compile(rb"['\"][\s;]*+")
_SHOWS = re.compile(rb"\s*+(?:show|explain|describe|desc|help)(?![\w$\x80-\xff])", re.IGNORECASE)


def is_exempt(role: Role, kind: Kind, text: bytes) -> bool:
    """Say whether a statement is taken although its kind is refused to the role.

    A writer reads no tables, but may ask for variables, for its last insert's number, and what tables look
    like: drivers and frameworks do so unasked. What a PREPARE would run must be for the role too; EXECUTE
    then runs it.
    """
    if kind is Kind.PREPARED:
        inner = prepared_text(text)
        return inner is None or _may_prepare(role, classify(inner), inner, text)
    if role is not Role.WRITER or kind is not Kind.READ:
        return False
    if _SHOWS_THEM.match(text):
        # With a condition, which may have a query inside.
        return not (b"(" in text and _SELECTS.search(text))
    return bool(_SHOWS.match(text)) or not _READS_TABLES.search(text)


def _may_prepare(role: Role, kind: Kind, inner: bytes, text: bytes) -> bool:
    """Say whether a role may prepare `inner`, which is as much of the text of `text` as is plain."""
    if role is Role.READER:
        return kind is Kind.READ
    if role is not Role.WRITER:
        return False
    if kind in (Kind.WRITE, Kind.CALL):
        return True
    whole = _LITERAL_ENDS.fullmatch(text, text.index(inner) + len(inner)) is not None
    return whole and is_exempt(role, kind, inner)


def allowed_starts(refused: frozenset[Kind]) -> dict[bytes, Kind]:
    """Return the beginnings of the commonest statements that none of these kinds refuses."""
    return {start: kind for start, kind in KIND_OF_START.items() if kind not in refused}


def is_role_matter(branch: Branch, kind: Kind) -> bool:
    """Say whether it is for its role that somebody is refused a kind, and not for the branch."""
    return kind not in (REFUSED_WHEN_SAFE if branch.safe_migrations else REFUSED_ALWAYS)


def refusal(branch: Branch, kind: Kind, verb: str, role: Role = Role.READWRITER) -> str:
    """Say why a statement was refused on a branch, and what to do instead."""
    place = f'on branch "{branch.name}" of "{branch.database}"'
    if is_role_matter(branch, kind):
        return f"{verb} command denied {place}: the password's role is {role}; make one with another role"
    where = f"{place} (safe migrations)" if branch.safe_migrations else place
    if kind is Kind.DDL:
        return (
            f"direct DDL is disabled {where}: make the change on a branch and open a deploy request: "
            f"headgate branch create {branch.database} my-change"
        )
    if kind is Kind.ADMIN:
        return f"{verb} is disabled {where}: it reaches beyond this session, so it needs a direct connection"
    if kind is Kind.DYNAMIC:
        return f"{verb} is disabled {where}: its text cannot be checked; prepare one plain literal instead"
    if kind is Kind.KILL:
        return f"{verb} is disabled {where} in this form: name a connection by its number"
    return f"this statement is refused {where}: it does not begin with words that are known to be harmless"


def refusal_code(branch: Branch, kind: Kind) -> tuple[int, str]:
    """Return the error number and SQLSTATE of a refusal: as for a missing right where a role is the reason.

    1142 is ER_TABLEACCESS_DENIED_ERROR, which drivers and frameworks know; 1105 ER_UNKNOWN_ERROR.
    """
    return (1142, "42000") if is_role_matter(branch, kind) else (1105, "HY000")
