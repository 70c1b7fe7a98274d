"""I look on production for rows that a change would refuse or alter: a first one each, in bounded time.

Nothing is locked and nothing written. The engine looks at every row once more before it copies.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterable, Sequence

import structlog

from migrator.engine.checks.inspection import askable_of, grouped, keys_of, slices
from migrator.engine.table import statements
from migrator.engine.table.pair import Pair, match
from migrator.engine.table.shape import read_shape
from migrator.errors import Refused
from migrator.schema.lint.facts import DataAnswer
from migrator.schema.lint.subject import TableChange
from migrator.schema.lossy import DataCheck, data_checks
from migrator.schema.renames import NONE, Renames
from migrator.throttle.throttler import Throttle
from router.database import Connection, quote_name
from router.errors import ConnectionLost, DatabaseError
from router.model import Flavor, Server

log = structlog.get_logger()

# "Query execution was interrupted, maximum statement execution time exceeded" of either server.
_OUT_OF_TIME = frozenset({3024, 1969, 1317})


async def look_at_rows(
    server: Server,
    schema: str,
    changes: Sequence[TableChange],
    throttle: Throttle,
    *,
    seconds: float,
    renames: Renames = NONE,
) -> tuple[DataAnswer, ...]:
    """Return an answer to every data check of these changes; what there is no time for is not complete.

    Raises DatabaseError when production cannot be asked at all.
    """
    until = time.monotonic() + seconds
    answers: list[DataAnswer] = []
    for change in changes:
        table = f"{quote_name(schema)}.{quote_name(change.place)}"
        moved = renames.columns.get(change.place)
        checks = data_checks(change.before, change.after, schema, table, moved)
        if checks:
            answers += await _answers(server, schema, change.place, checks, throttle, until)
    return tuple(answers)


async def _answers(
    server: Server, schema: str, table: str, checks: Sequence[DataCheck], throttle: Throttle, until: float
) -> list[DataAnswer]:
    left = until - time.monotonic()
    look = _Look(table, checks)
    if left <= 0:
        return look.answers("there was no time left to look")
    try:
        # A cancelled statement may run on: the server itself ends it at the same moment.
        async with asyncio.timeout(left), await _open(server, left) as link:
            await look.run(link, schema, throttle)
    except TimeoutError:
        return look.answers("looking at all rows takes longer than there is time")
    except ConnectionLost as error:
        return look.answers(f"production cannot be asked: {error}")
    except DatabaseError as error:
        if error.errno not in _OUT_OF_TIME:
            log.warning("data_check.failed", table=table, reason=str(error))
            return look.answers(f"production cannot be asked: {error}")
        return look.answers("looking at all rows takes longer than there is time")
    return look.answers("the server cannot be asked this; the copy would tell")


async def _open(server: Server, seconds: float) -> Connection:
    if server.flavor is Flavor.MYSQL:
        limit = f"SET SESSION max_execution_time = {max(int(seconds * 1000), 1)}"
    else:
        limit = f"SET SESSION max_statement_time = {max(seconds, 0.001):.3f}"
    setup = [
        *statements.session(server.flavor),
        # Dates become time stamps in the server's own time zone, as in the copy.
        "SET SESSION time_zone = @@GLOBAL.time_zone",
        "SET SESSION transaction_read_only = 1"
        if server.flavor is Flavor.MYSQL
        else "SET SESSION tx_read_only = 1",
        limit,
    ]
    return await Connection.open(server, setup=setup)


class _Look:
    """The checks of one table: what was found, and which are through with every row."""

    def __init__(self, table: str, checks: Sequence[DataCheck]) -> None:
        self._table = table
        self._checks = checks
        self._samples: dict[DataCheck, str] = {}
        self._through: set[DataCheck] = set()

    def answers(self, reason: str) -> list[DataAnswer]:
        """Return what is known now; `reason` is why the rest is not."""
        return [
            DataAnswer(
                self._table,
                check.subject,
                check.having,
                found=check in self._samples,
                sample=self._samples.get(check, ""),
                complete=check in self._through or check in self._samples,
                reason="" if check in self._through or check in self._samples else reason,
            )
            for check in self._checks
        ]

    async def run(self, link: Connection, schema: str, throttle: Throttle) -> None:
        """Look at the rows slice by slice, then for duplicates."""
        name = f"{quote_name(schema)}.{quote_name(self._table)}"
        askable = await askable_of(link, self._checks, name)
        pair = await _pair(link, schema, self._table)
        by_row = [check for check in askable if not check.equal]
        if pair is None:
            await self._at_once(link, name, by_row, throttle)
        else:
            await self._in_slices(link, pair, by_row, throttle)
        for check in askable:
            if check.equal:
                await throttle.permit()
                await self._duplicates(link, name, check)

    async def _in_slices(
        self, link: Connection, pair: Pair, checks: Iterable[DataCheck], throttle: Throttle
    ) -> None:
        left = list(checks)
        if not left:
            return
        async with contextlib.aclosing(slices(link, pair, throttle)) as walked:
            async for within in walked:
                for check in list(left):
                    keys = await keys_of(link, pair, f"({check.condition}) AND {within}", 1)
                    if keys:
                        self._samples[check] = keys[0]
                        left.remove(check)
                if not left:
                    break
        self._through |= set(left)

    async def _at_once(
        self, link: Connection, table: str, checks: Iterable[DataCheck], throttle: Throttle
    ) -> None:
        """Look at a table without a key that slices could be cut by."""
        for check in checks:
            await throttle.permit()
            if await link.fetch_all(f"SELECT 1 FROM {table} WHERE {check.condition} LIMIT 1"):
                self._samples[check] = ""
            else:
                self._through.add(check)

    async def _duplicates(self, link: Connection, table: str, check: DataCheck) -> None:
        values = ", ".join(f"CONVERT({value} USING utf8mb4)" for value in check.equal)
        row = await link.fetch_one(
            f"SELECT CONCAT_WS(', ', {values}), COUNT(*) FROM {table} {grouped(check)} LIMIT 1"
        )
        if row is None:
            self._through.add(check)
        else:
            self._samples[check] = f"{row[0]}, {int(row[1]):,} times"


async def _pair(link: Connection, schema: str, table: str) -> Pair | None:
    """Return the table as a pair with itself, whose key its rows are walked by; None when it has none."""
    try:
        shape = await read_shape(link, schema, table)
        return None if shape is None else match(shape, shape)
    except Refused:
        return None
