"""I tell whether a table is still the same one under its name: somebody may have emptied or rebuilt it."""

from __future__ import annotations

import hashlib
import re

from router.database import Connection
from router.model import Flavor

_PLAIN = re.compile(r"[A-Za-z0-9_]")
SEPARATOR = ","
LENGTH_MAX = 128

# InnoDB names a partition's table t#p#p0; in a table's own name '#' is written as @0023.
TABLES = {
    Flavor.MYSQL: "information_schema.INNODB_TABLES",
    Flavor.MARIADB: "information_schema.INNODB_SYS_TABLES",
}


async def identity_of(connection: Connection, schema: str, table: str) -> str:
    """Return the number InnoDB gave a table when it was made, of a partitioned one all; '' when unknown.

    A RENAME keeps it; TRUNCATE and every rebuild change it. Names beyond ASCII are not looked up: how the
    server writes them in its dictionary only it knows.
    """
    if not (schema.isascii() and table.isascii()):
        return ""
    name = f"{_in_dictionary(schema)}/{_in_dictionary(table)}"
    rows = await connection.fetch_all(
        f"SELECT TABLE_ID FROM {TABLES[connection.server.flavor]} WHERE SUBSTRING_INDEX(NAME, '#', 1) = %s",
        name,
    )
    text = SEPARATOR.join(sorted(str(row[0]) for row in rows))
    return text if len(text) <= LENGTH_MAX else hashlib.sha256(text.encode()).hexdigest()


def _in_dictionary(name: str) -> str:
    return "".join(each if _PLAIN.match(each) else f"@{ord(each):04x}" for each in name)
