"""I copy rows of a branch's parent into the branch: one snapshot, in chunks, as the throttle permits.

The parent is only read. I go from server to server with one connection each, so that all that is copied is of
the same moment.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import structlog

from migrator.errors import MigratorError, Refused
from migrator.schema import seed_statements as statements
from migrator.schema.masks import masked
from migrator.schema.seed import NO_KEY_ROWS, Amount, Link, Plan, TableCopy
from migrator.schema.seed_statements import Statement
from migrator.throttle.throttler import Budget, Throttle
from router.database import Connection, Row, quote_name
from router.errors import ConnectionLost, DatabaseError
from router.model import Flavor, Server

log = structlog.get_logger()

FIRST_ROWS: Final = 500
ROWS_MAX: Final = 5000
INSERT_BYTES: Final = 1 << 20
STATEMENT_MAX_S: Final = 60
HELD_MAX_S: Final = 900.0
"""So long the throttle may hold a copy back: a snapshot that is kept may be what it waits for."""
ESTIMATE: Final = (
    "SELECT TABLE_NAME, COALESCE(TABLE_ROWS, 0), COALESCE(DATA_LENGTH + INDEX_LENGTH, 0) "
    "FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s AND TABLE_TYPE = 'BASE TABLE'"
)
SIZE_RATIO: Final = 1.5
"""Of data and indexes: what they need on the branch, at most, with its logs."""
SMALL_ROWS: Final = 20_000
"""Where the server thinks that there are fewer rows, they are counted: its estimate may be far off."""

SESSION: Final = (
    "SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES,NO_ENGINE_SUBSTITUTION'",
    "SET SESSION time_zone = '+00:00'",
)
LIMITS: Final = {
    Flavor.MYSQL: f"SET SESSION max_execution_time = {STATEMENT_MAX_S * 1000}",
    Flavor.MARIADB: f"SET SESSION max_statement_time = {STATEMENT_MAX_S}",
}
ISOLATION: Final = "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ"
SNAPSHOT: Final = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a copy is; `rows_total` is estimated. `held` says what the throttle waits for."""

    table: str = ""
    rows_copied: int = 0
    rows_total: int = 0
    held: str | None = None


class Seeding:
    """One copy, with accounts that may read the parent's rows and write the branch's.

    `throttle` is that of the parent's server, None where it has none. `free_bytes` is the room that the
    branch has.
    """

    def __init__(
        self,
        plan: Plan,
        parent: Server,
        branch: Server,
        schema: str,
        throttle: Throttle | None,
        *,
        free_bytes: int,
    ) -> None:
        self._free_bytes = free_bytes
        self._plan = plan
        self._parent = parent
        self._branch = branch
        self._schema = schema
        self._throttle = throttle
        self._secret = secrets.token_bytes(32)
        self._rows = FIRST_ROWS
        self._progress = Progress()

    @property
    def progress(self) -> Progress:
        """How far it is."""
        held = self._throttle.explain() if self._throttle is not None else None
        return replace(self._progress, held=held)

    async def run(self) -> int:
        """Copy everything and return the number of rows. Raises MigratorError or DatabaseError."""
        setup = [*SESSION, LIMITS[self._parent.flavor], ISOLATION]
        async with await Connection.open(self._parent, database=self._schema, setup=setup) as source:
            await source.execute(SNAPSHOT)
            known = await self._estimate(source)
            await self._fill(source, known)
        return self._progress.rows_copied

    async def _fill(self, source: Connection, known: dict[str, int]) -> None:
        quick = ["SET SESSION foreign_key_checks = 0", "SET SESSION unique_checks = 0"]
        async with await Connection.open(
            self._branch, database=self._schema, setup=[*SESSION, *quick]
        ) as target:
            for table in self._plan.tables:
                self._progress = replace(self._progress, table=table.name)
                rows = self._plan.wish.rows_of(known.get(table.name, 0))
                await self._copy(source, target, table, rows)
            if self._plan.wish.amount is Amount.SAMPLE:
                await self._add_parents(source, target)

    async def _estimate(self, source: Connection) -> dict[str, int]:
        """Return about how many rows each table has."""
        listed = await source.fetch_all(ESTIMATE, self._schema)
        known = {str(name): int(rows) for name, rows, _ in listed}
        needed = SIZE_RATIO * sum(int(size) for _, _, size in listed)
        if self._plan.wish.amount is Amount.ALL and needed > self._free_bytes:
            raise Refused(
                f"all rows need about {needed / 1e9:.1f} GB, and {self._free_bytes / 1e9:.1f} GB are free",
                hint="take a sample, or make room where Headgate keeps its branches",
            )
        for table in self._plan.tables:
            if known.get(table.name, 0) < SMALL_ROWS:
                count = await source.fetch_value(f"SELECT COUNT(*) FROM {quote_name(table.name)}")
                known[table.name] = int(count or 0)
        wanted = [
            min(known[table.name], self._plan.wish.rows_of(known[table.name]) or known[table.name])
            for table in self._plan.tables
        ]
        self._progress = Progress(rows_total=sum(wanted))
        return known

    async def _copy(self, source: Connection, target: Connection, table: TableCopy, rows: int | None) -> None:
        """Copy a table: all of it, or so many rows from all over it."""
        if not table.key:
            await self._copy_at_once(source, target, table, rows)
        elif rows is None or not table.numeric:
            await self._walk(source, target, table, [], rows)
        else:
            low, high = (await source.fetch_all(statements.ends_of(table)))[0]
            for start, end, share in statements.places(int(low), int(high), rows) if low is not None else ():
                await self._walk(source, target, table, [statements.within(table, start, end)], share)

    async def _walk(
        self,
        source: Connection,
        target: Connection,
        table: TableCopy,
        where: Sequence[Statement],
        rows: int | None,
    ) -> None:
        """Copy rows that fit all conditions along the key, `rows` of them at most."""
        conditions, left = list(where), rows
        while left is None or left > 0:
            limit = self._rows if left is None else min(self._rows, left)
            found = await self._step(source, target, table, statements.select_rows(table, conditions, limit))
            if len(found) < limit:
                return
            conditions = [*where, statements.behind(table, [found[-1][at] for at in table.key_at])]
            left = None if left is None else left - len(found)

    async def _copy_at_once(
        self, source: Connection, target: Connection, table: TableCopy, rows: int | None
    ) -> None:
        limit = min(NO_KEY_ROWS, rows or NO_KEY_ROWS)
        query = statements.select_rows(table, [], limit + (rows is None))
        found = await self._step(source, target, table, query)
        if rows is None and len(found) > limit:
            raise Refused(
                f"table {table.name!r} has no key to go along and more than {limit} rows",
                hint="take a sample, or give it a primary key",
            )

    async def _add_parents(self, source: Connection, target: Connection) -> None:
        """Copy the rows that foreign keys of the sample lead to, and those that these lead to in turn."""
        copied = True
        while copied:
            copied = False
            for link in self._plan.links:
                copied = bool(await self._follow(source, target, link)) or copied

    async def _follow(self, source: Connection, target: Connection, link: Link) -> int:
        """Copy the rows that one foreign key leads to; returns how many."""
        parent, copied = self._plan.table(link.parent), 0
        last: Row | None = None
        while True:
            question, arguments = statements.missing_parents(link, last)
            missing = await target.fetch_all(question, *arguments)
            if not missing:
                return copied
            self._progress = replace(self._progress, table=parent.name)
            query = statements.select_rows(parent, [statements.among(link.parent_columns, missing)], None)
            copied += len(await self._step(source, target, parent, query))
            last = missing[-1]

    async def _step(
        self, source: Connection, target: Connection, table: TableCopy, query: Statement
    ) -> list[Row]:
        """Read a chunk, mask it and store it, when the throttle permits; returns what was read."""
        text, arguments = query
        budget = await self._permit()
        began_s = time.monotonic()
        try:
            found = await source.fetch_all(text, *arguments)
        except ConnectionLost:
            raise
        except DatabaseError as error:
            raise MigratorError(
                f"table {table.name!r} cannot be read: {error}",
                hint="its definition must stay as it is while its rows are copied; try again",
            ) from error
        read_s = time.monotonic() - began_s
        if budget is not None and self._throttle is not None:
            self._throttle.record(budget, read_s, 0.0, len(found))
            self._adapt(len(found), read_s, budget.target_s)
        await self._store(target, table, found)
        self._progress = replace(self._progress, rows_copied=self._progress.rows_copied + len(found))
        return found

    async def _permit(self) -> Budget | None:
        if self._throttle is None:
            return None
        try:
            async with asyncio.timeout(HELD_MAX_S):
                return await self._throttle.permit()
        except TimeoutError:
            raise MigratorError(
                f"the throttle has held the copy back for {HELD_MAX_S / 60:.0f} minutes: "
                f"{self._throttle.explain() or 'the server is busy'}",
                hint="take a smaller sample, or try at a quieter time",
            ) from None

    def _adapt(self, rows: int, seconds: float, target_s: float) -> None:
        """Choose how many rows the next chunk has, so that reading it takes about as long as it may."""
        if rows >= self._rows and seconds > 0:
            factor = min(2.0, max(0.25, target_s / seconds))
            self._rows = max(50, min(ROWS_MAX, round(self._rows * factor)))

    async def _store(self, target: Connection, table: TableCopy, found: Sequence[Row]) -> None:
        piece: list[list[object]] = []
        size = 0
        for row in found:
            stored = self._masked(table, row)
            piece.append(stored)
            size += sum(len(value) if isinstance(value, (str, bytes)) else 8 for value in stored)
            if size >= INSERT_BYTES:
                await self._insert(target, table, piece)
                piece, size = [], 0
        if piece:
            await self._insert(target, table, piece)

    def _masked(self, table: TableCopy, row: Row) -> list[object]:
        return [
            value if source.mask is None else masked(source.mask, value, self._secret, source.length)
            for source, value in zip(table.sources, row, strict=True)
        ]

    async def _insert(self, target: Connection, table: TableCopy, rows: Sequence[Sequence[object]]) -> None:
        text, arguments = statements.insert_rows(table, rows)
        try:
            await target.execute(text, *arguments)
        except ConnectionLost:
            raise
        except DatabaseError as error:
            raise MigratorError(
                f"the branch does not take rows of table {table.name!r}: {error}",
                hint="where a mask made two values alike that must differ, or one too long, choose another",
            ) from error
