"""I know the tables in which migration frameworks note what they have run, and which rows go to production.

Rows are told apart by what the framework itself goes by, never by a number that every branch counts for
itself. Nothing that is there is ever overwritten or deleted.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from migrator.deploy.settings import DatabaseSettings, Framework

Row = Mapping[str, object]
"""A row by column; values are what JSON can hold."""
Key = tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class MigrationTable:
    """One table of a framework.

    `key` are the columns that tell its rows apart (none: the table itself is asked, see `with_key`),
    `counter` the one that numbers them, which is given anew. A row whose `succeeded` column is false is no
    migration.
    """

    name: str
    key: tuple[str, ...] = ()
    counter: str = ""
    succeeded: str = ""


TABLES: Final[Mapping[Framework, tuple[MigrationTable, ...]]] = MappingProxyType(
    {
        Framework.NONE: (),
        Framework.RAILS: (
            MigrationTable("schema_migrations", ("version",)),
            MigrationTable("ar_internal_metadata", ("key",)),
        ),
        Framework.PHOENIX: (MigrationTable("schema_migrations", ("version",)),),
        Framework.LARAVEL: (MigrationTable("migrations", ("migration",), counter="id"),),
        Framework.DJANGO: (MigrationTable("django_migrations", ("app", "name"), counter="id"),),
        Framework.DOTNET: (MigrationTable("__EFMigrationsHistory", ("MigrationId",)),),
        Framework.SEQUELIZE: (MigrationTable("SequelizeMeta", ("name",)),),
        Framework.FLYWAY: (
            MigrationTable(
                "flyway_schema_history", ("version", "script", "checksum"), "installed_rank", "success"
            ),
        ),
        # Its second table, DATABASECHANGELOGLOCK, says who migrates at this moment: that goes nowhere.
        Framework.LIQUIBASE: (
            MigrationTable("DATABASECHANGELOG", ("ID", "AUTHOR", "FILENAME"), counter="ORDEREXECUTED"),
        ),
    }
)


def tables_of(settings: DatabaseSettings) -> tuple[MigrationTable, ...]:
    """Return the tables whose rows are carried over in a database."""
    if settings.migration_framework is Framework.OTHER:
        return (MigrationTable(settings.migration_table),)
    known = TABLES[settings.migration_framework]
    # Every framework lets its table have another name; Rails' second one keeps its own.
    first = [replace(table, name=settings.migration_table or table.name) for table in known[:1]]
    return (*first, *known[1:])


@dataclass(frozen=True, slots=True)
class Columns:
    """A table as it is on a server: its columns that can be written, and what may tell rows apart.

    `unique` are its unique keys without NULLs, the primary key first; `moments` the columns with times.
    """

    names: tuple[str, ...]
    counter: str = ""
    unique: tuple[tuple[str, ...], ...] = ()
    moments: frozenset[str] = frozenset()


def with_key(table: MigrationTable, columns: Columns) -> MigrationTable:
    """Return the table with the names as the server writes them, and a key when it has none of its own.

    That is a unique key that is no counter; without one, everything but the counter and times.
    """
    spelled = {name.lower(): name for name in columns.names}
    counter = spelled.get(table.counter.lower(), columns.counter)
    own = tuple(spelled.get(name.lower(), name) for name in table.key)
    others = [key for key in columns.unique if key != (counter,)]
    rest = tuple(name for name in columns.names if name != counter and name not in columns.moments)
    return replace(
        table,
        key=own or (others[0] if others else rest),
        counter=counter,
        succeeded=spelled.get(table.succeeded.lower(), ""),
    )


def key_of(table: MigrationTable, row: Row) -> Key:
    """Return what tells a row apart from others, comparable across servers."""
    values = (row.get(name) for name in table.key)
    return tuple(None if value is None else str(value) for value in values)


def name_of(key: Key) -> str:
    """Name a row, for people."""
    return " ".join(value for value in key if value is not None) or "(empty)"


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of one table, with its key known; `left` are sentences about what does not go along."""

    table: MigrationTable
    rows: tuple[Row, ...]
    left: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RowPlan:
    """The rows to insert, in their order, and sentences about what is left as it is."""

    insert: tuple[Row, ...]
    left: tuple[str, ...]


def new_rows(batch: Batch, base: Collection[Key]) -> Batch:
    """Return those of a branch's rows that it has got since it was made, first those it got first."""
    table, known = batch.table, set(base)
    fresh = [row for row in batch.rows if key_of(table, row) not in known]
    if table.counter:
        fresh.sort(key=lambda row: _place(row.get(table.counter)))
    there = {key_of(table, row) for row in batch.rows}
    left = [
        f"{table.name} {name_of(key)}: the branch no longer has it; it is not deleted from the target"
        for key in base
        if key not in there
    ]
    return Batch(table, tuple(fresh), tuple(left))


def plan(
    table: MigrationTable,
    rows: Sequence[Row],
    target: Sequence[Row],
    columns: Columns,
    *,
    same_numbers: bool = False,
) -> RowPlan:
    """Say which rows the target's table gets.

    What it has already is left, and so is what did not succeed. Of each row only those columns are written
    that the target has. A counter that the target does not count itself goes on behind its highest value;
    with `same_numbers` rows keep theirs.
    """
    there = {key_of(table, row): row for row in target}
    highest = max((_place(row.get(table.counter)) for row in target), default=0) if table.counter else 0
    insert: list[Row] = []
    left: list[str] = []
    for row in rows:
        key = key_of(table, row)
        found = there.get(key)
        if found is not None:
            if _differs(table, row, found):
                left.append(f"{table.name} {name_of(key)}: it is there already, with other values")
            continue
        if table.succeeded and not row.get(table.succeeded) and not same_numbers:
            left.append(f"{table.name} {name_of(key)}: it did not succeed on the branch")
            continue
        written = {name: row[name] for name in columns.names if name in row}
        if table.counter and not same_numbers:
            written.pop(table.counter, None)
        if table.counter and table.counter != columns.counter and not same_numbers:
            highest += 1
            written[table.counter] = highest
        insert.append(written)
        there[key] = row
    return RowPlan(tuple(insert), tuple(left))


def _differs(table: MigrationTable, row: Row, found: Row) -> bool:
    return any(
        str(value) != str(found[name])
        for name, value in row.items()
        if name in found and name != table.counter
    )


def _place(value: object) -> int:
    return value if isinstance(value, int) else 0
