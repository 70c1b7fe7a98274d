"""I keep one local server ready for the next branch, with the schema that it will probably get."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from migrator.schema.errors import SchemaError
from migrator.schema.model import Schema
from migrator.schema.serial import to_json
from router.errors import DatabaseError, ServerFailed
from router.hosts import LocalHost
from router.model import Server
from router.secrets import new_id

log = structlog.get_logger()

Furnish = Callable[[Server, Schema], Awaitable[None]]
"""Gives an empty server a schema, as a branch has it that is being made."""


@dataclass(frozen=True, slots=True)
class Ready:
    """The id that a branch is to have, and the schema that the server of that id has, if there is one."""

    branch_id: str
    schema: Schema | None = None

    def has(self, schema: Schema) -> bool:
        """Whether there is a server that needs nothing any more to have this schema."""
        return self.schema is not None and to_json(self.schema) == to_json(schema)


class Spare:
    """A server that belongs to no branch yet: the next branch takes its id.

    A killed process's is removed at the next start like every server that no branch has.
    """

    def __init__(self, host: LocalHost, prefix: str, furnish: Furnish) -> None:
        self._host = host
        self._prefix = prefix
        self._furnish = furnish
        self._changed = asyncio.Event()
        # Held while a server is made ready: whoever wants one has it soonest by waiting for that.
        self._making = asyncio.Lock()
        self._wanted: Schema | None = None
        self._ready: Ready | None = None

    @property
    def server(self) -> str | None:
        """What the server is called, None while there is none."""
        return None if self._ready is None else self._prefix + self._ready.branch_id

    async def take(self) -> Ready:
        """Return the id that the next branch is to have, with the server of that id if there is one.

        One that is being made ready is waited for.
        """
        async with self._making:
            found, self._ready = self._ready, None
        return found or Ready(new_id())

    async def give_back(self, ready: Ready) -> None:
        """Take that no branch was made of what was taken."""
        async with self._making:
            if self._ready is None and ready.schema is not None:
                self._ready = ready
            else:
                await self._host.delete(self._prefix + ready.branch_id)

    def want(self, schema: Schema) -> None:
        """Ask for a server with a schema to be made ready; one that has another schema gets this one."""
        self._wanted = schema
        self._changed.set()

    async def run(self) -> None:
        """Make servers ready when they are wanted, until cancelled."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            async with self._making:
                if self._wanted is not None:
                    await self._make(self._wanted)

    async def _make(self, schema: Schema) -> None:
        if self._ready is not None and self._ready.has(schema):
            return
        # Nobody sees it until it has the schema.
        former, self._ready = self._ready, None
        branch_id = former.branch_id if former is not None else new_id()
        name = self._prefix + branch_id
        try:
            await self._furnish(await self._host.wake(name), schema)
        except (ServerFailed, SchemaError, DatabaseError, OSError) as error:
            log.warning("spare.not_made", reason=str(error))
            await self._host.delete(name)
        else:
            self._ready = Ready(branch_id, schema)
