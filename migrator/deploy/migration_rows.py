"""I carry the rows of a migration framework's tables: to a new branch, and from a branch to its target.

What a branch had when it was made is remembered, so that only what it got since is ever carried further. What
that is, is fixed when a deployment starts; it is written once the deployment can no longer be reverted.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal

import structlog

from migrator.deploy.frameworks import (
    Batch,
    Columns,
    Key,
    MigrationTable,
    Row,
    RowPlan,
    key_of,
    new_rows,
    plan,
    tables_of,
    with_key,
)
from migrator.deploy.migration_row_store import MigrationRowStore
from migrator.deploy.request import DeployRequest
from migrator.deploy.settings import DatabaseSettings
from router.database import Connection, quote_name
from router.errors import ConnectionLost, DatabaseError
from router.model import Server

log = structlog.get_logger()

SETUP = (
    "SET SESSION time_zone = '+00:00'",
    # Zero dates and numbers that one server has accepted are taken by the other; nothing is cut off.
    "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO'",
)
TABLE = (
    "SELECT TABLE_NAME FROM information_schema.TABLES "
    "WHERE TABLE_SCHEMA = %s AND TABLE_TYPE = 'BASE TABLE' AND LOWER(TABLE_NAME) = LOWER(%s)"
)
COLUMNS = (
    "SELECT COLUMN_NAME, DATA_TYPE, EXTRA FROM information_schema.COLUMNS "
    "WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s ORDER BY ORDINAL_POSITION"
)
UNIQUE = (
    "SELECT INDEX_NAME, COLUMN_NAME, NULLABLE FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = %s "
    "AND TABLE_NAME = %s AND NON_UNIQUE = 0 ORDER BY INDEX_NAME <> 'PRIMARY', INDEX_NAME, SEQ_IN_INDEX"
)
MOMENTS = frozenset({"date", "datetime", "time", "timestamp", "year"})
PASSING = frozenset({1205, 1213})
"""Somebody else held the rows for too long: worth another try."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a branch's tables are, reached with an account that may write rows."""

    branch_id: str
    server: Server
    schema: str


Reach = Callable[[str], Awaitable[Place]]
"""Says where a branch is, by its name."""


class MigrationRows:
    """Carries the rows of one database's migration tables.

    Errors: DatabaseError when a server cannot be reached or is busy; the same call may be repeated.
    """

    def __init__(
        self, store: MigrationRowStore, reach: Reach, settings: Callable[[], DatabaseSettings]
    ) -> None:
        self._store = store
        self._reach = reach
        self._settings = settings

    async def seed(self, source: Place, target: Place, under_way: Sequence[DeployRequest] = ()) -> None:
        """Give a branch (`target`) those of its parent's rows that it never had.

        So its framework runs only what is new there: on a new branch, and on one that was rebased. It also
        gets what deployments `under_way` carry to the parent, which has their tables already.
        """
        tables = tables_of(self._settings())
        if not tables:
            return
        carried = [batch for request in under_way for batch in (await self._store.carried(request))[1]]
        origin = await self._store.origin(target.branch_id)
        fresh = not origin
        async with await _open(source) as reader, await _open(target) as writer:
            for table in tables:
                batch = await _read(reader, source, table)
                if batch is None:
                    continue
                known = origin.setdefault(batch.table.name, [])
                missed = new_rows(batch, known)
                await _write(writer, target, missed, same_numbers=fresh)
                others = [other for other in carried if other.table.name == batch.table.name]
                coming = new_rows(
                    replace(batch, rows=tuple(row for each in others for row in each.rows)), known
                )
                await _write(writer, target, coming)
                known += [key for key in (*_keys(missed), *_keys(coming)) if key not in known]
        await self._store.put_origin(target.branch_id, origin)

    async def started(self, request: DeployRequest) -> None:
        """Remember the rows that a deployment carries, as they are now."""
        tables = tables_of(self._settings())
        if not tables:
            return
        place = await self._reach(request.branch)
        origin = await self._store.origin(place.branch_id)
        batches: list[Batch] = []
        async with await _open(place) as reader:
            for table in tables:
                batch = await _read(reader, place, table)
                if batch is not None:
                    batches.append(new_rows(batch, origin.get(batch.table.name, ())))
        await self._store.put_carried(request, place.branch_id, batches)

    async def completed(self, request: DeployRequest) -> str | None:
        """Write what a deployment carries; say what was written and what was left, None when it is nothing.

        Repeating it writes nothing twice.
        """
        branch_id, batches = await self._store.carried(request)
        if not any(batch.rows or batch.left for batch in batches):
            return None
        target = await self._reach(request.into_branch)
        said: list[str] = []
        arrived: list[Batch] = []
        async with await _open(target) as writer:
            for batch in batches:
                done = await _write(writer, target, batch)
                if done is None:
                    said.append(f"there is no table {batch.table.name}: its rows were left")
                    continue
                arrived.append(batch)
                rows, left = len(done.insert), [*done.left, *batch.left]
                log.info(
                    "migration_rows.copied",
                    number=request.number,
                    table=batch.table.name,
                    rows=rows,
                    left=left,
                )
                if rows:
                    said.append(f"{rows} row{'' if rows == 1 else 's'} copied to {batch.table.name}")
                said += left
        await self._arrived(branch_id, arrived)
        return "; ".join(said) or None

    async def _arrived(self, branch_id: str, batches: Iterable[Batch]) -> None:
        """Count what has reached the target among what its branch had from the beginning."""
        origin = await self._store.origin(branch_id)
        for batch in batches:
            known = origin.setdefault(batch.table.name, [])
            known += [key for key in _keys(batch) if key not in known]
        await self._store.put_origin(branch_id, origin)


def _keys(batch: Batch) -> list[Key]:
    return [key_of(batch.table, row) for row in batch.rows]


async def _open(place: Place) -> Connection:
    return await Connection.open(place.server, database=place.schema, setup=SETUP)


async def _look(
    link: Connection, place: Place, table: MigrationTable
) -> tuple[MigrationTable, Columns] | None:
    """Return the table under its own name and what it looks like; None when there is none."""
    name = await link.fetch_value(TABLE, place.schema, table.name)
    if name is None:
        return None
    names: list[str] = []
    counter, moments = "", set()
    for column, kind, extra in await link.fetch_all(COLUMNS, place.schema, name):
        if "GENERATED" in str(extra).upper().replace("DEFAULT_GENERATED", ""):
            continue
        names.append(str(column))
        if "auto_increment" in str(extra).lower():
            counter = str(column)
        if str(kind).lower() in MOMENTS:
            moments.add(str(column))
    unique: dict[str, list[str]] = {}
    for index, column, nullable in await link.fetch_all(UNIQUE, place.schema, name):
        unique.setdefault(str(index), []).append("" if nullable == "YES" or column is None else str(column))
    whole = tuple(tuple(parts) for parts in unique.values() if "" not in parts)
    columns = Columns(tuple(names), counter, whole, frozenset(moments))
    return with_key(replace(table, name=str(name)), columns), columns


async def _read(link: Connection, place: Place, table: MigrationTable, *, lock: bool = False) -> Batch | None:
    """Return all rows of a table, None when there is no such table."""
    found = await _look(link, place, table)
    if found is None:
        return None
    known, columns = found
    names = ", ".join(quote_name(name) for name in columns.names)
    query = f"SELECT {names} FROM {quote_name(known.name)}{' FOR UPDATE' if lock else ''}"
    rows = [
        {name: _portable(value) for name, value in zip(columns.names, row, strict=True)}
        for row in await link.fetch_all(query)
    ]
    return Batch(known, tuple(rows))


async def _write(
    link: Connection, place: Place, batch: Batch, *, same_numbers: bool = False
) -> RowPlan | None:
    """Insert what is missing, in one transaction; return what was inserted and what was left, and why.

    None is returned when there is no such table.
    """
    found = await _look(link, place, batch.table)
    if found is None:
        return None
    known, columns = found
    inserted: list[Row] = []
    async with link.transaction():
        # Locked, so that nobody who migrates production at this moment goes on with the same numbers.
        there = await _read(link, place, known, lock=True)
        have = there.rows if there else ()
        known = replace(known, key=batch.table.key)
        todo = plan(known, batch.rows, have, columns, same_numbers=same_numbers)
        left = list(todo.left)
        for row in todo.insert:
            try:
                await _insert(link, known.name, row)
                inserted.append(row)
            except ConnectionLost:
                raise
            except DatabaseError as error:
                if error.errno in PASSING:
                    raise
                left.append(f"{known.name}: {row} was not taken: {error}")
    return RowPlan(tuple(inserted), tuple(left))


async def _insert(link: Connection, table: str, row: Row) -> None:
    # In a statement with arguments a % is written twice.
    names = ", ".join(quote_name(name) for name in row).replace("%", "%%")
    # The driver cannot send bytes.
    places = ", ".join("UNHEX(%s)" if isinstance(value, dict) else "%s" for value in row.values())
    values = [value["hex"] if isinstance(value, dict) else value for value in row.values()]
    into = quote_name(table).replace("%", "%%")
    await link.execute(f"INSERT INTO {into} ({names}) VALUES ({places})", *values)


def _portable(value: object) -> object:
    """Return a value as JSON can hold it, and as a server takes it back."""
    match value:
        case bytes():
            return {"hex": value.hex()}
        case datetime():
            return value.isoformat(" ")
        case date() | Decimal():
            return str(value)
        case timedelta():
            seconds = abs(value).total_seconds()
            sign = "-" if value < timedelta() else ""
            return f"{sign}{seconds // 3600:02.0f}:{seconds % 3600 // 60:02.0f}:{seconds % 60:09.6f}"
        case _:
            return value
