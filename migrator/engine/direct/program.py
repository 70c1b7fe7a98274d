"""I make, replace or drop a trigger, routine or event, and can put back the one that was there.

MariaDB replaces one in one statement. MySQL cannot: it is dropped and created, held back from clients by the
gate; around a trigger the table is locked, and a guard refuses writes should the lock be lost in between.
What a killed process left half done is put back as it was before anything else.
"""

from __future__ import annotations

import json

import msgspec
import structlog

from conf.settings import MigratorSettings
from migrator.engine.companions.trigger_text import moved
from migrator.engine.companions.triggers import GUARD
from migrator.engine.direct.routine_rights import Right, give_rights, not_ours_to_give, rights_on
from migrator.engine.direct.step import LATER, Ends, Step
from migrator.engine.direct.stored import (
    MISSING,
    Stored,
    expected_digest,
    make_stored,
    read_stored,
    schema_collation,
    triggers_in_order,
    wanted,
)
from migrator.engine.ground.definers import MIGRATING, Definers
from migrator.engine.ground.failpoints import reach
from migrator.engine.ground.journal import Record
from migrator.engine.ground.operation import Phase
from migrator.engine.swap.cutover import TrafficGate
from migrator.engine.table import statements
from migrator.engine.table.shadow import free_names, suffixed
from migrator.errors import MigratorError, Refused
from migrator.schema.model import Code, CodeKind
from migrator.schema.program_text import or_replace, renamed, trigger_before, with_status
from router.database import Connection, quote_name
from router.errors import ConnectionLost, DatabaseError
from router.model import Flavor, Server

log = structlog.get_logger()

NOTHING = "nothing"
_PACKAGES = (CodeKind.PACKAGE, CodeKind.PACKAGE_BODY)
_TRIAL = "__hg0_new"
_THERE = "SELECT 1 FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = %s AND TRIGGER_NAME = %s"


class ChangeProgram(Step):
    """A trigger, routine or event that is made, replaced or dropped; an Operation.

    `code` is what it is to be, None when it goes; it belongs to whom `definers` say. An event that was
    there keeps whether it runs. A trigger comes before the one called `place`, if any; `table` is its table.
    """

    kind = "program"

    def __init__(
        self,
        id: str,  # noqa: A002 - what an Operation calls it
        server: Server,
        schema: str,
        program: CodeKind,
        name: str,
        code: Code | None,
        *,
        table: str = "",
        place: str = "",
        definers: Definers = MIGRATING,
        gate: TrafficGate | None = None,
        settings: MigratorSettings | None = None,
    ) -> None:
        super().__init__(id, server, schema, name, code.text if code else "", gate, settings)
        self._program, self._code = program, code
        self._of, self._place, self._definers = table, place, definers
        self._word = str(program).lower()

    @property
    def _used(self) -> tuple[str, str]:
        return self._schema, self._of or self._table

    # --- before ---------------------------------------------------------------------------------------------

    async def _make_ready(self, link: Connection, record: Record, *, later: bool = True) -> Ends:
        former, code = await self._read(self._table), self._code
        if former is None and code is None:
            raise Refused(f"there is no {self._word} {self._table!r} in {self._schema!r}")
        if former is not None and former.schema_collation != await schema_collation(link, self._schema):
            raise Refused(
                f"{self._word} {self._table!r} was made when the schema's collation was "
                f"{former.schema_collation}: a revert could not bring it back exactly",
                hint="create it again on production as it is, then deploy",
            )
        options = json.loads(record.options or "{}") | {"former": msgspec.to_builtins(former)}
        record = await self._save(options=json.dumps(options))
        before = NOTHING if former is None else former.digest
        if former is not None:
            await self._try_rights(link, record, former)
        if code is None:
            return Ends(before, NOTHING)
        target = wanted(code, former, self._definers, self._place)
        try:
            after = await self._tried(link, record, target)
        except ConnectionLost:
            raise
        except DatabaseError as error:
            if later and error.errno in MISSING:
                return Ends(before, LATER)
            raise Refused(
                f"the server refuses {self._word} {self._table!r} for {target.definer or 'us'}: {error}",
                hint="its definer must exist and not have SYSTEM_USER, whoever migrates needs the right to "
                "set one (SET_ANY_DEFINER, SET USER), and a server with a binary log the setting "
                "log_bin_trust_function_creators=ON",
            ) from error
        if after == before:
            raise Refused(f"{self._word} {self._table!r} is already what it is to become")
        return Ends(before, after)

    async def _try_rights(self, link: Connection, record: Record, former: Stored) -> None:
        """See that rights which go with the program could be given again; raises Refused."""
        rights = await rights_on(link, self._schema, self._program, self._table)
        if not rights:
            return
        trial = suffixed(self._table, _TRIAL)
        await self._save(shadow=trial)
        await self._drop(trial)  # of an interrupted attempt
        try:
            await make_stored(link, self._schema, former, renamed(former.text, self._table, trial))
            await give_rights(link, self._schema, self._program, trial, rights)
        except ConnectionLost:
            raise
        except DatabaseError as error:
            raise not_ours_to_give(link, self._schema, self._program, self._table, rights, error) from error
        finally:
            await self._drop(trial)

    async def _tried(self, link: Connection, record: Record, target: Stored) -> str:
        """Make it under another name, a trigger on an empty table, and return its digest."""
        if self._program in _PACKAGES:
            return expected_digest(target)  # a body needs a package of its own name
        trial = suffixed(self._table, _TRIAL)
        if not record.shadow:
            name = trial
            if self._program is CodeKind.TRIGGER:
                name, _ = await free_names(link, self._schema, target.table)
            record = await self._save(shadow=name)
        await self._drop(record.shadow)  # of an interrupted attempt
        try:
            if self._program is CodeKind.TRIGGER:
                shadow, like = quote_name(record.shadow), quote_name(target.table)
                await link.execute(f"CREATE TABLE {shadow} LIKE {like} /* {statements.tag(self.id)} */")
                text = moved(target.text, target.charset, self._schema, trial, record.shadow)
            else:
                text = renamed(target.text, self._table, trial)
            await make_stored(link, self._schema, target, text)
            made = await self._read(trial)
        finally:
            await self._drop(record.shadow)
        if made is None:
            raise Refused(f"the server took {self._word} {self._table!r} and does not have it")
        return made.digest

    # --- the change -----------------------------------------------------------------------------------------

    async def _change(self, link: Connection, second: Connection, phase: Phase) -> None:
        start, end = self._ways(self._record_now, phase)
        there = await self._read(self._table)
        if start is not None:
            rights = await rights_on(second, self._schema, self._program, self._table)
            kept = [msgspec.to_builtins(right) for right in rights]
            options = json.loads(self._record_now.options or "{}") | {"rights": kept}
            await self._save(options=json.dumps(options))
        if end is None:
            await self._watched(link, second, self._dropping())
        elif start is None or link.server.flavor is Flavor.MARIADB:
            text = await self._text(second, end, there)
            await self._watching(
                link,
                second,
                make_stored(link, self._schema, end, text if start is None else or_replace(text)),
            )
            await self._give_back(link)
        elif self._program is CodeKind.TRIGGER:
            await self._watched(link, second, f"LOCK TABLES {quote_name(start.table)} WRITE")
            try:
                for event, guard in self._guards(start, end).items():
                    await link.execute(self._guarding(guard, event, start.table))
                    reach("program-guarded")
                await self._replace(link, second, start, end, there)
            finally:
                if not link.closed:
                    await link.execute("UNLOCK TABLES")
        else:
            await self._replace(link, second, start, end, there)

    async def _replace(
        self, link: Connection, second: Connection, start: Stored, end: Stored, there: Stored | None
    ) -> None:
        """Drop and create; what was there is put back when the server does not take the new one."""
        text, former = await self._text(second, end, there), await self._text(second, start, there)
        try:
            await self._watched(link, second, self._dropping())
            reach("program-dropped")
            try:
                await self._watching(link, second, make_stored(link, self._schema, end, text))
            except MigratorError:
                await make_stored(link, self._schema, start, former)
                await self._give_back(link)
                raise
            reach("program-made")
            await self._give_back(link)
        finally:
            if not link.closed:
                for guard in self._guards(start, end).values():
                    await link.execute(f"DROP TRIGGER IF EXISTS {quote_name(guard)}")

    async def _ask_definition(self, record: Record) -> bool:
        await self.journal.end_lock_connections()
        await self._mend(record)
        await self.journal.as_owner(self._give_back)
        return await super()._ask_definition(record)

    async def _mend(self, record: Record) -> None:
        """Put back what a replacement that was cut off began with: it may be gone, or guarded."""
        start, end = self._ways(record, record.phase)
        if start is None or end is None or self._server.flavor is Flavor.MARIADB:
            return
        there = await self._read(self._table)
        guards = list(self._guards(start, end).values())
        async with await self._connect() as link:
            left = [guard for guard in guards if await link.fetch_value(_THERE, self._schema, guard)]
            text = await self._text(link, start, there)
        if there is not None and not left:
            return

        async def work(owner: Connection) -> None:
            await owner.execute(f"USE {quote_name(self._schema)}")
            if there is not None:
                await owner.execute(self._dropping())
            await make_stored(owner, self._schema, start, text)
            for guard in left:
                await owner.execute(f"DROP TRIGGER {quote_name(guard)}")

        await self.journal.as_owner(work)

    async def _give_back(self, link: Connection) -> None:
        """Give the rights again that went with the program when it was last dropped, if it is there."""
        rights = self._rights()
        if not rights or await self._read(self._table) is None:
            return
        try:
            await give_rights(link, self._schema, self._program, self._table, rights)
        except ConnectionLost:
            raise
        except DatabaseError as error:
            # It was tried before; whoever had the right is gone meanwhile, or our account may do less.
            lost = [right.statement(self._schema, self._program, self._table) for right in rights]
            log.error("rights.lost", operation=self.id, reason=str(error), statements=lost)

    # --- what it is about -----------------------------------------------------------------------------------

    async def _digest(self, link: Connection) -> str | None:
        there = await self._read(self._table)
        return NOTHING if there is None else there.digest

    def _ways(self, record: Record, phase: Phase) -> tuple[Stored | None, Stored | None]:
        """Return what is there before a phase and what after it."""
        stored = json.loads(record.options or "{}").get("former")
        former = None if stored is None else msgspec.convert(stored, Stored)
        target = None if self._code is None else wanted(self._code, former, self._definers, self._place)
        return (target, former) if phase is Phase.REVERTING else (former, target)

    def _rights(self) -> tuple[Right, ...]:
        stored = json.loads(self._record_now.options or "{}").get("rights", [])
        return msgspec.convert(stored, tuple[Right, ...])

    async def _text(self, link: Connection, program: Stored, there: Stored | None) -> bytes:
        """Return the statement that makes it: a trigger at its place, an event running if it does now."""
        if program.kind is CodeKind.EVENT:
            return with_status(program.text, there.status if there else program.status)
        if program.kind is not CodeKind.TRIGGER:
            return program.text
        line = await triggers_in_order(link, self._schema, program.table, program.moment)
        following = next((name for name in program.following if name in line), None)
        return program.text if following is None else trigger_before(program.text, following)

    def _guards(self, start: Stored, end: Stored) -> dict[str, str]:
        """The names of the guards, by event; none for what is no trigger."""
        events = {program.moment[1] for program in (start, end)} - {""}
        return {event: suffixed(f"{self._table}_{event.lower()}", "__hg0_guard") for event in sorted(events)}

    def _guarding(self, guard: str, event: str, table: str) -> str:
        return (
            f"CREATE TRIGGER {quote_name(guard)} BEFORE {event} ON {quote_name(table)} FOR EACH ROW "
            f"SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = '{GUARD}'"
        )

    def _dropping(self) -> str:
        return f"DROP {self._program} {quote_name(self._table)}"

    async def _read(self, name: str) -> Stored | None:
        return await read_stored(self._server, self._schema, self._program, name)

    async def _drop(self, name: str) -> None:
        word = "TABLE" if self._program is CodeKind.TRIGGER else str(self._program)
        quoted = f"{quote_name(self._schema)}.{quote_name(name)}"

        async def drop(owner: Connection) -> None:
            await owner.execute(f"DROP {word} IF EXISTS {quoted} /* {statements.tag(self.id)} */")

        await self.journal.as_owner(drop)
