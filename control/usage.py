"""I keep which kinds of statements ran on which branch.

Workers tell once a second what they saw, without values. I add it up by day, have each new kind of statement
read once (in a thread: that is no work for the loop), and forget what is old.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec
import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from conf.settings import UsageSettings
from migrator.schema.shapes import SeenShape, Use
from proxy.channel import Shapes, ShapeSeen
from router.clock import now
from router.state import Moment

log = structlog.get_logger()

WRITE_S: Final = 2.0
FORGET_S: Final = 3600.0
WAITING_MAX: Final = 10_000
"""Kinds of statements that wait to be written; more are not taken before some are."""

READ_CHARS_MAX: Final = 200_000
"""How much of new statements is read at once; the parser takes 0.1 s for 8,000 characters, and all wait."""

metadata = sa.MetaData()

shapes = sa.Table(
    "query_shapes",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("use", sa.Text, nullable=False),
)

runs = sa.Table(
    "query_runs",
    metadata,
    sa.Column("database", sa.String(63), primary_key=True),
    sa.Column("branch", sa.String(63), primary_key=True),
    sa.Column("shape", sa.String(32), primary_key=True),
    sa.Column("user", sa.String(255), primary_key=True),
    sa.Column("day", sa.String(10), primary_key=True),
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("count", sa.BigInteger, nullable=False),
    sa.Column("errors", sa.BigInteger, nullable=False),
    sa.Column("first_seen", Moment, nullable=False),
    sa.Column("last_seen", Moment, nullable=False),
)

_Key = tuple[str, str, str, str, str]
"""Database, branch, shape, user and day."""


@dataclass(slots=True)
class _Runs:
    """What ran and is not written yet."""

    text: str
    kind: str
    first_seen: datetime
    last_seen: datetime
    count: int = 0
    errors: int = 0

    def add(self, seen: ShapeSeen, at: datetime) -> None:
        self.count += seen.count
        self.errors += seen.errors
        self.first_seen, self.last_seen = min(self.first_seen, at), max(self.last_seen, at)


class Usage:
    """What ran on the branches of every database."""

    def __init__(self, engine: AsyncEngine, settings: UsageSettings) -> None:
        self._engine = engine
        self._settings = settings
        self._waiting: dict[_Key, _Runs] = {}
        self._known: set[str] = set()
        # Held while what waits is written: who reads meanwhile waits for it.
        self._writing = asyncio.Lock()

    async def prepare(self) -> None:
        """Create the tables that are missing."""
        async with self._engine.begin() as connection:
            await connection.run_sync(metadata.create_all)
            self._known = {row.id for row in await connection.execute(sa.select(shapes.c.id))}

    def record(self, message: Shapes) -> None:
        """Take what a worker saw in a second."""
        at = datetime.fromtimestamp(message.at_s, UTC)
        for seen in message.shapes:
            key = (seen.database, seen.branch, _id(seen.text), seen.user, at.date().isoformat())
            waiting = self._waiting.get(key)
            if waiting is None:
                if len(self._waiting) >= WAITING_MAX:
                    continue
                waiting = self._waiting[key] = _Runs(seen.text, seen.kind, at, at)
            waiting.add(seen, at)

    async def run(self) -> None:
        """Write and forget until cancelled."""
        forget_at = 0.0
        loop = asyncio.get_running_loop()
        while True:
            await self.write()
            if loop.time() >= forget_at:
                await self.forget_old()
                forget_at = loop.time() + FORGET_S
            await asyncio.sleep(WRITE_S)

    async def write(self) -> None:
        """Store what was told since the last time."""
        async with self._writing:
            waiting, self._waiting = self._waiting, {}
            new: dict[str, str] = {}
            room = READ_CHARS_MAX
            for key, one in list(waiting.items()):
                if key[2] in self._known or key[2] in new:
                    continue
                if room <= 0:
                    self._waiting[key] = waiting.pop(key)
                    continue
                new[key[2]] = one.text
                room -= len(one.text)
            if not waiting:
                return
            uses = await asyncio.to_thread(_read, new)
            async with self._engine.begin() as connection:
                for shape, use in uses.items():
                    await connection.execute(shapes.insert().values(id=shape, text=new[shape], use=use))
                for key, one in waiting.items():
                    await _add(connection, key, one)
            self._known |= uses.keys()

    async def forget_old(self) -> None:
        """Forget what ran too long ago, and of a branch with too many kinds those that ran longest ago."""
        first_day = (now() - timedelta(days=self._settings.days)).date().isoformat()
        async with self._writing, self._engine.begin() as connection:
            await connection.execute(runs.delete().where(runs.c.day < first_day))
            for database, branch in await _branches(connection):
                its = (runs.c.database == database) & (runs.c.branch == branch)
                latest = (
                    sa.select(runs.c.shape)
                    .where(its)
                    .group_by(runs.c.shape)
                    .order_by(sa.func.max(runs.c.last_seen).desc())
                )
                too_many = [
                    row.shape for row in await connection.execute(latest.offset(self._settings.shapes_max))
                ]
                if too_many:
                    await connection.execute(runs.delete().where(its & runs.c.shape.in_(too_many)))
            await connection.execute(shapes.delete().where(shapes.c.id.not_in(sa.select(runs.c.shape))))
            self._known = {row.id for row in await connection.execute(sa.select(shapes.c.id))}

    async def forget(self, database: str, branch: str) -> None:
        """Forget a branch that is gone."""
        await self.write()
        async with self._engine.begin() as connection:
            await connection.execute(
                runs.delete().where(runs.c.database == database, runs.c.branch == branch)
            )

    async def rename(self, database: str, branch: str, new_name: str) -> None:
        """Keep what is known of a branch under its new name."""
        await self.forget(database, new_name)
        async with self._engine.begin() as connection:
            await connection.execute(
                runs.update()
                .where(runs.c.database == database, runs.c.branch == branch)
                .values(branch=new_name)
            )

    async def since(self, database: str, branch: str) -> datetime | None:
        """Return when the first statement was seen that is still remembered; None when there is none."""
        await self.write()
        its = (runs.c.database == database) & (runs.c.branch == branch)
        async with self._engine.connect() as connection:
            found: datetime | None = await connection.scalar(
                sa.select(sa.type_coerce(sa.func.min(runs.c.first_seen), Moment)).where(its)
            )
        return found

    async def shapes(
        self, database: str, branch: str, *, last_s: float, on_branch: bool = False
    ) -> list[SeenShape]:
        """Return the kinds of statements that ran in the last so many seconds, the most frequent first.

        `on_branch` is noted in each.
        """
        await self.write()
        begin = now() - timedelta(seconds=last_s)
        query = (
            sa.select(runs, shapes.c.text, shapes.c.use)
            .join(shapes, shapes.c.id == runs.c.shape)
            .where(
                runs.c.database == database,
                runs.c.branch == branch,
                runs.c.day >= begin.date().isoformat(),
            )
        )
        found: defaultdict[str, list[sa.RowMapping]] = defaultdict(list)
        async with self._engine.connect() as connection:
            for row in (await connection.execute(query)).mappings():
                if row["last_seen"] >= begin:
                    found[row["shape"]].append(row)
        seen = [_shape(rows, on_branch) for rows in found.values()]
        return sorted(seen, key=lambda shape: -shape.count)


def _id(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _read(texts: dict[str, str]) -> dict[str, str]:
    """Say what each kind of statement uses, as JSON."""
    # The parser takes a while and some memory to load: nobody waits for it here.
    from migrator.schema.usage import use_of

    return {shape: msgspec.json.encode(use_of(text)).decode() for shape, text in texts.items()}


async def _branches(connection: AsyncConnection) -> Sequence[Any]:
    return (await connection.execute(sa.select(runs.c.database, runs.c.branch).distinct())).all()


async def _add(connection: AsyncConnection, key: _Key, one: _Runs) -> None:
    """Add to what is stored of a day."""
    names = ("database", "branch", "shape", "user", "day")
    its = sa.and_(*(runs.c[name] == value for name, value in zip(names, key, strict=True)))
    added = await connection.execute(
        runs.update()
        .where(its)
        .values(count=runs.c.count + one.count, errors=runs.c.errors + one.errors, last_seen=one.last_seen)
    )
    if not added.rowcount:
        await connection.execute(
            runs.insert().values(
                **dict(zip(names, key, strict=True)),
                kind=one.kind,
                count=one.count,
                errors=one.errors,
                first_seen=one.first_seen,
                last_seen=one.last_seen,
            )
        )


def _shape(rows: Sequence[sa.RowMapping], on_branch: bool) -> SeenShape:
    """Put together what was stored of one kind of statement, by user and day."""
    return SeenShape(
        rows[0]["text"],
        sum(row["count"] for row in rows),
        sum(row["errors"] for row in rows),
        min(row["first_seen"] for row in rows),
        max(row["last_seen"] for row in rows),
        tuple(sorted({row["user"] for row in rows})),
        on_branch,
        msgspec.json.decode(rows[0]["use"], type=Use),
    )
