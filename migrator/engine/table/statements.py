"""I am every SQL text the engine sends about rows and tables.

Tables are named in full and without aliases, because under LOCK TABLES an alias would need a lock of its own.
No text contains IGNORE or REPLACE: a row that does not fit is an error, never a row less.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from migrator.engine.table.keys import Key
from migrator.engine.table.pair import Pair, Shared
from migrator.engine.table.shape import Column, Index, Shape
from router.database import quote_name
from router.model import Flavor

STATE = "_headgate"
STAGE = f"{STATE}.stage"
KEEP = f"{STATE}.keep"
PARK = f"{STATE}.park"
ALIKE = f"{STATE}.alike"
TEMPORARY = (STAGE, KEEP, PARK, ALIKE)
# Marks what an operation does to other tables that refer to its own: it changes none of their columns.
COMPANION = "headgate companion"
# Types by how long their values may be.
_SIZES: tuple[tuple[str, ...], ...] = ((), ("tinytext", "tinyblob"), ("text", "blob"))
_SIZES += (("mediumtext", "mediumblob"), ("longtext", "longblob", "json"))
_NUMBERS = frozenset(
    {"tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "float", "double", "year"}
)
# Notes ("table exists already") are not kept: the driver would fetch each of them. Errors are errors still.
QUIET = "SET SESSION max_error_count = 0"


def tag(operation: str) -> str:
    """Return what marks a statement of an operation as ours, to be put into a comment."""
    return f"headgate:{operation}"


def session(flavor: Flavor, zone: str = "+00:00") -> list[str]:
    """Return the settings of every session that touches rows; `zone` decides TIMESTAMP ↔ DATETIME."""
    common = [
        "sql_mode = 'STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES'",
        "foreign_key_checks = 0",
        "unique_checks = 1",
        f"time_zone = '{zone}'",
        "innodb_lock_wait_timeout = 3",
        "lock_wait_timeout = 3",
        "net_read_timeout = 600",
        "net_write_timeout = 600",
        "wait_timeout = 86400",
        "auto_increment_increment = 1",
        "sql_safe_updates = 0",
        "sql_select_limit = DEFAULT",
        "optimizer_switch = DEFAULT",
    ]
    if flavor is Flavor.MYSQL:
        own = [
            "transaction_isolation = 'READ-COMMITTED'",
            "max_execution_time = 0",
            "range_optimizer_max_mem_size = 0",
            "information_schema_stats_expiry = 0",
            "show_gipk_in_create_table_and_information_schema = ON",
            "sql_generate_invisible_primary_key = OFF",
            "sql_require_primary_key = OFF",
        ]
    else:
        own = [
            "tx_isolation = 'READ-COMMITTED'",
            "max_statement_time = 0",
            # Long IN lists stay ranges instead of becoming subqueries.
            "in_predicate_conversion_threshold = 0",
        ]
    return [QUIET, "SET SESSION " + ", SESSION ".join([*common, *own])]


def names(columns: Iterable[str], table: str = "") -> str:
    """Return a column list, qualified when `table` (quoted SQL) is given."""
    return ", ".join(f"{table}.{quote_name(c)}" if table else quote_name(c) for c in columns)


def boundary(pair: Pair, low: Key | None, bound: Key | None, rows: int) -> str:
    """Select the key `rows` rows after `low`, or nothing when fewer are left up to `bound`.

    Where the columns of the index run in different directions, only the first one is walked along, and the
    key is one of several that begin alike: any key behind `low` is a boundary.
    """
    table = pair.source.quoted
    order = pair.key.order_list(table) if pair.straight else f"{table}.{pair.key.columns[0].quoted}"
    return (
        f"SELECT {pair.key.select_list(table)} FROM {_source(pair)} "
        f"WHERE {pair.key.within(table, low, bound)} "
        f"ORDER BY {order} LIMIT 1 OFFSET {rows - 1}"
    )


def ranks(pair: Pair, low: Key | None, high: Key | None, rows: int) -> str:
    """Select the keys of a range in order, at most `rows`."""
    table = pair.source.quoted
    return (
        f"SELECT {pair.key.select_list(table)} FROM {_source(pair)} "
        f"WHERE {pair.key.within(table, low, high)} ORDER BY {pair.key.order_list(table)} LIMIT {rows}"
    )


def copy_range(pair: Pair, low: Key | None, high: Key | None) -> str:
    """Copy the rows of a range; under READ COMMITTED this locks no row of the source."""
    source = pair.source.quoted
    return (
        f"INSERT INTO {pair.target.quoted} ({names(pair.targets)}) SELECT {_values(pair)} "
        f"FROM {_source(pair)} WHERE {pair.key.within(source, low, high)}"
    )


def vanished(pair: Pair, keys: Sequence[Key]) -> str:
    """Select those of the keys that the target has and the source has not."""
    source, target = pair.source.quoted, pair.target.quoted
    return (
        f"SELECT {pair.target_key.select_list(target)} FROM {_target(pair)} LEFT JOIN {_source(pair)} "
        f"ON {pair.target_key.joins(target, pair.key, source)} "
        f"WHERE {pair.target_key.is_one_of(target, keys)} AND {pair.key.absent(source)}"
    )


def present(pair: Pair, keys: Sequence[Key]) -> str:
    """Select those of the keys that the target has."""
    target = pair.target.quoted
    return (
        f"SELECT {pair.target_key.select_list(target)} FROM {_target(pair)} "
        f"WHERE {pair.target_key.is_one_of(target, keys)}"
    )


def delete_keys(pair: Pair, keys: Sequence[Key]) -> str:
    """Delete rows of the target by key."""
    target = pair.target.quoted
    return f"DELETE FROM {target} WHERE {pair.target_key.is_one_of(target, keys)}"


def upsert(pair: Pair, keys: Sequence[Key], frontier: Key | None = None) -> str:
    """Write rows of the source over those of the target; only right when the key is its only unique index."""
    updates = [f"{quote_name(c.target)} = {_value(pair, c)}" for c in pair.shared]
    # Named on both sides, so that the server does not put the present moment there.
    updates += [
        f"{quote_name(c)} = {pair.target.quoted}.{quote_name(c)}" for c in _moving(pair.target, pair.kept)
    ]
    return (
        f"INSERT INTO {pair.target.quoted} ({names(pair.targets)}) SELECT {_values(pair)} "
        f"FROM {_source(pair)} WHERE {_listed(pair, keys, frontier)} "
        f"ON DUPLICATE KEY UPDATE {', '.join(updates)}"
    )


def create_park(pair: Pair) -> str:
    """Create the session's table for rows of the target on their way to another key."""
    return _temporary(PARK, pair, (*pair.targets, *pair.kept))


def park(pair: Pair, before: Key, after: Key) -> str:
    """Copy a row of the target there under another key, with the columns that only the target has."""
    target, key = pair.target.quoted, pair.target_key
    taken = {name.lower() for name in key.names}
    others = [name for name in (*pair.targets, *pair.kept) if name.lower() not in taken]
    values = [*key.literals(after), *(f"{target}.{quote_name(name)}" for name in others)]
    return (
        f"INSERT INTO {PARK} ({names([*key.names, *others])}) SELECT {', '.join(values)} "
        f"FROM {_target(pair)} WHERE {key.is_one_of(target, [before])}"
    )


def insert_parked(pair: Pair, key: Key | None = None) -> str:
    """Put the rows back, or the one of a key."""
    columns = (*pair.targets, *pair.kept)
    condition = "" if key is None else f" WHERE {pair.target_key.is_one_of(PARK, [key])}"
    return (
        f"INSERT INTO {pair.target.quoted} ({names(columns)}) "
        f"SELECT {names(columns, PARK)} FROM {PARK}{condition}"
    )


def create_alike(pair: Pair) -> str:
    """Create the session's table that tells which of several keys are equal for the server."""
    columns = [_as_declared(column) for name in pair.key.names if (column := pair.source.column(name))]
    return f"CREATE TEMPORARY TABLE {ALIKE} (n INT NOT NULL, {', '.join(columns)}) ENGINE=InnoDB"


def insert_alike(pair: Pair, first: int, keys: Sequence[Key]) -> str:
    """Put keys there, numbered from `first` on."""
    rows = (f"({n}, {', '.join(pair.key.literals(key))})" for n, key in enumerate(keys, first))
    return f"INSERT INTO {ALIKE} (n, {names(pair.key.names)}) VALUES {', '.join(rows)}"


def alike(pair: Pair) -> str:
    """Select each number there, and the least of those with an equal key."""
    return f"SELECT n, MIN(n) OVER (PARTITION BY {names(pair.key.names)}) FROM {ALIKE}"


def create_stage(pair: Pair) -> str:
    """Create the session's table for source rows on their way, with the target's types."""
    return _temporary(STAGE, pair, pair.targets)


def create_keep(pair: Pair) -> str:
    """Create the session's table for the values that only the target has."""
    return _temporary(KEEP, pair, (*pair.target_key.names, *pair.kept))


def stage_keys(pair: Pair, keys: Sequence[Key], frontier: Key | None = None) -> list[str]:
    """Put rows of the source, converted by the server, into the session's table."""
    return _staging(pair, _listed(pair, keys, frontier))


def stage_range(pair: Pair, low: Key | None, high: Key | None, more: Sequence[Key]) -> list[str]:
    """Stage the rows of a range and some others, all of one moment."""
    condition = f"({pair.key.within(pair.source.quoted, low, high)})"
    if more:
        condition += f" OR {pair.key.is_one_of(pair.source.quoted, more)}"
    return _staging(pair, condition)


def staged_keys(pair: Pair) -> str:
    """Select the keys of the staged rows."""
    return f"SELECT {pair.target_key.select_list(STAGE)} FROM {STAGE}"


def insert_staged(pair: Pair) -> str:
    """Insert the staged rows as new ones."""
    return (
        f"INSERT INTO {pair.target.quoted} ({names(pair.targets)}) "
        f"SELECT {names(pair.targets, STAGE)} FROM {STAGE}"
    )


def other_uniques(pair: Pair) -> list[Index]:
    """Return the target's unique indexes, besides the key, whose values the staged rows have."""
    shared = {name.lower() for name in pair.targets}
    key = {name.lower() for name in pair.target_key.names}
    return [
        index
        for index in pair.target.uniques
        if index.plain
        and (columns := {c.lower() for c in index.columns}) <= shared
        and not (columns == key and pair.target_key.at_home)
    ]


def holders(pair: Pair, index: Index) -> str:
    """Select the keys of the target's rows that have a staged row's values in a unique index."""
    target = pair.target.quoted
    return (
        f"SELECT {pair.target_key.select_list(target)} FROM {STAGE} JOIN {target} {_force(index)}"
        f"ON {_alike(index, target)}"
    )


def blocked(pair: Pair, index: Index, keys: Sequence[Key]) -> str:
    """Select the keys of staged rows whose values in a unique index these rows of the target have."""
    target = pair.target.quoted
    return (
        f"SELECT {pair.target_key.select_list(STAGE)} FROM {_target(pair)} "
        f"JOIN {STAGE} ON {_alike(index, target)} WHERE {pair.target_key.is_one_of(target, keys)}"
    )


def unstage(pair: Pair, keys: Sequence[Key]) -> str:
    """Take rows out of the session's table."""
    return f"DELETE FROM {STAGE} WHERE {pair.target_key.is_one_of(STAGE, keys)}"


def not_staged(pair: Pair, keys: Sequence[Key]) -> str:
    """Select those of the keys that the target has and the session's table has not."""
    target = pair.target.quoted
    return (
        f"SELECT {pair.target_key.select_list(target)} FROM {_target(pair)} "
        f"LEFT JOIN {STAGE} ON {pair.target_key.equals(STAGE, target)} "
        f"WHERE {pair.target_key.is_one_of(target, keys)} "
        f"AND {pair.target_key.absent(STAGE)}"
    )


def rewrite(pair: Pair, keys: Sequence[Key]) -> list[str]:
    """Replace rows of the target by those that `stage_keys` staged, all deletes before all inserts.

    So rows may exchange values of a unique index. Needs `create_stage` and, with columns only the target has,
    `create_keep` in the session, and runs in the transaction of `stage_keys`. With such columns, only rows
    are inserted that the target had: for the others, `insert_strange` must follow.
    """
    key, target = pair.target_key, pair.target.quoted
    if not pair.kept:
        return [
            delete_keys(pair, keys),
            insert_staged(pair),
        ]
    keep = (*key.names, *pair.kept)
    columns = f"{names(pair.targets)}, {names(pair.kept)}"
    return [
        f"DELETE FROM {KEEP}",
        f"INSERT INTO {KEEP} ({names(keep)}) SELECT {names(keep, target)} FROM {_target(pair)} "
        f"WHERE {key.is_one_of(target, keys)} FOR UPDATE",
        delete_keys(pair, keys),
        f"INSERT INTO {target} ({columns}) SELECT {names(pair.targets, STAGE)}, {names(pair.kept, KEEP)} "
        f"FROM {STAGE} JOIN {KEEP} ON {key.equals(STAGE, KEEP)}",
    ]


def strange(pair: Pair) -> str:
    """Count the staged rows that the target did not have."""
    return f"SELECT COUNT(*) {_strange(pair)}"


def insert_strange(pair: Pair) -> str:
    """Insert the staged rows that the target did not have, with the defaults of its other columns."""
    return (
        f"INSERT INTO {pair.target.quoted} ({names(pair.targets)}) SELECT {names(pair.targets, STAGE)} "
        f"{_strange(pair)}"
    )


def _strange(pair: Pair) -> str:
    key = pair.target_key
    return f"FROM {STAGE} LEFT JOIN {KEEP} ON {key.equals(STAGE, KEEP)} WHERE {key.absent(KEEP)}"


def _staging(pair: Pair, condition: str) -> list[str]:
    return [
        f"DELETE FROM {STAGE}",
        f"INSERT INTO {STAGE} ({names(pair.targets)}) SELECT {_values(pair)} "
        f"FROM {_source(pair)} WHERE {condition}",
    ]


def _listed(pair: Pair, keys: Sequence[Key], frontier: Key | None) -> str:
    """Return the condition that a source row has one of the keys, and is not beyond the frontier."""
    source = pair.source.quoted
    listed = pair.key.is_one_of(source, keys)
    return listed if frontier is None else f"{listed} AND {pair.key.within(source, None, frontier)}"


def _values(pair: Pair) -> str:
    return ", ".join(_value(pair, each) for each in pair.shared)


def _value(pair: Pair, shared: Shared) -> str:
    """Return a source's value for the target.

    MariaDB copies a BLOB or TEXT column into a smaller one without looking: what is too long is garbled. The
    length of an expression it does check. MySQL makes JSON of a number in ALTER TABLE, by way of its text,
    and elsewhere refuses it.
    """
    reference = f"{pair.source.quoted}.{quote_name(shared.source)}"
    source, target = pair.source.column(shared.source), pair.target.column(shared.target)
    sizes = [
        next((n for n, size in enumerate(_SIZES) if c and c.data_type in size), 0) for c in (source, target)
    ]
    if source and target and source.data_type in _NUMBERS and target.data_type == "json":
        return f"CONVERT({reference} USING utf8mb4)"
    return f"COALESCE({reference})" if sizes[1] and sizes[0] > sizes[1] else reference


def _source(pair: Pair) -> str:
    return f"{pair.source.quoted} FORCE INDEX ({quote_name(pair.source_index)})"


def _target(pair: Pair) -> str:
    return f"{pair.target.quoted} FORCE INDEX ({quote_name(pair.target_index)})"


def _force(index: Index) -> str:
    # An index that is hidden from queries keeps its values unique all the same.
    return f"FORCE INDEX ({quote_name(index.name)}) " if index.usable else ""


def _alike(index: Index, target: str) -> str:
    """Return the condition that a row of the target has a staged row's values in a unique index."""
    return " AND ".join(f"{target}.{quote_name(c)} = {STAGE}.{quote_name(c)}" for c in index.columns)


def _moving(shape: Shape, wanted: Sequence[str]) -> list[str]:
    return [name for name in wanted if (column := shape.column(name)) is not None and column.on_update]


def _temporary(name: str, pair: Pair, wanted: Sequence[str]) -> str:
    found = (pair.target.column(each) for each in wanted)
    columns = [_as_declared(column) for column in found if column is not None]
    # Only the key: rows on their way may not meet each other on other unique indexes.
    unique = "PRIMARY KEY" if pair.unique and pair.target_key.at_home else "KEY"
    return (
        f"CREATE TEMPORARY TABLE {name} ({', '.join(columns)}, {unique} ({names(pair.target_key.names)})) "
        "ENGINE=InnoDB"
    )


def _as_declared(column: Column) -> str:
    collation = f" COLLATE {column.collation}" if column.collation else ""
    null = "NULL" if column.nullable else "NOT NULL"
    return f"{quote_name(column.name)} {column.column_type}{collation} {null}"
