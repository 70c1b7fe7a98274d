"""I open the state database, and say how it keeps what no column is made for: moments, networks, actors."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from router.model import Actor


def open_state(path: Path) -> AsyncEngine:
    """Return the engine of the SQLite state database at `path`, whose folder is made if missing."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}")

    @sa.event.listens_for(engine.sync_engine, "connect")
    def pragmas(connection: Any, _: object) -> None:
        cursor = connection.cursor()
        # A state change that was answered must survive a crash of the machine.
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "busy_timeout = 5000"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    return engine


class Moment(sa.types.TypeDecorator[datetime]):
    """A point in time, stored as RFC 3339 text in UTC, so that every database keeps its zone."""

    impl = sa.String(40)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> str | None:
        """Turn a time into text."""
        return value.astimezone(UTC).isoformat() if value else None

    def process_result_value(self, value: Any | None, dialect: sa.Dialect) -> datetime | None:
        """Turn text into a time."""
        return datetime.fromisoformat(value) if value else None


class Networks(sa.types.TypeDecorator[tuple[str, ...]]):
    """CIDR blocks, stored as text with commas between them."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: tuple[str, ...] | None, dialect: sa.Dialect) -> str:
        """Turn networks into text."""
        return ",".join(value or ())

    def process_result_value(self, value: Any | None, dialect: sa.Dialect) -> tuple[str, ...]:
        """Turn text into networks."""
        return tuple(value.split(",")) if value else ()


class WholeActor(sa.types.TypeDecorator[Actor]):
    """An actor, stored whole as JSON: it outlives its token."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Actor | None, dialect: sa.Dialect) -> str | None:
        """Turn an actor into text."""
        return msgspec.json.encode(value).decode() if value else None

    def process_result_value(self, value: Any | None, dialect: sa.Dialect) -> Actor | None:
        """Turn text into an actor."""
        return msgspec.json.decode(value, type=Actor) if value else None
