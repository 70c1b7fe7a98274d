"""I write to a table at random and remember every write the server acknowledged: no row is lost unseen."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from conf.settings import MigratorSettings, ThrottleSettings
from migrator.engine.migration import OnlineAlter
from migrator.throttle.throttler import Throttle
from router.database import Connection, quote_name
from router.errors import ConnectionLost, DatabaseError
from router.model import Server

KeyOf = Callable[[int], tuple[Any, ...]]
# Rows as a write leaves them, by number; None is a row that is gone.
After = dict[int, tuple[Any, ...] | None]
WRITERS = 3
DEADLOCK = 1213
DROPPED_DEFAULT = 5


@dataclass(frozen=True, slots=True)
class Table:
    """A table under test: its key, how a number becomes a key, and whether column `u` is unique."""

    key: tuple[str, ...]
    key_types: str
    of: KeyOf
    unique: bool = False

    def create(self, *, new: bool = False, u_unique: bool | None = None) -> str:
        """The definition: old with column `d`, or new with `e` instead and a longer `v`."""
        unique = self.unique if u_unique is None else u_unique
        columns = self.key_types + ", u INT NULL, v VARCHAR(20) NOT NULL"
        if new:
            columns = self.key_types + ", e INT NOT NULL DEFAULT 7, u BIGINT NULL, v VARCHAR(40) NOT NULL"
        else:
            columns += f", d INT NOT NULL DEFAULT {DROPPED_DEFAULT}"
        keys = f", PRIMARY KEY ({', '.join(self.key)}), {'UNIQUE ' if unique else ''}KEY u (u)"
        return f"CREATE TABLE t ({columns}{keys})"


INT = Table(("id",), "id INT NOT NULL AUTO_INCREMENT", lambda n: (n,))
UNIQUE = Table(("id",), "id INT NOT NULL AUTO_INCREMENT", lambda n: (n,), unique=True)
UNSIGNED = Table(("id",), "id BIGINT UNSIGNED NOT NULL", lambda n: (2**63 - 500 + n,))
COMPOSITE = Table(
    ("a", "b"),
    "a SMALLINT NOT NULL, b VARBINARY(6) NOT NULL",
    lambda n: (n % 7 - 3, n.to_bytes(3, "big").rstrip(b"\0") or b"\0"),
)
TEMPORAL = Table(
    ("at", "x"),
    "at DATETIME(3) NOT NULL, x DECIMAL(12,4) NOT NULL",
    lambda n: (f"2024-02-{n % 28 + 1:02} 01:02:03.{n % 1000:03}", f"{n * 1.25 - 900:.4f}"),
)


@dataclass
class Ledger:
    """The rows that must be there: number → (u, v, d).

    With `outages` the writers connect again when the server went away, and ask what became of their write.
    After each write a writer thinks for a moment, as clients do, unless the test is about writers in a hurry:
    these take a processor whole, which what is tested then lacks.
    """

    server: Server
    schema: str
    table: Table
    rows: dict[int, tuple[int | None, str, int]] = field(default_factory=dict)
    writes: int = 0
    errors: list[DatabaseError] = field(default_factory=list)
    outages: bool = False
    thinks_s: float = 0.001
    _next: int = 0
    _stop: bool = False

    async def fill(self, connection: Connection, count: int) -> None:
        """Make the table and its first rows."""
        await connection.execute(f"USE {quote_name(self.schema)}")
        # A row numbered 0 is a row like any other.
        await connection.execute("SET SESSION sql_mode = CONCAT(@@sql_mode, ',NO_AUTO_VALUE_ON_ZERO')")
        await connection.execute(self.table.create())
        names = (*self.table.key, "u", "v", "d")
        batch: list[str] = []
        for n in range(count):
            self.rows[n] = (n, f"row {n}", n + 1000)
            values = (*self.table.of(n), *self.rows[n])
            batch.append("(" + ", ".join(_literal(value) for value in values) + ")")
        for start in range(0, count, 1000):
            text = ", ".join(batch[start : start + 1000])
            await connection.execute(f"INSERT INTO t ({', '.join(names)}) VALUES {text}")
        self._next = count

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        """Write until the body is over."""
        self._stop = False
        writers = [asyncio.ensure_future(self._write(number)) for number in range(WRITERS)]
        try:
            yield
        finally:
            self._stop = True
            _, hanging = await asyncio.wait(writers, timeout=120)
            for writer in hanging:
                writer.cancel()
            await asyncio.gather(*writers)

    async def written(self, count: int) -> None:
        """Wait for so many more writes."""
        wanted = self.writes + count
        async with asyncio.timeout(120):
            while self.writes < wanted:
                await asyncio.sleep(0.005)

    async def _write(self, number: int) -> None:
        dice = random.Random(number)
        connection = await Connection.open(self.server, database=self.schema)
        try:
            while not self._stop:
                mine = [
                    n
                    for n in dice.sample(sorted(self.rows), min(40, len(self.rows)))
                    if n % WRITERS == number
                ]
                statements, after = self._plan(dice, number, mine)
                try:
                    await self._run(connection, statements)
                    happened = True
                except ConnectionLost:
                    if not self.outages:
                        raise
                    connection, happened = await self._after_loss(connection.thread_id, after)
                except DatabaseError as error:
                    if error.errno == DEADLOCK and self.table.unique:
                        continue  # with a neighbour on the unique index: nothing was written
                    self.errors.append(error)
                    happened = False
                if happened:
                    self._remember(after)
                self.writes += 1
                await asyncio.sleep(self.thinks_s)
        finally:
            await connection.close()

    async def _run(self, connection: Connection, statements: list[str]) -> None:
        if len(statements) == 1:
            await connection.execute(statements[0])
            return
        async with connection.transaction():
            for statement in statements:
                await connection.execute(statement)

    async def _after_loss(self, former: int, after: After) -> tuple[Connection, bool]:
        """Connect again, however often the server goes away, and ask what became of a write."""
        while True:
            connection = await self._again(former)
            try:
                return connection, await self._happened(connection, after)
            except ConnectionLost:
                continue

    async def _again(self, former: int) -> Connection:
        """Connect as soon as the server is there again, and has ended the connection before."""
        while True:
            try:
                connection = await Connection.open(self.server, database=self.schema)
            except ConnectionLost:
                await asyncio.sleep(0.02)
                continue
            sql = "SELECT 1 FROM information_schema.PROCESSLIST WHERE ID = %s AND ID <> CONNECTION_ID()"
            with suppress(ConnectionLost):
                # A restarted server gives numbers anew: do not wait for somebody else's end.
                for _ in range(20):
                    if not await connection.fetch_value(sql, former):
                        break
                    await asyncio.sleep(0.02)
            return connection

    async def _happened(self, connection: Connection, after: After) -> bool:
        """Ask for a write that was sent but not answered: all of it is there, or nothing."""
        found: After = {}
        for n in after:
            row = await connection.fetch_one(f"SELECT u, v FROM t WHERE {self._where(n)}")
            found[n] = None if row is None else (row[0], row[1])
        wanted = {n: row[:2] if row else None for n, row in after.items()}
        before = {n: self.rows[n][:2] if n in self.rows else None for n in after}
        assert found in (wanted, before), f"half a write or one lost: {found}, not {wanted} or {before}"
        return found == wanted

    def _remember(self, after: After) -> None:
        for n, row in after.items():
            if row is None:
                del self.rows[n]
            else:
                self.rows[n] = (row[0], row[1], row[2])

    def _plan(self, dice: random.Random, number: int, mine: list[int]) -> tuple[list[str], After]:
        """Choose a write: its statements, and the rows it leaves."""
        chance = dice.random()
        if chance < 0.2 or len(mine) < 2:
            n = self._fresh(number)
            columns = ", ".join((*self.table.key, "u", "v"))
            values = ", ".join(_literal(each) for each in (*self.table.of(n), n, f"new {n}"))
            return [f"INSERT INTO t ({columns}) VALUES ({values})"], {n: (n, f"new {n}", DROPPED_DEFAULT)}
        n, other = mine[:2]
        u, v, d = self.rows[n]
        if chance < 0.55:
            v = f"write {self.writes}"
            return [f"UPDATE t SET v = '{v}' WHERE {self._where(n)}"], {n: (u, v, d)}
        if chance < 0.7:
            return [f"DELETE FROM t WHERE {self._where(n)}"], {n: None}
        if chance < 0.85:
            moved = self._fresh(number)
            pairs = zip(self.table.key, self.table.of(moved), strict=True)
            assignments = ", ".join(f"{name} = {_literal(value)}" for name, value in pairs)
            return [f"UPDATE t SET {assignments} WHERE {self._where(n)}"], {n: None, moved: (u, v, d)}
        their_u, their_v, their_d = self.rows[other]
        return [
            f"UPDATE t SET u = NULL WHERE {self._where(n)}",
            f"UPDATE t SET u = {_literal(u)} WHERE {self._where(other)}",
            f"UPDATE t SET u = {_literal(their_u)} WHERE {self._where(n)}",
        ], {n: (their_u, v, d), other: (u, their_v, their_d)}

    def _fresh(self, number: int) -> int:
        while self._next % WRITERS != number:
            self._next += 1
        self._next += 1
        return self._next - 1

    def _where(self, n: int) -> str:
        pairs = zip(self.table.key, self.table.of(n), strict=True)
        return " AND ".join(f"{name} = {_literal(value)}" for name, value in pairs)

    async def check(self, *, dropped: bool) -> None:
        """Compare the table with what must be there, row by row; `dropped` says that column `d` is gone."""
        names = ", ".join((*self.table.key, "u", "v", *(() if dropped else ("d",))))
        async with await Connection.open(self.server, database=self.schema) as connection:
            found = {_seen(row) for row in await connection.fetch_all(f"SELECT {names} FROM t")}
        wanted = {_seen((*self.table.of(n), *(row[:2] if dropped else row))) for n, row in self.rows.items()}
        print(sorted(found - wanted)[:6], sorted(wanted - found)[:6], len(found - wanted))
        assert found - wanted == set(), "rows that nobody wrote"
        assert wanted - found == set(), "acknowledged writes that are lost"


def _literal(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        return f"x'{value.hex()}'"
    return str(value) if isinstance(value, int) else f"'{value}'"


def _seen(row: tuple[object, ...]) -> tuple[str, ...]:
    # A driver prints the microseconds of a DATETIME(3), or nothing when they are zero.
    texts = ((str(value), ":" in str(value)) for value in row)
    return tuple(text.rstrip("0").rstrip(".") if temporal else text for text, temporal in texts)


class OpenGate:
    """A gate that holds nothing, and counts."""

    def __init__(self) -> None:
        self.closed = self.opened = 0

    async def close(self, tables: object) -> bool:
        """Count."""
        self.closed += 1
        return True

    async def open(self) -> None:
        """Count."""
        self.opened += 1


async def target_of(connection: Connection, schema: str, definition: str) -> str:
    """What the server makes of a definition of table `t`."""
    scratch = f"{schema}_target"
    await connection.execute(f"CREATE DATABASE {quote_name(scratch)}")
    try:
        await connection.execute(f"USE {quote_name(scratch)}")
        await connection.execute(definition)
        row = await connection.fetch_one("SHOW CREATE TABLE t")
        assert row is not None
        return str(row[1])
    finally:
        await connection.execute(f"DROP DATABASE {quote_name(scratch)}")
        await connection.execute(f"USE {quote_name(schema)}")


def alter(
    server: Server,
    schema: str,
    target: str,
    *,
    gate: OpenGate | None = None,
    copiers: int = 2,
    rows: int = 300,
    hold_s: float = 0,
) -> OnlineAlter:
    """The operation under test, with small chunks."""
    settings = MigratorSettings(copiers=copiers, chunk_rows_max=rows, garbage_hold_s=hold_s)
    throttle = Throttle(ThrottleSettings(enabled=False))
    return OnlineAlter(f"op-{schema}", server, schema, "t", target, gate or OpenGate(), throttle, settings)
