"""I make a new table under another name and give it its own in one step."""

from __future__ import annotations

from conf.settings import MigratorSettings
from migrator.engine.ground.journal import Record
from migrator.engine.ground.operation import Phase
from migrator.engine.swap.renaming import Renaming
from migrator.engine.table.shadow import create_shadow, exists, free_names
from migrator.errors import Refused
from router.database import Connection
from router.model import Server


class CreateTable(Renaming):
    """A new table; an Operation."""

    kind = "create"

    def __init__(
        self,
        id: str,  # noqa: A002 - what an Operation calls it
        server: Server,
        schema: str,
        table: str,
        target_sql: str,
        settings: MigratorSettings | None = None,
    ) -> None:
        super().__init__(id, server, schema, table, target_sql, None, settings or MigratorSettings())

    async def _make_ready(self, link: Connection, record: Record) -> None:
        if await exists(link, self._schema, self._table):
            raise Refused(f"there is a table {self._schema}.{self._table} already")
        if not record.shadow:
            shadow, _ = await free_names(link, self._schema, self._table)
            record = await self._save(shadow=shadow)
        await self._drop(record.shadow)  # of an interrupted attempt
        await create_shadow(link, self.id, self._schema, self._table, record.shadow, self._target_sql)

    def _ends(self, record: Record) -> tuple[str, str]:
        return record.shadow, self._table

    def _unwanted(self, record: Record) -> str:
        return record.shadow if record.phase is Phase.REVERTED else ""
