"""I rename a table away, so that it can come back, and drop it only at the very end."""

from __future__ import annotations

from conf.settings import MigratorSettings
from migrator.engine.checks import preflight
from migrator.engine.ground.journal import Record
from migrator.engine.ground.operation import Phase
from migrator.engine.swap.cutover import TrafficGate
from migrator.engine.swap.renaming import Renaming
from migrator.engine.table.shadow import free_names
from migrator.engine.table.shape import read_shape
from migrator.errors import Refused
from router.database import Connection
from router.model import Server


class DropTable(Renaming):
    """A table that goes; an Operation."""

    kind = "drop"

    def __init__(
        self,
        id: str,  # noqa: A002 - what an Operation calls it
        server: Server,
        schema: str,
        table: str,
        gate: TrafficGate,
        settings: MigratorSettings,
    ) -> None:
        super().__init__(id, server, schema, table, "", gate, settings)

    async def _make_ready(self, link: Connection, record: Record) -> None:
        shape = await read_shape(link, self._schema, self._table)
        if shape is None:
            raise Refused(f"there is no table {self._schema}.{self._table}")
        child = await link.fetch_value(preflight.PARENTS, self._schema, self._table)
        if child:
            raise Refused(
                f"{self._schema}.{self._table} is referenced by a foreign key of table {child!r}",
                hint="drop that foreign key first",
            )
        if not record.old:
            _, old = await free_names(link, self._schema, self._table)
            await self._save(old=old)

    def _ends(self, record: Record) -> tuple[str, str]:
        return self._table, record.old

    def _unwanted(self, record: Record) -> str:
        return record.old if record.phase is Phase.REVERTIBLE else ""
