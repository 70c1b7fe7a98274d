"""I carry a table's triggers over to the one that takes its name, so that no write meets it without them.

Two triggers of one schema cannot have the same name. So those of the new table have a suffix until the old
table's are surely not needed any more, and get their own names when the revert window is over. The old
table's are dropped once it is out of use: what keeps it current must not fire them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from migrator.engine.companions.companions import Names
from migrator.engine.companions.trigger_text import moved
from migrator.engine.ground.blockers import clear_way
from migrator.engine.ground.definers import Definers
from migrator.engine.ground.failpoints import reach
from migrator.engine.table.shadow import suffixed
from migrator.engine.table.statements import tag
from migrator.errors import NotNow, Refused, SourceChanged
from migrator.schema.introspect import open_reader
from migrator.schema.model import Code
from migrator.schema.program_text import with_definer
from router.database import Connection, quote_name
from router.errors import ConnectionLost, DatabaseError

LISTED = (
    "SELECT TRIGGER_NAME, ACTION_TIMING, EVENT_MANIPULATION, DEFINER, SQL_MODE, ACTION_STATEMENT, "
    "CHARACTER_SET_CLIENT, COLLATION_CONNECTION, DATABASE_COLLATION FROM information_schema.TRIGGERS "
    "WHERE EVENT_OBJECT_SCHEMA = %s AND EVENT_OBJECT_TABLE = %s "
    "ORDER BY ACTION_TIMING, EVENT_MANIPULATION, ACTION_ORDER"
)
COLLATION = "SELECT DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = %s"
GUARD = "headgate is putting the triggers of this table back: try again"
TRIES = 3
NAMED = (
    "SELECT TRIGGER_NAME, EVENT_OBJECT_TABLE FROM information_schema.TRIGGERS "
    "WHERE TRIGGER_SCHEMA = %s AND EVENT_OBJECT_TABLE <> %s"
)


@dataclass(frozen=True, slots=True)
class Trigger:
    """One trigger: its text in the character set of its author, and a digest of all that makes it differ."""

    name: str
    events: tuple[str, ...]
    sql_mode: str
    charset: str
    collation: str
    text: bytes
    digest: str
    definer: str = ""


@dataclass(frozen=True, slots=True)
class TriggerTarget:
    """A trigger that the table will have; `code` is None when it stays as it is."""

    name: str
    code: Code | None = None


@dataclass(frozen=True, slots=True)
class TriggerPlan:
    """The triggers a table will have, in the order in which they fire, and those it has and will not."""

    after: tuple[TriggerTarget, ...]
    dropped: tuple[str, ...] = ()


def coming_triggers(
    plan: TriggerPlan, there: Sequence[Trigger], table: str, definers: Definers
) -> tuple[Trigger, ...]:
    """Return the triggers that a plan makes of those that are there.

    What the server will say of the changed ones is found out by `Triggers.rehearse`. Raises SourceChanged
    when the plan is for other triggers.
    """
    known = {trigger.name: trigger for trigger in there}
    kept = {target.name for target in plan.after if target.code is None}
    mentioned = {*plan.dropped, *(target.name for target in plan.after)}
    if known.keys() - mentioned or {*kept, *plan.dropped} - known.keys():
        raise SourceChanged(
            f"table {table} has other triggers than those that this change was checked with",
            hint="check the deploy request again",
        )
    found = []
    for target in plan.after:
        former, code = known.get(target.name), target.code
        if code is None:
            found.append(known[target.name])
            continue
        owner = definers.of(former.definer if former else None)
        collation = code.collation_connection
        found.append(
            Trigger(
                code.name,
                (),
                code.sql_mode,
                "utf8mb4",
                collation if collation.startswith("utf8mb4") else "utf8mb4_general_ci",
                with_definer(code.text, owner).encode(),
                "",
                owner,
            )
        )
    return tuple(found)


async def read_triggers(link: Connection, schema: str, table: str) -> tuple[Trigger, ...]:
    """Read a table's triggers in the order in which they fire; raises Refused for one that cannot move."""
    listed = await _listed(link, schema, table)
    if not listed:
        return ()
    collation = str(await link.fetch_value(COLLATION, schema))
    found = []
    async with await open_reader(link.server) as reader:
        for name, each in listed.items():
            if each.database_collation != collation:
                raise Refused(
                    f"trigger {name!r} was made when the schema's collation was {each.database_collation}, "
                    f"and is {collation} now: a copy would not be the same",
                    hint="create the trigger again before the change",
                )
            row = await reader.fetch_one(f"SHOW CREATE TRIGGER {quote_name(schema)}.{quote_name(name)}")
            text = bytes(row[2]) if row and row[2] is not None else b""
            moved(text, each.charset, schema, name, table)
            found.append(
                Trigger(
                    *(name, each.events, each.sql_mode, each.charset, each.collation, text, each.digest),
                    each.definer,
                )
            )
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Listed:
    events: tuple[str, ...]
    sql_mode: str
    charset: str
    collation: str
    database_collation: str
    digest: str
    definer: str


async def _listed(link: Connection, schema: str, table: str) -> dict[str, _Listed]:
    found: dict[str, _Listed] = {}
    for row in await link.fetch_all(LISTED, schema, table):
        name, timing, event, definer, sql_mode, statement, charset, collation, database_collation = map(
            str, row
        )
        digest = hashlib.sha256(
            "\0".join((timing, definer, sql_mode, statement, charset)).encode()
        ).hexdigest()
        # One that fires at several events is listed once for each.
        events = (*(found[name].events if name in found else ()), event)
        user, _, host = definer.rpartition("@")
        owner = f"{quote_name(user)}@{quote_name(host)}"
        found[name] = _Listed(events, sql_mode, charset, collation, database_collation, digest, owner)
    return found


class Triggers:
    """The triggers of one table in one swap; see `Companion`.

    The live table has those that are `leaving`; the one that takes its name gets those that are `coming`,
    which are the same ones unless the deployment changes triggers, too.
    """

    def __init__(
        self, operation: str, names: Names, leaving: Sequence[Trigger], coming: Sequence[Trigger]
    ) -> None:
        self._names, self._leaving, self._coming = names, leaving, coming
        self._tag = f"/* {tag(operation)} */"

    def tables(self) -> Sequence[tuple[str, str]]:
        """None: the server locks what triggers write to by itself."""
        return ()

    async def rehearse(self, link: Connection) -> tuple[Trigger, ...]:
        """Create them on the incoming table while it is empty, and drop them; raises Refused.

        Returns those that are coming with what the server says of them, in its order.
        """
        try:
            for trigger in self._coming:
                try:
                    await self._create(link, trigger, self._moved(trigger, self._suffixed(trigger)))
                except ConnectionLost:
                    raise
                except DatabaseError as error:
                    raise Refused(
                        f"trigger {trigger.name!r} cannot be created on the new definition of "
                        f"{self._names.schema}.{self._names.live}: {error}",
                        hint="change it before the table, or drop it and create it again afterwards; whoever "
                        "migrates needs the right to create triggers for their definers, and a server with a "
                        "binary log the setting log_bin_trust_function_creators=ON",
                    ) from error
            made = await _listed(link, self._names.schema, self._names.incoming)
            coming = {self._suffixed(trigger): trigger for trigger in self._coming}
            return tuple(
                replace(coming[name], events=each.events, digest=each.digest) for name, each in made.items()
            )
        finally:
            if not link.closed:
                await self._drop_all(link, self._names.incoming)

    async def prepare(self, link: Connection) -> None:
        """Raise SourceChanged when the table has other triggers than those that would go with it."""
        await self._check(link)

    async def before_swap(self, lock: Connection) -> None:
        """Create them on the incoming table; nobody writes to it any more before it has the name."""
        taken = await self._check(lock)
        for trigger in self._coming:
            name = trigger.name if trigger.name not in taken else self._suffixed(trigger)
            await self._create(lock, trigger, self._moved(trigger, name))
            reach("trigger-created")

    async def after_swap(self, lock: Connection) -> None:
        """Do nothing while writers wait: those of the table that went out do no harm before `settle`."""

    async def abandon(self, link: Connection) -> None:
        """Drop those of the table that did not come in."""
        await self._drop_all(link, self._names.incoming)

    async def settle(self, link: Connection) -> None:
        """Drop those of the table that went out."""
        await self._drop_all(link, self._names.outgoing)

    async def close(self) -> None:
        """Nothing is held."""

    async def finalize(self, link: Connection) -> None:
        """Give them their own names, under a lock.

        A trigger cannot be renamed, only dropped and created. Should the lock be lost in between, a guard is
        left that refuses writes, so that none meets the table with a trigger missing or with one twice; the
        next call goes on from there.
        """
        schema, live = self._names.schema, self._names.live
        wanted = [trigger.name for trigger in self._coming]
        there = await _listed(link, schema, live)
        # MariaDB keeps the words of a trigger, and writes the table's name anew when that is renamed.
        if list(there) == wanted and await read_triggers(link, schema, live) == tuple(self._coming):
            return
        known = {*wanted, *map(self._suffixed, self._coming), *self._guards().values()}
        strange = sorted(set(there) - known)
        if strange:
            raise SourceChanged(
                f"somebody made trigger {strange[0]} on {schema}.{live}",
                hint="drop it, finish this deployment, and create it again",
            )
        for name, table in await link.fetch_all(NAMED, schema, live):
            if name in wanted:
                raise SourceChanged(
                    f"table {table} has a trigger of the name {name} now, which {schema}.{live} needs",
                    hint="give that trigger another name",
                )
        await clear_way(link, [(schema, live)], ())
        try:
            await link.execute(f"LOCK TABLES {self._names.quoted(live)} WRITE")
        except ConnectionLost:
            raise
        except DatabaseError as error:
            raise NotNow(f"{live} is in use, so its triggers keep their suffix: {error.message}") from error
        try:
            await self._rename(link)
        finally:
            if not link.closed:
                with suppress(DatabaseError):
                    await link.execute("UNLOCK TABLES")

    async def _rename(self, link: Connection) -> None:
        """Bring the live table's triggers to their own names, whatever state an earlier try left."""
        schema, live = self._names.schema, self._names.live
        there = await _listed(link, schema, live)
        for event, guard in self._guards().items():
            if guard not in there:
                await link.execute(
                    f"CREATE TRIGGER {self._names.quoted(guard)} BEFORE {event} "
                    f"ON {self._names.quoted(live)} FOR EACH ROW "
                    f"SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = '{GUARD}'"
                )
            reach("guard-created")
        for left in reversed(range(TRIES)):
            try:
                await self._drop_all(link, live, but=set(self._guards().values()))
                reach("suffixed-dropped")
                for trigger in self._coming:
                    await self._create(link, trigger, trigger.text)
                    reach("trigger-restored")
                break
            except ConnectionLost:
                raise
            except DatabaseError:
                if not left:
                    raise
        for guard in self._guards().values():
            await link.execute(f"DROP TRIGGER {self._names.quoted(guard)} {self._tag}")
            reach("guard-dropped")

    def _guards(self) -> dict[str, str]:
        """The names of the guards, by event."""
        events = dict.fromkeys(event for trigger in self._coming for event in trigger.events)
        mark = self._names.mark
        return {event: suffixed(f"{self._names.live}_{event.lower()}", f"{mark}_guard") for event in events}

    def _suffixed(self, trigger: Trigger) -> str:
        return suffixed(trigger.name, self._names.mark)

    async def _check(self, link: Connection) -> set[str]:
        """See that the live table's triggers are ours, and return under which names."""
        found = await _listed(link, self._names.schema, self._names.live)
        seen = [(name, each.digest) for name, each in found.items()]
        # A trigger whose name was free when it came has its own, every other one a suffix.
        known = len(seen) == len(self._leaving) and all(
            digest == trigger.digest and name in (trigger.name, self._suffixed(trigger))
            for (name, digest), trigger in zip(seen, self._leaving, strict=True)
        )
        if not known:
            raise SourceChanged(
                f"the triggers of {self._names.schema}.{self._names.live} changed during the deployment",
                hint="put them back as they were, or cancel this deployment and start a new one",
            )
        return set(found)

    async def _drop_all(self, link: Connection, table: str, but: set[str] | None = None) -> None:
        for name in await _listed(link, self._names.schema, table):
            if name not in (but or ()):
                await link.execute(f"DROP TRIGGER {self._names.quoted(name)} {self._tag}")
                reach("trigger-dropped")

    def _moved(self, trigger: Trigger, name: str) -> bytes:
        return moved(trigger.text, trigger.charset, self._names.schema, name, self._names.incoming)

    async def _create(self, link: Connection, trigger: Trigger, text: bytes) -> None:
        """Create a trigger under the settings of its author."""
        before = await link.fetch_one("SELECT @@sql_mode, @@character_set_client, @@collation_connection")
        assert before is not None
        setting = "SET SESSION sql_mode = '{}', character_set_client = {}, collation_connection = {}"
        await link.execute(f"USE {quote_name(self._names.schema)}")
        await link.execute(setting.format(trigger.sql_mode, trigger.charset, trigger.collation))
        try:
            await link.execute(text)
        finally:
            if not link.closed:
                await link.execute(setting.format(*before))
