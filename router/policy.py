"""I say whether a kind of statement may run on a branch."""

from __future__ import annotations

from typing import Final

from router.classify import Kind
from router.model import Branch

REFUSED_WHEN_SAFE: Final = frozenset({Kind.DDL, Kind.ADMIN, Kind.DYNAMIC, Kind.UNKNOWN})
"""What a branch with safe migrations does not take; everything unknown is among it."""

_NOTHING: Final[frozenset[Kind]] = frozenset()


def refused_kinds(branch: Branch) -> frozenset[Kind]:
    """Return the kinds of statements that a branch refuses."""
    return REFUSED_WHEN_SAFE if branch.safe_migrations else _NOTHING


def refusal(branch: Branch, kind: Kind, verb: str) -> str:
    """Say why a statement was refused on a branch, and what to do instead."""
    where = f'on branch "{branch.name}" of "{branch.database}" (safe migrations)'
    if kind is Kind.DDL:
        return (
            f"direct DDL is disabled {where}: make the change on a branch and open a deploy request: "
            f"headgate branch create {branch.database} my-change"
        )
    if kind is Kind.ADMIN:
        return f"{verb} is disabled {where}: it reaches beyond this session, so it needs a direct connection"
    if kind is Kind.DYNAMIC:
        return f"{verb} is disabled {where}: its text cannot be checked; prepare one plain literal instead"
    return f"this statement is refused {where}: it does not begin with words that are known to be harmless"
