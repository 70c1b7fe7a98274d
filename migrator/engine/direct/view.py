"""I replace a view by another of its name, and can put back the one that was there."""

from __future__ import annotations

import hashlib
import json
import re

from conf.settings import MigratorSettings
from migrator.engine.direct.step import LATER, Ends, Step
from migrator.engine.ground.definers import MIGRATING, Definers
from migrator.engine.ground.journal import Record
from migrator.engine.ground.operation import Phase
from migrator.engine.table import statements
from migrator.engine.table.shadow import TABLE_EXISTS, free_names
from migrator.errors import MigratorError, Refused
from migrator.schema.program_text import view_of
from router.database import Connection, quote_name
from router.errors import ConnectionLost, DatabaseError
from router.model import Server

NO_VIEW = "no view"
MISSING = frozenset({1054, 1146, 1305, 1356})
_DEFINER = re.compile(r"\bDEFINER=(`(?:[^`]|``)*`@`(?:[^`]|``)*`)\s+")
IS_VIEW = "SELECT 1 FROM information_schema.VIEWS WHERE TABLE_SCHEMA = %s AND TABLE_NAME = %s"


class ChangeView(Step):
    """A view that is made, replaced or dropped; an Operation.

    `target_sql` is the CREATE VIEW without a definer, empty for a view that goes. It belongs to whom
    `definers` say, for what a view calls has the rights of the view's definer, and comes back as it was.
    """

    kind = "view"

    def __init__(
        self,
        id: str,  # noqa: A002 - what an Operation calls it
        server: Server,
        schema: str,
        view: str,
        target_sql: str,
        settings: MigratorSettings | None = None,
        *,
        definers: Definers = MIGRATING,
    ) -> None:
        super().__init__(id, server, schema, view, target_sql, None, settings)
        self._definers = definers

    async def _make_ready(self, link: Connection, record: Record, *, later: bool = True) -> Ends:
        former = await self._shown(link, self._table)
        there = await link.fetch_value(TABLE_EXISTS, self._schema, self._table)
        if former is None and there:
            raise Refused(f"{self._schema}.{self._table} is a table")
        if former is None and not self._target_sql:
            raise Refused(f"there is no view {self._schema}.{self._table}")
        options = json.loads(record.options or "{}") | {"former": former}
        record = await self._save(options=json.dumps(options))
        before = NO_VIEW if former is None else _digest(former[0], self._table)
        if not self._target_sql:
            return Ends(before, NO_VIEW)
        if not record.shadow:
            name, _ = await free_names(link, self._schema, self._table)
            record = await self._save(shadow=name)
        await self._drop(record.shadow)
        try:
            await link.execute(
                self._target(record).replace(self._named(), f" VIEW {quote_name(record.shadow)} ")
            )
            if self._definers.of(self._owner(former)) != self._owner(former):
                # A server may take a definer that does not exist, or may too little, and refuse every reader.
                await link.fetch_all(f"SELECT 1 FROM {quote_name(record.shadow)} LIMIT 0")
            made = await self._shown(link, record.shadow)
        except ConnectionLost:
            raise
        except DatabaseError as error:
            if later and error.errno in MISSING:
                return Ends(before, LATER)
            raise Refused(
                f"the server refuses the new definition of view {self._table!r}: {error}",
                hint="if it is about the definer, it must exist and may read what the view reads, and the "
                "account that migrates needs the right to set one",
            ) from error
        finally:
            await self._drop(record.shadow)
        assert made is not None
        after = _digest(made[0], record.shadow)
        if after == before:
            raise Refused(f"view {self._table!r} is already what it is to become")
        return Ends(before, after)

    async def _digest(self, link: Connection) -> str | None:
        shown = await self._shown(link, self._table)
        return NO_VIEW if shown is None else _digest(shown[0], self._table)

    async def _change(self, link: Connection, second: Connection, phase: Phase) -> None:
        record = self._record_now
        if phase is Phase.CUTTING:
            sql = self._target(record)
        else:
            former = self._former(record)
            sql = ""
            if former is not None:
                text, charset, collation = former
                await link.execute(f"SET NAMES {charset} COLLATE {collation}")
                sql = text.replace("CREATE ", "CREATE OR REPLACE ", 1)
        await self._watched(link, second, sql or f"DROP VIEW {quote_name(self._table)}")

    def _no_way_back(self) -> str | None:
        return None

    async def _drop(self, name: str) -> None:
        quoted = f"{quote_name(self._schema)}.{quote_name(name)}"

        async def drop(owner: Connection) -> None:
            await owner.execute(f"DROP VIEW IF EXISTS {quoted} /* {statements.tag(self.id)} */")

        await self.journal.as_owner(drop)

    def _former(self, record: Record) -> tuple[str, str, str] | None:
        former = json.loads(record.options or "{}").get("former")
        return None if former is None else (former[0], former[1], former[2])

    def _named(self) -> str:
        return f" VIEW {quote_name(self._table)} "

    def _target(self, record: Record) -> str:
        """Return the statement for the new definition, '' when there is none to be."""
        if not self._target_sql:
            return ""
        if self._named() not in self._target_sql:
            raise MigratorError(f"the definition of view {self._table!r} does not name it")
        former = self._former(record)
        sql = self._target_sql.replace("CREATE ", "CREATE OR REPLACE ", 1)
        return view_of(sql, self._definers.of(self._owner(former)))

    @staticmethod
    def _owner(former: tuple[str, str, str] | None) -> str | None:
        found = _DEFINER.search(former[0]) if former else None
        return found[1] if found else None

    async def _shown(self, link: Connection, name: str) -> tuple[str, str, str] | None:
        if not await link.fetch_value(IS_VIEW, self._schema, name):
            return None
        row = await link.fetch_one(f"SHOW CREATE VIEW {quote_name(name)}")
        assert row is not None
        return str(row[1]), str(row[2]), str(row[3])


def _digest(create: str, name: str) -> str:
    """Return a digest of a CREATE VIEW text, whatever the view is called."""
    text = create.replace(f" VIEW {quote_name(name)} ", " VIEW ", 1)
    return hashlib.sha256(text.encode()).hexdigest()
