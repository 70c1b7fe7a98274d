"""I give a table another name, with all its rows, and can give it the former one back."""

from __future__ import annotations

from conf.settings import MigratorSettings
from migrator.engine.ground.journal import Record
from migrator.engine.swap.cutover import TrafficGate
from migrator.engine.swap.renaming import Renaming
from migrator.engine.table.shadow import exists
from migrator.engine.table.shape import read_shape
from migrator.errors import Refused
from router.database import Connection
from router.model import Server


class RenameTable(Renaming):
    """A table that gets another name; an Operation.

    Foreign keys that point to it follow it by themselves, there and back.
    """

    kind = "rename"

    def __init__(
        self,
        id: str,  # noqa: A002 - what an Operation calls it
        server: Server,
        schema: str,
        table: str,
        becomes: str,
        gate: TrafficGate,
        settings: MigratorSettings,
    ) -> None:
        super().__init__(id, server, schema, table, "", gate, settings)
        self._becomes = becomes

    async def _make_ready(self, link: Connection, record: Record) -> None:
        if await read_shape(link, self._schema, self._table) is None:
            raise Refused(f"there is no table {self._schema}.{self._table}")
        if await exists(link, self._schema, self._becomes):
            raise Refused(
                f"there is a table {self._schema}.{self._becomes} already", hint="rename it or drop it first"
            )

    def _ends(self, record: Record) -> tuple[str, str]:
        return self._table, self._becomes

    def _unwanted(self, record: Record) -> str:
        return ""
