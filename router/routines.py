"""I find stored programs through which a schema could be changed past the guard.

A procedure or event with SQL SECURITY DEFINER does what its definer may do, whoever calls it. Functions and
triggers are left out: servers let them run neither definition statements nor dynamic SQL.
https://dev.mysql.com/doc/refman/9.7/en/stored-program-restrictions.html.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection
from typing import Final

from router import grants
from router.database import Connection
from router.model import Server
from router.tokens import COMMENT, UNSURE, pieces

_PROGRAMS: Final = (
    "SELECT ROUTINE_TYPE, ROUTINE_NAME, DEFINER, ROUTINE_DEFINITION FROM information_schema.ROUTINES "
    "WHERE ROUTINE_SCHEMA = %s AND ROUTINE_TYPE <> 'FUNCTION' AND SECURITY_TYPE = 'DEFINER'"
    " UNION ALL "
    "SELECT 'EVENT', EVENT_NAME, DEFINER, EVENT_DEFINITION FROM information_schema.EVENTS "
    "WHERE EVENT_SCHEMA = %s ORDER BY 1, 2"
)
_RIGHTS: Final = " UNION ALL ".join(
    f"SELECT PRIVILEGE_TYPE, IS_GRANTABLE FROM information_schema.{table} WHERE GRANTEE = %s"
    for table in ("USER_PRIVILEGES", "SCHEMA_PRIVILEGES", "TABLE_PRIVILEGES")
)
_DEFINING: Final = {b"CREATE", b"ALTER", b"DROP", b"RENAME", b"TRUNCATE", b"GRANT", b"REVOKE"}
_DYNAMIC: Final = {b"PREPARE", b"IMMEDIATE", b"EXECUTE_PREPARED_STMT"}


async def warn_of_programs(server: Server, schema: str, proved: Collection[str]) -> list[str]:
    """Return a warning for each procedure or event that could change the schema for whoever calls it.

    `server` has an account that can read their text, `proved` are the names of accounts that are known to
    have no right to do so.
    """
    warnings = []
    powerful: dict[str, bool] = {}
    async with await Connection.open(server) as link:
        for kind, name, definer, body in await link.fetch_all(_PROGRAMS, schema, schema):
            found = _dangers(body)
            user = str(definer).rpartition("@")[0]
            if not found or user in proved:
                continue
            if definer not in powerful:
                powerful[definer] = await _may_define(link, str(definer))
            if powerful[definer]:
                warnings.append(
                    f"the {str(kind).lower()} {schema}.{name} runs {found} as {definer}, past the guard: "
                    "give it SQL SECURITY INVOKER, or make an account for traffic its definer"
                )
    return warnings


def _dangers(body: object) -> str:
    """Name what a body does that matters; a body that is hidden from us may do everything."""
    if not isinstance(body, str | bytes):
        return "statements that cannot be read"
    text = body.encode() if isinstance(body, str) else body
    words = [text[begin:end].upper() for kind, begin, end in pieces(text) if kind != COMMENT]
    for word, following in itertools.pairwise([*words, b""]):
        if word in _DEFINING and following not in (b"TEMPORARY", b"PREPARE", b"("):
            return "definition statements"
    for before, word in itertools.pairwise([b"", *words]):
        if word in _DYNAMIC and before not in (b"DROP", b"DEALLOCATE"):
            return "text as statements"
    unsure = any(kind == UNSURE for kind, _, _ in pieces(text))
    return "statements that cannot be told apart" if unsure else ""


async def _may_define(link: Connection, definer: str) -> bool:
    """Say whether a definer has more than rights on rows; yes when its rights are hidden from us."""
    user, _, host = definer.rpartition("@")
    grantee = f"'{user}'@'{host}'"
    rows = await link.fetch_all(_RIGHTS, grantee, grantee, grantee)
    known = grants.ROWS | grants.HARMLESS
    return not rows or any(right not in known or option == "YES" for right, option in rows)
