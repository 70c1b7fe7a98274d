"""I look for the rows that a change would lose or alter: a sample for a quick answer, then all of them."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass

import structlog

from migrator.engine.table import statements
from migrator.engine.table.pair import Pair
from migrator.errors import DataConflict
from migrator.schema.errors import NotCanonical
from migrator.schema.introspect import open_reader, read_table
from migrator.schema.lossy import DataCheck, data_checks
from migrator.schema.model import IndexKind, Table
from migrator.throttle.throttler import Throttle
from router.database import Connection, quote_name
from router.errors import ConnectionLost, DatabaseError
from router.model import Server

log = structlog.get_logger()

SAMPLE_ROWS = 10_000
SLICE_ROWS = 1_000
SLICE_ROWS_MAX = 50_000
SHOWN = 5
SAMPLED = "`sampled`"


@dataclass(frozen=True, slots=True)
class Finding:
    """Rows that a check has caught: how many, the keys of some, and whether every row was looked at."""

    check: DataCheck
    rows: int
    keys: tuple[str, ...]
    complete: bool

    @property
    def sentence(self) -> str:
        """Say what was found."""
        count = f"{self.rows:,}" if self.complete else f"at least {self.rows:,}"
        verb, noun = ("has", "row") if self.rows == 1 else ("have", "rows")
        shown = f" ({', '.join(self.keys)}{', …' if self.rows > len(self.keys) else ''})" if self.keys else ""
        return f"{self.check.subject}: {count} {noun} {verb} {self.check.having}{shown}"

    @property
    def way_out(self) -> str:
        """Say what can be done about it."""
        if self.check.silent:
            return (
                "correct these rows, choose another definition, or deploy with allow_lossy and let the "
                "server convert them"
            )
        return "correct these rows or choose a definition that takes them; allow_lossy cannot help here"


def judge(table: str, findings: Sequence[Finding], *, allow_lossy: bool) -> None:
    """Raise DataConflict for what may not be carried over."""
    wrong = [finding for finding in findings if not (finding.check.silent and allow_lossy)]
    if wrong:
        raise DataConflict(
            f"rows of {table} do not fit the new definition: "
            + "; ".join(finding.sentence for finding in wrong),
            keys=tuple(key for finding in wrong for key in finding.keys),
            hint="; ".join(dict.fromkeys(finding.way_out for finding in wrong)),
        )


async def refuse_losses(
    server: Server, pair: Pair, throttle: Throttle, *, allow_lossy: bool, silent_only: bool = False
) -> None:
    """Look at every row that the change might lose or alter, and raise DataConflict when there are any.

    Reads the definitions from the two tables themselves. What the server would refuse is refused here, before
    the copy; what it would change without a word only unless `allow_lossy`. With `silent_only` nothing else
    is looked for.
    """
    async with await open_reader(server, database=pair.source.schema) as reader:
        try:
            before = await read_table(reader, pair.source.schema, pair.source.name)
            after = await read_table(reader, pair.target.schema, pair.target.name)
        except NotCanonical as error:
            log.warning("checks.left_out", table=pair.source.name, reason=str(error))
            return
    checks = data_checks(before, after, pair.source.schema, pair.source.quoted, pair.renames)
    if silent_only:
        checks = tuple(check for check in checks if check.silent)
    if not checks:
        return
    # Dates become time stamps in the server's own time zone, here as in the copy.
    setup = [*statements.session(server.flavor), "SET SESSION time_zone = @@GLOBAL.time_zone"]
    async with await Connection.open(server, setup=setup) as link:
        judge(pair.source.name, await inspect(link, pair, checks, throttle), allow_lossy=allow_lossy)


async def sample(
    link: Connection, schema: str, before: Table, checks: Sequence[DataCheck], rows: int = SAMPLE_ROWS
) -> list[Finding]:
    """Run checks, made for the table name SAMPLED, on the first rows of a table."""
    table = f"{quote_name(schema)}.{quote_name(before.name)}"
    columns = ", ".join(quote_name(column.name) for column in before.columns)
    rows_of = f"(SELECT {columns} FROM {table} LIMIT {rows}) AS {SAMPLED}"
    key = _key_of(before)
    shown = f"CONCAT_WS(', ', {', '.join(f'{SAMPLED}.{quote_name(name)}' for name in key)})" if key else "''"
    findings = []
    for check in await askable_of(link, checks, rows_of):
        if check.equal:
            sql = f"SELECT COUNT(*), MIN({shown}) FROM {rows_of} {grouped(check)} LIMIT {SHOWN}"
        else:
            sql = f"SELECT 1, {shown} FROM {rows_of} WHERE {check.condition} LIMIT {SHOWN}"
        found = await link.fetch_all(sql)
        if found:
            named = tuple(f"{_names(key)}={_shown(text)}" for _, text in found) if key else ()
            findings.append(Finding(check, sum(int(count) for count, _ in found), named, complete=False))
    return findings


async def inspect(
    link: Connection, pair: Pair, checks: Sequence[DataCheck], throttle: Throttle
) -> list[Finding]:
    """Run checks, made for the source's own name, on every row, in slices that the throttle permits.

    Duplicates cannot be looked for in slices: that is one statement for each unique key.
    """
    table = pair.source.quoted
    askable = await askable_of(link, checks, table)
    rows = [check for check in askable if not check.equal]
    found: dict[DataCheck, Finding] = {}
    if rows:
        async for within in slices(link, pair, throttle):
            await _count(link, pair, rows, within, found)
    for check in askable:
        if check.equal and (finding := await _duplicates(link, pair, check)):
            found[check] = finding
    return list(found.values())


async def slices(link: Connection, pair: Pair, throttle: Throttle) -> AsyncGenerator[str, None]:
    """Yield conditions that together take in every row of the source, each when the throttle permits it.

    What is done between two of them counts as the cost of the slice, and the next one is sized by it.
    """
    low, count = None, SLICE_ROWS
    while True:
        budget = await throttle.permit()
        started = time.monotonic()
        edge = await link.fetch_one(statements.boundary(pair, low, None, count))
        high = pair.key.from_row(edge) if edge else None
        yield pair.key.within(pair.source.quoted, low, high)
        seconds = time.monotonic() - started
        throttle.record(budget, seconds, 0.0)
        if high is None:
            return
        low = high
        count = min(max(int(count * min(budget.target_s / max(seconds, 0.001), 2)), 200), SLICE_ROWS_MAX)


async def _count(
    link: Connection, pair: Pair, checks: Sequence[DataCheck], within: str, found: dict[DataCheck, Finding]
) -> None:
    """Add what the checks catch in one slice to what was found before."""
    table = pair.source.quoted
    caught = ", ".join(f"COALESCE(SUM(IF({check.condition}, 1, 0)), 0)" for check in checks)
    index = f"FORCE INDEX ({quote_name(pair.source_index)})"
    totals = await link.fetch_one(f"SELECT {caught} FROM {table} {index} WHERE {within}")
    for check, number in zip(checks, totals or (), strict=True):
        if int(number):
            former = found.get(check)
            keys = former.keys if former else ()
            if len(keys) < SHOWN:
                keys += await keys_of(link, pair, f"({check.condition}) AND {within}", SHOWN - len(keys))
            rows_before = former.rows if former else 0
            found[check] = Finding(check, rows_before + int(number), keys, complete=True)


async def askable_of(link: Connection, checks: Sequence[DataCheck], rows_of: str) -> list[DataCheck]:
    """Leave out what a server cannot be asked: then the copy, which is strict, is what finds it."""
    fit = []
    for check in checks:
        if not check.condition and not check.equal:
            continue
        where = grouped(check) if check.equal else f"WHERE {check.condition}"
        try:
            await link.fetch_all(f"SELECT 1 FROM {rows_of} {where} LIMIT 0")
        except ConnectionLost:
            raise
        except DatabaseError as error:
            log.warning("check.left_out", subject=check.subject, having=check.having, reason=str(error))
            continue
        fit.append(check)
    return fit


def grouped(check: DataCheck) -> str:
    """Return what finds the values that several rows have, as the end of a SELECT."""
    filled = " AND ".join(f"{value} IS NOT NULL" for value in check.equal)
    return f"WHERE {filled} GROUP BY {', '.join(check.equal)} HAVING COUNT(*) > 1"


async def _duplicates(link: Connection, pair: Pair, check: DataCheck) -> Finding | None:
    table = pair.source.quoted
    sql = f"SELECT COUNT(*), {', '.join(check.equal)} FROM {table} {grouped(check)}"
    groups = await link.fetch_all(f"{sql} LIMIT {SHOWN}")
    if not groups:
        return None
    keys: tuple[str, ...] = ()
    first, order = pair.key.select_list(table), pair.key.order_list(table)
    for _, *values in groups:
        same = " AND ".join(f"{value} = %s" for value in check.equal)
        sql = f"SELECT {first} FROM {table} WHERE {same} ORDER BY {order} LIMIT {SHOWN}"
        rows = await link.fetch_all(sql.replace("%", "%%").replace("%%s", "%s"), *values)
        keys += (" and ".join(pair.key.text(pair.key.from_row(row)) for row in rows),)
    return Finding(check, sum(int(group[0]) for group in groups), keys, complete=len(groups) < SHOWN)


async def keys_of(link: Connection, pair: Pair, condition: str, count: int) -> tuple[str, ...]:
    """Return for people the keys of some rows that a condition finds."""
    table = pair.source.quoted
    rows = await link.fetch_all(
        f"SELECT {pair.key.select_list(table)} FROM {table} "
        f"FORCE INDEX ({quote_name(pair.source_index)}) WHERE {condition} LIMIT {count}"
    )
    return tuple(pair.key.text(pair.key.from_row(row)) for row in rows)


def _key_of(table: Table) -> tuple[str, ...]:
    """Return the columns by which people know a row."""
    for index in sorted(table.indexes, key=lambda index: index.kind is not IndexKind.PRIMARY):
        if index.kind in (IndexKind.PRIMARY, IndexKind.UNIQUE) and len(index.columns) == len(index.parts):
            return tuple(part.column or "" for part in index.parts)
    return ()


def _names(key: tuple[str, ...]) -> str:
    return key[0] if len(key) == 1 else f"({', '.join(key)})"


def _shown(value: object) -> str:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
