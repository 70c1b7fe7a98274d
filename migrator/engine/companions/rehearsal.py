"""I try on empty tables whether what goes with a table fits its new definition, before rows are copied."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import replace

import msgspec

from migrator.engine.companions.companions import Names
from migrator.engine.companions.foreign_keys import check_orphans
from migrator.engine.companions.stock import stock_of
from migrator.engine.companions.triggers import Triggers
from migrator.engine.table import statements
from migrator.engine.table.reference import Reference, Table
from migrator.errors import Refused
from router.database import Connection, quote_name
from router.errors import ConnectionLost, DatabaseError

COLUMNS = "SELECT COLUMN_NAME FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s"


async def rehearse(link: Connection, operation: str, names: Names, stock: str) -> str:
    """Put everything on the empty shadow table, `names.incoming`, and take it off again.

    Returns the stock with what is known of triggers only now. Raises Refused with the server's reason for
    what does not fit, and DataConflict for rows that a new foreign key would not allow.
    """
    found = stock_of(stock)
    known = {each.meaning for each in found.before}
    there = {str(name).lower() for (name,) in await link.fetch_all(COLUMNS, names.schema, names.live)}
    for each in found.after:
        if each.meaning not in known and {column.lower() for column in each.columns} <= there:
            await check_orphans(link, each, (names.schema, names.live))
    live, incoming = (names.schema, names.live), (names.schema, names.incoming)
    for each in found.after:
        await _try_reference(
            link, operation, each, child=incoming, parent=None if each.parent == live else each.parent
        )
    for each in found.children:
        await _try_child(link, operation, each, incoming)
    made = await Triggers(operation, names, found.triggers, found.triggers_after).rehearse(link)
    return stock if found.coming is None else msgspec.json.encode(replace(found, coming=made)).decode()


async def _try_reference(
    link: Connection, operation: str, reference: Reference, *, child: Table, parent: Table | None
) -> None:
    """Add a foreign key to an empty child; in place of the parent stands an empty table like it."""
    double = await _double(link, operation, parent) if parent is not None else None
    try:
        await _add(link, operation, reference, child, double or child)
        name = ".".join(map(quote_name, child))
        await link.execute(
            f"ALTER TABLE {name} DROP FOREIGN KEY {quote_name(_name(operation))} {_tag(operation)}"
        )
    finally:
        await _drop(link, double)


async def _try_child(link: Connection, operation: str, reference: Reference, parent: Table) -> None:
    """Let an empty table like the child refer to the empty new parent."""
    double = await _double(link, operation, reference.table)
    try:
        await _add(link, operation, reference, double, parent)
    finally:
        await _drop(link, double)


async def _add(link: Connection, operation: str, reference: Reference, child: Table, parent: Table) -> None:
    name = ".".join(map(quote_name, child))
    try:
        await link.execute(
            f"ALTER TABLE {name} ADD CONSTRAINT {quote_name(_name(operation))} {reference.clause(parent)} "
            f"{_tag(operation)}"
        )
    except ConnectionLost:
        raise
    except DatabaseError as error:
        of = ".".join(reference.table)
        raise Refused(
            f"foreign key {reference.name!r} of {of} does not fit the new definition: {error}",
            hint="make it three deploy requests: one drops the foreign key, one changes the columns on both "
            "sides, one adds the foreign key again",
            code="FK_PARENT_CHANGED",
        ) from error


async def _double(link: Connection, operation: str, table: Table) -> Table:
    """Make an empty table like another in our own schema, where what a crash leaves is in nobody's way."""
    double = statements.STATE, _name(operation)
    await _drop(link, double)
    new, like = (".".join(map(quote_name, each)) for each in (double, table))
    await link.execute(f"CREATE TABLE {new} LIKE {like} {_tag(operation)}")
    return double


async def _drop(link: Connection, table: Table | None) -> None:
    if table is not None and not link.closed:
        with suppress(ConnectionLost):
            await link.execute(f"DROP TABLE IF EXISTS {'.'.join(map(quote_name, table))} {_tag('')}")


def _name(operation: str) -> str:
    return f"try_{hashlib.sha256(operation.encode()).hexdigest()[:20]}"


def _tag(operation: str) -> str:
    return f"/* {statements.tag(operation)} {statements.COMPANION} */"
