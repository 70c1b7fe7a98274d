"""I keep the rights that accounts have on one routine alone: MySQL takes them away with the routine.

Only where @@automatic_sp_privileges says so, which is usual; MariaDB replaces a routine and leaves them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from migrator.errors import Refused
from migrator.schema.model import CodeKind
from router.database import Connection, quote_name
from router.errors import ConnectionLost, DatabaseError
from router.model import Flavor

ROUTINES: Final = frozenset({CodeKind.FUNCTION, CodeKind.PROCEDURE})
STAY: Final = "SET PERSIST automatic_sp_privileges = OFF"
"""What has a MySQL server leave rights alone when a routine is dropped."""
_GRANTABLE: Final = "GRANT"
_RIGHTS: Final = (
    "SELECT User, Host, Proc_priv FROM mysql.procs_priv "
    "WHERE Db = %s AND Routine_name = %s AND Routine_type = %s ORDER BY User, Host"
)


@dataclass(frozen=True, slots=True)
class Right:
    """What one account may do with one routine; `grantable` says that it may let others do it, too."""

    user: str
    host: str
    names: tuple[str, ...]
    grantable: bool

    def statement(self, schema: str, kind: CodeKind, name: str) -> str:
        """Return the GRANT that gives it."""
        account = f"{quote_name(self.user)}@{quote_name(self.host)}"
        option = " WITH GRANT OPTION" if self.grantable else ""
        what = ", ".join(self.names) or "USAGE"
        return f"GRANT {what} ON {kind} {quote_name(schema)}.{quote_name(name)} TO {account}{option}"


async def rights_on(link: Connection, schema: str, kind: CodeKind, name: str) -> tuple[Right, ...]:
    """Return the rights that go with a program when it is dropped; none where they stay.

    Raises Refused when they cannot be seen.
    """
    if kind not in ROUTINES or link.server.flavor is Flavor.MARIADB:
        return ()
    if not int(await link.fetch_value("SELECT @@automatic_sp_privileges") or 0):
        return ()
    try:
        rows = await link.fetch_all(_RIGHTS, schema, name, str(kind))
    except ConnectionLost:
        raise
    except DatabaseError as error:
        raise Refused(
            f"who has rights on {kind.lower()} {name!r} alone cannot be seen, and MySQL takes them away when "
            f"it is replaced: {error.message}",
            hint=f"GRANT SELECT ON mysql.procs_priv TO {quote_name(link.server.account.user)}, or have the "
            f"server leave such rights alone with {STAY}",
        ) from error
    return tuple(_right(str(user), str(host), _names(names)) for user, host, names in rows)


async def give_rights(
    link: Connection, schema: str, kind: CodeKind, name: str, rights: tuple[Right, ...]
) -> None:
    """Give rights on a routine again; raises DatabaseError when our account may not."""
    for right in rights:
        await link.execute(right.statement(schema, kind, name))


def not_ours_to_give(
    link: Connection, schema: str, kind: CodeKind, name: str, rights: tuple[Right, ...], error: DatabaseError
) -> Refused:
    """Return why a routine is not replaced whose rights our account could not give again."""
    user = quote_name(link.server.account.user)
    lost = "; ".join(right.statement(schema, kind, name) for right in rights)
    return Refused(
        f"replacing {kind.lower()} {name!r} takes rights away that our account may not give again "
        f"({error.message}): {lost}",
        hint=f"have the server leave such rights alone with {STAY}, or give them in the whole schema, or "
        f"GRANT EXECUTE, ALTER ROUTINE ON {quote_name(schema)}.* TO {user} WITH GRANT OPTION",
    )


def _right(user: str, host: str, names: list[str]) -> Right:
    return Right(user, host, tuple(name for name in names if name != _GRANTABLE), _GRANTABLE in names)


def _names(value: object) -> list[str]:
    text = value.decode() if isinstance(value, bytes) else str(value)
    return sorted(name for name in text.upper().split(",") if name)
