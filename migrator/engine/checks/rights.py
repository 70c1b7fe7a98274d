"""I say which rights an account lacks, from what SHOW GRANTS prints, and how to grant them."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence

ON_TABLES = frozenset(
    {"ALTER", "CREATE", "DELETE", "DROP", "INDEX", "INSERT", "LOCK TABLES", "SELECT", "UPDATE"}
)
ON_SERVER = frozenset({"PROCESS", "REPLICATION CLIENT", "REPLICATION SLAVE"})
# To take foreign keys along: on tables that refer to the one that changes, and on those it refers to.
ON_CHILDREN = frozenset({"ALTER", "LOCK TABLES", "REFERENCES", "SELECT"})
ON_PARENTS = frozenset({"LOCK TABLES", "REFERENCES", "SELECT"})
FOR_TRIGGERS, FOR_REFERENCES = "TRIGGER", "REFERENCES"
# MariaDB prints its own names for some of them.
_ALIASES = {"BINLOG MONITOR": "REPLICATION CLIENT"}
_ALL = re.compile(r"ALL PRIVILEGES|ALL")
_GRANT = re.compile(r"GRANT (?P<rights>.+?) ON (?:TABLE )?(?P<where>\S.*?) TO ", re.DOTALL)


def missing_rights(
    grants: Sequence[str],
    schema: str,
    table: str,
    further: Collection[str] = (),
    *,
    on_tables: Collection[str] = ON_TABLES,
) -> list[str]:
    """Return the GRANT statements, without their TO, that are lacking for a change of a table.

    Nothing is said of an account with roles: what they allow is not printed.
    """
    if any(_GRANT.match(grant) is None for grant in grants if "PROXY" not in grant):
        return []
    everywhere = _granted(grants, lambda where: where == "*.*")
    here = _granted(grants, lambda where: _covers(where, schema, table))
    lacking = []
    for wanted, there, place in (
        ({*on_tables, *further}, everywhere | here, f"`{schema}`.*"),
        (ON_SERVER, everywhere, "*.*"),
    ):
        if "ALL" not in there and (less := sorted(wanted - there)):
            lacking.append(f"GRANT {', '.join(less)} ON {place}")
    return lacking


def _covers(where: str, schema: str, table: str) -> bool:
    if where == f"`{schema}`.`{table}`":
        return True
    if not where.endswith("`.*"):
        return False
    # A schema's name in a grant is a pattern.
    parts = re.findall(r"\\.|.", where[1:-3])
    wild = {"_": ".", "%": ".*"}
    return bool(re.fullmatch("".join(wild.get(part, re.escape(part[-1])) for part in parts), schema))


def _granted(grants: Sequence[str], covers: Callable[[str], bool]) -> set[str]:
    found: set[str] = set()
    for grant in grants:
        match = _GRANT.match(grant)
        if match is None or not covers(match["where"]):
            continue
        if _ALL.fullmatch(match["rights"]):
            found.add("ALL")
        # Rights on single columns are none on the table.
        rights = re.sub(r"\w+(?: \w+)* \([^)]*\)", "", match["rights"])
        found |= {_ALIASES.get(right.strip(), right.strip()) for right in rights.split(",")}
    return found
