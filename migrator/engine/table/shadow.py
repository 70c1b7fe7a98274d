"""I make the shadow table, empty and in its final shape, and choose the names beside the original's."""

from __future__ import annotations

import hashlib
import re

from migrator.engine.table.reference import without_references
from migrator.engine.table.shape import counter_of, show_create
from migrator.engine.table.statements import tag
from migrator.errors import MigratorError, Refused
from router.database import Connection, quote_name
from router.errors import ConnectionLost, DatabaseError
from router.model import Flavor

NAME_CHARACTERS_MAX = 64
TRIES = 1000

_CHECK = re.compile(r"^(\s*)CONSTRAINT `((?:[^`]|``)+)` CHECK", re.MULTILINE)
_SUFFIX = re.compile(r"__hg\d+$")
CHECK_NAMES = (
    "SELECT CONSTRAINT_NAME FROM information_schema.TABLE_CONSTRAINTS "
    "WHERE CONSTRAINT_SCHEMA = %s AND CONSTRAINT_TYPE = 'CHECK'"
)
TABLE_EXISTS = "SELECT 1 FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s"


def names_beside(table: str, number: int) -> tuple[str, str]:
    """Return the names of the shadow and the old table: they sort after the table's own.

    MariaDB takes locks in the order of names, and its cut-over needs the original to be first.
    """
    suffixes = f"__hg{number}_new", f"__hg{number}_old"
    kept = table[: NAME_CHARACTERS_MAX - len(suffixes[0])]
    if kept + suffixes[0] <= table:
        # Cut short it would sort before. '~' comes after every ASCII letter, U+FFFD after all others.
        kept = ("~" if table < "~" else "\ufffd") + kept[:-1]
    return kept + suffixes[0], kept + suffixes[1]


def suffixed(name: str, mark: str) -> str:
    """Return a name that stands beside another of its kind until a deployment is over."""
    bare = _SUFFIX.sub("", name)
    if len(bare) + len(mark) > NAME_CHARACTERS_MAX:
        # Cut short, two names may become one.
        digest = hashlib.sha256(bare.encode()).hexdigest()[:8]
        bare = f"{bare[: NAME_CHARACTERS_MAX - len(mark) - 9]}_{digest}"
    return bare + mark


async def free_names(connection: Connection, schema: str, table: str) -> tuple[str, str]:
    """Return the first pair of names that no table has."""
    for number in range(1, TRIES):
        shadow, old = names_beside(table, number)
        if not await exists(connection, schema, shadow) and not await exists(connection, schema, old):
            return shadow, old
    raise MigratorError(f"there are {TRIES} tables left from former changes of {table!r}", hint="drop them")


async def exists(connection: Connection, schema: str, table: str) -> bool:
    """Whether there is a table of that name."""
    return bool(await connection.fetch_value(TABLE_EXISTS, schema, table))


def shadow_sql(
    target_sql: str, schema: str, table: str, shadow: str, number: str, taken_checks: frozenset[str]
) -> str:
    """Return the statement that makes the shadow table out of the target's CREATE TABLE.

    The names of CHECK constraints are unique per schema on MySQL: `taken_checks` are in use there. Names the
    server made up are left to it; it makes them anew with every RENAME. Foreign keys are left out: with them
    a row that is not yet gone from the shadow would keep a parent from being deleted.
    """
    head = f"CREATE TABLE {quote_name(table)} ("
    if not target_sql.startswith(head):
        raise MigratorError(f"the definition of {table!r} does not begin with {head!r}")

    def rename(match: re.Match[str]) -> str:
        name = match.group(2).replace("``", "`")
        if re.fullmatch(rf"{re.escape(table)}_chk_\d+", name):
            return f"{match.group(1)}CHECK"
        if name.lower() in taken_checks:
            name = suffixed(name, f"__hg{number}")
        return f"{match.group(1)}CONSTRAINT {quote_name(name)} CHECK"

    body = without_references(target_sql)[len(head) :]
    if taken_checks:
        body = _CHECK.sub(rename, body)
    return f"CREATE TABLE {quote_name(schema)}.{quote_name(shadow)} ({body}"


async def create_shadow(
    connection: Connection, operation: str, schema: str, table: str, shadow: str, target_sql: str
) -> None:
    """Make the shadow table; what an interrupted attempt left under its name must have been dropped."""
    taken: frozenset[str] = frozenset()
    if connection.server.flavor is Flavor.MYSQL:
        rows = await connection.fetch_all(CHECK_NAMES, schema)
        # The marker keeps made-up names in the text from being used twice even when no other is taken.
        taken = frozenset({"", *(str(row[0]).lower() for row in rows)})
    comment = f"/* {tag(operation)} */"
    number = shadow.rpartition("__hg")[2].split("_")[0]
    sql = shadow_sql(target_sql, schema, table, shadow, number, taken)
    try:
        await connection.execute(f"{sql} {comment}")
    except ConnectionLost:
        raise
    except DatabaseError as error:
        raise Refused(f"the server refuses the new definition of {table!r}: {error}") from error


async def raise_counter(
    connection: Connection,
    operation: str,
    schema: str,
    source: str,
    target: str,
    *,
    reader: Connection | None = None,
) -> None:
    """Let the target's AUTO_INCREMENT be no lower than the source's; `reader` reads both, if given."""
    reading = reader or connection
    wanted = counter_of(await show_create(reading, schema, source))
    if wanted > counter_of(await show_create(reading, schema, target)) and wanted > 1:
        definition = await show_create(reading, schema, target)
        if "AUTO_INCREMENT" not in definition:
            return
        await connection.execute(
            f"ALTER TABLE {quote_name(schema)}.{quote_name(target)} AUTO_INCREMENT = {wanted} "
            f"/* {tag(operation)} */"
        )
