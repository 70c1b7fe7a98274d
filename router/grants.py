"""I read what SHOW GRANTS says and tell which of it an account for traffic must not have.

What is not known to be harmless is too much: servers get new rights with every release.
https://dev.mysql.com/doc/refman/9.7/en/show-grants.html, https://mariadb.com/kb/en/show-grants/.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final

ROWS: Final = frozenset(
    {
        *("SELECT", "INSERT", "UPDATE", "DELETE", "EXECUTE", "SHOW VIEW", "CREATE TEMPORARY TABLES"),
        *("LOCK TABLES", "DELETE HISTORY"),
    }
)
"""Rights to work with rows, which never reach definitions."""

HARMLESS: Final = frozenset(
    {
        *("USAGE", "SHOW DATABASES", "SHOW_ROUTINE", "SHOW CREATE ROUTINE", "XA_RECOVER_ADMIN"),
        *("REPLICATION CLIENT", "BINLOG MONITOR", "SLAVE MONITOR", "REPLICA MONITOR"),
        *("APPLICATION_PASSWORD_ADMIN", "FIREWALL_EXEMPT", "RESOURCE_GROUP_USER"),
    }
)
"""Rights that change nothing and let nobody see others' statements."""

_CHANGING: Final = frozenset({"INSERT", "UPDATE", "DELETE"})
_OWN_SCHEMAS: Final = ("mysql", "_headgate")
"""Who can write here has every right sooner or later, or can lead a deployment astray."""

_LINE = re.compile(
    r"(?P<verb>GRANT|REVOKE) (?P<rights>.+?) ON "
    r"(?P<scope>(?:(?:TABLE|PROCEDURE|FUNCTION|PACKAGE BODY|PACKAGE|LIBRARY) )?{0}(?:[.@]{0})?) "
    r"(?:TO|FROM) (?P<grantee>PUBLIC|{0}(?:@{0})?)(?P<rest>.*)".replace(
        "{0}", r"(?:\*|`(?:[^`]|``)*`|'(?:[^']|'')*')"
    ),
    re.DOTALL,
)
_RIGHT = re.compile(r"[^,(]+(?:\([^)]*\))?")


@dataclass(frozen=True, slots=True)
class Grant:
    """One line of SHOW GRANTS; `scope` and `grantee` are quoted as they were."""

    rights: tuple[str, ...]
    scope: str
    grantee: str
    grant_option: bool = False
    taken_back: bool = False
    """A partial revoke: an exception from a grant on everything."""

    def __str__(self) -> str:
        verb, towards = ("REVOKE", "FROM") if self.taken_back else ("GRANT", "TO")
        tail = " WITH GRANT OPTION" if self.grant_option else ""
        return f"{verb} {', '.join(self.rights)} ON {self.scope} {towards} {self.grantee}{tail}"


@dataclass(frozen=True, slots=True)
class Excess:
    """A grant that is too much, and what takes it back."""

    grant: str
    remedy: str


def parse(lines: Iterable[str]) -> list[Grant]:
    """Read the lines of SHOW GRANTS; those that give roles are left out, as are hashes of passwords.

    Raises ValueError, without the line's tail, for a line that is not understood.
    """
    grants = []
    for line in lines:
        match = _LINE.match(line)
        if match:
            rights = tuple(right.strip() for right in _RIGHT.findall(match["rights"]))
            option = " GRANT OPTION" in match["rest"]
            revoked = match["verb"] == "REVOKE"
            grants.append(Grant(rights, match["scope"], match["grantee"], option, revoked))
        elif not re.match(r"GRANT `|SET DEFAULT ROLE ", line):
            raise ValueError(f"a grant that is not understood: {line.partition(' IDENTIFIED ')[0][:200]}")
    return grants


def excesses(grants: Collection[Grant], allowed: Collection[str] = ROWS) -> list[Excess]:
    """Return the grants that give more than the allowed rights and the harmless ones."""
    found = []
    for grant in grants:
        if grant.taken_back:
            continue
        known = {*allowed, *HARMLESS, *(("EXECUTE",) if _is_routine(grant) else ())}
        if _reaches_own_schemas(grant, grants):
            known -= _CHANGING
        too_much = [right for right in grant.rights if right.partition(" (")[0] not in known]
        if grant.grant_option:
            too_much.append("GRANT OPTION")
        if too_much:
            remedy = f"REVOKE {', '.join(too_much)} ON {grant.scope} FROM {grant.grantee}"
            found.append(Excess(str(grant), remedy))
    return found


def _is_routine(grant: Grant) -> bool:
    return grant.scope.startswith(("PROCEDURE ", "FUNCTION ", "PACKAGE "))


def _reaches_own_schemas(grant: Grant, grants: Collection[Grant]) -> bool:
    """Say whether a grant on rows covers a schema of the server's or of ours."""
    excepted = {
        schema
        for schema in _OWN_SCHEMAS
        for other in grants
        if other.taken_back and set(other.rights) >= set(grant.rights) & _CHANGING and _covers(other, schema)
    }
    return any(_covers(grant, schema) for schema in _OWN_SCHEMAS if schema not in excepted)


def _covers(grant: Grant, schema: str) -> bool:
    written = grant.scope.split(" ")[-1]
    if written.startswith("*"):
        return True
    name = re.match(r"`((?:[^`]|``)*)`", written)
    if not name:
        return False
    pattern = re.sub(r"\\(.)|(%)|(_)|(.)", _as_expression, name[1].replace("``", "`"), flags=re.DOTALL)
    return re.fullmatch(pattern, schema, re.IGNORECASE | re.DOTALL) is not None


def _as_expression(match: re.Match[str]) -> str:
    escaped, percent, underscore, plain = match.groups()
    if percent:
        return ".*"
    return "." if underscore else re.escape(escaped or plain)
