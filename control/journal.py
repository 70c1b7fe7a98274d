"""I keep the audit log: who has changed what, when, and from where."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from control.errors import ControlError
from router.clock import now
from router.model import Actor
from router.secrets import new_id
from router.state import Moment

log = structlog.get_logger()

KEPT: Final = timedelta(days=366)
"""Entries older than this are removed at the next start."""
PAGE_MAX: Final = 100

metadata: Final = sa.MetaData()

audit_log: Final = sa.Table(
    "audit_log",
    metadata,
    sa.Column("place", sa.Integer, primary_key=True),
    sa.Column("id", sa.String(12), nullable=False, unique=True),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("action", sa.String(100), nullable=False, index=True),
    sa.Column("kind", sa.String(40), nullable=False),
    sa.Column("subject", sa.String(100), nullable=False),
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("details", sa.Text, nullable=False),
    sa.Column("remote_ip", sa.String(45), nullable=False),
    sa.Column("at", Moment, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Subject:
    """What was acted upon: its kind (`DeployRequest`, `Branch` …), id, and name for people."""

    kind: str
    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the audit log; `action` is `object.past_verb`, such as `deploy_request.queued`."""

    id: str
    actor: Actor
    action: str
    subject: Subject
    at: datetime
    details: Mapping[str, Any] = field(default_factory=dict)
    remote_ip: str = ""


@dataclass(frozen=True, slots=True)
class Entries:
    """Part of the audit log, newest first, and whether there is more on either side."""

    entries: Sequence[Entry]
    newer: bool
    older: bool


class Journal:
    """The audit log in the state database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def prepare(self) -> None:
        """Create the table if it is missing, and remove what is too old to be kept."""
        async with self._engine.begin() as connection:
            await connection.run_sync(metadata.create_all)
            await connection.execute(audit_log.delete().where(audit_log.c.at < now() - KEPT))

    async def record(
        self,
        actor: Actor,
        action: str,
        subject: Subject,
        details: Mapping[str, Any] | None = None,
        remote_ip: str = "",
    ) -> None:
        """Write down that an actor has done something; details must hold no secrets."""
        async with self._engine.begin() as connection:
            await connection.execute(
                audit_log.insert().values(
                    id=new_id(),
                    actor=msgspec.json.encode(actor).decode(),
                    action=action,
                    kind=subject.kind,
                    subject=subject.id,
                    name=subject.name,
                    details=msgspec.json.encode(dict(details or {})).decode(),
                    remote_ip=remote_ip,
                    at=now(),
                )
            )
        log.info("action.recorded", action=action, actor=actor.id, kind=subject.kind, subject=subject.id)

    async def entries(
        self,
        *,
        actions: Collection[str] = (),
        after: str = "",
        before: str = "",
        limit: int = 25,
    ) -> Entries:
        """Return entries, newest first: those after (older than) an entry, or just before (newer than) one.

        Raises ControlError for an entry that is not there.
        """
        wanted = min(limit, PAGE_MAX)
        query = sa.select(audit_log)
        if actions:
            query = query.where(audit_log.c.action.in_(actions))
        backwards = bool(before and not after)
        async with self._engine.connect() as connection:
            if after or before:
                place = await connection.scalar(
                    sa.select(audit_log.c.place).where(audit_log.c.id == (after or before))
                )
                if place is None:
                    raise ControlError(f"the audit log has no entry {after or before!r}")
                side = audit_log.c.place > place if backwards else audit_log.c.place < place
                query = query.where(side)
            order = audit_log.c.place.asc() if backwards else audit_log.c.place.desc()
            rows = (await connection.execute(query.order_by(order).limit(wanted + 1))).mappings().all()
        more, entries = len(rows) > wanted, [_entry(row) for row in rows[:wanted]]
        if backwards:
            return Entries(entries[::-1], newer=more, older=True)
        return Entries(entries, newer=bool(after), older=more)


def _entry(row: sa.RowMapping) -> Entry:
    return Entry(
        id=row["id"],
        actor=msgspec.json.decode(row["actor"], type=Actor),
        action=row["action"],
        subject=Subject(row["kind"], row["subject"], row["name"]),
        at=row["at"],
        details=msgspec.json.decode(row["details"]),
        remote_ip=row["remote_ip"],
    )
