"""I am every SQL text the engine sends about rows and tables.

Tables are named in full and without aliases, because under LOCK TABLES an alias would need a lock of its own.
No text contains IGNORE or REPLACE: a row that does not fit is an error, never a row less.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from migrator.engine.keys import Key
from migrator.engine.pair import Pair
from migrator.engine.shape import Column, Shape, UniqueIndex
from router.database import quote_name
from router.model import Flavor

STATE = "_headgate"
STAGE = f"{STATE}.stage"
KEEP = f"{STATE}.keep"
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
    """Select the key `rows` rows after `low`, or nothing when fewer are left up to `bound`."""
    table = pair.source.quoted
    return (
        f"SELECT {pair.key.select_list(table)} FROM {table} FORCE INDEX ({quote_name(pair.source_index)}) "
        f"WHERE {pair.key.within(table, low, bound)} "
        f"ORDER BY {pair.key.order_list(table)} LIMIT 1 OFFSET {rows - 1}"
    )


def ranks(pair: Pair, low: Key | None, high: Key | None, rows: int) -> str:
    """Select the keys of a range in order, at most `rows`."""
    table = pair.source.quoted
    return (
        f"SELECT {pair.key.select_list(table)} FROM {table} FORCE INDEX ({quote_name(pair.source_index)}) "
        f"WHERE {pair.key.within(table, low, high)} ORDER BY {pair.key.order_list(table)} LIMIT {rows}"
    )


def copy_range(pair: Pair, low: Key | None, high: Key | None) -> str:
    """Copy the rows of a range; under READ COMMITTED this locks no row of the source."""
    source = pair.source.quoted
    return (
        f"INSERT INTO {pair.target.quoted} ({names(pair.shared)}) SELECT {names(pair.shared, source)} "
        f"FROM {source} FORCE INDEX ({quote_name(pair.source_index)}) "
        f"WHERE {pair.key.within(source, low, high)}"
    )


def vanished(pair: Pair, keys: Sequence[Key]) -> str:
    """Select those of the keys that the target has and the source has not."""
    source, target = pair.source.quoted, pair.target.quoted
    return (
        f"SELECT {pair.key.select_list(target)} FROM {target} FORCE INDEX ({quote_name(pair.target_index)}) "
        f"LEFT JOIN {source} FORCE INDEX ({quote_name(pair.source_index)}) "
        f"ON {pair.key.equals(source, target)} "
        f"WHERE {pair.key.is_one_of(target, keys)} AND {source}.{pair.key.columns[0].quoted} IS NULL"
    )


def present(pair: Pair, keys: Sequence[Key]) -> str:
    """Select those of the keys that the target has."""
    target = pair.target.quoted
    return (
        f"SELECT {pair.key.select_list(target)} FROM {target} FORCE INDEX ({quote_name(pair.target_index)}) "
        f"WHERE {pair.key.is_one_of(target, keys)}"
    )


def delete_keys(pair: Pair, keys: Sequence[Key]) -> str:
    """Delete rows of the target by key."""
    return f"DELETE FROM {pair.target.quoted} WHERE {pair.key.is_one_of(pair.target.quoted, keys)}"


def upsert(pair: Pair, keys: Sequence[Key]) -> str:
    """Write rows of the source over those of the target; only right when the key is its only unique index."""
    source = pair.source.quoted
    updates = [f"{quote_name(c)} = {source}.{quote_name(c)}" for c in pair.shared]
    # Named on both sides, so that the server does not put the present moment there.
    updates += [
        f"{quote_name(c)} = {pair.target.quoted}.{quote_name(c)}" for c in _moving(pair.target, pair.kept)
    ]
    return (
        f"INSERT INTO {pair.target.quoted} ({names(pair.shared)}) SELECT {names(pair.shared, source)} "
        f"FROM {source} FORCE INDEX ({quote_name(pair.source_index)}) "
        f"WHERE {pair.key.is_one_of(source, keys)} ON DUPLICATE KEY UPDATE {', '.join(updates)}"
    )


def move_key(pair: Pair, before: Key, after: Key) -> str:
    """Give a row of the target another key, so that the columns only it has follow the row."""
    assignments = ", ".join(
        f"{column.quoted} = {value}"
        for column, value in zip(pair.key.columns, pair.key.literals(after), strict=True)
    )
    target = pair.target.quoted
    # Named on both sides, so that the server does not put the present moment there.
    same = "".join(f", {quote_name(c)} = {target}.{quote_name(c)}" for c in _moving(pair.target, pair.kept))
    return f"UPDATE {target} SET {assignments}{same} WHERE {pair.key.is_one_of(target, [before])}"


def create_stage(pair: Pair) -> str:
    """Create the session's table for source rows on their way, with the target's types."""
    return _temporary(STAGE, pair, pair.shared)


def create_keep(pair: Pair) -> str:
    """Create the session's table for the values that only the target has."""
    return _temporary(KEEP, pair, (*pair.key.names, *pair.kept))


def stage_keys(pair: Pair, keys: Sequence[Key]) -> list[str]:
    """Put rows of the source, converted by the server, into the session's table."""
    source = pair.source.quoted
    return [
        f"DELETE FROM {STAGE}",
        f"INSERT INTO {STAGE} ({names(pair.shared)}) SELECT {names(pair.shared, source)} FROM {source} "
        f"FORCE INDEX ({quote_name(pair.source_index)}) WHERE {pair.key.is_one_of(source, keys)}",
    ]


def stage_range(pair: Pair, low: Key | None, high: Key | None, more: Sequence[Key]) -> list[str]:
    """Stage the rows of a range and some others, all of one moment."""
    source = pair.source.quoted
    condition = f"({pair.key.within(source, low, high)})"
    if more:
        condition += f" OR {pair.key.is_one_of(source, more)}"
    return [
        f"DELETE FROM {STAGE}",
        f"INSERT INTO {STAGE} ({names(pair.shared)}) SELECT {names(pair.shared, source)} FROM {source} "
        f"FORCE INDEX ({quote_name(pair.source_index)}) WHERE {condition}",
    ]


def insert_staged(pair: Pair) -> str:
    """Insert the staged rows as new ones."""
    return (
        f"INSERT INTO {pair.target.quoted} ({names(pair.shared)}) "
        f"SELECT {names(pair.shared, STAGE)} FROM {STAGE}"
    )


def other_uniques(pair: Pair) -> list[UniqueIndex]:
    """Return the target's unique indexes, besides the key, whose values the staged rows have."""
    shared = {name.lower() for name in pair.shared}
    key = {name.lower() for name in pair.key.names}
    return [
        index
        for index in pair.target.uniques
        if index.plain and (columns := {c.lower() for c in index.columns}) <= shared and columns != key
    ]


def holders(pair: Pair, index: UniqueIndex) -> str:
    """Select the keys of the target's rows that have a staged row's values in a unique index."""
    target = pair.target.quoted
    same = " AND ".join(f"{target}.{quote_name(c)} = {STAGE}.{quote_name(c)}" for c in index.columns)
    return (
        f"SELECT {pair.key.select_list(target)} FROM {STAGE} JOIN {target} "
        f"FORCE INDEX ({quote_name(index.name)}) ON {same}"
    )


def blocked(pair: Pair, index: UniqueIndex, keys: Sequence[Key]) -> str:
    """Select the keys of staged rows whose values in a unique index these rows of the target have."""
    target = pair.target.quoted
    same = " AND ".join(f"{target}.{quote_name(c)} = {STAGE}.{quote_name(c)}" for c in index.columns)
    return (
        f"SELECT {pair.key.select_list(STAGE)} FROM {target} FORCE INDEX ({quote_name(pair.target_index)}) "
        f"JOIN {STAGE} ON {same} WHERE {pair.key.is_one_of(target, keys)}"
    )


def unstage(pair: Pair, keys: Sequence[Key]) -> str:
    """Take rows out of the session's table."""
    return f"DELETE FROM {STAGE} WHERE {pair.key.is_one_of(STAGE, keys)}"


def not_staged(pair: Pair, keys: Sequence[Key]) -> str:
    """Select those of the keys that the target has and the session's table has not."""
    target = pair.target.quoted
    return (
        f"SELECT {pair.key.select_list(target)} FROM {target} FORCE INDEX ({quote_name(pair.target_index)}) "
        f"LEFT JOIN {STAGE} ON {pair.key.equals(STAGE, target)} "
        f"WHERE {pair.key.is_one_of(target, keys)} AND {STAGE}.{pair.key.columns[0].quoted} IS NULL"
    )


def rewrite(pair: Pair, keys: Sequence[Key]) -> list[str]:
    """Replace rows of the target by those that `stage_keys` staged, all deletes before all inserts.

    So rows may exchange values of a unique index. Needs `create_stage` and, with columns only the target has,
    `create_keep` in the session, and runs in the transaction of `stage_keys`.
    """
    key, target = pair.key, pair.target.quoted
    if not pair.kept:
        return [
            delete_keys(pair, keys),
            insert_staged(pair),
        ]
    keep = (*key.names, *pair.kept)
    columns = f"{names(pair.shared)}, {names(pair.kept)}"
    return [
        f"DELETE FROM {KEEP}",
        f"INSERT INTO {KEEP} ({names(keep)}) SELECT {names(keep, target)} FROM {target} "
        f"FORCE INDEX ({quote_name(pair.target_index)}) WHERE {key.is_one_of(target, keys)} FOR UPDATE",
        delete_keys(pair, keys),
        f"INSERT INTO {target} ({columns}) SELECT {names(pair.shared, STAGE)}, {names(pair.kept, KEEP)} "
        f"FROM {STAGE} JOIN {KEEP} ON {key.equals(STAGE, KEEP)}",
        f"INSERT INTO {target} ({names(pair.shared)}) SELECT {names(pair.shared, STAGE)} "
        f"FROM {STAGE} LEFT JOIN {KEEP} ON {key.equals(STAGE, KEEP)} "
        f"WHERE {KEEP}.{key.columns[0].quoted} IS NULL",
    ]


def digests(pair: Pair, low: Key | None, high: Key | None, *, staged: bool) -> str:
    """Select rows and digest of a range on both sides, in one statement and so of one moment."""
    left = STAGE if staged else pair.source.quoted
    index = "" if staged else pair.source_index
    return (
        f"SELECT a.n, a.d, b.n, b.d FROM ({_digest(pair, left, index, low, high)}) AS a, "
        f"({_digest(pair, pair.target.quoted, pair.target_index, low, high)}) AS b"
    )


def differing(pair: Pair, low: Key | None, high: Key | None, *, staged: bool) -> list[str]:
    """Select the keys of a range whose rows differ or are on one side only."""
    key, target = pair.key, pair.target.quoted
    left = STAGE if staged else pair.source.quoted
    same = " AND ".join(
        f"{_exact(column, left)} <=> {_exact(column, target)}"
        for column in _columns(pair.target, pair.shared)
    )
    first = key.columns[0].quoted
    return [
        f"SELECT {key.select_list(left)} FROM {left} LEFT JOIN {target} ON {key.equals(target, left)} "
        f"WHERE {key.within(left, low, high)} AND ({target}.{first} IS NULL OR NOT ({same}))",
        f"SELECT {key.select_list(target)} FROM {target} LEFT JOIN {left} ON {key.equals(left, target)} "
        f"WHERE {key.within(target, low, high)} AND {left}.{first} IS NULL",
    ]


def duplicates(pair: Pair, columns: Sequence[str], limit: int) -> str:
    """Select keys of rows that share values of columns that are to be unique."""
    table = pair.source.quoted
    listed = names(columns, table)
    filled = " AND ".join(f"{table}.{quote_name(c)} IS NOT NULL" for c in columns)
    keys = ", ', ', ".join(pair.key.select_list(table).split(", ")) if len(pair.key.columns) > 1 else None
    shown = f"CONCAT({keys})" if keys else pair.key.select_list(table)
    return (
        f"SELECT GROUP_CONCAT({shown} ORDER BY {pair.key.order_list(table)} SEPARATOR ' and ') "
        f"FROM {table} WHERE {filled} GROUP BY {listed} HAVING COUNT(*) > 1 LIMIT {limit}"
    )


def _digest(pair: Pair, table: str, index: str, low: Key | None, high: Key | None) -> str:
    columns = _columns(pair.target, pair.shared)
    values = ", ".join(_short(column, table) for column in columns)
    nulls = ", ".join(f"{table}.{quote_name(c.name)} IS NULL" for c in columns if c.nullable)
    text = f"CONCAT_WS('#', {values}{f', CONCAT({nulls})' if nulls else ''})"
    force = f" FORCE INDEX ({quote_name(index)})" if index else ""
    return (
        f"SELECT COUNT(*) AS n, BIT_XOR(CRC32({text})) AS d FROM {table}{force} "
        f"WHERE {pair.key.within(table, low, high)}"
    )


_TEXTS = frozenset({"tinytext", "text", "mediumtext", "longtext"})
_BYTES = frozenset({"tinyblob", "blob", "mediumblob", "longblob", "vector"})
_SHAPES = frozenset(
    {"geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon"}
    | {"geometrycollection", "geomcollection"}
)
_NUMBERED = frozenset({"enum", "set", "bit"})


def _exact(column: Column, table: str) -> str:
    """Return an expression that is equal for two values only when the values are the same, byte by byte."""
    name = f"{table}.{quote_name(column.name)}"
    if column.data_type in _TEXTS or column.data_type in ("char", "varchar"):
        return f"CAST({name} AS BINARY)"
    if column.data_type == "json":
        return f"CAST({name} AS CHAR)"
    if column.data_type in _SHAPES:
        return f"ST_AsWKB({name})"
    if column.data_type in _NUMBERED:
        return f"{name} + 0"
    return name


def _short(column: Column, table: str) -> str:
    """Return `_exact`, but never so long that a row of them exceeds max_allowed_packet and becomes NULL."""
    exact = _exact(column, table)
    if column.data_type in _TEXTS | _BYTES | _SHAPES or column.data_type == "json":
        return f"CRC32({exact})"
    return exact


def _columns(shape: Shape, wanted: Sequence[str]) -> list[Column]:
    return [column for name in wanted if (column := shape.column(name)) is not None]


def _moving(shape: Shape, wanted: Sequence[str]) -> list[str]:
    return [column.name for column in _columns(shape, wanted) if column.on_update]


def _temporary(name: str, pair: Pair, wanted: Sequence[str]) -> str:
    columns = []
    for column in _columns(pair.target, wanted):
        collation = f" COLLATE {column.collation}" if column.collation else ""
        null = "NULL" if column.nullable else "NOT NULL"
        columns.append(f"{quote_name(column.name)} {column.column_type}{collation} {null}")
    # Only the key: rows on their way may not meet each other on other unique indexes.
    return (
        f"CREATE TEMPORARY TABLE {name} ({', '.join(columns)}, PRIMARY KEY ({names(pair.key.names)})) "
        "ENGINE=InnoDB"
    )
