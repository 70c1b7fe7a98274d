"""I leave a table's ordinary indexes out until its rows are there: sorting makes them faster than inserting.

The statement that makes them is one that nobody can slow down, and that a replica would be busy with for as
long as the server was. So this is only for servers without replicas whose throttle is switched off.
"""

from __future__ import annotations

import re
from typing import Final

from migrator.engine.table.statements import tag
from migrator.processes import processes
from router.database import Connection, quote_name

INDEX_NAMES: Final = (
    "SELECT DISTINCT INDEX_NAME FROM information_schema.STATISTICS "
    "WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s"
)

_INDEX: Final = re.compile(r"\s+KEY (`(?:[^`]|``)+`) \((.*)")
_COUNTED: Final = re.compile(r"\s+(`(?:[^`]|``)+`) .*\bAUTO_INCREMENT\b")


def split(create: str) -> tuple[str, dict[str, str]]:
    """Part a canonical CREATE TABLE from its ordinary indexes: the rest, and each one's words by its name.

    Unique, FULLTEXT and SPATIAL indexes stay, and those that begin with a column that counts by itself, which
    the server demands. So do indexes over expressions, which MySQL adds to no table beside others.
    """
    lines = create.split("\n")
    end = next((n for n, line in enumerate(lines) if line.startswith(")")), len(lines))
    body = [line.removesuffix(",") for line in lines[1:end]]
    counted = {match.group(1) for line in body if (match := _COUNTED.match(line))}
    indexes: dict[str, str] = {}
    kept = []
    for line in body:
        found = _INDEX.match(line)
        parts = found.group(2) if found is not None else ""
        if found is None or parts.startswith(("(", *counted)) or ",(" in parts:
            kept.append(line)
        else:
            indexes[found.group(1)[1:-1].replace("``", "`")] = line.strip()
    if not indexes:
        return create, {}
    return "\n".join([lines[0], ",\n".join(kept), *lines[end:]]), indexes


async def may_be_deferred(connection: Connection) -> bool:
    """Say whether nobody else follows the server's log."""
    ours = connection.server.account.user
    found = await processes(connection)
    return not any(each.command.startswith("Binlog Dump") and each.user != ours for each in found)


async def missing(connection: Connection, schema: str, table: str, create: str) -> list[str]:
    """Return the words of the ordinary indexes of a definition that a table does not have yet."""
    _, indexes = split(create)
    there = {str(name).lower() for (name,) in await connection.fetch_all(INDEX_NAMES, schema, table)}
    return [words for name, words in indexes.items() if name.lower() not in there]


def build(operation: str, schema: str, table: str, indexes: list[str]) -> str:
    """Return the statement that makes them while others write to the table."""
    added = ", ".join(f"ADD {words}" for words in indexes)
    name = f"{quote_name(schema)}.{quote_name(table)}"
    return f"ALTER TABLE {name} {added}, ALGORITHM=INPLACE, LOCK=NONE /* {tag(operation)} */"
